"""Simulated boards around the real MicroPython interpreter."""
