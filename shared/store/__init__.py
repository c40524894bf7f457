"""Objects in S3-compatible storage, and shards of recordings in them."""
