"""Radios on the simulated air: Bumble's controller and host, and bleak on top of them."""
