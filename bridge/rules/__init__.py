"""What the bridge decides. Pure: no module here does I/O, and the time is an argument."""
