"""Scores of partners: weighted percentile ranks that a person can recompute by hand."""
