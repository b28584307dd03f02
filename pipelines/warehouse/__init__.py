"""The warehouse: its dbt project, what is read of it."""
