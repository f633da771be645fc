"""Rows, splits and histories of a dataset, made from atomic files."""
