"""What everything else builds on: settings, errors, logs, retries, states, processes."""
