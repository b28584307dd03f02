"""Lifecycle: churn, rebuy, the wake-up list with its control share."""
