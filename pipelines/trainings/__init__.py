"""What the trainings of the families do, a module a family: read the published warehouse, train, hand back.

Each is a function of a module with arguments that can be pickled, so that it may run in a process of its own.
A training uses one thread a library, in whatever process it runs, so that the result is the same. A module a
family, so that a change in one family trains no other one again. No Dagster here.
"""
