"""The virtual-time world: the product's own code on a clock that jumps, with everything around it seeded."""
