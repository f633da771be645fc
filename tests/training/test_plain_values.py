"""What RecBole's models keep outside their state dict survives a safe checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from recbole_logq.errors import WorkError
from recbole_logq.training.plain_values import decode, encode


def test_round_trip_through_a_file(tmp_path: Path) -> None:
    matrix = scipy.sparse.random(4, 5, density=0.5, format="csc", random_state=1)
    values: dict[str, Any] = {
        "sparse": matrix,
        "array": np.arange(6.0).reshape(2, 3),
        "tensor": torch.ones(2),
        "number": np.float64(2),
    }
    values["nested"] = {3: [(np.int64(1), [2, 3]), (4, "five")]}  # RippleNet's shape
    torch.save(encode({**values, "module": torch.nn.Linear(2, 2)}), tmp_path / "a.pth")
    back = decode(torch.load(tmp_path / "a.pth", weights_only=True))
    assert set(back) == set(values)
    assert back["sparse"].format == "csc"
    np.testing.assert_array_equal(back["sparse"].toarray(), matrix.toarray())
    np.testing.assert_array_equal(back["array"], values["array"])
    assert torch.equal(back["tensor"], torch.ones(2))
    assert back["number"] == 2.0
    assert back["nested"] == {3: [(1, [2, 3]), (4, "five")]}


def test_a_kind_that_cannot_be_stored_is_named() -> None:
    with pytest.raises(WorkError, match=r"cannot store trees \(object\)"):
        encode({"trees": object()})
