"""From atomic files to the rows, splits and histories of a dataset."""
