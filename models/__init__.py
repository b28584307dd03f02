"""Recommendation, demand, replenishment, pricing and lifecycle models as plain functions. No Dagster here."""
