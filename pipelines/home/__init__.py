"""The one folder of an installation: its source, its lock, its database, its past.

What is decided here: which source a home takes on, who may work in it at a time, who stops the embedded
PostgreSQL, how old state is set aside. What a home remembers is written by `serving.home_record`.
"""
