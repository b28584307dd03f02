"""What every family of models reads: purchases, and a panel of series, made from anybody's frame."""

from models.data.panel import Panel
from models.data.purchases import Purchases

__all__ = ["Panel", "Purchases"]
