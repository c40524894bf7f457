"""The commands of `voxmood` that take the server itself, one module for each subject."""
