"""How steps of a run overlap: threads for steps, processes for trainings, the longest way first."""
