"""What was seen of a world, and whether the promises were kept. Pure; the only judge of every world."""
