"""From scores to a list: order, lanes, slots, whose history."""
