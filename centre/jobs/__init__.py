"""What the centre does by itself, every so often or when something waits."""
