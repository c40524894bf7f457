"""Versions as they answer: files, runtimes, encoder, detector, classifier and rejection."""
