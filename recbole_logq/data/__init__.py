"""Data sets: where their files come from and how interactions become training rows."""
