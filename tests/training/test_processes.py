"""Several processes train like one on the same global batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.cli import main
from recbole_logq.training import checkpoint

ROOT = Path(__file__).parents[2]

# Every kind of pool, both encoders, dense and sparse, masks over several processes, a batch that one process has no
# share of.
CASES: dict[str, dict[str, Any]] = {
    "TwoTowerCorrectedLogQ": {},
    "TwoTowerLogQ": {"sparse_embeddings": True, "mlp_sizes": [8]},
    "TwoTowerStreamingLogQ": {},
    "TwoTowerMNSCorrectedLogQ": {"mask": "query", "weight_field": "rating"},
    "TwoTowerCBNS": {"negatives.warmup_steps": 0},
    "TwoTowerFullSoftmax": {},
    "SASRecCorrectedLogQ": {"mask": "history"},
    "SASRecLogQ": {"sparse_embeddings": True, "weight_field": "rating"},
    "SASRecInBatch": {"negatives.source": "in_batch_unique", "loss": "corrected_logq"},
    "SASRecGBCE": {"temperature_mode": "learned"},
    "SASRecFullSoftmax": {"mask": "query"},
    "TwoTowerMNSLogQ": {"item_features": ["class"], "user_features": ["age"], "sparse_embeddings": True},
    "TwoTowerInBatch": {
        "item_features": ["class", "release_year"],
        "user_features": ["age"],
        "user_tower": "history",
        "history_pooling": "attention",
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
    },
    "SASRecMNSCorrectedLogQ": {"negatives.own": "window"},
    "SASRecMNSLogQ": {"negatives.own": "history", "time": "both"},
    "SASRecUniform": {"time": "bias", "request_time": "known", "block": "hstu", "positions": "relative"},
    "SASRecStreamingLogQ": {"negatives.own": "window", "mask": "history"},
    "TwoTowerInfoNCE": {"negatives.own": "window"},
    "SASRecInfoNCE": {"multi_positive": 3},
    "TwoTowerLearnedSystematic": {"negatives.refresh": 1, "weight_field": "rating"},
    "SASRecLearnedSystematic": {"negatives.refresh": 1, "negatives.own": "window"},
    "TwoTowerCBNSCorrectedLogQ": {"item_features": ["class"], "negatives.warmup_steps": 0, "negatives.momentum": 0.5},
    "SASRecCBNS": {"item_features": ["class"], "use_item_id": False, "negatives.warmup_steps": 0},
}

SCRIPT = """
import json, os, sys, torch
import torch.distributed as dist
from recbole.utils import init_seed

meeting, data, target, cases = sys.argv[1:]
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=size)

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.ranks import sum_over_ranks
from recbole_logq.training.gradients import average_gradients

found = {}
for model, settings in json.loads(cases).items():
    columns = {"inter": ["user_id", "item_id", "rating", "timestamp"]}
    shared = {"data_path": data, "MAX_ITEM_LIST_LENGTH": 10, "load_col": columns, "dropout": 0.0}
    shared["train_batch_size"] = 97 if model.startswith("TwoTower") else 13
    config = Config(model, "cut", None, {**shared, **settings})
    init_seed(config["seed"], True)
    parts = split_dataset(config, dataset := create_dataset(config))
    loader = create_loaders(config, dataset, parts)[0]
    network = config.model_class(config, parts[0]).double().train()
    batches = list(loader)
    steps = [batches[0], batches[1]]
    if model == "SASRecCorrectedLogQ":  # one window: the second process has nothing
        whole = torch.tensor([3])
        from recbole_logq.ranks import own_share
        steps.append(loader.batch(whole[own_share(1)]))
    for step, batch in enumerate(steps):
        network.zero_grad(set_to_none=True)
        loss = network.calculate_loss(batch)
        loss.backward()
        average_gradients(network)
        network.after_step()
        if network.sampler.learns:
            found[f"{model} {step} learned"] = network.sampler.running.value().clone()
        found[f"{model} {step} loss"] = sum_over_ranks(loss.detach().clone()) / size
        for name, parameter in network.named_parameters():
            grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            found[f"{model} {step} {name}"] = grad.to_dense() if grad.is_sparse else grad
if rank == 0:
    torch.save(found, target)
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_have_the_loss_and_the_gradients_of_one(commands: Any, tmp_path: Path, ml100k_cut: Path) -> None:
    def start(rank: int, size: int) -> Any:
        words = [tmp_path / f"meeting{size}", ml100k_cut, tmp_path / f"found{size}", json.dumps(CASES)]
        return commands.start("-c", SCRIPT, *map(str, words), cwd=tmp_path, RANK=str(rank), WORLD_SIZE=str(size))

    for job in [start(0, 1), start(0, 2), start(1, 2)]:
        assert job.wait() == 0, job.stderr
    one, two = (torch.load(tmp_path / f"found{size}", weights_only=True) for size in (1, 2))
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-6, atol=1e-9, msg=lambda text, key=key: f"{key}: {text}")
    gradients = [value.abs().max() for key, value in one.items() if key.endswith("0 item_embedding.weight")]
    assert len(gradients) == 11
    assert min(gradients) > 1e-4


def _command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in {"RANK", "WORLD_SIZE"}}
    environment["OMP_NUM_THREADS"] = "1"
    return subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)


SETTINGS = ["--dataset=cut", "--epochs=2", "--dropout=0", "--show_progress=false", "--train_batch_size=64"]


@pytest.mark.slow
def test_a_run_in_two_processes_ends_like_a_run_in_one(
    tmp_path: Path, ml100k_cut: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """`--nproc` and torchrun: the losses, the results, one writer, and resuming."""
    script = str(ROOT / "run_recbole_logq.py")
    settings = ["--model=TwoTowerCorrectedLogQ", f"--data_path={ml100k_cut}", *SETTINGS, "--output=result.json"]
    longer = [word.replace("--epochs=2", "--epochs=3") for word in settings]
    for name in ("one", "two", "torchrun"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    assert main(longer) == 0
    done = _command(tmp_path / "two", script, "--nproc=2", *settings)
    assert done.returncode == 0, done.stderr
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script]
    done = _command(tmp_path / "torchrun", *torchrun, *longer)
    assert done.returncode == 0, done.stderr
    results = {}
    for name in ("one", "two", "torchrun"):
        results[name] = json.loads((tmp_path / name / "result.json").read_text())
        assert len(list((tmp_path / name / "saved").glob("*.pth"))) == 2
        assert len(list((tmp_path / name).rglob("log/**/*.log"))) == 1
        assert len(list((tmp_path / name / "log_tensorboard").iterdir())) == 1
    for name, epochs in (("two", 2), ("torchrun", 3)):
        assert results[name]["parameters"]["nproc"] == 2
        losses = [[epoch["train_loss"] for epoch in results[run]["history"][:epochs]] for run in (name, "one")]
        assert len(losses[0]) == epochs
        torch.testing.assert_close(torch.tensor(losses[0]), torch.tensor(losses[1]), rtol=1e-4, atol=1e-6)
        last = [results[run]["history"][epochs - 1]["valid_result"] for run in (name, "one")]
        assert last[0] == last[1]
    last = next((tmp_path / "two" / "saved").glob("*-last.pth"))
    monkeypatch.chdir(tmp_path / "two")
    capfd.readouterr()
    assert main([*settings, f"--resume={last}"]) == 2
    assert "nproc=1" in capfd.readouterr().err
    done = _command(tmp_path / "two", script, *longer, "--nproc=2", f"--resume={last}")
    assert done.returncode == 0, done.stderr
    results["two"] = json.loads((tmp_path / "two" / "result.json").read_text())
    # Resumed in two processes, straight through in torchrun's two, and in one.
    assert results["two"]["test_result"] == results["torchrun"]["test_result"] == results["one"]["test_result"]
    states = [
        checkpoint.load(next((tmp_path / name / "saved").glob("*-last.pth")))["state_dict"]
        for name in ("two", "torchrun")
    ]
    for key, value in states[0].items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, states[1][key]), key


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model=BPR"], "nproc=2: BPR is RecBole's"),
        (["--model=TwoTowerXIR"], "nproc=2: negatives.source=xir draws for every row"),
        (["--model=SASRecSCE"], "nproc=2: loss=sce"),
        (["--model=TwoTowerLogQ", "--learning_rate=-1"], "learning_rate=-1"),
    ],
)
def test_what_several_processes_cannot_do_is_said_once(capfd: Any, words: list[str], message: str) -> None:
    assert main([*words, "--dataset=ml-100k", "--nproc=2"]) == 2
    errors = capfd.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {message}")


def test_processes_that_nobody_started_are_refused(in_tmp: Path, ml100k_cut: Path) -> None:
    from recbole_logq import run
    from recbole_logq.errors import RequestError

    with pytest.raises(RequestError, match="nproc=2: set it on the command line"):
        run("TwoTowerLogQ", "cut", config_dict={"data_path": str(ml100k_cut), "nproc": 2})
