"""`advise`: what it measures, what it leaves out, and the sentences."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.experiment.restore import restore_own
from recbole_logq.lab.advice import balanced, score_of
from recbole_logq.lab.estimator import Estimator
from recbole_logq.lab.stand_in import NEXT, OWN, stand_in
from recbole_logq.lab.step_cost import peak_megabytes, rows_of_step, seconds_of_step, take_on
from recbole_logq.probability import TargetCounts

QUICK = ["--rows=6", "--pools=16", "--show_progress=false"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, ml100k_cut: Path) -> str:
    folder = tmp_path_factory.mktemp("advise")
    settings = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "state": "WARNING"}
    settings |= {"checkpoint_dir": str(folder), "MAX_ITEM_LIST_LENGTH": 10, "train_batch_size": 16}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return str(run("SASRecCorrectedLogQ", "cut", config_dict=settings)["checkpoint"])


def test_from_a_checkpoint(in_tmp: Path, checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["advise", f"--checkpoint={checkpoint}", "--memory_mb=6", "--minutes=0.5", "--output=advice.json", *QUICK]
    assert main(words) == 0
    printed = capsys.readouterr().out
    report = json.loads((in_tmp / "advice.json").read_text())
    assert report["encoder"] == "SASRec"
    order = [(-round(one["score"], 2), one["step_ms"]) for one in report["advice"]]
    assert order == sorted(order)  # ties go to the cheaper
    for one in report["advice"]:
        assert one["memory_mb"] <= 6
        assert one["score"] == pytest.approx(score_of(one["bias"], one["spread"], one["epochs"]))
        assert one["step_ms"] > 0
    full = [one for one in report["advice"] if one["recipe"] == "FullSoftmax"]
    assert [(one["bias"], one["own"]) for one in full] == [(0, None)]
    assert {one["own"] for one in report["advice"]} == {None, "window"}
    # What is left out is named with its reason, and the best stands as a command.
    assert any("needs about" in line or "the full softmax has them all" in line for line in report["left_out"])
    best = report["advice"][0]
    assert f"--model=SASRec{best['recipe']} --train_batch_size={best['batch']}" in printed
    assert all(line in printed.replace("\n", " ") for line in report["reasons"][0].split(": ")[:1])


def test_from_data_without_times(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = in_tmp / "data" / "plain"
    folder.mkdir(parents=True)
    lines = [f"u{user}\ti{(user * 7 + step * step) % 40}" for user in range(30) for step in range(8)]
    (folder / "plain.inter").write_text("\n".join(["user_id:token\titem_id:token", *lines]) + "\n")
    words = ["advise", "--dataset=plain", f"--data_path={in_tmp / 'data'}", "--output=a.json", *QUICK]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "Encoder TwoTower: the data have no column timestamp" in printed
    assert "by popularity: ask again with --checkpoint" in " ".join(printed.split())
    report = json.loads((in_tmp / "a.json").read_text())
    assert {one["own"] for one in report["advice"]} == {None}


def test_skips_are_no_positives(in_tmp: Path, checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of eight rows a user, four are skips: without times, one target of a user is validated and one tested."""
    folder = in_tmp / "data" / "graded"
    folder.mkdir(parents=True)
    lines = [f"u{user}\ti{(user * 7 + step * step) % 40}\t{step % 2}" for user in range(30) for step in range(8)]
    (folder / "graded.inter").write_text("\n".join(["user_id:token\titem_id:token\toutcome:float", *lines]) + "\n")
    words = ["advise", "--dataset=graded", f"--data_path={in_tmp / 'data'}", *QUICK]
    facts = {}
    for name, more in (("all", []), ("clicks", ["--grade_field=outcome"])):
        assert main([*words, f"--output={name}.json", *more]) == 0
        facts[name] = json.loads((in_tmp / f"{name}.json").read_text())
    assert "--grade_field=outcome" in capsys.readouterr().out.rpartition("Train it:")[2]
    assert facts["all"]["facts"] != facts["clicks"]["facts"]
    assert main(["advise", f"--checkpoint={checkpoint}", "--grade_field=outcome", *QUICK]) == 2
    assert "a checkpoint has its own" in capsys.readouterr().err


def test_a_guess_from_the_data_alone(in_tmp: Path, checkpoint: str) -> None:
    """Own items have their share, what follows the latest items has its own, and the rest is popularity."""
    restored = restore_own(checkpoint, state="WARNING")
    subject = stand_in(restored, 12, seed=1)
    law = subject.scores.exp()
    torch.testing.assert_close(law.sum(dim=1), torch.ones(12, dtype=torch.float64))
    popularity = (subject.counts.counts[1:] + 1).double()
    popularity /= popularity.sum()
    batches = next(subject.inside())
    for row in range(12):
        batch = batches[row]  # the row's window is its first
        own = batch.positives[batch.windows == 0].unique()
        own = own[own != subject.positives[row]] - 1
        assert law[row, own].sum() >= (OWN if len(own) else 0.0)
        assert (law[row] >= (1 - OWN) * (1 - NEXT) * popularity - 1e-12).all()
        # The positive has followed the item before it at least once: in this very row.
        assert law[row, subject.positives[row] - 1] > (1 - OWN) * (1 - NEXT) * popularity[subject.positives[row] - 1]


def test_other_negatives_are_those_of_a_model_made_with_them(in_tmp: Path, checkpoint: str) -> None:
    """The same step as of a network that was configured so."""
    restored, configured = (
        restore_own(checkpoint, state="WARNING", **further)
        for further in (
            {},
            {"negatives": {"source": "mixed", "count": 20, "uniform_share": 0.5, "own": "window"}},
        )
    )
    network, loader = restored.network, restored.loaders[0]
    windows = restored.parts[0].windows
    units, n_units = windows.expected_units(network.n_items)
    counts = TargetCounts(network.target_counts, units, n_units, unit_scale=windows.length)
    take_on(network, loader, counts, Estimator.parse("MNSCorrectedLogQ:own=window"), 20, 8)
    batch = loader.batch(torch.arange(8))
    losses = []
    for one in (network, configured.network):
        one.eval()
        one.sampler.generator.manual_seed(4)
        losses.append(one.calculate_loss(batch))
    torch.testing.assert_close(*losses)
    assert rows_of_step(loader) == pytest.approx(8 * loader.n_positives / loader.n_rows)
    small, large = (peak_megabytes(network, loader, n) for n in (16, 1024))
    assert small < large


def test_a_step_is_timed_with_the_threads_of_training(in_tmp: Path, checkpoint: str, ml100k_cut: Path) -> None:
    torch.set_num_threads(2)  # after the test there are as many as before
    settings = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "state": "WARNING"}
    towers = str(run("TwoTowerCorrectedLogQ", "cut", config_dict=settings)["checkpoint"])
    seen = {}
    for name, file in (("tables", towers), ("layers", checkpoint)):
        restored = restore_own(file, state="WARNING")
        network = restored.network
        threads: set[int] = set()
        step = network.calculate_loss

        def watched(batch: Any, step: Any = step, threads: set[int] = threads) -> Any:
            threads.add(torch.get_num_threads())
            return step(batch)

        network.calculate_loss = watched
        assert seconds_of_step(network, restored.loaders[0]) > 0
        seen[name] = threads
    assert seen == {"tables": {1}, "layers": {2}}


def test_rows_and_negatives_are_balanced() -> None:
    batch, n = balanced(9.0, 10.0, 100_000)  # a million scores
    assert n == 1000
    assert batch == 100
    assert balanced(9.0, 10.0, 500)[1] == 499
    assert balanced(1e-9, 100.0, 500) == (1, 2)


def test_the_score_is_that_of_its_formula() -> None:
    assert score_of(0, 0, math.inf) == 1
    assert score_of(0, 0, 10) == pytest.approx(1 - math.exp(-1))
    assert score_of(0.5, 0, math.inf) == pytest.approx(0.75)  # what no time mends
    assert score_of(0, 0.1, 10) == pytest.approx(1 - math.exp(-0.5))  # the noise of a pool is all rows'
    assert score_of(1.5, 0, 10) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "advise looks at one thing"),
        (["--dataset=a", "--checkpoint=b.pth"], "advise looks at one thing"),
        (["--dataset=nowhere-at-all"], "nowhere-at-all"),
        (["--checkpoint=none.pth"], "no checkpoint at none.pth"),
        (["--dataset=a", "--memory_mb=0"], "memory_mb=0"),
        (["--dataset=a", "--minutes=soon"], "minutes='soon'"),
        (["--dataset=a", "--epochs=3"], "unknown setting epochs"),
        (["--dataset=a", "--output=a.txt"], "a file named .json"),
    ],
    ids=str,
)
def test_bad_requests(in_tmp: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(["advise", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_too_little_memory_for_anything(in_tmp: Path, checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", f"--checkpoint={checkpoint}", "--memory_mb=0.01", *QUICK]) == 2
    assert "memory_mb=0.01: nothing fits" in capsys.readouterr().err
