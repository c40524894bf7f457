"""Model versions: served, measured, trained and evaluated. Each room may import those below it only."""
