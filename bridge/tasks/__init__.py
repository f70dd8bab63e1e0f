"""The tasks of the running bridge: they carry out what the rules decide."""
