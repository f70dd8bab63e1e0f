"""The HTTPS client of the centre."""
