"""From an elasticity to a price: anchor, policy, guard rails, cuts, and the reasons."""
