"""Supervision of listings and offers: signs of counterfeits with evidence, a score, and what follows."""
