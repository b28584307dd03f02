"""The supply side of the overlay: warehouses, licences, batches, observations, and what is planted there."""
