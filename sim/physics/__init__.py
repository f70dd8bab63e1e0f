"""What the air does to adverts, and how phones listen. Pure; every world uses it."""
