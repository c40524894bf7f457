"""Measurements of what is promised: speed, memory, and how good the networks are (`make bench`)."""
