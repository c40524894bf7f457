"""The errors of voxmood: each is a class whose docstring is the sentence that the user reads."""
