"""Plans as versioned data: their rules, what refuses one, the shipped documents and the plan in force."""
