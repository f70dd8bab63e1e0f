"""Scenarios: what testers write, how it is played, and what came of it."""
