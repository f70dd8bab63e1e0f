"""The simulated world: an air of real Bluetooth packets, boards on it, and a phone."""
