"""Settings: what an installation chooses. Read once by an entry point and handed on, never at import."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_serializer, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.supply.assortment.config import AssortmentConfig
from models.supply.brake.ladder import QUALITY_REASONS, SAFETY_REASONS
from models.supply.grading.config import GradingConfig
from models.supply.supervision.config import SupervisionConfig
from models.supply.supervision.ladder import Rules
from pipelines.console.language import Language, language_of
from pipelines.countries import NO_HOLIDAYS, country_of, is_country
from serving.home_record import with_remembered
from serving.settings import DEFAULT_TENANT, TENANT_PATTERN
from serving.settings import Settings as ServingSettings

REPOSITORY = Path(__file__).resolve().parents[1]


OWN_ZONE = "Asia/Shanghai"
"""Zone of a user's own data where neither a setting nor `muyun.yaml` names one."""
OWN_CURRENCY = "CNY"
"""Currency of a user's own data where neither a setting nor `muyun.yaml` names one."""


def fixed_zone(offset_hours: int) -> str:
    """The zone that is always some hours ahead of UTC; its IANA name counts the other way."""
    return f"Etc/GMT{-offset_hours:+d}" if offset_hours else "Etc/UTC"


class Settings(BaseSettings):
    """Every setting, from `MUYUN_*` environment variables, else what the home remembers, else the default.

    Attributes:
        home: The one folder that a run writes to.
        data: A user's folder of contract files; None means the embedded retail panel, unless the home holds a
            folder.
        tenant: Whose data the home holds, and for whom it publishes; remembered by the home.
        as_of: "Now" in business time; None means the newest order of the embedded panel, or the wall clock
            for a user's own data.
        time_zone: IANA zone of the shops: times without an offset are local there; None means UTC-5 all year
            for the embedded panel and what `muyun.yaml` of the folder says, else Asia/Shanghai, otherwise.
        holidays: Country whose holidays the shops know beforehand (ISO 3166 code, or `none`); None means US
            for the embedded panel and the country of the zone otherwise.
        utc_offset_hours: The same as a fixed number of hours, as it was set in earlier releases.
        currency: ISO code of the minor units in every `_cents` column; None means USD for the embedded panel
            and what `muyun.yaml` of the folder says, else CNY, otherwise.
        database_url: Any PostgreSQL server; None means the embedded one below the run folder.
        postgres_port: Port of the embedded PostgreSQL; None takes a free one and keeps it.
        seed: Seed of the overlay and of every model.
        executor: `threads`: independent steps of a run overlap and trainings have processes of their own;
            `in_process`: one step after the other in one process; `multiprocess`: a process a step;
            `celery`: a step a task of a worker; `k8s`: a step a job of a cluster.
        celery_broker: Address of the broker that the workers listen to.
        celery_backend: Where they leave results; None leaves them to the broker's own way.
        k8s_image: Image with this installation, for the jobs of a cluster.
        k8s_namespace: Namespace of those jobs.
        k8s_claim: Claim of the volume that holds the home.
        k8s_config: File that says how to reach the cluster; None means that Dagster runs inside of it.
        lang: Language of the command line and the report; without it the locale decides.
        max_quarantined_share: Share of a table's rows that may be refused before the run stops.
        progress_begins: Whether progress has a line also when a step begins, not only when it has ended.
        tick_minutes: Minutes between two ticks of the live loop, which brings recorded rows into profiles and
            prices.
        reorder_budget_cents: Most that the reorder suggestions of a run may cost together; None: no limit.
        reorder_holding_cost: Cost of a unit that is left at the end of a week, as a share of what a lost sale
            of one costs; decides how much stock the suggestions aim at.
        grade_weights: Weights of quality, fulfilment and price in a supplier's score; they sum to 1.
        grade_lines: Least lower bounds of the grades A, B and C.
        grade_half_life_days: Days after which a piece of evidence about a supplier counts half.
        assortment_least_units: Units that a suggestion of assortment must be expected to bring in 56 days.
        assortment_least_margin_cents: Margin that it must be expected to bring, in cents.
        quality_lines: Category to its alarm line, complaints of quality a delivered unit; lines of other
            categories are learned.
        quality_reasons: Reason codes of after-sales that blame the goods.
        safety_reasons: Reason codes of after-sales that tell of harm.
        supervision_words: Words by which a complaint calls goods counterfeit.
        supervision_lines: Scores above which papers are asked for, a listing is held, and taken off.
        routing_grade_bps: What each grade below A adds to the cost by which orders are routed, basis points.
        channel_fee_bps: What a payment channel keeps by contract, at least, basis points; the loss of a line
            that goes to another supplier by itself is reckoned with it, as ordering does.
        keep_versions: Full publications kept for rollback.
        keep_refreshes: Publications of the refreshes between them that are kept.
        replay_days: Days of past orders that are replayed through orders and settlement; None means 14 for
            the embedded panel and 0 (nothing) for a user's own data.
        dagster_port: Port of the Dagster UI (loopback).
        mlflow_port: Port of the MLflow UI (loopback).
        docs_port: Port of the dbt docs and Data Docs (loopback).
    """

    model_config = SettingsConfigDict(env_prefix="MUYUN_", extra="ignore")

    home: Path = Path("var")
    data: Path | None = None
    tenant: str = Field(default=DEFAULT_TENANT, pattern=TENANT_PATTERN)
    as_of: datetime | None = None
    time_zone: str | None = None
    utc_offset_hours: int | None = Field(default=None, ge=-12, le=14)
    holidays: str | None = None
    currency: str | None = None
    database_url: str | None = None
    postgres_port: int | None = Field(default=None, ge=1, le=65535)
    seed: int = 20171231
    executor: Literal["threads", "in_process", "multiprocess", "celery", "k8s"] = "threads"
    celery_broker: str | None = None
    celery_backend: str | None = None
    k8s_image: str | None = None
    k8s_namespace: str = "default"
    k8s_claim: str | None = None
    k8s_config: Path | None = None
    lang: Language = Field(default_factory=lambda: language_of(os.environ))
    max_quarantined_share: float = Field(default=0.05, ge=0, le=1)
    progress_begins: bool = False
    tick_minutes: int = Field(default=5, ge=1, le=60)
    reorder_budget_cents: int | None = Field(default=None, ge=0)
    reorder_holding_cost: float = Field(default=0.05, gt=0)
    grade_weights: dict[str, float] = Field(default_factory=lambda: GradingConfig().weights)
    grade_lines: tuple[float, float, float] = GradingConfig().lines
    grade_half_life_days: float = Field(default=GradingConfig().half_life_days, gt=0)
    assortment_least_units: float = Field(default=AssortmentConfig().least_units, ge=0, le=1e6)
    assortment_least_margin_cents: int = Field(default=AssortmentConfig().least_margin_cents, ge=0)
    quality_lines: dict[str, Annotated[float, Field(gt=0, lt=1)]] = {}
    quality_reasons: frozenset[str] = QUALITY_REASONS
    safety_reasons: frozenset[str] = SAFETY_REASONS
    supervision_words: tuple[str, ...] = SupervisionConfig().words
    supervision_lines: tuple[float, float, float] = (Rules().ask, Rules().hold, Rules().delist)
    routing_grade_bps: int = Field(default=0, ge=0, le=10_000)
    channel_fee_bps: int = Field(default=60, ge=0, le=10_000)
    keep_versions: int = Field(default=5, ge=1)
    keep_refreshes: int = Field(default=5, ge=1)
    replay_days: int | None = Field(default=None, ge=0, le=366)
    dagster_port: int = Field(default=3000, ge=1, le=65535)
    mlflow_port: int = Field(default=5000, ge=1, le=65535)
    docs_port: int = Field(default=8090, ge=1, le=65535)

    @model_validator(mode="before")
    @classmethod
    def _remembered(cls, values: dict[str, Any]) -> dict[str, Any]:
        home = Path(values.get("home") or cls.model_fields["home"].default).absolute()
        return with_remembered(values, home)

    @field_validator("home", "data")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.absolute()

    @model_validator(mode="after")
    def _grades_are_possible(self) -> Self:
        self.grading  # noqa: B018  (what contradicts itself is refused when settings are read)
        return self

    @property
    def grading(self) -> GradingConfig:
        """How suppliers are graded.

        Raises:
            ValueError: Weights or lines contradict each other.
        """
        return GradingConfig(
            weights=self.grade_weights, lines=self.grade_lines, half_life_days=self.grade_half_life_days
        )

    @model_validator(mode="after")
    def _supervision_is_possible(self) -> Self:
        self.supervision  # noqa: B018  (what contradicts itself is refused when settings are read)
        return self

    @property
    def supervision(self) -> SupervisionConfig:
        """How listings are supervised.

        Raises:
            ValueError: Lines do not rise, or there are no words.
        """
        ask, hold, delist = self.supervision_lines
        return SupervisionConfig(words=self.supervision_words, rules=Rules(ask=ask, hold=hold, delist=delist))

    @field_serializer("quality_reasons", "safety_reasons", when_used="json")
    def _sorted(self, words: frozenset[str]) -> list[str]:
        """A set as JSON is the same in every process; a run is compared with the last one by it."""
        return sorted(words)

    @field_validator("holidays")
    @classmethod
    def _known_country(cls, value: str | None) -> str | None:
        if not value:
            return None
        found = NO_HOLIDAYS if value.lower() == NO_HOLIDAYS else value.upper()
        if found != NO_HOLIDAYS and not is_country(found):
            raise ValueError(f"there is no country '{value}'; use a code like CN, or {NO_HOLIDAYS}")
        return found

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if not value:
            return None
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone '{value}'; use a name like Europe/London") from None
        return value

    @model_validator(mode="after")
    def _one_zone(self) -> Self:
        hours, zone = self.utc_offset_hours, self.time_zone
        if hours is not None and zone is not None and fixed_zone(hours) != zone:
            raise ValueError(
                "MUYUN_TIME_ZONE and MUYUN_UTC_OFFSET_HOURS say different things; keep MUYUN_TIME_ZONE"
            )
        return self

    @field_validator("as_of")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    @property
    def serving(self) -> ServingSettings:
        """What the serving side must know to find the same database; the environment is not read again."""
        return ServingSettings.model_construct(
            home=self.home.resolve(),
            database_url=self.database_url,
            postgres_port=self.postgres_port,
            tenant=self.tenant,
        )

    @property
    def embedded(self) -> bool:
        """Whether the embedded retail panel is the source."""
        return self.data is None

    @property
    def days_to_replay(self) -> int:
        """Days of past orders that are replayed."""
        if self.replay_days is not None:
            return self.replay_days
        return 14 if self.embedded else 0

    @property
    def zone(self) -> str:
        """IANA name of the zone of the shops: as set, else as the folder's `muyun.yaml` says."""
        if self.time_zone is not None:
            return self.time_zone
        if self.utc_offset_hours is not None:
            return fixed_zone(self.utc_offset_hours)
        if self.data is None:
            return fixed_zone(-5)
        from pipelines.sources.mapping.document import load_mapping

        return load_mapping(self.data).document.time_zone or OWN_ZONE

    @property
    def holidays_of(self) -> str:
        """Country whose holidays count: as set, else that of the zone; `none` where a zone has no country."""
        if self.holidays is not None:
            return self.holidays
        return "US" if self.embedded else country_of(self.zone) or NO_HOLIDAYS

    @property
    def offset_hours(self) -> int:
        """Whole hours that local standard time is ahead of UTC; part hours are cut off."""
        days = (datetime(2026, month, 1, tzinfo=ZoneInfo(self.zone)) for month in (1, 7))
        return int(min(day.utcoffset() or timedelta() for day in days).total_seconds() / 3600)

    @property
    def currency_code(self) -> str:
        """ISO code of the configured currency, else of the one that the folder's `muyun.yaml` names."""
        if self.currency is not None or self.data is None:
            return self.currency or "USD"
        from pipelines.sources.mapping.document import load_mapping

        return load_mapping(self.data).document.currency or OWN_CURRENCY

    @property
    def lake_dir(self) -> Path:
        """Accepted rows, quarantine, derived tables, publications."""
        return self.home / "lake"

    @property
    def feeds_dir(self) -> Path:
        """What connectors landed, and how far each has come."""
        return self.home / "feeds"

    @property
    def warehouse_build(self) -> Path:
        """The DuckDB file that dbt writes; nobody else opens it."""
        return self.home / "warehouse" / "build.duckdb"

    @property
    def warehouse_good(self) -> Path:
        """The last build that passed its checks, from which steps read; replaced by atomic rename."""
        return self.home / "warehouse" / "good.duckdb"

    @property
    def warehouse_seed(self) -> Path:
        """What is known of the last good build; the live loop starts from it."""
        return self.home / "warehouse" / "good.json"

    @property
    def live_dir(self) -> Path:
        """The live store; only the live loop opens it."""
        return self.home / "live"

    @property
    def warehouse_file(self) -> Path:
        """The same for analysts, read-only; no step reads it, so that nothing done to it disturbs a run."""
        return self.home / "warehouse" / "muyun.duckdb"

    @property
    def state_dir(self) -> Path:
        """What each step last did, so that unchanged work is not done twice."""
        return self.home / "state"

    @property
    def mlflow_dir(self) -> Path:
        """The MLflow store."""
        return self.home / "mlflow"

    @property
    def data_docs_dir(self) -> Path:
        """The rendered Data Docs of Great Expectations."""
        return self.quality_dir / "gx" / "uncommitted" / "data_docs" / "local_site"

    @property
    def quality_dir(self) -> Path:
        """The Great Expectations project."""
        return self.home / "quality"

    @property
    def dbt_target_dir(self) -> Path:
        """Compiled dbt artifacts and docs."""
        return self.home / "dbt"

    @property
    def report_file(self) -> Path:
        """The HTML report."""
        return self.home / "report" / "index.html"

    @property
    def catalogue_file(self) -> Path:
        """The searchable page of all tags, beside the report."""
        return self.report_file.with_name("tags.html")

    @property
    def summary_file(self) -> Path:
        """The machine-readable twin of the report."""
        return self.home / "run_summary.json"
