"""The HTTPS routes for bridges, and what guards them."""
