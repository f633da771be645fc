"""Checkpoints of plain values and tensors: they load under ``weights_only=True`` and can run no code."""

from __future__ import annotations

import glob
import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recbole_logq.errors import RequestError
from recbole_logq.files import failed_write, new_file, not_written
from recbole_logq.training.numbers import not_finite
from recbole_logq.training.other_parameter import decode

CONTENT: dict[str, Any] = {
    "config": dict,
    "given": dict,
    "fingerprint": dict,
    "id_fingerprint": str,
    "epoch": int,
    "cur_step": int,
    "best_valid_score": float,
    "best_valid_result": dict,
    "best_epoch": int | None,
    "stopped": bool,
    "best_file": str,
    "history": list,
    "spent": tuple,
    "state_dict": dict,
    "other_parameter": dict,
    "optimizer": dict,
    "random": dict,
    "loader": list,
}
"""What every checkpoint holds, and of which kind."""

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
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise RequestError(f"{path} holds more than values and tensors and is not loaded (RecBole's own?)") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can fail anywhere in torch's reader
        raise RequestError(f"{path} is damaged or not a checkpoint; give another one") from error
    if not isinstance(content, dict) or not {"config", "state_dict", "given"} <= set(content):
        raise RequestError(f"{path} is not a checkpoint of recbole_logq")
    wrong = [key for key, kind in CONTENT.items() if not isinstance(content.get(key, ...), kind)]
    wrong = wrong or [key for key in ("model", "dataset") if not isinstance(content["config"].get(key), str)]
    if wrong:
        raise damaged(path, f"{wrong[0]} is not what it should be")
    if _checksums_fail(path):
        raise damaged(path, "its checksums do not fit")
    return content


def damaged(path: str | Path, reason: object) -> RequestError:
    """The error for a checkpoint whose content cannot be meant."""
    return RequestError(f"{path} is damaged: {' '.join(str(reason).split())[:300]}; give another checkpoint")


def _checksums_fail(path: str | Path) -> bool:
    # torch writes them and does not look at them: a flipped bit would be another weight.
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except MemoryError:
        raise
    except Exception:  # torch's reader and this one stumble over different things
        return True


def load_weights(model: Any, state: dict[str, Any], path: str) -> None:
    """Put a checkpoint's weights into a model.

    Raises:
        RequestError: They do not fit.
    """
    try:
        model.load_state_dict(state["state_dict"])
        model.load_other_parameter(decode(state["other_parameter"]))
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:300]
        raise RequestError(f"{path} does not fit the model: {reason}") from error
    if names := not_finite(model):
        raise damaged(path, f"{names[0]} has values that are no finite numbers")


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
        ValueError: It is that of other parameters; torch itself compares their number alone.
    """
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
