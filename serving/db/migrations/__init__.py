"""Alembic's folder: the environment and the versions. Run through `serving.db.migrate`."""
