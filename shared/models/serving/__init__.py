"""Model versions on disk, and what classifies with them."""
