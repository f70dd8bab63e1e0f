"""Adverts that were heard, written down: recorded, and played through the real bridge again."""
