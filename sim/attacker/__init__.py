"""An attacker beside the wearer: what he hears, what he can tell from it, and what he tries."""
