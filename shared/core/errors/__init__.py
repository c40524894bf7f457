"""Everything that can go wrong, one module for each subject. All errors derive from `base.VoxmoodError`."""
