"""How much of a step may exist at once."""

WHOLE_MATRIX = 2**26
"""Scores of a step, rows x pool, that are kept for the backward pass: 256 MB of float32. Larger ones are worked on
block by block and computed again, so that a pool may be as large as its vectors allow."""
