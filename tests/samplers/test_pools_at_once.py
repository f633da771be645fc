"""Several pools at once have the masks of each by itself."""

from __future__ import annotations

import pytest
import torch

from recbole_logq.samplers import Pool, valid_columns
from recbole_logq.samplers.pools import Pools


@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "windows"])
@pytest.mark.parametrize("hits", ["masked", "kept"])
def test_a_mask_of_pools_is_that_of_each(hits: str, grouped: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    positives = torch.randint(1, 6, (12,), generator=generator)
    windows = torch.arange(12) // 3 if grouped else None
    origin = torch.randint(-1, 12, (3, 7), generator=generator)
    ids = torch.where(origin >= 0, positives[origin], torch.randint(1, 6, (3, 7), generator=generator))
    mask = Pools(ids, origin, torch.zeros_like, from_batch=True).mask(positives, hits, windows)
    every = []
    for pool in range(3):
        one = Pool(ids[pool], "draws", origin[pool], torch.zeros(7), torch.zeros_like, from_batch=True)
        whole = valid_columns(one, positives, hits, groups=windows)
        assert whole is not None
        every.append(whole[4 * pool : 4 * pool + 4])
    assert torch.equal(mask(0, 12), torch.cat(every))
    assert torch.equal(mask(3, 9), torch.cat(every)[3:9])
    assert torch.equal(~mask.invalid_by_pool(), torch.stack(every))
