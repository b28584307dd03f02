"""How a step works: done when something that it depends on changed, else reported again."""
