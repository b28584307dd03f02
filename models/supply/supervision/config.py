"""Settings of the signs of counterfeits. No logic beyond checking."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.supply.supervision.ladder import Rules
from models.supply.supervision.words import WORDS


@dataclass(frozen=True)
class SupervisionConfig:
    """Settings of the signs. All are assumptions of ours.

    Attributes:
        window_days: Orders and complaints of so many days are looked at.
        near_market: A price is suspect below this share of the supply market's.
        far_market: At this share, and below it, as much as it can be.
        words: Words by which a complaint calls goods counterfeit.
        least_complaints: Orders with such a complaint before they count.
        enough_complaints: At so many they count in full.
        least_complaint_rate: Share of the orders that they must exceed: the odd buyer is wrong.
        least_title: Letters and digits of a title that can be copied: shorter ones are common words.
        least_brand: Letters of a brand's name that is looked for in titles; one that is not Latin
            counts twice.
        most_alike: A title or an image that goods of more brands than this have is nobody's own.
        oversold_share: Units sold out of a batch over those made of it, above which it was sold twice; so of
            the units on invoices.
        rules: Weights, lines and days.
    """

    window_days: int = 180
    near_market: float = 0.8
    far_market: float = 0.5
    words: tuple[str, ...] = WORDS
    least_complaints: int = 2
    enough_complaints: int = 4
    least_complaint_rate: float = 0.01
    least_title: int = 8
    least_brand: int = 3
    most_alike: int = 2
    oversold_share: float = 1.1
    rules: Rules = field(default_factory=Rules)

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            ValueError: A setting is out of its range; the message names it.
        """
        if not 0 < self.far_market < self.near_market < 1:
            raise ValueError("supervision: 0 < far_market < near_market < 1 must hold")
        if not 1 <= self.least_complaints <= self.enough_complaints:
            raise ValueError("supervision: 1 <= least_complaints <= enough_complaints must hold")
        if not 0 <= self.least_complaint_rate < 1:
            raise ValueError("supervision: least_complaint_rate must lie in [0, 1)")
        if self.oversold_share < 1:
            raise ValueError("supervision: oversold_share must be at least 1")
        if min(self.window_days, self.least_title, self.least_brand, self.most_alike) < 1:
            raise ValueError("supervision: window_days, least_title, least_brand and most_alike must be >= 1")
        if not self.words or not all(word.strip() for word in self.words):
            raise ValueError("supervision: words must not be empty")
