"""Networks and how they are trained, and the versions that are made of them."""
