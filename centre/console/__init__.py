"""The operator's page: which alarms nobody has taken, above everything else."""
