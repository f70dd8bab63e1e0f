"""A stalker beside the protected person: what the stalker hears, can tell from it, and tries."""
