"""Where the bridge is: one file per source, behind `bridge.ports.Location`."""
