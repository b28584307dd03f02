"""Delivery routes: which vehicle visits which stops in which order. Nothing is stored; the solver is PyVRP.

A plan is computed by a process of its own (`planner`), so that the search takes no thread of the API.
"""
