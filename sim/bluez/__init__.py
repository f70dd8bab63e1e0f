"""A real Linux Bluetooth stack on the simulated air: kernel and bluetoothd in a small virtual machine."""
