"""Hyper-parameter search on Ray Tune, on one machine or a cluster; functions here import Ray when they need it."""
