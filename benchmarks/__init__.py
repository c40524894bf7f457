"""Measurements of what is promised: speed, memory, and what networks are worth (`make bench`)."""
