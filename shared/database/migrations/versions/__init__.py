"""The migrations, in order; each goes forward and back."""
