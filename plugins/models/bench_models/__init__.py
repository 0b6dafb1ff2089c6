"""Classifiers of the suite, their recipes and their weights."""
