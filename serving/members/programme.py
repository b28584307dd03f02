"""What a programme of members says: how growth is earned, levels, benefits, how one falls. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from models.members.ladder import Level, Rules
from serving.members.errors import ProgrammeRefusedError

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
LevelName = Literal["ordinary", "silver", "gold", "diamond"]


class Part(BaseModel):
    """Base of everything in a document: strict types, no unknown keys, immutable."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ActWorth(Part):
    """What an interaction is worth.

    Attributes:
        growth: Growth value of one.
        per_day: Most that count on a local day.
    """

    growth: Annotated[int, Field(ge=1, le=1_000_000)]
    per_day: Annotated[int, Field(ge=1, le=1_000)]


class Earned(Part):
    """How growth is earned.

    Attributes:
        window_days: Days that count.
        per_unit: Growth value of one unit of the currency of settled spend, net of refunds.
        settles_after_days: Days after which an order that came by files counts as settled; one that was
            recorded here counts when its money is released.
        visit: A visit: a session in the shop.
        review: A text of somebody who bought what it is about.
        referral: An invited consumer's first order.
    """

    window_days: Annotated[int, Field(ge=30, le=1_095)]
    per_unit: Annotated[int, Field(ge=1, le=1_000)]
    settles_after_days: Annotated[int, Field(ge=0, le=90)]
    visit: ActWorth | None = None
    review: ActWorth | None = None
    referral: ActWorth | None = None

    @property
    def acts(self) -> Mapping[str, ActWorth]:
        """Interactions that are worth something, by kind."""
        found = {"visit": self.visit, "review": self.review, "referral": self.referral}
        return {kind: worth for kind, worth in found.items() if worth is not None}


class Benefits(Part):
    """What a level gives.

    Attributes:
        coupon: Name of a coupon programme: whoever goes up to the level gets a code of the active one of
            that name that was opened last, once a stay.
    """

    coupon: Name | None = None


class LevelTerms(Part):
    """A level.

    Attributes:
        level: Its name.
        from_growth: Growth value from which on it is reached.
        benefits: What it gives.
    """

    level: LevelName
    from_growth: Annotated[int, Field(ge=0, le=1_000_000_000)]
    benefits: Benefits = Benefits()

    @property
    def rank(self) -> Level:
        """Its place on the ladder."""
        return Level[self.level.upper()]


class Programme(Part):
    """A programme of members.

    Attributes:
        title: For people.
        growth: How growth is earned.
        levels: From below; `ordinary` first, from 0.
        period_days: How long a level is held at least.
        notice_days: Days before its end from which on a member below it is at risk; and days between the
            notice and going down.
        grace_days: Days after its end in which the growth may still be made up for.
    """

    title: Name
    growth: Earned
    levels: Annotated[tuple[LevelTerms, ...], Field(min_length=2, max_length=4)]
    period_days: Annotated[int, Field(ge=30, le=1_095)]
    notice_days: Annotated[int, Field(ge=1, le=90)]
    grace_days: Annotated[int, Field(ge=0, le=90)]

    @model_validator(mode="after")
    def _makes_sense(self) -> Programme:
        first = self.levels[0]
        if first.level != "ordinary" or first.from_growth != 0:
            raise ValueError("the first level is ordinary, from a growth of 0: everybody begins there")
        if first.benefits.coupon is not None:
            raise ValueError("ordinary gives no coupon: nobody goes up to it; put it to a level above")
        for below, above in pairwise(self.levels):
            if above.rank <= below.rank:
                raise ValueError(
                    f"{above.level} stands behind {below.level}: the order is ordinary, silver, gold, diamond"
                )
            if above.from_growth <= below.from_growth:
                raise ValueError(
                    f"{above.level} begins at {above.from_growth}, not above {below.level} at"
                    f" {below.from_growth}: thresholds rise with the level"
                )
        if self.notice_days > self.period_days:
            raise ValueError("the notice is longer than the period: make it shorter")
        return self

    @property
    def rules(self) -> Rules:
        """As the ladder takes it."""
        return Rules(
            {one.rank: one.from_growth for one in self.levels},
            self.period_days,
            self.notice_days,
            self.grace_days,
        )

    def coupon_of(self, level: Level) -> str | None:
        """Name of the coupon programme that going up to a level gives a code of."""
        return next((one.benefits.coupon for one in self.levels if one.rank == level), None)

    @property
    def coupons(self) -> Mapping[str, str]:
        """Names of coupon programmes by level."""
        return {one.level: one.benefits.coupon for one in self.levels if one.benefits.coupon is not None}


def load(document: str | Mapping[str, Any]) -> Programme:
    """A programme of a good shape.

    Args:
        document: YAML text or its mapping.

    Raises:
        ProgrammeRefusedError: With every reason.
    """
    raw = _read(document) if isinstance(document, str) else document
    try:
        return Programme.model_validate_json(json.dumps(raw, default=str))
    except ValidationError as error:
        reasons = [
            ".".join(map(str, found["loc"])) + ": " * bool(found["loc"]) + found["msg"]
            for found in error.errors(include_url=False, include_context=False)
        ]
        raise ProgrammeRefusedError("the programme is refused: " + "; ".join(reasons)) from error


def digest(programme: Programme) -> str:
    """sha256 of the canonical document."""
    text = json.dumps(programme.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def shipped() -> str:
    """YAML text of the programme that comes with the product."""
    return files("serving.members").joinpath("shipped", "programme.yaml").read_text("utf-8")


def _read(text: str) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ProgrammeRefusedError(f"the programme cannot be read as YAML: {error}") from error
    if not isinstance(document, dict):
        raise ProgrammeRefusedError("the programme is no mapping of keys to values")
    return document
