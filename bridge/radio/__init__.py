"""How the bridge hears buttons and connects to them: bleak, and BlueZ over D-Bus."""
