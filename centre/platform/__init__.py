"""What the centre stands on: files, keys, certificates, log, threads."""
