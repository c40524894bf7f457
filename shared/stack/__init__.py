"""The supervisor: all programs of voxmood on one machine, started, watched and ended."""
