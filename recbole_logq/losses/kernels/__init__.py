"""Kernels in Triton, imported where one runs: nothing else needs Triton."""
