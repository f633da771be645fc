"""When whole numbers are multiplied."""

import pytest
import torch

from recbole_logq.evaluation import products


def test_only_on_a_processor_that_multiplies_bytes_and_has_something_to_multiply(monkeypatch):
    items = torch.ones(3, 4)
    for able in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda able=able: able, raising=False)
        assert products.whole_is_fast(items) is able
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True, raising=False)
    assert not products.whole_is_fast(items.to("meta"))
    assert not products.whole_is_fast(torch.ones(2, products.MAX_SIZE + 1))
    assert products.whole_is_fast(torch.ones(2, products.MAX_SIZE))
    assert not products.whole_is_fast(items * products.SMALLEST / 2)
    assert products.whole_is_fast(-items * products.SMALLEST)


def test_without_the_product_of_bytes_there_is_none(monkeypatch):
    if hasattr(torch, "_int_mm"):
        monkeypatch.delattr(torch, "_int_mm")
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: pytest.fail("asked in vain"), raising=False)
    assert not products.whole_is_fast(torch.ones(3, 4))
