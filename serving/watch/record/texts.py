"""The text of a record that is hashed, as SQL: one home for sealing, verifying and showing."""

from __future__ import annotations

from typing import Final, LiteralString

OBSERVATION: Final[LiteralString] = (
    "jsonb_build_array('observation', o.observation_id, o.kind, o.supplier_id, o.warehouse_id, o.sku_id,"
    " o.shipment_id, o.batch_id, o.device_id, o.place, o.status, o.qty, o.reading, o.reading_unit,"
    " to_char(o.occurred_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
    " to_char(o.received_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))::text"
)
"""Of `watch.observation o`."""

STEP: Final[LiteralString] = (
    "jsonb_build_array('step', e.event_id, e.alarm_id, a.kind, a.object_id, e.event, e.by, e.details,"
    " to_char(e.happened_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))::text"
)
"""Of `watch.alarm_event e` with its `watch.alarm a`."""

RECORDS: Final[LiteralString] = (
    f"select 'observation' as kind, o.observation_id as record_id, o.xact_id, {OBSERVATION} as text"
    " from watch.observation o where o.tenant_id = %(tenant)s"
    f" union all select 'step', e.event_id::text, e.xact_id, {STEP}"
    " from watch.alarm_event e join watch.alarm a using (tenant_id, alarm_id) where e.tenant_id = %(tenant)s"
)
"""Every record of a tenant: kind, id, transaction and text."""
