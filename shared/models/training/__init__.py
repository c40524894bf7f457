"""How versions come to be: networks, recipes, fits, and their files."""
