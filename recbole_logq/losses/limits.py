"""How much of a step may exist at once."""

import torch

WHOLE_MATRIX = 2**26
"""Scores of a step, rows x pool, that are kept for the backward pass: 256 MB of float32. Larger ones are worked on
block by block and computed again, so that a pool may be as large as its vectors allow."""

CPU_TILE_ROWS = 1024
"""Rows that are worked on at a time on the CPU, so that their scores with a pool stay in the cache."""

ACCELERATOR_TILE = 2**27
"""Elements of a tile elsewhere, rows x columns: 512 MB of float32. Few and large ones: each costs some launches."""


def tile_rows(device: torch.device, columns: int) -> int:
    """Rows of a tile of all columns, at least one."""
    return CPU_TILE_ROWS if device.type == "cpu" else max(ACCELERATOR_TILE // max(columns, 1), 1)
