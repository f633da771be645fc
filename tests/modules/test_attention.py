"""Which attention an accelerator is asked for; what it computes is in test_transformer.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from recbole_logq.modules import attention


@pytest.mark.parametrize(("device", "cudnn"), [("cuda", False), ("cpu", True)])
def test_cudnn_is_not_asked_to_plan_for_every_shape(monkeypatch: pytest.MonkeyPatch, device: str, cudnn: bool) -> None:
    allowed = []

    def attend(query: Tensor, *_: Tensor, **__: Any) -> Tensor:
        allowed.append(torch.backends.cuda.cudnn_sdp_enabled())
        return query

    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", attend)
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(True)
    try:
        with FakeTensorMode():  # a tensor of a GPU that is not there
            attention.causal_attention(torch.empty(2, 5, 3, 4, 8, device=device, dtype=torch.bfloat16))
        assert allowed == [cudnn]
        assert torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
