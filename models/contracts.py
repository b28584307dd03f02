"""Shared words of the models: published table schemas, candidates, evaluations, gate decisions.

Standard library and NumPy types only, so that the serving process may import it. No logic lives here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

ColumnType = Literal["text", "int", "float", "bool", "date", "timestamp", "json"]


@dataclass(frozen=True)
class Column:
    """One column of a published table.

    Attributes:
        name: Column name; units follow the naming rules (`_cents`, `_qty`, `_days`).
        type: Portable type. `timestamp` is UTC, `json` is a JSON document held as text.
        nullable: Whether null is allowed.
    """

    name: str
    type: ColumnType
    nullable: bool = False


@dataclass(frozen=True)
class PublishedTable:
    """The schema of one published table.

    Attributes:
        name: Table name, the same in the lake and in PostgreSQL.
        key: Columns that identify a row inside one version.
        columns: All columns in order, the key included.
        description: Catalogue text; ends with the grain.
        is_optional: Whether a version without the table is whole; readers then know nothing of it.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    description: str
    is_optional: bool = False


def _columns(spec: str) -> tuple[Column, ...]:
    """Read `name:type` words; a trailing `?` marks a nullable column."""
    columns = []
    for word in spec.split():
        name, kind = word.split(":")
        nullable = kind.endswith("?")
        columns.append(Column(name, kind.rstrip("?"), nullable))  # type: ignore[arg-type]
    return tuple(columns)


PUBLISHED_TABLES: dict[str, PublishedTable] = {
    table.name: table
    for table in (
        PublishedTable(
            "recommendations",
            ("merchant_id", "consumer_id", "rank"),
            _columns(
                "merchant_id:text consumer_id:text rank:int sku_id:text score:float lane:text "
                "reason_code:text propensity:float"
            ),
            "Ranked skus for a consumer inside a merchant's assortment. "
            "One row per merchant, consumer and rank.",
        ),
        PublishedTable(
            "popular_items",
            ("merchant_id", "rank"),
            _columns("merchant_id:text rank:int sku_id:text score:float reason_code:text"),
            "What a merchant sold most in the last 28 days; serves unknown consumers. "
            "One row per merchant and rank.",
        ),
        PublishedTable(
            "session_links",
            ("sku_id", "rank"),
            _columns("sku_id:text rank:int linked_sku_id:text weight:float"),
            "Skus that are bought together with a sku, the strongest first: a session orders lists by them. "
            "One row per sku and rank; none where the session lane did not pass its gate.",
            is_optional=True,
        ),
        PublishedTable(
            "prices",
            ("merchant_id", "sku_id"),
            _columns(
                "merchant_id:text sku_id:text cost_cents:int list_price_cents:int price_cents:int "
                "floor_cents:int ceiling_cents:int anchor_cents:int printed_formula_cents:int? "
                "elasticity:float pricing_mode:text action:text explanation:json"
            ),
            "The suggested unit price of a listing with its guard rails. One row per merchant and sku.",
        ),
        PublishedTable(
            "demand_forecasts",
            ("merchant_id", "category_id", "week_start_on"),
            _columns(
                "merchant_id:text category_id:text week_start_on:date horizon_weeks:int mean_qty:float "
                "p10_qty:float p50_qty:float p90_qty:float model:text"
            ),
            "Units expected to sell in a week. One row per merchant, category and week.",
        ),
        PublishedTable(
            "demand_outlook",
            ("merchant_id", "category_id", "grain", "ends_on"),
            _columns(
                "merchant_id:text category_id:text grain:text starts_on:date ends_on:date mean_qty:float "
                "p10_qty:float p50_qty:float p90_qty:float model:text"
            ),
            "Units expected to sell in a `day` of the forecast weeks (series of two units a week or more), "
            "and in one, two and three months (`month`) from their first day. "
            "One row per merchant, category, grain and last day.",
            is_optional=True,
        ),
        PublishedTable(
            "reorder_suggestions",
            ("supplier_id", "sku_id"),
            _columns(
                "supplier_id:text sku_id:text on_hand_qty:int? lead_time_days:int? demand_mean_qty:float "
                "demand_p90_qty:float order_up_to_qty:int reorder_qty:int order_by_on:date? "
                "is_stalled:bool reason_code:text explanation:json"
            ),
            "How much of a sku a supplier should bring in, and by when. One row per supplier and sku.",
        ),
        PublishedTable(
            "reorder_merchant_shares",
            ("merchant_id", "sku_id", "supplier_id"),
            _columns("merchant_id:text sku_id:text supplier_id:text expected_qty:float reorder_qty:int"),
            "A merchant's share of a reorder suggestion; shares sum to the suggestion. "
            "One row per merchant, sku and supplier.",
        ),
        PublishedTable(
            "sku_forecasts",
            ("sku_id", "week_start_on"),
            _columns(
                "sku_id:text week_start_on:date category_id:text horizon_weeks:int mean_qty:float "
                "p10_qty:float p50_qty:float p90_qty:float new_listing_qty:float basis:text"
            ),
            "Units of a sku expected to sell in a week over all merchants; `basis` is `new_in_category` "
            "where nobody sold it yet. One row per sku and week.",
            is_optional=True,
        ),
        PublishedTable(
            "supply_resilience",
            ("category_id",),
            _columns(
                "category_id:text units_per_day:float suppliers:int main_supplier_id:text main_share:float "
                "is_main_too_large:bool backup_share:float is_backup_too_small:bool trial_share:float "
                "trial_skus:json moved_share:float extra_cents_per_day:int"
            ),
            "How far a category leans on its main supplier, what the others could ship, and the share for "
            "which new suppliers must be tried. One row per category.",
            is_optional=True,
        ),
        PublishedTable(
            "supply_proposals",
            ("category_id", "sku_id", "supplier_id"),
            _columns(
                "category_id:text sku_id:text supplier_id:text units_per_day:float proposed_per_day:float"
            ),
            "Units a day that would change so that no supplier has more of its category than it may. One row "
            "per sku and supplier that changes.",
            is_optional=True,
        ),
        PublishedTable(
            "supply_failures",
            ("supplier_id",),
            _columns(
                "supplier_id:text horizon_days:int skus:int units:float lost_units:float "
                "lost_sales_cents:int extra_cost_cents:int extra_days:float? days_until_short:int? "
                "lost_skus:json"
            ),
            "What the failure of a supplier tomorrow would cost within the horizon. One row per supplier.",
            is_optional=True,
        ),
        PublishedTable(
            "assortment_suggestions",
            ("merchant_id", "rank"),
            _columns(
                "merchant_id:text rank:int sku_id:text scene:text category_id:text horizon_days:int "
                "expected_qty:float expected_margin_cents:int list_price_cents:int supplier_id:text "
                "supply_price_cents:int backups:json is_new_product:bool propensity:float basis:text "
                "reason_code:text explanation:json"
            ),
            "What a merchant should take into its assortment, from whom, and what it may bring within the "
            "horizon. One row per merchant and rank.",
            is_optional=True,
        ),
        PublishedTable(
            "clearance_warnings",
            ("supplier_id", "sku_id"),
            _columns(
                "supplier_id:text sku_id:text on_hand_qty:int sold_qty:float window_days:int "
                "turnover_rate:float days_to_clear_now:float? price_cents:int? cost_cents:int? "
                "elasticity:float cuts:json"
            ),
            "Stock whose turnover is low, with what cuts of its price would do. "
            "One row per supplier and sku.",
            is_optional=True,
        ),
        PublishedTable(
            "supplier_grades",
            ("supplier_id",),
            _columns(
                "supplier_id:text grade:text gate:text? score:float score_low:float score_high:float "
                "quality:float? fulfilment:float? price:float? channels:int line_count:int graded_on:date "
                "explanation:json"
            ),
            "How good a supplier is over all that it sells, with what stops it. One row per supplier.",
            is_optional=True,
        ),
        PublishedTable(
            "channel_scores",
            ("supplier_id", "category_id"),
            _columns(
                "supplier_id:text category_id:text rank:int grade:text gate:text? score:float "
                "score_low:float score_high:float quality:float? fulfilment:float? price:float? "
                "line_count:int graded_on:date explanation:json"
            ),
            "How good a supplier is in a category, with its place there and what it is made of. "
            "One row per supplier and category.",
            is_optional=True,
        ),
        PublishedTable(
            "party_reviews",
            ("party_type", "party_id", "month_start_on"),
            _columns(
                "party_type:text party_id:text month_start_on:date merchant_id:text? level:text "
                "region_code:text tenure:text is_active:bool is_whole:bool order_count:int "
                "known_order_count:int net_sales_cents:int settled_cents:int paid_cents:int "
                "refunded_cents:int margin_cents:int? costed_cents:int buyer_count:int "
                "new_buyer_count:int repeat_buyer_count:int customer_count:int visitor_count:int "
                "cart_count:int basis:text ranked_cents:int error_cents:float rank:int? "
                "rank_low:int? rank_high:int? peers:int peers_share:json peers_do:json best_skus:json "
                "worst_skus:json state:text quiet_months:int? churn_risk:float?"
            ),
            "The month of a merchant or an agent with its place among its peers. "
            "One row per party and month of the newest thirteen.",
            is_optional=True,
        ),
        PublishedTable(
            "agent_suggestions",
            ("agent_id", "merchant_id", "rank"),
            _columns(
                "agent_id:text merchant_id:text rank:int sku_id:text customers:int of_customers:int "
                "reason_code:text"
            ),
            "Skus that stand in the lists of several customers of an agent; nobody is named. "
            "One row per agent, merchant and rank.",
            is_optional=True,
        ),
        PublishedTable(
            "wakeup_list",
            ("consumer_id",),
            _columns(
                "consumer_id:text merchant_id:text rank:int dormant_days:int churn_probability:float "
                "expected_value_cents:int is_high_value:bool offer_code:text? offer_threshold_cents:int? "
                "offer_value_cents:int? reason_codes:json is_control:bool"
            ),
            "Dormant consumers worth waking, with the offer; controls get none. One row per consumer.",
        ),
        PublishedTable(
            "rebuy_reminders",
            ("consumer_id", "rank"),
            _columns("consumer_id:text rank:int category_id:text rebuy_probability:float reason_code:text"),
            "Product types a consumer is likely to buy again within 14 days. One row per consumer and rank.",
        ),
        PublishedTable(
            "profiles",
            ("consumer_id",),
            _columns("consumer_id:text tags:json schema_fingerprint:text as_of:timestamp"),
            "The tags of a consumer as one document. One row per consumer.",
        ),
        PublishedTable(
            "segments",
            ("segment",),
            _columns("segment:text description:text member_count:int"),
            "Named groups of consumers, also those without a member. One row per segment.",
            is_optional=True,
        ),
        PublishedTable(
            "segment_members",
            ("segment", "consumer_id"),
            _columns("segment:text consumer_id:text entered_on:date left_on:date?"),
            "Who is in a segment since when, and who left it lately (`left_on` is null for members). "
            "One row per segment and consumer.",
            is_optional=True,
        ),
    )
}

REQUIRED_TABLES = frozenset(name for name, table in PUBLISHED_TABLES.items() if not table.is_optional)
"""Tables without which a version is not whole."""


@dataclass(frozen=True)
class Interval:
    """A point estimate with its 95% interval (paired bootstrap unless said otherwise)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Judged:
    """One further thing that a gate looked at.

    Attributes:
        metric: Name.
        value: The candidate's value.
        against: The best simple rule, or `bound`.
        against_value: Its value.
        holds: Whether the candidate may pass in this.
        words: The comparison in words.
    """

    metric: str
    value: float
    against: str
    against_value: float
    holds: bool
    words: str


@dataclass(frozen=True)
class GateDecision:
    """Whether a candidate may become champion.

    Attributes:
        promoted: True when it beats the best simple rule and the standing champion.
        metric: Name of the deciding metric.
        value: The candidate's value.
        baseline: Name of the best simple rule.
        baseline_value: That rule's value.
        lift: Candidate minus best rule, signed so that above 0 is better.
        champion_lift: The same against the standing champion's procedure, if one was compared.
        reason: One sentence for the asset check.
        champion_rule_lift: The standing champion's procedure minus the best rule; None without a champion.
        judged: Further metrics and bounds.
    """

    promoted: bool
    metric: str
    value: float
    baseline: str
    baseline_value: float
    lift: Interval
    champion_lift: Interval | None
    reason: str
    champion_rule_lift: Interval | None = None
    judged: tuple[Judged, ...] = ()

    @property
    def demotes(self) -> bool:
        """Whether the standing champion is behind the best rule and nothing takes its place."""
        standing = self.champion_rule_lift
        return not self.promoted and standing is not None and standing.mean < 0


@dataclass
class Candidate:
    """What a family's training returns: a saved bundle and the evidence for or against it.

    Attributes:
        name: Registered model name, e.g. `demand_lstm`.
        family: `recommendation`, `demand`, `pricing` or `lifecycle`.
        config: Hyper-parameters and settings, JSON-able; the procedure that was evaluated.
        decision: The gate's decision from the rolling-origin backtest.
        metrics: Flat metric names to values, logged to MLflow.
        leaderboard: One dict a system and metric: `{"system", "metric", "value", "level"}`; the simple
            rules stand beside the model.
        bundle_dir: Folder that the family's scoring module can load.
        figures: File name (without suffix) to matplotlib figure.
        data_from: First day of the data used.
        data_to: Last day of the data used.
        input_rows: Rows of the main input table.
    """

    name: str
    family: str
    config: dict[str, Any]
    decision: GateDecision
    metrics: dict[str, float]
    leaderboard: list[dict[str, Any]]
    bundle_dir: Path
    data_from: date | datetime
    data_to: date | datetime
    input_rows: int
    figures: dict[str, Any] = field(default_factory=dict)
