"""Files of the shape in which data sets are published, made up by hand, and what becomes of them."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_logq.cli import main
from recbole_logq.data.source.convert import FeatureTable, Report, atomic_rows, convert
from recbole_logq.errors import RequestError

Lines = dict[str, list[list[str]]]


def atomic(folder: Path, source: Path | str, **options: Any) -> tuple[Lines, Report]:
    """Fields of every line of the files that a conversion wrote, by their suffixes."""
    report = convert(source, "own", data_path=folder / "datasets", **options)
    files = (folder / "datasets" / "own").iterdir()
    return {
        file.suffix[1:]: [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()] for file in files
    }, report


def test_movielens_32m_in_its_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "ml-32m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ml-32m/", "")
        archive.writestr(
            "ml-32m/ratings.csv", "userId,movieId,rating,timestamp\n1,17,4.0,944249077\n1,25,1.0,944250228\n"
        )
        archive.writestr(
            "ml-32m/movies.csv",
            'movieId,title,genres\n17,Sense and Sensibility (1995),Drama|Romance\n25,"Leaving, Las Vegas",Film-Noir\n',
        )
        archive.writestr("ml-32m/README.txt", "about it")
    place = tmp_path / "ml-32m.zip"
    found, report = atomic(tmp_path, place / "ml-32m" / "ratings.csv", items=place / "ml-32m" / "movies.csv")
    assert found["inter"] == [
        ["user_id:token", "item_id:token", "timestamp:float", "rating:float"],
        ["1", "17", "944249077", "4"],
        ["1", "25", "944250228", "1"],
    ]
    assert found["item"] == [
        ["item_id:token", "title:token", "genres:token_seq"],
        ["17", "Sense and Sensibility (1995)", "Drama Romance"],
        ["25", "Leaving, Las Vegas", "Film-Noir"],
    ]
    assert report.features[0].columns["genres"] == "genres (token_seq, by what it holds)"
    with pytest.raises(RequestError, match=r"holds ml-32m/ratings\.csv, .*name one, such as --input="):
        convert(place, "other", data_path=tmp_path / "datasets")
    with pytest.raises(RequestError, match=r"has no member ml-32m/rating\.csv"):
        convert(place / "ml-32m" / "rating.csv", "other", data_path=tmp_path / "datasets")


def test_movielens_1m_as_it_comes(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n1::661::3::978302109\n")
    (tmp_path / "movies.dat").write_bytes(
        "1193::Misérables, Les (1995)::Drama|Musical\n661::X::Children's\n".encode("latin-1")
    )
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n")
    found, report = atomic(
        tmp_path,
        tmp_path / "ratings.dat",
        separator="::",
        encoding="latin-1",
        columns=["user_id", "item_id", "rating", "timestamp"],
        items=FeatureTable(tmp_path / "movies.dat", columns=["item_id", "title", "genres"]),
        users=FeatureTable(tmp_path / "users.dat", columns=["user_id", "gender", "age", "occupation_id", "zip"]),
    )
    women = FeatureTable(tmp_path / "users.dat", id="1", keep={"3": "token", "2": "token"})
    by_number, _ = atomic(
        tmp_path, tmp_path / "ratings.dat", separator="::", header=False, user="1", item="2", time="4", users=women,
        items=FeatureTable(tmp_path / "movies.dat", id="1"), encoding="latin-1", overwrite=True,
    )  # fmt: skip
    assert by_number["user"] == [["user_id:token", "3:token", "2:token"], ["1", "1", "F"]]
    assert found["inter"][1:] == [["1", "1193", "978300760", "5"], ["1", "661", "978302109", "3"]]
    assert found["item"][1] == ["1193", "Misérables, Les (1995)", "Drama Musical"]
    assert found["user"] == [
        ["user_id:token", "gender:token", "age:float", "occupation_id:token", "zip:token"],
        ["1", "F", "1", "10", "48067"],
    ]
    assert [part.unit for part in report.features] == ["items", "users"]


def test_amazon_reviews_2023(tmp_path: Path) -> None:
    reviews = [
        {"rating": 5.0, "title": "Good", "images": [{"small": "x"}], "asin": "B1", "parent_asin": "P1", "user_id": "AE",
         "timestamp": 1588687728923, "verified_purchase": True},
        {"rating": 4.0, "title": "", "images": [], "asin": "B2", "parent_asin": "P2", "user_id": "AF",
         "timestamp": 1588687728999, "verified_purchase": False},
    ]  # fmt: skip
    meta = [
        {"title": "Lip Balm", "average_rating": 4.8, "price": 7.99, "categories": ["All Beauty", "Care"],
         "details": {"Brand": "X"}, "parent_asin": "P1"},
        {"title": "Wig", "average_rating": 4.0, "price": None, "categories": [], "details": {}, "parent_asin": "P2"},
    ]  # fmt: skip
    for name, rows in {"All_Beauty.jsonl.gz": reviews, "meta_All_Beauty.jsonl.gz": meta}.items():
        (tmp_path / name).write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    found, report = atomic(tmp_path, tmp_path / "All_Beauty.jsonl.gz", items=tmp_path / "meta_All_Beauty.jsonl.gz")
    assert found["inter"][1:] == [["AE", "P1", "1588687728.923", "5"], ["AF", "P2", "1588687728.999", "4"]]
    assert found["item"] == [
        ["item_id:token", "title:token", "average_rating:float", "price:float", "categories:token_seq"],
        ["P1", "Lip Balm", "4.8", "7.99", "All_Beauty Care"],
        ["P2", "Wig", "4", "", ""],
    ]
    deep = f"{tmp_path}/meta_All_Beauty.jsonl.gz, line 1: details holds more than values and lists of values"
    assert f"column details is left out: {deep}" in report.features[0].notes
    assert report.left_out == ["title", "images", "asin", "verified_purchase"]
    verified, report = atomic(
        tmp_path, tmp_path / "All_Beauty.jsonl.gz", where="verified_purchase=true", item="asin", overwrite=True,
        items=FeatureTable(tmp_path / "meta_All_Beauty.jsonl.gz", keep={"title": "token"}),
    )  # fmt: skip
    assert verified["inter"][1:] == [["AE", "B1", "1588687728.923", "5"]]
    assert report.dropped == {"not verified_purchase=true": 1}
    assert report.read == report.written + 1
    assert verified["item"][0] == ["item_id:token", "title:token"]


@pytest.mark.parametrize("where", [None, "is_organic=1"])
def test_yambda_in_its_three_kinds(tmp_path: Path, where: str | None) -> None:
    lists = {
        "uid": pa.array([100, 200], pa.uint32()),
        "timestamp": pa.array([[0, 5, 10], [5]], pa.list_(pa.uint32())),
        "item_id": pa.array([[8326270, 1441281, 8326270], [73666]], pa.list_(pa.uint32())),
        "is_organic": pa.array([[0, 1, 1], [1]], pa.list_(pa.uint8())),
        "played_ratio_pct": pa.array([[95, 58, 24], [100]], pa.list_(pa.uint16())),
    }
    pq.write_table(pa.table(lists), tmp_path / "sequential.parquet")
    flat = {name: column.to_pylist() for name, column in lists.items() if name != "uid"}
    columns: dict[str, Any] = {name: [value for row in rows for value in row] for name, rows in flat.items()}
    pq.write_table(pa.table({"uid": [100, 100, 100, 200], **columns}), tmp_path / "flat.parquet")
    events = {**columns, "event_type": ["listen", "like", "listen", "listen"]}
    pq.write_table(pa.table({"uid": [100, 100, 100, 200], **events}), tmp_path / "multi_event.parquet")
    expected = [["100", "8326270", "0"], ["100", "1441281", "5"], ["100", "8326270", "10"], ["200", "73666", "5"]]
    expected = expected if where is None else expected[1:]
    for kind in ("sequential", "flat"):
        found, report = atomic(tmp_path, tmp_path / f"{kind}.parquet", where=where, overwrite=True)
        assert found["inter"][1:] == expected, kind
        assert report.read == report.written + sum(report.dropped.values()) == 4
    conditions = ["event_type=listen", "played_ratio_pct>=50", *([where] if where else [])]
    found, report = atomic(tmp_path, tmp_path / "multi_event.parquet", where=conditions, overwrite=True)
    assert found["inter"][1:] == [row for row in expected if row[1:] in (["8326270", "0"], ["73666", "5"])]
    assert report.dropped["not event_type=listen"] == report.dropped["not played_ratio_pct>=50"] == 1


def test_steams_lines_of_python(tmp_path: Path) -> None:
    lines = [
        "{u'username': u'Chaos S', u'hours': 0.1, u'product_id': u'725280', u'date': u'2017-12-17', u'new': False}",
        "{u'username': u'Ariman1', u'hours': 13.0, u'product_id': u'328100', u'date': u'2017-08-02', u'a': u\"a 'b'\"}",
        "{u'username': __import__('os').system('touch ran'), u'product_id': u'1', u'date': u'2017-08-02'}",
    ]
    (tmp_path / "steam_reviews.json.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    found, report = atomic(tmp_path, tmp_path / "steam_reviews.json.gz", keep={"hours": "float"})
    assert found["inter"] == [
        ["user_id:token", "item_id:token", "timestamp:float", "hours:float"],
        ["Chaos S", "725280", "1513468800", "0.1"],
        ["Ariman1", "328100", "1501632000", "13"],
    ]
    assert report.dropped == {"lines that are no JSON objects": 1}
    assert not Path("ran").exists()


def test_gowalla_and_lastfm_without_a_header(tmp_path: Path) -> None:
    line = "0\t2010-10-19T23:55:27Z\t30.2359091167\t-97.7951395833\t22847\n"
    (tmp_path / "loc-gowalla_totalCheckins.txt.gz").write_bytes(gzip.compress(line.encode()))
    found, _ = atomic(
        tmp_path, tmp_path / "loc-gowalla_totalCheckins.txt.gz", header=False, user="1", time="2", item="5"
    )
    assert found["inter"][1:] == [["0", "22847", "1287532527"]]
    row = 'user_000001\t2009-05-04T23:08:57Z\tf1b1cf71\tDeep "Dish"\t\tFuck Me Im Famous\n'
    (tmp_path / "userid-timestamp-artid-artname-traid-traname.tsv").write_text(row)
    names = ["user", "time", "artist_id", "artist", "track_id", "track"]
    found, report = atomic(
        tmp_path, tmp_path / "userid-timestamp-artid-artname-traid-traname.tsv", columns=names, item="artist",
        overwrite=True,
    )  # fmt: skip
    assert found["inter"][1:] == [["user_000001", "Deep \\'Dish\\'", "1241478537"]]
    assert report.left_out == ["artist_id", "track_id", "track"]
    with pytest.raises(RequestError, match="its first line has 6 columns, and 2 names were given"):
        convert(tmp_path / "userid-timestamp-artid-artname-traid-traname.tsv", "new", columns=["a", "b"])


def test_yelp_retailrocket_and_kion(tmp_path: Path) -> None:
    (tmp_path / "review.json").write_text(
        '{"review_id":"K","user_id":"mh","business_id":"XQ","stars":3.0,"text":"x","date":"2018-07-07 22:09:11"}\n'
    )
    business = [
        {"business_id": "XQ", "name": "Oregano", "stars": 3.5, "attributes": {"a": "1"}, "categories": "Food, Bar"}
    ]
    (tmp_path / "business.json").write_text("".join(json.dumps(row) + "\n" for row in business))
    found, _ = atomic(tmp_path, tmp_path / "review.json", items=tmp_path / "business.json")
    assert found["inter"][1:] == [["mh", "XQ", "1531001351", "3"]]
    assert found["item"] == [
        ["item_id:token", "name:token", "stars:float", "categories:token"],
        ["XQ", "Oregano", "3.5", "Food, Bar"],
    ]
    found, _ = atomic(
        tmp_path, tmp_path / "review.json", overwrite=True, value_separator=",",
        items=FeatureTable(tmp_path / "business.json", keep={"categories": "token_seq"}),
    )  # fmt: skip
    assert found["item"][1] == ["XQ", "Food Bar"]
    (tmp_path / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n"
        "1433224214164,992329,addtocart,5,1\n"
    )
    shop, report = atomic(
        tmp_path,
        tmp_path / "events.csv",
        where="event!=view",
        overwrite=True,
        items=FeatureTable(tmp_path / "business.json", id="business_id"),
    )
    assert shop["inter"][1:] == [["992329", "5", "1433224214.164"]]
    assert report.left_out == ["event", "transactionid"]
    (tmp_path / "interactions.csv").write_text(
        "user_id,item_id,last_watch_dt,total_dur,watched_pct\n"
        "176549,9506,2021-05-11,4250,72.0\n"
        "699317,1659,2021-05-29,8317,100.0\n"
    )
    kion, _ = atomic(
        tmp_path,
        tmp_path / "interactions.csv",
        where="watched_pct>=80",
        overwrite=True,
        items=FeatureTable(tmp_path / "business.json", id="business_id"),
    )
    assert kion["inter"][1:] == [["699317", "1659", "1622246400"]]


def test_sessions_in_a_folder_by_the_order_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    for number, rows in {10: "s2,c\n", 2: "s1,a\ns1,b\n"}.items():
        (folder / f"part-{number}.csv").write_text("session_id,item\n" + rows)
    (folder / "_SUCCESS").touch()
    (folder / ".part-2.csv.crc").write_bytes(b"\0")
    expected = [["s1", "a", "1"], ["s1", "b", "2"], ["s2", "c", "3"]]
    for source in (folder, f"{folder}/part-*.csv"):
        found, report = atomic(tmp_path, source, file_order=True, overwrite=True)
        assert found["inter"][1:] == expected
        assert report.columns["timestamp"] == "order of the rows: 1, 2, ..."
    with pytest.raises(RequestError, match="leave time out"):
        atomic(tmp_path, folder, file_order=True, time="item", overwrite=True)
    (folder / "part-11.csv").write_text("session,item\ns3,d\n")
    with pytest.raises(RequestError, match="are read together and differ in column session"):
        atomic(tmp_path, folder, file_order=True, overwrite=True)
    with pytest.raises(RequestError, match="no file fits the pattern"):
        atomic(tmp_path, f"{folder}/*.json", overwrite=True)


def test_lists_in_text_and_dates_in_a_stated_form(tmp_path: Path) -> None:
    (tmp_path / "baskets.csv").write_text(
        "customer;basket;date\nanna;[milk, bread];31/01/2024 08:30\nbert;[];01/02/2024 09:00\n"
    )
    found, report = atomic(
        tmp_path, tmp_path / "baskets.csv", item="basket", item_separator=",", time_format="%d/%m/%Y %H:%M"
    )
    assert found["inter"][1:] == [["anna", "milk", "1706689800"], ["anna", "bread", "1706689800"]]
    assert any(note.startswith("dates of the form %d/%m/%Y") for note in report.notes)
    (tmp_path / "days.csv").write_text("user,item,day\na,x,20240131\na,y,20240199\n")
    found, report = atomic(tmp_path, tmp_path / "days.csv", time="day", time_format="%Y%m%d", overwrite=True)
    assert found["inter"][1:] == [["a", "x", "1706659200"]]
    assert report.dropped == {"no readable time": 1}
    for form, message in {"%d.%m.%Y": "has times such as '20240131'", "%Q": "time_format=%Q: "}.items():
        with pytest.raises(RequestError, match=message):
            atomic(tmp_path, tmp_path / "days.csv", time="day", time_format=form, overwrite=True)


@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_objects(tmp_path: Path, indent: int | None) -> None:
    rows = [{"user": f"u{n}", "item": "ü" * 9, "time": n, "x": [n, {"deep": 1}]} for n in range(3)]
    (tmp_path / "log.json").write_text(
        "\ufeff\n" + json.dumps(rows, indent=indent, ensure_ascii=False) + " \n", encoding="utf-8"
    )
    found, report = atomic(tmp_path, tmp_path / "log.json")
    assert found["inter"][1:] == [[f"u{n}", "ü" * 9, str(n)] for n in range(3)]
    assert report.left_out == ["x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"user": 1, "item": 2}', "line 1: this is no JSON, or the array does not end"),
        ('[{"user": 1, "item": 2} {"user": 1}]', "line 1: this is no JSON: a comma is missing"),
        ('[{"user": 1, "item": 2}]\n\n7', "line 1: something stands behind the array"),
        ('[\n{"user": 1,\n"item": }]', "line 2: this is no JSON, or the array does not end"),
    ],
)
def test_an_array_that_is_damaged(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "log.json").write_text(text)
    with pytest.raises(RequestError, match=message):
        atomic(tmp_path, tmp_path / "log.json")
    assert not (tmp_path / "datasets" / "own").exists()


def test_an_array_longer_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recbole_logq.data.source.tables import json_records

    rows = [{"user": f"u{n}", "item": "a\n[,]{}" * (n % 5), "time": n} for n in range(1, 60)]
    (tmp_path / "log.json").write_text(json.dumps(rows, indent=1))
    for size in (1, 7, 64):
        monkeypatch.setattr(json_records, "_BLOCK", size)
        found, report = atomic(tmp_path, tmp_path / "log.json", overwrite=True)
        assert len(found["inter"]) - 1 == report.written == 59 - 11
        assert report.dropped == {"no item_id": 11}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("price", "COLUMN=VALUE, or with !="),
        ("prise=3", "there is no column prise.*did you mean price"),
        ("price>cheap", "> compares numbers"),
    ],
)
def test_conditions_that_make_no_sense(tmp_path: Path, where: str, message: str) -> None:
    (tmp_path / "log.csv").write_text("user,item,time,price\na,x,1,2.5\n")
    with pytest.raises(RequestError, match=message):
        atomic(tmp_path, tmp_path / "log.csv", where=where)


def test_items_keep_the_first_line_and_codes_stay_texts(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\na,1,1\n")
    (tmp_path / "items.csv").write_text(
        "item,name,zip_area,year,tags\n1,A,01234,1999,x y|z\n1,B,2,2000,\n,C,3,2001,\n2,NA,4,,q\n"
    )
    found, report = atomic(tmp_path, tmp_path / "log.csv", items=tmp_path / "items.csv")
    assert found["item"] == [
        ["item_id:token", "name:token", "zip_area:token", "year:float", "tags:token_seq"],
        ["1", "A", "01234", "1999", "x_y z"],
        ["2", "NA_", "4", "", "q"],
    ]
    part = report.features[0]
    assert part.dropped == {"no item_id": 1, "item_id has a line already, and the first one is kept": 1}
    assert (part.read, part.written) == (4, 2)
    assert any("underscore" in note for note in part.notes)


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.csv").write_text("1,x,7\n1,y,8\n")
    (tmp_path / "items.csv").write_text("id,title\nx,An X\n")
    (tmp_path / "items.jsonl").write_text('{"id": "x"}\n')
    common = ["convert", f"--input={tmp_path}/log.csv", "--dataset=own", f"--data_path={tmp_path}/datasets"]
    named = "--columns=[user,item,time]"
    for flags, message in [
        (
            ["--header=false", "--user=1", "--item=2", "--items_id=id"],
            "items_id: there is no table of items, set --items",
        ),
        ([named, "--users_id=a"], "users_id: there is no table of users, set --users=FILE"),
        ([named, "--users_columns=[a]"], "users_columns: there is no table of users, set --users=FILE"),
        ([named, "--users_keep.age=float"], "users_keep: there is no table of users, set --users=FILE"),
        (["--columns=[a,a,b]"], "columns=['a', 'a', 'b']: a name for each column, each another one"),
        (["--header=true", named], "they name the columns of a file without a header"),
        (
            [named, f"--items={tmp_path}/items.csv"],
            "has columns id, title: say which has the ids with --items_id=COLUMN",
        ),
        ([named, f"--items={tmp_path}/items.csv", "--items_id=id", "--items_keep.titel=token"], "no column titel"),
        ([named, f"--items={tmp_path}/items.jsonl", "--items_columns=[id]"], "is json, which names its columns itself"),
    ]:
        assert main([*common, *flags]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "datasets" / "own").exists()
    assert main([*common, named, f"--items={tmp_path}/items.csv", "--items_id=id", "--where=item!=y"]) == 0
    out = capsys.readouterr().out
    assert "wrote 1 interactions" in out
    assert "wrote 1 items" in out
    assert "title      <- title (token, by what it holds)" in out


def test_a_damaged_line_of_items_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\na,1,1\n")
    lines = ['{"item": "1", "deep": {"a": 1}}', "damaged", '{"item": "2"}', '{"title": "no id"}']
    (tmp_path / "items.jsonl").write_text("\n".join(lines))
    _, report = atomic(tmp_path, tmp_path / "log.csv", items=tmp_path / "items.jsonl")
    part = report.features[0]
    assert part.dropped == {"lines that are no JSON objects": 1, "no item_id": 1}
    assert part.read == part.written + sum(part.dropped.values()) == 4


@pytest.mark.parametrize("rows_per_batch", [2, 100])
def test_a_column_of_items_that_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_per_batch: int
) -> None:
    monkeypatch.setattr(atomic_rows, "ROWS_PER_BATCH", rows_per_batch)
    (tmp_path / "log.csv").write_text("user,item,time\na,1,1\n")
    lines = [{"item": "1", "deep": "x", "mixed": "x"}, {"item": "2"}, {"item": "3", "deep": {"a": 1}, "mixed": ["x"]}]
    (tmp_path / "items.jsonl").write_text("\n".join([*map(json.dumps, lines), '{"item": "4", "title": "T"}']))
    found, report = atomic(tmp_path, tmp_path / "log.csv", items=tmp_path / "items.jsonl")
    assert found["item"] == [["item_id:token", "title:token"], ["1", ""], ["2", ""], ["3", ""], ["4", "T"]]
    notes = report.features[0].notes
    assert [note.split(" is left out")[0] for note in notes] == ["column deep", "column mixed"]
    assert "line 3: deep holds more than values" in notes[0]
    for name in ("deep", "mixed"):
        wanted = FeatureTable(tmp_path / "items.jsonl", keep={name: "token"})
        with pytest.raises(RequestError, match=f"{name} (holds more than values|is a list)"):
            atomic(tmp_path, tmp_path / "log.csv", items=wanted, overwrite=True)


def test_parquet_files_whose_columns_differ_in_type(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\na,1,1\n")
    for number, year in enumerate([1999, "old"]):
        pq.write_table(pa.table({"item": [str(number)], "year": [year]}), tmp_path / f"items-{number}.parquet")
    found, report = atomic(tmp_path, tmp_path / "log.csv", items=tmp_path / "items-*.parquet")
    assert found["item"] == [["item_id:token"], ["0"], ["1"]]
    assert report.features[0].notes == ["column year is left out: year holds int64 and string: store it as one of them"]


@pytest.mark.slow
def test_from_an_archive_to_recommendations_with_titles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ratings = "".join(f"{u},{(u * 7 + n) % 23},4.0,{1000 + n}\n" for u in range(1, 31) for n in range(8))
    movies = "".join(f'{item},"Film, No. {item} (1999)",Drama|War\n' for item in range(23))
    with zipfile.ZipFile("ml-32m.zip", "w") as archive:
        archive.writestr("ml-32m/ratings.csv", "userId,movieId,rating,timestamp\n" + ratings)
        archive.writestr("ml-32m/movies.csv", "movieId,title,genres\n" + movies)
    base = "ml-32m.zip/ml-32m"
    steps = [
        ["convert", f"--input={base}/ratings.csv", f"--items={base}/movies.csv", "--dataset=ml-32m"],
        ["--model=TwoTowerLogQ", "--dataset=ml-32m", "--epochs=1", "--item_features=[genres]", "--output=result.json"],
    ]
    for step in steps:
        assert main(step) == 0
    checkpoint = json.loads(Path("result.json").read_text())["checkpoint"]
    assert main(["export", f"--checkpoint={checkpoint}", "--folder=served"]) == 0
    capsys.readouterr()
    assert main(["recommend", "--model=served", "--users=1", "--k=3"]) == 0
    assert "Film, No. " in capsys.readouterr().out
