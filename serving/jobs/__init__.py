"""Jobs of the platform that a scheduler or an operator starts: `python -m serving.jobs <job>`."""
