"""Recordings as samples: decoding, windows, features, quality, conditions and synthesis."""
