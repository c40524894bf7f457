"""Labelled recordings: corpora, their features, and their splits into folds."""
