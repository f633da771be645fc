"""The batches of training and evaluation, made from a dataset."""
