"""What a job goes through: leases, lifecycle, status, doorbell, webhooks and the turn to retrain."""
