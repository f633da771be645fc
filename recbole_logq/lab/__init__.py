"""The laboratory: what an estimator does to the gradient, before a GPU spends hours on it."""
