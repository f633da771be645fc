"""From a dataset to the batches of training and evaluation."""
