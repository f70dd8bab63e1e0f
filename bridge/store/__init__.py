"""What the bridge keeps: its home, its journal, and the system's keyring."""
