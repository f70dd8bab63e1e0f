"""What the bridge says of itself: log, metrics, alerts, desktop notices."""
