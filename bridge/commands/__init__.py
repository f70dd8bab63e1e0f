"""The command line of `amr-bridge`: one file for each sub-command."""
