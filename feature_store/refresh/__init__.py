"""Tags kept up to date: a full build of their state, and refreshes of what changed or fell due."""
