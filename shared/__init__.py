"""What API, workers, commands and page share; each folder is one subject (docs/architecture.md)."""
