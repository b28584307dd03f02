"""Settings of serving, read from `MUYUN_*` variables when `Settings()` is called, never at import."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, NonNegativeInt, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.supply.brake.ladder import SAFETY_REASONS
from serving.home_record import with_remembered

DEFAULT_TENANT = "default"
"""The only tenant of an installation that names none."""
TENANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What a tenant may be called."""


class Settings(BaseSettings):
    """What an operator may choose about the database and the HTTP server.

    Attributes:
        home: Folder for everything written at run time.
        data: The user's own folder of feeds, given or remembered by the home; None means the embedded panel.
            Only decides the clock.
        tenant: Whose publications this installation makes, remembered by the home; its business clock, its
            readiness and its metrics go by them. Keys of other tenants are served theirs.
        as_of: A fixed "now" for the age of profile tags; None lets `business_now` decide.
        database_url: Any PostgreSQL server; None means the embedded one under `<home>/postgres`.
        database_read_url: A replica of it, from which published scores are read; None reads them where they
            are written. Profiles, keys and everything that is written stay with `database_url`: a withdrawn
            consent and a revoked key must not wait for a replica.
        postgres_port: Port of the embedded PostgreSQL; None takes a free one and keeps it.
        api_host: Address the API binds to.
        api_port: Port the API binds to; 0 takes a free one.
        api_workers: Processes of the API; each has its own connections and its own memory, limits are shared.
        limits_file: Where they share them; the server sets it for its processes.
        keep_versions: Publications kept in PostgreSQL, the current one included.
        pool_size: Most database connections of the API process.
        db_timeout_s: Seconds a request waits for a connection or an answer before it gets 503.
        statement_timeout_s: Seconds that a statement of a request about orders or money may take.
        lock_timeout_s: Seconds that such a statement waits for a lock of another one.
        rate_limit_per_s: Requests a second an API key may make, unless the key has its own limit.
        rate_limit_burst: Requests an idle key may make at once.
        idempotency_days: Days for which an idempotency key stands for its first answer.
        key_cache_s: Seconds a looked-up API key is trusted; a revoked key ends within this time.
        profile_cache_mb: Most memory for remembered profile answers; 0 remembers none.
        webhook_http: Messages may go to http addresses, too; recipients never do.
        webhook_private: Messages may go to addresses inside the own network, for tests and closed networks.
        webhook_deadline_s: Seconds for sending one message, from looking its host up to the answer.
        unpaid_minutes: Minutes that an order waits for its payment before it is cancelled.
        bill_days: For so many days a channel that does not answer is asked for the bill of a day.
        supplier_answer_days: Days after which a supplier who does not answer an after-sale case agrees.
        log_level: Least severe level that is logged.
        master_key: Master key of the personal fields in base64, or several by comma, the current one first;
            None means `<home>/keys/master.key`.
        time_zone: IANA zone in which `setup` lets a tenant's days and months begin.
        channel_fee_bps: What a payment channel keeps by contract, at least, basis points; the loss of a line
            is reckoned with it, or with the tenant's dearest contract, before the channel has told its fee.
        invitation_days: Longest time in which an invitation may be bound.
        link_base: What short links begin with; the public address of the API or of a proxy before it.
        link_days: Longest time in which a short link may be followed.
        referral_window_days: How long the relation that a consumer's act makes with an agent counts.
        offer_own_bps: How far a supplier's price may be from its own reference without a decision.
        offer_others_bps: How far it may be from the median of the other suppliers' prices in force.
        routing_grade_bps: What each grade below A adds to the cost by which an order is routed, basis points
            of the supply price; 0: grades do not steer.
        offer_reference_days: How long a supplier's own reference stands while its price moves.
        journey_gateways: Channel of journeys (`sms`, `wecom`, `mini_program`, `email`) to the address of its
            provider; messages of a channel without one stay in the outbox, for people to see.
        message_cents: Channel of journeys to what a message costs that went out, fen; channels that are not
            named cost what `serving.journeys.effects.MESSAGE_CENTS` says.
        journey_secret: Secret under which messages to providers are signed.
        safety_reasons: Reason codes of after-sales that tell of harm: such a case stops its sku at once.
        alone_posting_cents: Most that one person posts by hand, fen a transaction; 0: always two people.
        alone_payout_cents: Largest transfer of a pay-out that one person sends alone, fen.
        alone_payout_batch_cents: Largest sum of a pay-out that one person sends alone, fen.
        alone_fee_cents: Largest penalty, compensation or write-off that one person decides alone, fen.
    """

    model_config = SettingsConfigDict(env_prefix="MUYUN_", extra="ignore")

    home: Path = Path("var")
    data: str | None = None
    tenant: str = Field(default=DEFAULT_TENANT, pattern=TENANT_PATTERN)
    as_of: datetime | None = None
    database_url: str | None = None
    database_read_url: str | None = None
    postgres_port: int | None = Field(default=None, ge=1, le=65535)
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8080, ge=0, le=65535)
    api_workers: int = Field(default=1, ge=1, le=64)
    limits_file: Path | None = None
    keep_versions: int = Field(default=5, ge=1)
    pool_size: int = Field(default=8, ge=1, le=100)
    db_timeout_s: float = Field(default=2.0, gt=0)
    statement_timeout_s: float = Field(default=30.0, gt=0, le=3600)
    lock_timeout_s: float = Field(default=10.0, gt=0, le=3600)
    rate_limit_per_s: float = Field(default=100.0, gt=0)
    rate_limit_burst: int = Field(default=200, ge=1)
    idempotency_days: int = Field(default=30, ge=1, le=3650)
    key_cache_s: float = Field(default=5.0, ge=0)
    profile_cache_mb: int = Field(default=64, ge=0, le=65536)
    webhook_http: bool = False
    webhook_private: bool = False
    webhook_deadline_s: float = Field(default=10.0, gt=0, le=60)
    unpaid_minutes: int = Field(default=30, ge=1, le=525_600)
    bill_days: int = Field(default=7, ge=1, le=60)
    supplier_answer_days: int = Field(default=3, ge=0, le=366)
    safety_reasons: frozenset[str] = SAFETY_REASONS
    log_level: str = "INFO"
    master_key: SecretStr | None = None
    time_zone: str = "Asia/Shanghai"
    channel_fee_bps: int = Field(default=60, ge=0, le=10_000)
    invitation_days: int = Field(default=30, ge=1, le=366)
    link_base: str = Field(default="http://127.0.0.1:8080", pattern=r"^https?://[^\s/]+(/[^\s]*[^\s/])?$")
    link_days: int = Field(default=366, ge=1, le=3_660)
    referral_window_days: int = Field(default=365, ge=1, le=3_660)
    offer_own_bps: int = Field(default=2_000, ge=0, le=10_000)
    offer_others_bps: int = Field(default=5_000, ge=0, le=10_000)
    routing_grade_bps: int = Field(default=0, ge=0, le=10_000)
    offer_reference_days: int = Field(default=7, ge=0, le=366)
    journey_gateways: dict[str, str] = Field(default_factory=dict)
    message_cents: dict[str, NonNegativeInt] = Field(default_factory=dict)
    journey_secret: SecretStr | None = None
    alone_posting_cents: int = Field(default=0, ge=0)
    alone_payout_cents: int = Field(default=0, ge=0)
    alone_payout_batch_cents: int = Field(default=0, ge=0)
    alone_fee_cents: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _remembered(cls, values: dict[str, Any]) -> dict[str, Any]:
        home = Path(values.get("home") or cls.model_fields["home"].default).expanduser().resolve()
        return with_remembered(values, home)

    @field_validator("home")
    @classmethod
    def _absolute_home(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"time zone {value!r} is none that IANA names, e.g. Asia/Shanghai") from error
        return value

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        level = value.upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ValueError(f"log level {value!r} is none of DEBUG, INFO, WARNING, ERROR")
        return level

    @field_validator("as_of")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def business_now(self, published_as_of: datetime) -> datetime:
        """The moment against which the age of a tag is judged.

        Args:
            published_as_of: Business time of the current publication.

        Returns:
            The fixed `as_of`; else the wall clock for a user's own data; else, for the embedded panel of a
            past year, the time of the publication.
        """
        if self.as_of is not None:
            return self.as_of
        return datetime.now(UTC) if self.data is not None else published_as_of
