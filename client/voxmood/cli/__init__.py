"""The command `voxmood`, one module for each subject."""
