"""The world in real time: processes, networks and people on this machine."""
