"""The quality brake as it is in force: levels, overrides, improvement cases, frozen suppliers, recalls.

What a level asks for is decided in `models.supply.brake`; who obeys it reads `serving.quality.levels` in the
transaction in which it acts.
"""
