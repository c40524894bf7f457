"""The HTTP API: requests, limits, who asks, documents and streams. Never loads TensorFlow."""
