"""Journeys: what a consumer is told, when, by whom, and whether it helped."""
