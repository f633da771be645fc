"""Checkpoints of plain values and tensors: they load under ``weights_only=True`` and can run no code."""

from __future__ import annotations

import glob
import pickle
import random
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_logq.errors import RequestError
from recbole_logq.files import failed_write, new_file, not_written
from recbole_logq.modules.times import TimeBuckets
from recbole_logq.training.checkpoint_content import problem
from recbole_logq.training.divergence import not_finite
from recbole_logq.training.plain_values import decode

LARGEST_WEIGHT = 1e15
"""Their products would soon be infinite; training never gets near."""

DAMAGE = (RuntimeError, LookupError, TypeError, AttributeError, ValueError, ArithmeticError)
"""What code that takes a checkpoint's values for what they should be raises where they are something else."""


def save(content: dict[str, Any], path: str | Path) -> None:
    """Write atomically: readers see the old file or the new one, never a part.

    Raises:
        WorkError: The folder cannot be written (read-only, disk full); the previous file is untouched.
    """
    try:
        with new_file(path) as temporary, temporary.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:
        reason = failed_write(error) or error
        raise not_written(
            f"the checkpoint {path}", reason, "set --checkpoint_dir=FOLDER; what was written before is untouched"
        ) from error


def remove_half_written(path: str | Path) -> None:
    """Take away what processes that were killed while they wrote this checkpoint have left."""
    path = Path(path)
    for file in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        file.unlink(missing_ok=True)


def load(path: str | Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        RequestError: The file is missing, damaged, from a stranger (it holds more than values), or not one of ours.
    """
    if not Path(path).is_file():
        raise RequestError(f"no checkpoint at {path}")
    n_values = _described(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch says of a stranger's file is for torch's developers
            content = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise RequestError(f"{path} holds more than values and tensors and is not loaded (RecBole's own?)") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can fail anywhere in torch's reader
        raise RequestError(f"{path} is damaged or not a checkpoint; give another one") from error
    if not isinstance(content, dict) or not {"config", "state_dict", "given"} <= set(content):
        raise RequestError(f"{path} is not a checkpoint of recbole_logq")
    if reason := problem(content, n_values):
        raise damaged(path, reason)
    return content


def damaged(path: str | Path, reason: object) -> RequestError:
    """The error for a checkpoint whose content cannot be meant."""
    return RequestError(f"{path} is damaged: {' '.join(str(reason).split())[:300]}; give another checkpoint")


def _described(path: str | Path) -> int:
    """Look at the archive alone; returns the size of its description, in which every value takes a byte at least.

    Raises:
        RequestError: The file is no archive as torch writes one, or its checksums do not fit.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            descriptions = [entry.file_size for entry in entries if entry.filename.rpartition("/")[2] == "data.pkl"]
            names = {entry.filename for entry in entries}
            # torch packs nothing: what is packed can be a thousand times larger than the file.
            packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            foreign = packed or len(names) < len(entries) or len(descriptions) != 1
            # torch writes checksums and does not look at them: a flipped bit would be another weight.
            fits = not foreign and archive.testzip() is None
    except MemoryError:
        raise
    except Exception as error:  # torch's reader and this one stumble over different things
        raise RequestError(f"{path} is damaged or not a checkpoint; give another one") from error
    if foreign:
        raise RequestError(f"{path} is not a checkpoint of recbole_logq: it is an archive of another kind")
    if not fits:
        raise damaged(path, "its checksums do not fit")
    return descriptions[0]


def load_weights(model: Any, state: dict[str, Any], path: str) -> None:
    """Put a checkpoint's weights into a model.

    Raises:
        RequestError: The weights do not fit.
    """
    stored = state["state_dict"]
    for name, value in model.state_dict().items():
        # torch converts without a word: whole numbers, or numbers of half the precision, would become weights.
        if isinstance(value, torch.Tensor) and name in stored and getattr(stored[name], "dtype", None) != value.dtype:
            raise damaged(path, f"{name} holds {getattr(stored[name], 'dtype', 'no numbers')}, not {value.dtype}")
    try:
        model.load_state_dict(stored)
        _check_ids(model)
        model.load_other_parameter(decode(state["other_parameter"]))
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:300]
        raise RequestError(f"{path} does not fit the model: {reason}") from error
    if names := not_finite(model):
        raise damaged(path, f"{names[0]} has values that are no finite numbers")


def check_times(model: Any, state: dict[str, Any], path: str) -> None:
    """Refuse a model of times, built for the data of now, whose checkpoint learned from other times.

    Raises:
        RequestError: The data's buckets of times are not the stored ones.
    """
    for name, module in model.named_modules():
        if isinstance(module, TimeBuckets) and _differ(state["state_dict"].get(f"{name}.edges"), module.edges):
            raise RequestError(
                f"{path} was trained on other times than the data has now, of another unit perhaps: give it the times "
                "that it was trained on"
            )


def _differ(stored: Any, now: torch.Tensor) -> bool:
    # What is damaged is for load_weights to say.
    if not isinstance(stored, torch.Tensor) or (stored.shape, stored.dtype) != (now.shape, now.dtype):
        return False
    return bool(stored.isfinite().all()) and not torch.allclose(stored.to(now.device), now, rtol=1e-6, atol=0.0)


def check_bounds(model: Any, path: str) -> None:
    """Refuse weights whose products are beyond float32: of a training that broke, or of a stranger.

    Raises:
        RequestError: The model has such weights.
    """
    for name, value in model.named_parameters():
        if value.numel() and float(value.detach().abs().max()) > LARGEST_WEIGHT:
            raise damaged(path, f"{name} has values above {LARGEST_WEIGHT:g}")


def _check_ids(model: Any) -> None:
    for module in model.modules():
        for name in getattr(module, "id_buffers", ()):
            if bool((getattr(module, name) >= module.n_items).any()):
                raise ValueError(f"{name} holds items that there are not")


def plain(value: Any) -> Any:
    """Numpy scalars, OrderedDicts and enums become the plain values that a safe checkpoint may hold."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value


def random_state() -> dict[str, Any]:
    """The state of every global random generator that a step may draw from."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state()
    state = {
        "torch": torch.get_rng_state(),
        "python": (version, list(words), gauss),
        "numpy": (name, torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, cached),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Put a checkpoint's state into an optimizer.

    Raises:
        ValueError: The state is that of other parameters; torch itself compares their number alone.
    """
    for group, stored in zip(optimizer.param_groups, state["param_groups"], strict=True):
        # Rates follow the schedule, and flags the machine; the rest is what the settings, which are equal, make.
        for name in group.keys() & stored.keys() - {"params", "lr", "initial_lr"}:
            flags = all(value is None or isinstance(value, bool) for value in (group[name], stored[name]))
            if not flags and group[name] != stored[name]:
                raise ValueError(f"{name} of the optimizer is {stored[name]!r}, not {group[name]!r}")
    optimizer.load_state_dict(state)
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            # Of numbers per parameter, such as a count of steps, torch keeps one and LazyAdam one a row.
            if isinstance(value, torch.Tensor) and value.dim() and len(value) != len(parameter):
                raise ValueError(f"{name} of the optimizer is of shape {list(value.shape)}")


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what :func:`random_state` returned."""
    torch.set_rng_state(state["torch"].cpu())
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), position, has_gauss, cached))
    if torch.cuda.is_available() and "cuda" in state:
        torch.cuda.set_rng_state_all([item.cpu() for item in state["cuda"]])
