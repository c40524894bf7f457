"""Decoding recordings, cutting windows, computing features, and altering or synthesising audio."""
