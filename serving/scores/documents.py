"""The JSON documents that the scoring API answers with. Fields and units only; nothing is read here."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from feature_store.contracts import RefreshClass

Version = Annotated[str, Meta(description="The published version that this answer comes from.")]
AsOf = Annotated[datetime, Meta(description="Business time of that version (UTC).")]
Revision = Annotated[
    int,
    Meta(description="The newest delta over that version that the answer shows; 0 when there is none."),
]
Cursor = Annotated[
    str | None, Meta(description="Give it as `cursor` to get the next page; null on the last page.")
]
Cents = Annotated[int, Meta(description="Money in minor units.")]
Lane = Literal["repeat", "discovery", "popular"]
Action = Literal["publish", "await_approval", "keep"]


class Scored(Struct, frozen=True, kw_only=True):
    """What every scored answer names."""

    publication_version: Version
    as_of: AsOf


class RecommendedItem(Struct, frozen=True, kw_only=True):
    """One sku of a ranked list."""

    rank: Annotated[int, Meta(description="Place in the published list; 1 is the best.")]
    sku_id: str
    score: Annotated[float, Meta(description="Comparable inside one list only.")]
    lane: Annotated[
        Lane,
        Meta(description="`repeat`: bought before; `discovery`: new to them; `popular`: sells well here."),
    ] = "popular"
    reason_code: str
    propensity: Annotated[
        float | None,
        Meta(description="Probability with which the logging policy shows the item; null for a fallback."),
    ] = None


class Recommendations(Scored, frozen=True, kw_only=True):
    """Skus for a consumer in a merchant's assortment, best first."""

    merchant_id: str
    consumer_id: str
    fallback: Annotated[
        Literal["popular_in_assortment"] | None,
        Meta(description="Says that the consumer is unknown here and that the items are what sells well."),
    ]
    items: list[RecommendedItem]


class Price(Struct, frozen=True, kw_only=True):
    """A suggested unit price with its guard rails: floor <= price <= ceiling."""

    merchant_id: str
    sku_id: str
    cost_cents: Cents
    list_price_cents: Cents
    price_cents: Annotated[int, Meta(description="The suggested unit price, in minor units.")]
    floor_cents: Cents
    ceiling_cents: Cents
    anchor_cents: Cents
    printed_formula_cents: Annotated[
        int | None, Meta(description="The printed formula's result, for comparison only.")
    ]
    elasticity: Annotated[float, Meta(description="Change of units per change of price, both relative.")]
    pricing_mode: str
    action: Action
    explanation: Annotated[Any, Meta(description="How the price came about, as the pricing model wrote it.")]


class PricesScored(Scored, frozen=True, kw_only=True):
    """What every answer with prices names."""

    revision: Revision
    prices_as_of: Annotated[datetime, Meta(description="The moment up to which the prices are right (UTC).")]


class PriceAnswer(PricesScored, frozen=True, kw_only=True):
    """One price."""

    price: Price


class PricePage(PricesScored, frozen=True, kw_only=True):
    """Prices of a merchant in the order of the sku."""

    prices: list[Price]
    next_cursor: Cursor


class ReorderSuggestion(Struct, frozen=True, kw_only=True):
    """How much of a sku a supplier should bring in, and by when."""

    supplier_id: str
    sku_id: str
    on_hand_qty: int | None
    lead_time_days: int | None
    demand_mean_qty: float
    demand_p90_qty: float
    order_up_to_qty: int
    reorder_qty: int
    order_by_on: date | None
    is_stalled: bool
    reason_code: str
    explanation: Annotated[Any, Meta(description="How the quantity came about.")]


class MerchantShare(Struct, frozen=True, kw_only=True):
    """A merchant's share of a reorder suggestion."""

    merchant_id: str
    supplier_id: str
    sku_id: str
    expected_qty: Annotated[float, Meta(description="Units the merchant is expected to sell.")]
    reorder_qty: Annotated[int, Meta(description="Its share; the shares sum to the supplier's suggestion.")]
    order_by_on: date | None
    reason_code: str | None


class ReorderPage(Scored, frozen=True, kw_only=True):
    """Suggestions of a supplier, or shares of a merchant, in the order of the sku."""

    suggestions: Annotated[list[ReorderSuggestion], Meta(description="Filled for `supplier_id`.")]
    shares: Annotated[list[MerchantShare], Meta(description="Filled for `merchant_id`.")]
    next_cursor: Cursor


class MarkdownCut(Struct, frozen=True, kw_only=True):
    """A rung of the ladder: what a cut of the price would do to the stock at hand."""

    cut_bps: Annotated[int, Meta(description="Basis points off the price.")]
    price_cents: Annotated[int | None, Meta(description="The cut price; null where nobody lists the sku.")]
    days_to_clear: Annotated[
        float | None, Meta(description="Until the stock is gone at that price; null where nothing sold.")
    ]
    margin_cost_cents: Annotated[
        int | None, Meta(description="What the cut gives up on all of the stock; null without a price.")
    ]
    is_below_floor: Annotated[
        bool | None, Meta(description="Whether the guard rails forbid it; null where the cost is unknown.")
    ]


class ClearanceWarning(Struct, frozen=True, kw_only=True):
    """Stock of a supplier of which less than 15% moved within the window."""

    supplier_id: str
    sku_id: str
    on_hand_qty: int
    sold_qty: Annotated[float, Meta(description="Units of this supplier sold within the window.")]
    window_days: int
    turnover_rate: Annotated[float, Meta(description="Sold / (sold + on hand).")]
    days_to_clear_now: Annotated[
        float | None, Meta(description="At the pace of the window; null where nothing sold.")
    ]
    price_cents: Annotated[
        int | None, Meta(description="Median over merchants of the price in force; null when unlisted.")
    ]
    cost_cents: Annotated[int | None, Meta(description="The supply price; null without an offer.")]
    elasticity: Annotated[float, Meta(description="Change of units per change of price, both relative.")]
    cuts: Annotated[list[MarkdownCut], Meta(description="By rising cut.")]


class ClearancePage(Scored, frozen=True, kw_only=True):
    """Warnings about a supplier's stock, or about the stock of what a merchant sells, by sku."""

    warnings: list[ClearanceWarning]
    next_cursor: Cursor


class Graded(Struct, frozen=True, kw_only=True):
    """How good a supplier is, by the lower bound of its score."""

    supplier_id: str
    grade: Annotated[Literal["A", "B", "C", "D"], Meta(description="A is the best; D while a gate holds.")]
    gate: Annotated[
        Literal["frozen", "licence_revoked", "licence_contested", "licence_expired", "quality_floor"] | None,
        Meta(description="What stops it whatever its score; null where nothing does."),
    ]
    score: Annotated[float, Meta(description="0 to 1; 1 is the best.")]
    score_low: Annotated[float, Meta(description="Lower end of its 90% interval: what is graded and ranked.")]
    score_high: float
    quality: Annotated[float | None, Meta(description="0 to 1; null where nobody has any evidence of it.")]
    fulfilment: float | None
    price: float | None
    line_count: Annotated[int, Meta(description="Order lines that it is judged by.")]
    graded_on: date


class SupplierGrade(Graded, frozen=True, kw_only=True):
    """The grade of a supplier over all that it sells."""

    channels: Annotated[int, Meta(description="Categories in which it sells.")]
    explanation: Annotated[Any, Meta(description="The channels that it is made of, the largest first.")]


class ChannelScore(Graded, frozen=True, kw_only=True):
    """The grade of a supplier in a category."""

    category_id: str
    rank: Annotated[int, Meta(description="Place in the category; gated channels come last.")]
    explanation: Annotated[
        Any,
        Meta(description="What each signal gives to the score, and what would raise the grade."),
    ]


class SupplierGradePage(Scored, frozen=True, kw_only=True):
    """Grades of suppliers, by supplier."""

    grades: list[SupplierGrade]
    next_cursor: Cursor


class ChannelScorePage(Scored, frozen=True, kw_only=True):
    """A supplier's channels by category, or a category's by rank."""

    channels: list[ChannelScore]
    next_cursor: Cursor


class CategoryResilience(Struct, frozen=True, kw_only=True):
    """How far a category leans on its main supplier, by units of the last 90 days."""

    category_id: str
    units_per_day: float
    suppliers: Annotated[int, Meta(description="How many shipped some.")]
    main_supplier_id: str
    main_share: float
    is_main_too_large: Annotated[bool, Meta(description="More than 60%.")]
    backup_share: Annotated[float, Meta(description="What all others together could ship.")]
    is_backup_too_small: Annotated[bool, Meta(description="Less than 30%.")]
    trial_share: Annotated[
        float,
        Meta(description="What no plan within 60% for any supplier can supply: new suppliers are needed."),
    ]
    trial_skus: Annotated[list[str], Meta(description="Of which skus, the most units first; at most 20.")]
    moved_share: Annotated[float, Meta(description="Share of the units that the proposals move.")]
    extra_cents_per_day: Annotated[int, Meta(description="What they cost more a day; negative: less.")]


class ResiliencePage(Scored, frozen=True, kw_only=True):
    """Categories by id."""

    categories: list[CategoryResilience]
    next_cursor: Cursor


class SupplyProposal(Struct, frozen=True, kw_only=True):
    """Units a day of a sku that would move to or from a supplier."""

    category_id: str
    sku_id: str
    supplier_id: str
    units_per_day: float
    proposed_per_day: float


class ProposalPage(Scored, frozen=True, kw_only=True):
    """Proposals by category, sku and supplier."""

    proposals: list[SupplyProposal]
    next_cursor: Cursor


class SupplierFailure(Struct, frozen=True, kw_only=True):
    """What if a supplier fails tomorrow and stays away for `horizon_days`."""

    supplier_id: str
    horizon_days: int
    skus: int
    units: Annotated[float, Meta(description="What it would have shipped.")]
    lost_units: Annotated[float, Meta(description="What nobody else has.")]
    lost_sales_cents: int
    extra_cost_cents: Annotated[int, Meta(description="What the others cost more; negative: less.")]
    extra_days: Annotated[
        float | None, Meta(description="Later arrival, by units; null where nobody takes over.")
    ]
    days_until_short: Annotated[
        int | None,
        Meta(description="The first day on which a sku runs short; null: none within the horizon."),
    ]
    lost_skus: Annotated[list[str], Meta(description="The most units first; at most 20.")]


class FailurePage(Scored, frozen=True, kw_only=True):
    """Suppliers by id."""

    failures: list[SupplierFailure]
    next_cursor: Cursor


class BackupSupplier(Struct, frozen=True, kw_only=True):
    """A supplier that could step in."""

    supplier_id: str
    grade: str | None
    supply_price_cents: int


class AssortmentSuggestion(Struct, frozen=True, kw_only=True):
    """A sku that a merchant does not sell and should take in."""

    merchant_id: str
    rank: int
    sku_id: str
    scene: str
    category_id: str
    horizon_days: int
    expected_qty: Annotated[float, Meta(description="Units within the horizon.")]
    expected_margin_cents: Annotated[int, Meta(description="Of these units: price less supply price.")]
    list_price_cents: Annotated[int, Meta(description="What it is listed for elsewhere.")]
    supplier_id: str
    supply_price_cents: int
    backups: Annotated[list[BackupSupplier], Meta(description="The better grade first; at most 2.")]
    is_new_product: Annotated[bool, Meta(description="Nobody has sold it yet.")]
    propensity: Annotated[float, Meta(description="Chance with which it was shown; below 1: drawn.")]
    basis: Annotated[str, Meta(description="`supply_assortment`, or the simple rule that serves.")]
    reason_code: Annotated[
        str,
        Meta(description="`sold_at_similar_merchants`, `popular_in_scene`, `fits_demand` or `new_product`."),
    ]
    explanation: Annotated[list[dict[str, Any]], Meta(description="The numbers behind it, by code.")]
    decision: Annotated[
        Literal["taken", "refused"] | None, Meta(description="What the merchant did with it.")
    ]


class AssortmentPage(Scored, frozen=True, kw_only=True):
    """Suggestions by merchant and rank."""

    suggestions: list[AssortmentSuggestion]
    next_cursor: Cursor


class WakeupEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A dormant consumer worth waking."""

    consumer_id: str
    merchant_id: str
    rank: int
    dormant_days: int
    churn_probability: float
    expected_value_cents: Cents
    is_high_value: bool
    offer_code: str | None
    offer_threshold_cents: int | None
    offer_value_cents: int | None
    reason_codes: Annotated[Any, Meta(description="Why this consumer is on the list.")]
    is_control: Annotated[
        bool | None, Meta(description="Only for keys with `wakeup:control`: true means do not contact.")
    ] = None


class WakeupPage(Scored, frozen=True, kw_only=True):
    """The wake-up list by rank. Keys without `wakeup:control` do not see the control share."""

    entries: list[WakeupEntry]
    next_cursor: Cursor


class Tag(Struct, frozen=True, kw_only=True):
    """One tag of a profile."""

    value: Annotated[Any, Meta(description="Null unless the status is `present`.")]
    status: Annotated[
        Literal["present", "null", "no_source", "expired", "withheld"],
        Meta(
            description="`null`: no value; `no_source`: no source reports what the tag needs; `expired`: too "
            "old to be used; `withheld`: the consumer withdrew the consent that it needs."
        ),
    ]
    refresh: Annotated[
        RefreshClass | None,
        Meta(description="Its refresh class, whose age stands in `classes`; null when it is not known."),
    ]


class ClassAge(Struct, frozen=True, kw_only=True):
    """How old the tags of a refresh class are."""

    as_of: Annotated[datetime, Meta(description="The moment that they describe (UTC), for every consumer.")]
    ttl_s: Annotated[int, Meta(description="Seconds after which they must not be used.")]
    expires_at: Annotated[datetime, Meta(description="`as_of` and the time to live (UTC).")]


class Profile(Struct, frozen=True, kw_only=True):
    """The tags of a consumer."""

    consumer_id: str
    profile_as_of: Annotated[
        datetime, Meta(description="The moment that the tags of the publication describe (UTC).")
    ]
    schema_fingerprint: str
    schema_matches: Annotated[
        bool,
        Meta(
            description="False when the tags were written under another tag schema: ages are not judged then."
        ),
    ]
    classes: Annotated[dict[str, ClassAge], Meta(description="Age by refresh class.")]
    tags: dict[str, Tag]


class ProfileAnswer(Profile, frozen=True, kw_only=True):
    """The tags of a consumer, and which version and revision they come from."""

    publication_version: Version
    as_of: AsOf
    revision: Revision


class ProfileBatch(Scored, frozen=True, kw_only=True):
    """The profiles of several consumers, all of one version and revision."""

    revision: Revision
    profiles: Annotated[list[Profile], Meta(description="In the order of the request.")]
    unknown: Annotated[list[str], Meta(description="Consumers without a profile that the key may see.")]


SegmentShow = Literal["members", "entered", "left"]


class SegmentMember(Struct, frozen=True, kw_only=True):
    """A consumer of a segment."""

    consumer_id: str
    entered_on: date
    left_on: Annotated[date | None, Meta(description="Null while the consumer is in it.")]


class SegmentSummary(Struct, frozen=True, kw_only=True):
    """A segment without its members."""

    segment: str
    description: str
    member_count: int
    entered_count: Annotated[int, Meta(description="Members who entered within `days`.")]
    left_count: Annotated[int, Meta(description="Who left within `days`.")]


class SegmentList(Scored, frozen=True, kw_only=True):
    """Every segment of the version, by name."""

    days: int
    segments: list[SegmentSummary]


class SegmentPage(Scored, frozen=True, kw_only=True):
    """A segment and a page of its consumers."""

    segment: str
    description: str
    member_count: int
    entered_count: Annotated[int, Meta(description="Members who entered within `days`.")]
    left_count: Annotated[int, Meta(description="Who left within `days`.")]
    days: int
    members: list[SegmentMember]
    next_cursor: Cursor


class RebuyReminder(Struct, frozen=True, kw_only=True):
    """A product type that a consumer is likely to buy again."""

    rank: int
    category_id: str
    rebuy_probability: Annotated[float, Meta(description="Within 14 days.")]
    reason_code: str


class RebuyReminders(Scored, frozen=True, kw_only=True):
    """Product types that a consumer is likely to buy again, most likely first."""

    consumer_id: str
    reminders: list[RebuyReminder]


class Publication(Struct, frozen=True, kw_only=True):
    """A published version; `is_pinned` says that a rollback holds readers on it until it is released."""

    version: str
    created_at: datetime
    as_of: datetime
    data_from: datetime
    data_to: datetime
    model_versions: dict[str, str]
    row_counts: dict[str, int]
    content_hash: str
    status: Literal["loaded", "withdrawn"]
    is_current: bool
    kind: Literal["full", "refresh"]
    is_pinned: bool


class PublicationPage(Struct, frozen=True, kw_only=True):
    """Published versions that are kept, newest load first."""

    publications: list[Publication]
    next_cursor: Cursor
