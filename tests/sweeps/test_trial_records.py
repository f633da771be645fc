"""Records of trials name nothing outside of their sweep, whoever wrote them and wherever they lie now."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.errors import RequestError
from recbole_logq.experiment.run_store import Record
from recbole_logq.sweeps.located import located, read_results
from recbole_logq.sweeps.paths import inside, refuse_links, relative, stored
from recbole_logq.sweeps.trial_records import Records


def trial(records: Records, number: int, score: float, folder: str | None = None, **changes: Any) -> Record:
    """A trial that is over, with its checkpoint."""
    name = f"t{number}"
    saved = records.trials / name / "saved"
    saved.mkdir(parents=True)
    (saved / "best.pth").write_text(f"weights of {records.folder}")
    record = records.begin(name, {"learning_rate": score}, number)
    record |= {"status": "done", "best_score": score, "epochs": 1, "folder": folder or f"trials/{name}"}
    record |= {"checkpoint": f"trials/{name}/saved/best.pth", **changes}
    records.write(record)
    return record


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A checkpoint that is of no sweep."""
    file = tmp_path / "elsewhere" / "saved" / "months.pth"
    file.parent.mkdir(parents=True)
    file.write_text("precious")
    return file


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "sweep" / "BPR", bigger=True)


def test_paths_are_stored_relative(records: Records) -> None:
    assert relative(records.folder, records.trials / "t1" / "saved" / "a.pth") == "trials/t1/saved/a.pth"
    assert relative(records.folder, "/somewhere/else") is None


OUT = ["{victim}", "../../elsewhere", "trials/../../../elsewhere", "trials", "trials/..", ".", "link", "trials/link"]
OUT += ["records", "C:\\elsewhere", "trials\\..\\..\\..\\elsewhere", 7, ["trials/t1"], "trials/a\0b", "//elsewhere"]


@pytest.mark.parametrize("name", OUT)
def test_what_leads_out_is_not_followed(records: Records, victim: Path, name: Any, caplog: Any) -> None:
    trial(records, 1, 0.1, folder=str(name).format(victim=victim.parent.parent) if isinstance(name, str) else name)
    trial(records, 2, 0.2)
    for place in (records.folder / "link", records.trials / "link"):
        place.symlink_to(victim.parent.parent)
    for _ in range(2):
        records.keep_only(records.winner())
    assert victim.read_text() == "precious"
    assert (records.trials / "t1" / "saved" / "best.pth").exists()  # nobody knows whose it is
    assert (records.trials / "t2" / "saved" / "best.pth").exists()
    assert records.read()[0]["folder"] is None
    assert caplog.text.count("is not looked at") == bool(name)


def test_a_link_in_place_of_saved(records: Records, victim: Path) -> None:
    trial(records, 1, 0.1)
    trial(records, 2, 0.2)
    shutil.rmtree(records.trials / "t1" / "saved")
    (records.trials / "t1" / "saved").symlink_to(victim.parent)
    records.keep_only(records.winner())
    assert victim.exists()


def test_a_copied_sweep_works_with_its_own_checkpoints(records: Records, tmp_path: Path) -> None:
    trial(records, 1, 0.1)
    trial(records, 2, 0.2)
    # As earlier versions stored them: with the whole path of where the sweep lay.
    trial(records, 3, 0.15, folder=str(records.trials / "t3"), checkpoint=str(records.trials / "t3/saved/best.pth"))
    copy = Records(shutil.copytree(records.folder, tmp_path / "copy"), bigger=True)
    before = sorted(records.folder.rglob("*"))
    assert [copy.path(one["folder"]) for one in copy.read()] == [copy.trials / f"t{n}" for n in (1, 2, 3)]
    assert copy.path(copy.read()[2]["checkpoint"]) == copy.trials / "t3" / "saved" / "best.pth"
    copy.keep_only(copy.winner())
    assert [file.parent.parent.name for file in copy.trials.glob("*/saved/*.pth")] == ["t2"]
    assert sorted(records.folder.rglob("*")) == before


@pytest.mark.parametrize(
    "change",
    [
        {"trial": "../../elsewhere/saved/months"},
        {"number": "1"},
        {"point": "x"},
        {"best_score": "0.3"},
        {"status": None},
        {"history": None},
        {"ended": []},
        # What JSON of Python's holds and no validation gives: each would win against every score.
        {"best_score": float("inf")},
        {"best_score": -float("inf")},
        {"best_score": float("nan")},
        {"best_score": True},
        {"best_score": 10**400},
        {"epochs": True},
        {"number": True},
        {"train_cpu_seconds": float("nan")},
        {"history": [{"epoch": 1, "score": float("nan"), "best_score": 0.1}]},
        {"history": [{"epoch": 1, "score": 0.1, "best_score": float("inf")}]},
        {"history": [{"epoch": 1, "score": True}]},
        {"history": [0.1]},
    ],
    ids=str,
)
def test_what_is_no_record_is_refused(records: Records, change: dict[str, Any]) -> None:
    record = trial(records, 1, 0.1)
    (records.folder / "records" / "t1.json").write_text(json.dumps({**record, **change}))
    with pytest.raises(RequestError, match=r"t1\.json is no record of a trial"):
        records.read()


def test_a_damaged_record_is_refused(records: Records) -> None:
    trial(records, 1, 0.1)
    (records.folder / "records" / "t1.json").write_text("{")
    with pytest.raises(RequestError, match=r"t1\.json cannot be read"):
        records.read()


def test_folders_that_are_links_are_refused(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "sweep" / "BPR").mkdir(parents=True)
    refuse_links(tmp_path / "sweep", ["BPR"])
    (tmp_path / "sweep" / "BPR" / "records").symlink_to(victim.parent)
    with pytest.raises(RequestError, match="is a link"):
        refuse_links(tmp_path / "sweep", ["BPR"])


def test_results_are_of_where_they_lie_now(records: Records, tmp_path: Path) -> None:
    trials = [trial(records, 1, 0.1), trial(records, 2, 0.2, folder="/old/place/BPR/trials/t2")]
    search = {"name": "BPR", "metric": "NDCG@5", "winner": 2, "trials": trials, "best": "/old/place/BPR/best.yaml"}
    file = tmp_path / "sweep" / "results.json"
    file.write_text(json.dumps({"folder": "/old/place", "searches": [search]}))
    found = located(read_results(file), tmp_path / "sweep")
    assert found["folder"] == str(tmp_path / "sweep")
    assert found["searches"][0]["best"] == str(records.folder / "best.yaml")
    assert [one["folder"] for one in found["searches"][0]["trials"]] == [str(records.trials / f"t{n}") for n in (1, 2)]
    broken = [{"winner": 7}, {"winner": True}, {"metric": None}, {"test_result": {"ndcg@5": float("nan")}}]
    broken += [{"trials": [{**trials[1], "best_score": score}]} for score in (float("inf"), True, None, "0.2")]
    texts = [json.dumps({"searches": [{**search, **change}]}) for change in broken]
    for content in ("{", "[]", '{"searches": [1]}', '{"searches": [{}]}', *texts):
        file.write_text(content)
        with pytest.raises(RequestError, match=r"results\.json (is damaged|holds no results)"):
            read_results(file)


def test_names_within(tmp_path: Path) -> None:
    assert inside(tmp_path, "trials/a") == tmp_path / "trials" / "a"
    assert stored(tmp_path, "/old/sweeps/trials/BPR/trials/a/saved/x.pth") == "trials/a/saved/x.pth"
