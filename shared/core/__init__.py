"""What all rooms share: settings, errors, logs, retries, the form of API keys, files and processes."""
