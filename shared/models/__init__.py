"""Model versions: how they are served, trained and evaluated."""
