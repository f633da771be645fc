"""Runs: one model on one dataset, evaluated, with everything recorded that a reader of the numbers needs."""
