"""The five protocols of `voxmood evaluate`, and their reports."""
