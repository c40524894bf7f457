"""Calibration, scores, thresholds and their plots."""
