"""Labelled recordings: corpora, folds, and the features that are kept of them."""
