"""What networks and versions are worth: the five protocols and their reports."""
