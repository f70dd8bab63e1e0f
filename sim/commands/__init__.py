"""The commands of `amr-sim`: one file for each."""
