"""The Celery workers: unpack, classify, notify, purge, sweep and retrain."""
