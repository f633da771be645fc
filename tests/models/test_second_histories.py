"""Second histories and the age of an example: by hand, without a look ahead, and as the folder serves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import load, run
from recbole_logq.cli import main
from recbole_logq.data.dataset.event_times import AGE
from recbole_logq.data.dataset.second_histories import SecondHistory, column_of, known_buckets
from recbole_logq.errors import RequestError
from recbole_logq.modules.example_age import ExampleAge
from recbole_logq.modules.text import TextHasher
from recbole_logq.serving import Retriever
from recbole_logq.serving.export import export

SEARCH = column_of("search")
# User, item, time; the last of each user is tested on, the one before it validates.
ROWS = [("a", "i1", 10.0), ("a", "i2", 20.0), ("a", "i3", 30.0), ("a", "i4", 40.0)]
ROWS += [("b", item, time) for item, time in (("i2", 15.0), ("i1", 25.0), ("i4", 35.0), ("i3", 45.0))]
EVENTS = ["a\tcats\t5", "a\tfunny dogs\t10", "a\tdogs\t20", "b\tBirds\t44", "a\tfish\t35", "b\tcats\t15", "z\tcats\t1"]
TOP = {"topk": [2], "valid_metric": "MRR@2", "train_batch_size": 16, "eval_args": {"order": "TO"}}
SECOND = {"second_histories": {"search": "query"}, "request_time": "known"}


def buckets(*tokens: str) -> list[int]:
    hasher = TextHasher(32_768, 1)
    return [hasher.bucket(f" {token} ") for token in tokens]


@pytest.fixture
def searched(write_dataset: Callable[..., Path], build: Callable[..., Any]) -> Callable[..., Any]:
    """``searched(events, **settings)`` builds TwoTowerYouTube on the rows above, with these lines of searches."""
    path = write_dataset("cut", ROWS)

    def make(events: list[str] = EVENTS, **settings: Any) -> Any:
        lines = "\n".join(["user_id:token\tquery:token_seq\ttimestamp:float", *events])
        (path / "cut" / "cut.search").write_text(lines + "\n")
        return build("TwoTowerYouTube", data_path=str(path), **{**TOP, **SECOND, **settings})

    return make


def shown(batch: Any, data: Any) -> dict[tuple[str, str], list[int]]:
    """Second history of each row of a batch, by user and item."""
    names = [data.id2token(field, batch[field]) for field in ("user_id", "item_id")]
    found = [[bucket for bucket in row if bucket] for row in batch[SEARCH].tolist()]
    return dict(zip(zip(*(map(str, name) for name in names), strict=True), found, strict=True))


def test_a_row_has_what_came_before_its_own_time(searched: Callable[..., Any]) -> None:
    _, _, loaders = searched()
    (batch,) = loaders[0]
    cats, funny, dogs, fish, birds = ([number] for number in buckets("cats", "funny", "dogs", "fish", "Birds"))
    assert shown(batch, loaders[0].dataset) == {
        ("a", "i1"): cats,  # what bears the very time of the row is left out
        ("a", "i2"): [*cats, *funny, *dogs],
        ("b", "i2"): [],
        ("b", "i1"): cats,
    }
    data = loaders[2].dataset
    for loader, expected in (
        (loaders[1], {"a": [*cats, *funny, *dogs, *dogs], "b": cats}),
        (loaders[2], {"a": [*cats, *funny, *dogs, *dogs, *fish], "b": [*cats, *birds]}),
    ):
        rows = next(iter(loader))[0]
        for user, row in zip(rows["user_id"], rows[SEARCH].tolist(), strict=True):
            assert [bucket for bucket in row if bucket] == expected[data.id2token("user_id", user)]


def test_the_latest_tokens_count(searched: Callable[..., Any]) -> None:
    _, _, loaders = searched(max_history=2)
    rows = next(iter(loaders[2]))[0]
    assert buckets("dogs", "fish") in rows[SEARCH].tolist()


def test_the_query_by_hand(searched: Callable[..., Any]) -> None:
    """Mean of the items before, mean of the searches before, added up: what training has not seen is left out."""
    network, _, loaders = searched(mlp_sizes=[], similarity="dot", temperature=1.0)
    network.eval()
    rows, data = next(iter(loaders[2]))[0], loaders[2].dataset
    place = rows["user_id"].tolist().index(data.token2id("user_id", "a"))
    items = network.item_tower.embedding.weight[data.token2id("item_id", ["i1", "i2", "i3"])]
    words = network.second.fields[0].embedding.weight[buckets("cats", "funny", "dogs", "dogs")]  # no fish
    torch.testing.assert_close(network.queries(rows)[place], items.mean(0) + words.mean(0))


def test_the_future_changes_no_earlier_score(searched: Callable[..., Any]) -> None:
    """Neither searches after a moment nor how many tokens there are; one before it does."""
    network, _, loaders = searched()
    later = ["fish" if n else "birds of prey" for n in range(50)]
    rows = [*EVENTS, *(f"a\t{text}\t{41 + n}" for n, text in enumerate(later))]
    changed, _, again = searched([row.replace("fish\t35", "whales\t40") for row in rows])
    before = [row.replace("dogs\t20", "hounds\t20") for row in EVENTS]
    other, _, earlier = searched(before)
    for number in (0, 1, 2):
        if number == 2:  # the test looks at the time before 40, where one of them has a search less
            _, _, again = searched([*EVENTS, *(f"a\t{text}\t{41 + n}" for n, text in enumerate(later))])
        values = []
        for model, loader in ((network, loaders[number]), (changed, again[number]), (other, earlier[number])):
            batch = next(iter(loader))
            batch = batch if number == 0 else batch[0]
            order = (batch["user_id"] * 100 + (batch["item_id"] if number == 0 else 0)).argsort()
            values.append(model.eval().queries(batch)[order])
        torch.testing.assert_close(values[0], values[1], rtol=0, atol=0)
        assert (number == 0) == torch.equal(values[0], values[2])


def test_training_knows_no_token_that_comes_after_it() -> None:
    history = SecondHistory(
        torch.tensor([1, 1, 1, 3]), torch.tensor([1.0, 2.0, 3.0, 1.0]).double(), torch.tensor([4, 2, 3, 1]).int()
    )
    known = known_buckets(history, torch.tensor([1, 1, 2]), torch.tensor([3.0, 2.0, 9.0]).double(), 5)
    assert known.tolist() == [0, 0, 2, 0, 4, 0]


def test_spans_against_a_loop() -> None:
    draw = torch.Generator().manual_seed(0)
    users = torch.randint(1, 6, (40,), generator=draw).sort().values
    times = torch.randint(0, 9, (40,), generator=draw).double()
    order = (users * 10 + times).argsort(stable=True)
    history = SecondHistory(users[order], times[order], torch.arange(1, 41).int())
    asked, before = torch.randint(1, 8, (60,), generator=draw), torch.randint(-1, 10, (60,), generator=draw).double()
    start, end = history.spans(asked, before)
    for user, moment, first, last in zip(asked, before, start.tolist(), end.tolist(), strict=True):
        own = (history.users == user) & (history.times < moment)
        assert history.buckets[first:last].tolist() == history.buckets[own].tolist()


def test_age_is_nothing_now_and_grows_into_the_past(searched: Callable[..., Any]) -> None:
    network, _, loaders = searched(mlp_sizes=[])
    (batch,) = loaders[0]
    data = loaders[0].dataset
    rows = zip(*(data.id2token(field, batch[field]) for field in ("user_id", "item_id")), strict=True)
    ages = {(str(user), str(item)): age for (user, item), age in zip(rows, batch[AGE].tolist(), strict=True)}
    # Training goes from 10 to 25: 25 is now, 20 a third of the way back, 15 two thirds.
    assert ages == pytest.approx({("b", "i1"): 0, ("a", "i2"): 1 / 3, ("b", "i2"): 2 / 3, ("a", "i1"): 1})
    age = ExampleAge(2, 1.0)
    with torch.no_grad():
        age.linear.weight.copy_(torch.tensor([[1.0, 10.0, 100.0], [0.0, 0.0, 1.0]]))
    torch.testing.assert_close(age(torch.tensor([0.0, 0.25])), torch.tensor([[0.0, 0.0], [0.25 + 0.625 + 50, 0.5]]))
    trained = network.rows(batch).query
    with torch.no_grad():
        network.example_age.linear.weight.zero_()
    torch.testing.assert_close(network.rows(batch).query, network.query_encoder().vectors(network.request(batch)))
    assert not torch.allclose(trained, network.rows(batch).query)
    assert AGE not in network.query_columns


def test_a_gradient_in_parts_is_the_whole(searched: Callable[..., Any]) -> None:
    found = []
    for parts in (None, 1):
        network, _, loaders = searched(gradient_cache=parts)
        network = network.double().train()
        network.calculate_loss(next(iter(loaders[0]))).backward()
        found.append({name: parameter.grad for name, parameter in network.named_parameters()})
    assert float(found[0]["example_age.linear.weight"].abs().max()) > 0
    for name, grad in found[0].items():
        torch.testing.assert_close(found[1][name], grad, rtol=1e-8, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["LS", "GTS"])
def test_the_folder_serves_what_the_evaluator_ranks(in_tmp: Path, ml100k_cut: Path, kind: str) -> None:
    folder = in_tmp / "data" / "cut"
    folder.mkdir(parents=True)
    for file in (ml100k_cut / "cut").iterdir():
        (folder / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    _, *rows = (folder / "cut.inter").read_text().splitlines()
    columns = [row.split("\t") for row in rows]
    words = ["user_id:token\tquery:token_seq\ttimestamp:float"]
    words += [
        f"{user}\tw{int(item) % 7} x{n % 5}\t{int(time) - 40 + n % 80}"
        for n, (user, item, _, time) in enumerate(columns)
    ]
    (folder / "cut.search").write_text("\n".join(words) + "\n")
    values = {**SECOND, "data_path": "data", "epochs": 1, "show_progress": False, "state": "ERROR", "max_history": 6}
    split = (
        {"split": {"LS": "valid_and_test"}} if kind == "LS" else {"split": {"GTS": [0.6, 0.2, 0.2]}, "unseen": "keep"}
    )
    values |= {"eval_args": {**split, "order": "TO"}, "user_features": ["age"], "mlp_sizes": [16, 8]}
    checkpoint = run("TwoTowerYouTube", "cut", config_dict=values)["checkpoint"]
    export(checkpoint, "served", history="valid")
    stored, retriever = load(checkpoint), Retriever.load("served")
    network, data = stored.model.eval(), stored.dataset
    for block, *_ in stored.test:
        users = [str(user) for user in data.id2token("user_id", block["user_id"])]
        assert bool(block[SEARCH].any())
        torch.testing.assert_close(retriever.queries(users=users), network.queries(block), rtol=1e-5, atol=1e-5)
    some = [{"search": ["w1", "x2 w3"]}, {"search": "w1 x2 w3"}, {}]
    found = retriever.queries(histories=[["50"]] * 3, second=some)
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])
    torch.testing.assert_close(found[2:], retriever.queries(histories=[["50"]]), rtol=1e-5, atol=1e-6)
    (in_tmp / "asked.csv").write_text("user,history,search\nx,50,w1 x2 w3\n")
    assert main(["recommend", "--model=served", "--history=50", "--second=search=w1 x2 w3", "--k=3"]) == 0
    words = ["recommend", "--model=served", "--input=asked.csv", "--output=top.csv", "--k=3", "--show_progress=false"]
    assert main(words) == 0
    expected = retriever.recommend(histories=[["50"]], second=some[:1], k=3).items[0]
    assert [row.split(",")[2].strip('"') for row in (in_tmp / "top.csv").read_text().splitlines()[1:]] == expected


BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"user_tower": "id", "mlp_sizes": []},
        r"second_histories=.*: they are pooled beside the first, set user_tower=his",
    ),
    ({"second_histories": {"inter": "item_id"}}, "second_histories: 'inter' is no suffix of a file of its own"),
    ({"second_histories": {"search": "user_id"}}, r"second_histories\.search: user_id says who or when"),
    (
        {"second_histories": {"clicks": "item_id"}},
        r"second_histories\.clicks: .*cut\.clicks does not exist; it has a us",
    ),
    ({"second_histories": {"search": "text"}}, r"cut\.search needs text:token, and has user_id, query, timestamp"),
    ({"recbole_order": True}, "recbole_order=true with second_histories"),
    ({"request_time": "unknown"}, "says when it is asked, set request_time=known too"),
    ({"numerical_features": ["timestamp"]}, "numerical_features: second_histories=.* reads timestamp as it is"),
]


@pytest.mark.parametrize(("settings", "message"), BAD, ids=str)
def test_what_is_refused(searched: Callable[..., Any], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        searched(**settings)


def test_lines_that_are_none(searched: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RequestError, match=r"cut\.search, line 3: 'noon' is no time"):
        searched(["a\tcats\t5", "a\tcats\tnoon"])
    with pytest.raises(RequestError, match=r"cut\.search, line 2: 2 fields, and there are 3 columns"):
        searched(["a\tcats"])
    caplog.set_level("INFO")
    network, _, loaders = searched(["z\tcats\t1", "a\t\t2", "a\tcats\t3"])
    assert network.calculate_loss(next(iter(loaders[0]))).isfinite()
    assert "left out: 1 lines of users without interactions, 1 without query" in caplog.text
    for late in (["z\tcats\t1", "a\t\t2"], ["a\tcats\t20", "b\tcats\t25"], []):  # of no training row's user, or later
        with pytest.raises(RequestError, match=r"second_histories\.search: nothing of it lies before a training row"):
            searched(late)


def test_an_age_that_all_rows_share_is_none(searched: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "data" / "cut" / "cut.inter"
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([head, *(line.rpartition("\t")[0] + "\t7" for line in lines)]) + "\n", encoding="utf-8")
    with pytest.raises(RequestError, match="example_age=true: all training rows have the same time"):
        searched(second_histories={})
