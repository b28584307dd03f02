"""What a step reads and writes, one resource a store: sources, warehouse, scores, models, database."""
