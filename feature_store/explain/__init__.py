"""Why a tag of one entity has its value: the rows that were visible and counted at a moment."""
