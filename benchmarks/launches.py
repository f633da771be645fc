"""How many kernels a step launches, by place, counted without a GPU: operators that write on torch's meta device.

    uv run benchmarks/launches.py --before=FOLDER    # another checkout, with its own .venv; a minute
    uv run benchmarks/launches.py --table            # only what is stored

SASRec of width 128 and length 200 on 19,200 positions or 128 windows of ml-1m, with a pool of 256 and with 32 mixed
ones, and TwoTower on 2,048 interactions; corrected logQ, dense gradients; forward and backward, without the optimizer.
This revision takes a step of fixed shapes, an earlier one that has none its ordinary step. A place is the file of the
innermost line of this package that called the operator, or of the line whose gradient it works out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "launches.json"
META = torch.device("meta")
SASREC: dict[str, Any] = {
    "MAX_ITEM_LIST_LENGTH": 200,
    "embedding_size": 128,
    "inner_size": 512,
    "n_heads": 1,
    "dropout": 0.5,
    "train_batch_size": 128,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "SASRec": ("SASRecCorrectedLogQ", SASREC),
    "SASRec, 32 pools": ("SASRecMNSCorrectedLogQ", {**SASREC, "pools": 32}),
    "TwoTower": ("TwoTowerCorrectedLogQ", {"train_batch_size": 2048}),
}
TOKENS = 19_200
PLACES = {
    "look-ups in tables of items and users": r"modules/embedding|models/(sasrec|two_tower|retrieval)|modules/tower\.",
    "the encoder, lengths of vectors": r"modules/",
    "drawing, mask and law": r"samplers/|probability/|losses/column_mask|models/pooled_losses",
    "scores and logsumexp of the pools": r"losses/\w*logsumexp|losses/scores",
    "loss of a row, mean, statistics": r"losses/|models/",
}
"""Names of places, and which files are in each; the first that fits."""
NOTHING = frozenset(
    {"view", "_unsafe_view", "unflatten", "flatten", "t", "transpose", "permute", "expand", "select", "slice", "split"}
    | {"split_with_sizes", "unbind", "unsqueeze", "squeeze", "alias", "detach", "as_strided", "unfold", "chunk"}
    | {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "reshape", "_reshape_alias", "view_as"}
    | {"lift_fresh", "_indices", "_values", "_nnz", "sparse_dim", "dense_dim", "is_coalesced", "_coalesced_"}
    | {"_sparse_coo_tensor_unsafe", "_sparse_coo_tensor_with_dims_and_tensors", "resize_", "mT", "real"}
)
"""Operators that only say how memory is looked at, or take some without writing to it."""
_LINE = re.compile(r'recbole_logq/(\S+)", line')


class LaunchCounter(TorchDispatchMode):
    """Counts operators that write on a device; a composite kernel that launches several counts once.

    Args:
        device: The device.

    Attributes:
        counts: Number of calls by operator.
        files: Number of calls by file of the package, an empty name for none; of a backward pass only where autograd's
            anomaly detection kept the lines of the forward pass.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.counts: Counter[str] = Counter()
        self.files: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All of them."""
        return self.counts.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        devices = (getattr(leaf, "device", None) for leaf in tree_leaves(result))
        on_device = any(device is not None and device.type == self.device.type for device in devices)
        if name not in NOTHING and (on_device or name.startswith("_fused_adam")):
            self.counts[name] += 1
            self.files[_file(sys._getframe(1))] += 1
        return result


def _file(frame: FrameType | None) -> str:
    while frame is not None and frame.f_code.co_filename != __file__:  # of the step, and not of what called it
        if "/recbole_logq/" in frame.f_code.co_filename:
            return frame.f_code.co_filename.rsplit("/recbole_logq/", 1)[1]
        frame = frame.f_back
    node = torch._C._current_autograd_node()
    lines = _LINE.findall("".join(node.metadata.get("traceback_", []))) if node is not None else []
    return lines[-1] if lines else ""


def count(name: str, data_path: str) -> None:
    """Print the launches of one model's step by place, forward and backward, as JSON, and end the process."""
    from recbole_logq import run

    model, settings = MODELS[name]
    common = {"show_progress": False, "state": "ERROR", "use_gpu": False, "sparse_embeddings": False}
    common |= {"negatives.count": 256, "data_path": data_path}
    fixed = find_spec("recbole_logq.training.fixed_step") is not None
    if fixed and "MAX_ITEM_LIST_LENGTH" in settings:
        settings = {key: value for key, value in settings.items() if key != "train_batch_size"}
        settings["train_batch_tokens"] = TOKENS

    def watch(trainer: Any, loaders: Any) -> None:
        print(json.dumps(_counted(trainer.model, trainer.config, loaders[0], fixed)), flush=True)
        os._exit(0)

    run(model, "ml-1m", None, {**common, **settings}, saved=False, callback=watch)


def _counted(network: Any, config: Any, loader: Any, fixed: bool) -> dict[str, Counter[str]]:
    network.to(META).train()
    config["device"] = META
    loader = type(loader)(config, loader.dataset)
    if fixed:
        from recbole_logq.samplers.device_numbers import DeviceNumbers

        network.sampler.numbers, network.fixed_shapes, loader.least = DeviceNumbers(META, 0), True, 1
    loader.start_epoch()
    batch = next(batch for batch in loader if not fixed or hasattr(batch, "plan"))
    if fixed:
        batch = batch.make(batch.plan)
    network.calculate_loss(batch)  # tables that are made once
    with torch.autograd.set_detect_anomaly(True, check_nan=False):
        with LaunchCounter(META) as forward:
            loss = network.calculate_loss(batch)
        with LaunchCounter(META) as backward:
            loss.backward()
    return {"forward": _by_place(forward.files), "backward": _by_place(backward.files)}


def _by_place(files: Counter[str]) -> Counter[str]:
    places: Counter[str] = Counter()
    for file, number in files.items():
        fitting = (place for place, pattern in PLACES.items() if re.match(pattern, file))
        places[next(fitting, "sums of gradients")] += number
    return places


def main() -> None:
    """Count in each checkout, store and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="checkout of an earlier revision")
    parser.add_argument("--data_path", type=Path, default=ROOT / "datasets", help="folder with ml-1m")
    parser.add_argument("--count", choices=MODELS, help="count with the package that is imported, and print JSON")
    parser.add_argument("--table", action="store_true", help="count nothing")
    arguments = parser.parse_args()
    if arguments.count:
        count(arguments.count, str(arguments.data_path))
    if not arguments.table:
        checkouts = {**({"before": arguments.before.resolve()} if arguments.before else {}), "now": ROOT}
        counts = {side: _of_checkout(checkout, arguments.data_path.resolve()) for side, checkout in checkouts.items()}
        content = {"date": date.today().isoformat(), "torch": torch.__version__.split("+")[0], **counts}
        RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table())


def _of_checkout(checkout: Path, data_path: Path) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONWARNINGS": "ignore"}
    counts = {}
    for name in MODELS:
        command = [str(checkout / ".venv" / "bin" / "python"), str(Path(__file__)), f"--count={name}"]
        process = subprocess.run(
            [*command, f"--data_path={data_path}"], env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        counts[name] = json.loads(process.stdout.splitlines()[-1])
    git = ["git", "rev-parse", "--short", "HEAD"]
    revision = subprocess.run(git, cwd=checkout, check=True, capture_output=True, text=True).stdout.strip()
    return {"revision": revision, "counts": counts}


def table() -> str:
    """The stored counts."""
    from recbole_logq.markup import markdown_table

    stored = json.loads(RESULT.read_text(encoding="utf-8"))
    sides = [side for side in ("before", "now") if side in stored]
    columns = [(name, side) for name in MODELS for side in sides]
    rows = []
    for place in [*PLACES, "sums of gradients", "all"]:
        cells = []
        for name, side in columns:
            of_step = stored[side]["counts"][name]
            ways = (of_step[way] for way in ("forward", "backward"))
            cells.append(" + ".join(str(sum(way.values()) if place == "all" else way.get(place, 0)) for way in ways))
        rows.append([place, *cells])
    heads = ["launches, forward + backward", *(f"{name}, {side}" for name, side in columns)]
    revisions = " and ".join(f"`{stored[side]['revision']}` ({side})" for side in sides)
    return f"{markdown_table(heads, rows)}\n\nRevisions {revisions}."


if __name__ == "__main__":
    main()
