"""Several models under one protocol: their runs, records and verdicts."""
