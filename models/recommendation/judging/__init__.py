"""How lanes and logged slots are judged."""
