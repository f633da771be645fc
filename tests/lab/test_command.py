"""`lab` as a user calls it: tables, files, a trained model, bad requests."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.data.dataset.exact_time import HISTORY_END
from recbole_logq.experiment.restore import restore_own
from recbole_logq.lab import folding
from recbole_logq.lab.checkpoint_subject import checkpoint_subject, exact_weights
from recbole_logq.lab.folding import Folding, end_of_folding, fold, fold_impressions
from recbole_logq.lab.strata import own_columns


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, ml100k_cut: Path) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("lab")
    settings: dict[str, Any] = {"data_path": str(ml100k_cut), "epochs": 3, "show_progress": False, "state": "WARNING"}
    settings |= {"checkpoint_dir": str(folder), "MAX_ITEM_LIST_LENGTH": 10, "train_batch_size": 32}
    files = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for model in ("SASRecCorrectedLogQ", "TwoTowerCorrectedLogQ"):
            files[model] = run(model, "cut", config_dict=settings)["checkpoint"]
        plain = {key: settings[key] for key in ("data_path", "show_progress", "state", "checkpoint_dir")}
        files["BPR"] = run("BPR", "cut", config_dict={**plain, "epochs": 1})["checkpoint"]
    return files


@pytest.mark.parametrize("model", ["SASRecCorrectedLogQ", "TwoTowerCorrectedLogQ"])
def test_a_trained_model_and_its_real_batches(
    in_tmp: Path, trained: dict[str, str], capsys: pytest.CaptureFixture[str], model: str
) -> None:
    estimators = "CorrectedLogQ CorrectedLogQ:own=window CorrectedLogQ:mask=history LogQ:mask=query:hits=masked BIR"
    estimators += " LearnedSystematic:own=window:rate=0.5"
    words = [
        "lab",
        f"--checkpoint={trained[model]}",
        f"--estimators={estimators} corrected_logq+systematic:own=history",
    ]
    words += [
        "--counts=[16,64]",
        "--rows=8",
        "--pools=32",
        "--output=lab.json",
        "--page=lab.html",
        "--show_progress=false",
    ]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert f"{model} on cut: 8 rows" in printed
    assert "CorrectedLogQ:mask=history" in printed
    report = json.loads((in_tmp / "lab.json").read_text())
    assert len(report["estimators"]) == 14
    assert "Learned proposals saw 6 pools with 16 columns, 6 pools with 64 columns" in " ".join(printed.split())
    expected = ["window", "history", "top 16", "head", "tail"][model.startswith("TwoTower") :]
    assert [part["name"] for part in report["strata"]] == expected
    by_name = {(one["estimator"], one["n"]): one for one in report["estimators"]}
    shared, of_batch = by_name["corrected_logq+systematic:own=history", 16], by_name["CorrectedLogQ", 16]
    assert shared["inside"]["bias"] == shared["bias"]  # nothing of it comes from the batch
    assert of_batch["inside"]["bias"] != of_batch["bias"]
    assert by_name["LogQ:mask=query:hits=masked", 64]["inside"] is None
    assert report["facts"]["training split"]
    page = (in_tmp / "lab.html").read_text()
    assert page.count("<svg ") == 3
    assert len(page) < 120_000
    assert "src=" not in page.split("<body>")[0]
    assert "CorrectedLogQ:mask=history" in page


def test_rows_are_scored_as_the_model_scores_them(in_tmp: Path, trained: dict[str, str]) -> None:
    restored = restore_own(trained["TwoTowerCorrectedLogQ"], state="WARNING")
    subject = checkpoint_subject(restored, 12, seed=3)
    network = restored.network
    query = network.scorer.query(network.user_tower(subject.users))
    expected = (query @ network.item_vectors(None)[1:].T).double()
    torch.testing.assert_close(subject.scores, expected, rtol=1e-5, atol=1e-5)
    table = restored.parts[0].inter_feat
    pairs = set(zip(table["user_id"].tolist(), table["item_id"].tolist(), strict=True))
    assert set(zip(subject.users.tolist(), subject.positives.tolist(), strict=True)) <= pairs


def test_own_items_of_a_history_tower_are_the_history_that_it_read(in_tmp: Path, ml100k_cut: Path) -> None:
    settings = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "state": "WARNING"}
    settings |= {
        "user_tower": "history",
        "max_history": 5,
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
    }
    restored = restore_own(run("TwoTowerLogQ", "cut", config_dict=settings)["checkpoint"], state="WARNING")
    subject = checkpoint_subject(restored, 20, seed=3)
    own, data = own_columns(subject.windows, subject.positives, restored.network.n_items - 1), restored.parts[0]
    chosen = torch.randperm(len(data), generator=torch.Generator().manual_seed(3))[:20]
    for row, at in enumerate(chosen.tolist()):
        end = int(data.inter_feat[HISTORY_END][at])
        start = max(int(torch.searchsorted(data.flat_users, data.inter_feat["user_id"][at])), end - 5)
        expected = set(data.flat_items[start:end].tolist()) - {int(subject.positives[row])}
        assert {column + 1 for column in own[row].nonzero().flatten().tolist()} == expected


def test_windows_are_those_that_training_has(in_tmp: Path, trained: dict[str, str]) -> None:
    """A row's query reads its window up to its target; its own items are that window's, the input before it too."""
    restored = restore_own(trained["SASRecCorrectedLogQ"], state="WARNING")
    subject = checkpoint_subject(restored, 20, seed=3)
    network, data = restored.network, restored.parts[0]
    windows = data.windows
    place = torch.cat([torch.arange(at, at + n) for at, n in zip(windows.start, windows.size, strict=True)])
    owner = torch.arange(windows.n_windows).repeat_interleave(windows.size)
    place, owner = place[windows.is_target[place]], owner[windows.is_target[place]]
    chosen = torch.randperm(len(place), generator=torch.Generator().manual_seed(3))[:20]
    vectors = network.item_vectors(None)[1:].double()
    for row, (at, window) in enumerate(zip(place[chosen], owner[chosen], strict=True)):
        start, stop = windows.start[window], windows.start[window] + windows.size[window]
        assert data.flat_items[at] == subject.positives[row]
        history = data.flat_items[start - 1 : at]
        padded = torch.zeros(1, network.max_seq_length, dtype=torch.int64)
        padded[0, : len(history)] = history
        query = network.queries({"item_id_list": padded, "item_length": torch.tensor([len(history)])})
        torch.testing.assert_close(subject.scores[row], (query.double() @ vectors.T)[0], rtol=1e-4, atol=1e-5)
        own = subject.windows.pair_item[subject.windows.pair_set == subject.windows.row_set[row]]
        items = set(data.flat_items[start:stop][windows.is_target[start:stop]].tolist())
        assert items <= set(own.tolist()) <= items | {int(data.flat_items[start - 1])}
    parts, batches = subject.others(), subject.batches(0)
    for epoch in range(2):  # batches of the next epoch cut windows anew, and other rows are found in the new ones
        for _ in range(epoch and len(restored.loaders[0])):
            next(batches)
        others = next(parts)
        assert others.scores.shape == (20, network.n_items - 1)
        own, users = own_columns(others.windows, others.positives, network.n_items - 1), others.users.tolist()
        for row, (user, positive) in enumerate(zip(users, others.positives.tolist(), strict=True)):
            cuts = [data.flat_items[s - 1 : s + n].tolist() for s, n in zip(windows.start, windows.size, strict=True)
                    if data.flat_users[s] == user]  # fmt: skip
            found = set((own[row].nonzero().flatten() + 1).tolist())
            assert any(positive in cut and found <= set(cut) for cut in cuts)
    for row, batch in enumerate(next(subject.inside())):
        assert batch.positives[batch.place] == subject.positives[row]
        assert batch.users[batch.place] == subject.users[row]
        assert len(batch.windows.unique()) == batch.n_units == min(32, windows.n_windows)


@pytest.mark.slow
def test_stated_q_fits_real_batches(in_tmp: Path, trained: dict[str, str]) -> None:
    """Windows of users are not independent draws of items; inclusion by windows and frequency by positions both fit.

    In small batches: an epoch draws windows without replacement, which a batch of a sixth of them would show.
    """
    from recbole_logq.lab.estimator import Estimator
    from recbole_logq.lab.measure import measure

    restored = restore_own(trained["SASRecCorrectedLogQ"], state="WARNING", train_batch_size=8)
    subject = checkpoint_subject(restored, 4)
    for name in ("corrected_logq+in_batch", "corrected_logq+in_batch_unique", "corrected_logq+mixed"):
        found = measure(Estimator.parse(name), subject, 64, 400)
        for ratio, error in found.q_fit:
            assert abs(ratio - 1) < 4 * error + 0.03, (name, found.q_fit)


def test_sample_weights_are_one_minus_the_softmax(
    in_tmp: Path, trained: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = trained["TwoTowerCorrectedLogQ"]
    assert main(["lab", "--sample-weights", f"--checkpoint={file}", "--top=5", "--output=w.json"]) == 0
    printed = capsys.readouterr().out
    assert "Most certain" in printed
    assert "Least certain" in printed
    report = json.loads((in_tmp / "w.json").read_text())
    restored = restore_own(file, state="WARNING")
    assert report["rows"] == len(restored.parts[0])
    network, data = restored.network, restored.parts[0]
    for one in (*report["most_certain"], *report["least_certain"]):
        user, item = data.token2id("user_id", one["user"]), data.token2id("item_id", one["item"])
        query = network.scorer.query(network.user_tower(torch.tensor([user])))
        p = torch.softmax((query.double() @ network.item_vectors(None)[1:].double().T), 1)[0, item - 1]
        assert one["w"] == pytest.approx(1 - p.item(), rel=1e-5)
        assert one["targets"] == int((data.inter_feat["item_id"] == item).sum())
    certain, uncertain = ([one["w"] for one in report[key]] for key in ("most_certain", "least_certain"))
    assert certain == sorted(certain)
    assert uncertain == sorted(uncertain, reverse=True)
    assert certain[-1] <= report["deciles"][4] <= uncertain[-1]


def test_a_model_of_recbole_has_no_pool(
    in_tmp: Path, trained: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", f"--checkpoint={trained['BPR']}"]) == 2
    assert "holds BPR: its training" in capsys.readouterr().err


def test_a_model_of_segments_is_refused(in_tmp: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "state": "WARNING"}
    settings |= {"segment_field": "gender", "load_col": {"user": ["user_id", "gender"]}}
    file = run("TwoTowerLogQ", "cut", config_dict=settings)["checkpoint"]
    assert main(["lab", f"--checkpoint={file}"]) == 2
    assert "models of random batches" in capsys.readouterr().err


def test_a_limit_on_the_rows(in_tmp: Path, trained: dict[str, str]) -> None:
    restored = restore_own(trained["TwoTowerCorrectedLogQ"], state="WARNING")
    assert len(exact_weights(restored, 50)["weights"]) == 64  # whole batches of 32


def test_folding_of_the_two_languages() -> None:
    own, everywhere = (fold(negatives, users=60, items=80, steps=150) for negatives in ("own", "global"))
    assert own.foreign > 0.4
    assert everywhere.foreign < 0.05
    assert everywhere.own_hits > 0.8


@pytest.mark.slow
def test_folding_as_a_command(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"users": 60, "items": 80, "steps": 150}  # seconds instead of a minute
    for function in (fold, fold_impressions):
        monkeypatch.setattr(folding, function.__name__, partial(function, **small))
    monkeypatch.setattr(folding, "SHARES", (0.001, 0.9))
    assert main(["lab", "--folding", "--output=f.json"]) == 0
    printed = capsys.readouterr().out
    assert "Two languages" in printed
    assert "Beside impressions, with uniform negatives, folding ends at a sampled share of 0.9." in printed
    report = json.loads((in_tmp / "f.json").read_text())
    found = {(one["negatives"], one["share"]): one["foreign"] for one in report["folding"]}
    assert found[("own", None)] > 0.4
    assert found[("global", None)] < 0.05 < found[("mixed", None)] < found[("own", None)]
    assert found[("impression", 0.0)] > 0.4
    assert found[("impression, in_batch", 0.9)] < 0.05 < found[("impression, in_batch", 0.001)]
    assert report["ends"] == {"uniform": 0.9, "in_batch": 0.9}


def test_folding_ends_where_all_larger_shares_are_free_of_it() -> None:
    outcomes = [
        Folding("", foreign, 1.0, share) for share, foreign in ((0.0, 0.8), (0.1, 0.01), (0.3, 0.2), (0.5, 0.05))
    ]
    assert end_of_folding(outcomes) == 0.5
    assert end_of_folding(outcomes[:2]) == 0.1
    assert end_of_folding(outcomes[:1]) is None


def test_a_stranger_may_ask_for_a_synthetic_world(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["lab", "--items=200", "--zipf=0.5", "--stage=early", "--estimators=LogQ", "--counts=32", "--pools=16"]
    assert main([*words, "--rows=4"]) == 0
    assert "synthetic: 200 items, Zipf 0.5, early: 4 rows" in capsys.readouterr().out


def test_a_head_without_negatives_has_no_mass(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row whose positive is the one most popular item: nothing to divide by, and nothing lost."""
    words = [
        "lab",
        "--items=50",
        "--zipf=2",
        "--rows=1",
        "--counts=[4]",
        "--pools=16",
        "--estimators=InBatch",
        "--seed=2",
    ]
    assert main([*words, "--output=x.json"]) == 0
    assert json.loads((in_tmp / "x.json").read_text())["estimators"][0]["head_mass"] is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--estimators=Corrected"], "no estimator named 'Corrected'"),
        (["--items=3"], "items=3"),
        (["--items=1000000"], "at most 200,000"),
        (["--stage=late"], "stage='late'"),
        (["--counts=[0]"], "counts=0"),
        (["--rows=0"], "rows=0"),
        (["--pools=3"], "pools=3"),
        (["--stages=mid"], "did you mean stage"),
        (["--sample-weights"], "needs a model"),
        (["--sample-weights", "--folding"], "two questions"),
        (["--folding", "--page=x.html"], "leave it out"),
        (["--temperature"], "--temperature needs a model: set --checkpoint=FILE"),
        (["--temperature", "--folding"], "--folding and --temperature are two questions"),
        (["--temperature", "--temperatures=0"], "temperatures=0: a list of numbers"),
        (["--temperature", "--temperatures=[0.1,warm]"], "temperatures='warm': a list of numbers"),
        (["--temperature", "--counts=[64]"], "unknown setting counts"),
        (["--temperature=0.1"], "temperature=0.1: true or false"),
        (["--temperatures=[0.1]"], "unknown setting temperatures"),
        (["--temperature", "--checkpoint=nothing.pth"], "no checkpoint at nothing.pth"),
        (["--checkpoint=nothing.pth"], "no checkpoint at nothing.pth"),
        (["--checkpoint=nothing.pth", "--items=100"], "leave them out"),
        (["--data_path=x"], "goes with --checkpoint"),
        (["--page=/nowhere/x.html"], "cannot write there"),
        (["--estimators=LogQ:count"], "write count=VALUE"),
        (["--estimators=CorrectedLogQ:mask=history"], "no users with a history"),
        (["--estimators=BIR:draws=2.5", "--counts=16"], "draws must be a whole number"),
        (["--estimators=CBNS:memory=abc", "--counts=16"], "memory must be a whole number"),
        (["--estimators=CBNS:momentum=0.9"], "momentum keeps older ones; leave it out"),
        (["--counts=[]"], "at least one number"),
        (["--seed=99999999999999999999"], "seed="),
        (["--zipf=abc"], "zipf='abc': a number"),
    ],
    ids=str,
)
def test_bad_requests(in_tmp: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(["lab", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
