"""The PostgreSQL tables as SQLAlchemy Core metadata: schemas `scores` and `ops`.

The score tables follow `models.contracts.PUBLISHED_TABLES`; ranked lists are folded to one row per list,
so that a request reads one row. Migrations in `serving.db.migrations` create the tables; a test keeps both
equal. No query lives here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from models.contracts import PUBLISHED_TABLES, ColumnType, PublishedTable
from serving.scores.folding import FOLDED

metadata = sa.MetaData()

_TYPES: Mapping[ColumnType, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(),
    "int": sa.BigInteger(),
    "float": sa.Double(),
    "bool": sa.Boolean(),
    "date": sa.Date(),
    "timestamp": sa.DateTime(timezone=True),
    "json": pg.JSONB(),
}


def _instant(name: str, **arguments: object) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, **arguments)  # type: ignore[arg-type]


publication = sa.Table(
    "publication",
    metadata,
    sa.Column("tenant_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    _instant("created_at"),
    _instant("as_of"),
    _instant("data_from"),
    _instant("data_to"),
    sa.Column("model_versions", pg.JSONB, nullable=False),
    sa.Column("row_counts", pg.JSONB, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False, server_default="loaded"),
    _instant("loaded_at", server_default=sa.func.clock_timestamp()),
    sa.Column("kind", sa.Text, nullable=False, server_default="full"),
    sa.CheckConstraint("kind in ('full', 'refresh')", name="publication_kind_known"),
    sa.CheckConstraint("status in ('loaded', 'withdrawn')", name="publication_status_known"),
    sa.CheckConstraint("data_from <= data_to", name="publication_data_range_ordered"),
    schema="scores",
    comment="Published versions that are kept. One row per tenant and version.",
)

snapshot = sa.Table(
    "snapshot",
    metadata,
    sa.Column("snapshot_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("table_name", sa.Text, nullable=False),
    sa.Column("row_count", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("erased_count", sa.BigInteger, nullable=False, server_default="0"),
    schema="scores",
    comment="A load of one table; versions that carry a table over share it. One row per loaded table.",
)

publication_table = sa.Table(
    "publication_table",
    metadata,
    sa.Column("tenant_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("table_name", sa.Text, primary_key=True),
    sa.Column("snapshot_id", sa.BigInteger, sa.ForeignKey("scores.snapshot.snapshot_id"), nullable=False),
    sa.ForeignKeyConstraint(
        ["tenant_id", "version"],
        ["scores.publication.tenant_id", "scores.publication.version"],
        ondelete="CASCADE",
    ),
    sa.Index("publication_table_snapshot", "snapshot_id"),
    schema="scores",
    comment="Which snapshot a version shows. One row per tenant, version and table.",
)

current_publication = sa.Table(
    "current_publication",
    metadata,
    sa.Column("tenant_id", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    _instant("switched_at", server_default=sa.func.clock_timestamp()),
    sa.Column("pinned_at", sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(
        ["tenant_id", "version"], ["scores.publication.tenant_id", "scores.publication.version"]
    ),
    schema="scores",
    comment="The version that readers see. At most one row per tenant.",
)

home = sa.Table(
    "home",
    metadata,
    sa.Column("tenant_id", sa.Text, primary_key=True),
    sa.Column("home_id", sa.Text, nullable=False),
    sa.Column("claim_id", sa.Text, nullable=False),
    sa.Column("folder", sa.Text, nullable=False),
    _instant("claimed_at", server_default=sa.func.clock_timestamp()),
    sa.UniqueConstraint("home_id", name="home_has_one_tenant"),
    schema="ops",
    comment="The installation that publishes for a tenant. At most one row per tenant and per home.",
)

api_key = sa.Table(
    "api_key",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("key_hash", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scopes", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("merchant_id", sa.Text, nullable=True),
    sa.Column("rate_per_s", sa.Double, nullable=True),
    sa.Column("burst", sa.Integer, nullable=True),
    _instant("created_at", server_default=sa.func.clock_timestamp()),
    sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("tenant_id", sa.Text, nullable=False, server_default="default"),
    sa.Column("role", sa.Text, nullable=False, server_default="operator"),
    sa.Column("party_id", sa.Text, nullable=True),
    schema="ops",
    comment="API keys; only the SHA-256 of a key is kept. One row per key.",
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("audit_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    _instant("at", server_default=sa.func.clock_timestamp()),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("tenant_id", "key_id", "role")),
    sa.Column("party_id", sa.Text, nullable=True),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("action", "object_type", "object_id")),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("request_id", "outcome")),
    sa.Column("details", pg.JSONB, nullable=False, server_default="{}"),
    sa.Column("authority", sa.Text, nullable=True),
    sa.CheckConstraint("outcome in ('done', 'repeated', 'refused')"),
    sa.Index("audit_log_by_tenant", "tenant_id", "audit_id"),
    sa.Index("audit_log_by_object", "tenant_id", "object_type", "object_id", "audit_id"),
    schema="ops",
    comment="Privileged reads and all writes through the API; append-only. One row per act.",
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("tenant_id", sa.Text, primary_key=True),
    sa.Column("caller", sa.Text, primary_key=True),
    sa.Column("operation", sa.Text, primary_key=True),
    sa.Column("idempotency_key", sa.Text, primary_key=True),
    sa.Column("request_hash", sa.LargeBinary, nullable=False),
    sa.Column("status_code", sa.Integer, nullable=True),
    sa.Column("response", pg.JSONB, nullable=True),
    _instant("created_at", server_default=sa.func.clock_timestamp()),
    sa.Index("idempotency_by_age", "created_at"),
    schema="ops",
    comment="Answers given under idempotency keys. One row per tenant, caller, operation and key.",
)


tenant_calendar = sa.Table(
    "tenant_calendar",
    metadata,
    sa.Column("tenant_id", sa.Text, primary_key=True),
    sa.Column("time_zone", sa.Text, nullable=False),
    schema="ops",
    comment="Time zone of months and days; UTC for tenants without a row. One row per tenant that set one.",
)


def _score_table(table: PublishedTable) -> sa.Table:
    columns: list[sa.Column[object]] = [
        sa.Column("snapshot_id", sa.BigInteger, primary_key=True, autoincrement=False)
    ]
    key = FOLDED.get(table.name, table.key)
    kinds = {column.name: column for column in table.columns}
    if table.name in FOLDED:
        columns += [sa.Column(name, sa.Text, primary_key=True) for name in key]
        columns += [
            sa.Column("item_count", sa.Integer, nullable=False),
            sa.Column("items", pg.JSONB, nullable=False),
        ]
    else:
        columns += [
            sa.Column(
                column.name,
                _TYPES[column.type],
                primary_key=column.name in key,
                nullable=column.nullable,
                autoincrement=False,
            )
            for column in kinds.values()
        ]
    return sa.Table(table.name, metadata, *columns, schema="scores")


score_tables = {name: _score_table(table) for name, table in PUBLISHED_TABLES.items()}

live_pointer = sa.Table(
    "live_pointer",
    metadata,
    sa.Column(
        "snapshot_id",
        sa.BigInteger,
        sa.ForeignKey("scores.snapshot.snapshot_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("as_of", pg.JSONB, nullable=False),
    sa.Column("schema_fingerprint", sa.Text, nullable=True),
    _instant("published_at", server_default=sa.func.clock_timestamp()),
    sa.CheckConstraint("revision > 0", name="live_pointer_revision_positive"),
    schema="scores",
    comment="Up to which revision a snapshot was brought since it was loaded, and as of when. "
    "One row per snapshot.",
)


def _overlay_key(*names: str) -> list[sa.Column[object]]:
    """The snapshot that an overlay row lies over, and what it is about."""
    snapshot_id: sa.Column[object] = sa.Column(
        "snapshot_id",
        sa.BigInteger,
        sa.ForeignKey("scores.live_pointer.snapshot_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )
    about: list[sa.Column[object]] = [sa.Column(name, sa.Text, primary_key=True) for name in names]
    return [snapshot_id, *about]


live_profile = sa.Table(
    "live_profile",
    metadata,
    *_overlay_key("consumer_id"),
    sa.Column("tags", pg.JSONB, nullable=False),
    sa.Column("is_removed", sa.Boolean, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index("live_profile_revision", "snapshot_id", "revision"),
    schema="scores",
    comment="Tags that changed since the snapshot of profiles was loaded. One row per snapshot and consumer.",
)

live_price = sa.Table(
    "live_price",
    metadata,
    *_overlay_key("merchant_id", "sku_id"),
    *(
        sa.Column(column.name, _TYPES[column.type], nullable=column.nullable)
        for column in PUBLISHED_TABLES["prices"].columns
        if column.name not in PUBLISHED_TABLES["prices"].key
    ),
    sa.Column("revision", sa.BigInteger, nullable=False),
    schema="scores",
    comment="Prices that changed since the snapshot of prices was loaded. "
    "One row per snapshot, merchant and sku.",
)

sa.Index(
    "clearance_warnings_sku",
    *(score_tables["clearance_warnings"].c[name] for name in ("snapshot_id", "sku_id", "supplier_id")),
)
sa.Index(
    "channel_scores_category",
    *(score_tables["channel_scores"].c[name] for name in ("snapshot_id", "category_id", "rank")),
)
sa.Index(
    "wakeup_list_merchant",
    *(score_tables["wakeup_list"].c[name] for name in ("snapshot_id", "merchant_id", "rank", "consumer_id")),
)
sa.Index(
    "wakeup_list_rank",
    *(score_tables["wakeup_list"].c[name] for name in ("snapshot_id", "rank", "consumer_id")),
)
