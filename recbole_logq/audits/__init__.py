"""What a dataset's test set really is."""
