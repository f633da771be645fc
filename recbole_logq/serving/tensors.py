"""Tensors in a file of safetensors, which holds numbers and their names, and nothing that runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from recbole_logq.errors import RequestError


def write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors; none of them may share memory with another."""
    file.touch()
    mode = file.stat().st_mode  # the library makes files that nobody else may read
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, file)
    file.chmod(mode)


def tensor_shapes(file: Path) -> dict[str, list[int]]:
    """Names and shapes of what a file holds; its tensors stay where they are.

    Raises:
        RequestError: The file is none of safetensors.
    """
    try:
        with safe_open(file, "pt") as opened:
            return {name: list(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise RequestError(f"{file} is damaged: export again") from error


def read_tensors(file: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Exactly the tensors that are expected, of finite numbers.

    Memory is taken for what the file really holds, never for what it should hold.

    Args:
        file: File of safetensors.
        expected: Tensors of the names, shapes and types that the file must have, such as tensors of torch's meta
            device.

    Raises:
        RequestError: The file is damaged, holds something else, or a number that is not finite.
    """
    shapes = tensor_shapes(file)
    if strange := sorted(shapes.keys() ^ expected.keys()):
        fault = "lacks" if strange[0] in expected else "holds"
        raise RequestError(f"{file} does not belong here: it {fault} {strange[0][:200]!r}; export again")
    for name, tensor in expected.items():
        if shapes[name] != list(tensor.shape):
            difference = f"{shapes[name]} where {list(tensor.shape)} belongs"
            raise RequestError(f"{file} does not belong here: {name} is of shape {difference}; export again")
    tensors = {}
    try:
        with safe_open(file, "pt") as opened:
            for name, tensor in expected.items():
                values = opened.get_tensor(name)
                if values.dtype != tensor.dtype:
                    raise RequestError(
                        f"{file} does not belong here: {name} is {_type(values)}, not {_type(tensor)}; export again"
                    )
                tensors[name] = values.clone()  # a copy: the file may change under a map of it
    except (SafetensorError, OSError, RuntimeError) as error:
        raise RequestError(f"{file} is damaged: export again") from error
    for name, values in tensors.items():
        if values.is_floating_point() and not bool(values.isfinite().all()):
            raise RequestError(f"{file}: {name} has values that are no finite numbers; export again")
    return tensors


def _type(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")
