"""Runs of journeys: who enters, where each goes next, what goes out."""
