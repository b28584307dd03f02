"""Reads the published scores for the API: one statement an answer, rows to documents. No HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, LiteralString

import msgspec

from serving.db.pool import Pool, Rows
from serving.experiments.trials import Chosen, ListArm, Trial, chosen_of, trials_in
from serving.scores import documents, queries
from serving.scores.live import PRICES_AS_OF, read_instants
from serving.scores.session import Act, Link, Links, ordered

_ITEMS = msgspec.json.Decoder(list[documents.RecommendedItem])
_CUTS = msgspec.json.Decoder(list[documents.MarkdownCut])
_BACKUPS = msgspec.json.Decoder(list[documents.BackupSupplier])
_NAMES = msgspec.json.Decoder(list[str])
_REMINDERS = msgspec.json.Decoder(list[documents.RebuyReminder])
_LINKS = msgspec.json.Decoder(list[Link])
_ACTS = msgspec.json.Decoder(tuple[Act, ...])
_ANY = msgspec.json.Decoder()
_AS_IT_IS = ListArm(name="")
_MOST_ACTS = 50
LONGEST_LIST = 1_000
"""Items of a list that are looked at, at most."""
_GONE_A_LIST = 5
"""Items that are expected to be gone among those that are wanted, at most; else the list is read again."""


@dataclass(frozen=True)
class Shown:
    """The version that an answer comes from.

    Attributes:
        version: The published version.
        as_of: Its business time.
        revision: The newest delta that lies over the table that was read; 0 when there is none.
        live_as_of: Moment up to which deltas brought the table: by refresh class for profiles, under
            `prices` for prices; empty when there is none.
    """

    version: str
    as_of: datetime
    revision: int = 0
    live_as_of: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def newest(self) -> datetime:
        """The latest moment that anything of the answer is for."""
        return max((self.as_of, *self.live_as_of.values()))


@dataclass(frozen=True)
class RankedList:
    """A consumer's list, or the merchant's popular items when `is_fallback`; `is_cut` when there is more.

    `acts` is what the consumer did at the merchant since a day before the publication; `trials` the
    experiments on lists that run, where the consumer has a list; `chosen` the arm that the answer comes from.
    """

    shown: Shown
    items: list[documents.RecommendedItem]
    is_fallback: bool
    merchant_known: bool
    is_cut: bool = False
    acts: tuple[Act, ...] = ()
    trials: tuple[Trial, ...] = ()
    chosen: Chosen | None = None


@dataclass(frozen=True)
class Page:
    """Rows of one list in one version; `owner_known` says whether an empty page belongs to anybody."""

    shown: Shown
    rows: list[Any]
    owner_known: bool


@dataclass(frozen=True)
class StoredProfile:
    """A profile as published, and what changed since.

    Attributes:
        tags: The published JSON document; None for a consumer who came after the publication.
        schema_fingerprint: The tag schema that the documents were written under.
        as_of: The moment that the published document describes.
        changed: The tags that deltas changed, as a JSON document; None when there are none.
        consents: Purpose to what the consumer last said about it; empty when they never did.
    """

    tags: str | None
    schema_fingerprint: str
    as_of: datetime
    changed: str | None
    consents: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Segment:
    """What is known of a segment beside its members."""

    description: str
    member_count: int
    entered_count: int
    left_count: int


@dataclass(frozen=True)
class SegmentMembers:
    """A page of a segment; no segment means that the version does not know it."""

    shown: Shown
    segment: Segment | None
    members: list[documents.SegmentMember]


class ScoreReader:
    """The reads of the API for one tenant. None stands for: nothing published, or the version is gone.

    Args:
        pool: Connections to the database.
        tenant_id: Whose publications are read.
    """

    def __init__(self, pool: Pool, tenant_id: str) -> None:
        self._pool = pool
        self._tenant_id = tenant_id

    async def _fetch(self, query: LiteralString, values: Mapping[str, object]) -> Rows:
        return await self._pool.fetch(query, values, tenant_id=self._tenant_id)

    async def recommendations(
        self, merchant_id: str, consumer_id: str, *, wanted: int = LONGEST_LIST
    ) -> RankedList | None:
        """The list of a consumer at a merchant, else what is popular there; only what can be sold now.

        A consumer whom an experiment has gets what their arm shows. Whoever shows it notes that
        (`serving.experiments.trials.note_shown`).

        Args:
            merchant_id: The merchant.
            consumer_id: The consumer.
            wanted: So many items are enough; there may be more.
        """
        found = await self._sellable(merchant_id, consumer_id, wanted, _AS_IT_IS)
        if found is None:
            return None
        chosen = chosen_of(self._tenant_id, consumer_id, found.trials)
        if chosen is not None:
            if chosen.arm.list == "popular" or chosen.arm.version is not None:
                other = await self._sellable(merchant_id, consumer_id, wanted, chosen.arm)
                # A version that went this moment: the consumer gets the list of everybody, and no arm acted.
                found = found if other is None else replace(other, chosen=chosen)
            else:
                found = replace(found, chosen=chosen)
            if chosen.arm.session is False:
                return found
        return await self._ordered(found)

    async def _sellable(
        self, merchant_id: str, consumer_id: str, wanted: int, arm: ListArm
    ) -> RankedList | None:
        """A list of which so many items can be sold, if there are as many."""
        looked_at = min(wanted + _GONE_A_LIST, LONGEST_LIST)
        found = await self._list(merchant_id, consumer_id, looked_at, arm)
        if found is not None and found.is_cut and (found.acts or len(found.items) < wanted):
            found = await self._list(merchant_id, consumer_id, LONGEST_LIST, arm)
        return found

    async def _ordered(self, found: RankedList) -> RankedList:
        """A list as what the consumer just did orders it."""
        if not found.acts:
            return found
        acted = {act.sku_id for act in found.acts}
        return replace(found, items=ordered(found.items, found.acts, await self._links(acted)))

    async def _links(self, skus: set[str]) -> Links:
        """What goes with some skus; nothing where the session lane does not serve."""
        rows = await self._fetch(queries.SESSION_LINKS, {"skus": sorted(skus)})
        return {sku: {one.linked_sku_id: one.weight for one in _LINKS.decode(items)} for sku, items in rows}

    async def _list(
        self, merchant_id: str, consumer_id: str, looked_at: int, arm: ListArm
    ) -> RankedList | None:
        """What can be sold of the first items of a list."""
        values = {
            "merchant_id": merchant_id,
            "consumer_id": consumer_id,
            "looked_at": looked_at,
            "most_acts": _MOST_ACTS,
            "own": arm.list != "popular",
            "list_version": arm.version,
        }
        rows = await self._fetch(queries.RECOMMENDATIONS, values)
        if not rows:
            return None
        version, as_of, own, popular, merchant_known, not_for_sale, acts, trials = rows[0]
        gone = frozenset(not_for_sale or ())
        published = _ITEMS.decode(own or popular or "[]")
        items = [item for item in published[:looked_at] if item.sku_id not in gone]
        return RankedList(
            Shown(version, as_of),
            items,
            own is None,
            merchant_known,
            is_cut=len(published) > looked_at,
            acts=_ACTS.decode(acts) if acts else (),
            trials=trials_in(trials),
        )

    async def price(self, merchant_id: str, sku_id: str) -> Page | None:
        """The price of a listing as a page of at most one row."""
        values = {"merchant_id": merchant_id, "sku_id": sku_id}
        return _price_page(await self._fetch(queries.PRICE, values), merchant_id)

    async def prices(self, merchant_id: str, *, version: str | None, after: str, limit: int) -> Page | None:
        """Prices of a merchant after a sku; one row more than `limit` if there is one."""
        values = {"merchant_id": merchant_id, "version": version, "after": after, "rows": limit + 1}
        return _price_page(await self._fetch(queries.PRICES, values), merchant_id)

    async def reorder_by_supplier(
        self, supplier_id: str, *, version: str | None, after: str, min_qty: int, limit: int
    ) -> Page | None:
        """Suggestions of a supplier after a sku."""
        values = {
            "supplier_id": supplier_id,
            "version": version,
            "after": after,
            "min_qty": min_qty,
            "rows": limit + 1,
        }

        def document(row: Sequence[Any]) -> documents.ReorderSuggestion:
            return documents.ReorderSuggestion(
                supplier_id=supplier_id,
                sku_id=row[0],
                on_hand_qty=row[1],
                lead_time_days=row[2],
                demand_mean_qty=row[3],
                demand_p90_qty=row[4],
                order_up_to_qty=row[5],
                reorder_qty=row[6],
                order_by_on=row[7],
                is_stalled=row[8],
                reason_code=row[9],
                explanation=_ANY.decode(row[10]),
            )

        return _page(await self._fetch(queries.REORDER_BY_SUPPLIER, values), document)

    async def reorder_by_merchant(
        self, merchant_id: str, *, version: str | None, after: tuple[str, str], min_qty: int, limit: int
    ) -> Page | None:
        """Shares of a merchant after a (sku, supplier)."""
        values = {
            "merchant_id": merchant_id,
            "version": version,
            "after": after[0],
            "after_supplier": after[1],
            "min_qty": min_qty,
            "rows": limit + 1,
        }

        def document(row: Sequence[Any]) -> documents.MerchantShare:
            return documents.MerchantShare(
                merchant_id=merchant_id,
                sku_id=row[0],
                supplier_id=row[1],
                expected_qty=row[2],
                reorder_qty=row[3],
                order_by_on=row[4],
                reason_code=row[5],
            )

        return _page(await self._fetch(queries.REORDER_BY_MERCHANT, values), document)

    async def clearance_by_supplier(
        self, supplier_id: str, *, version: str | None, after: str, limit: int
    ) -> Page | None:
        """Warnings about a supplier's stock after a sku."""
        values = {"supplier_id": supplier_id, "version": version, "after": after, "rows": limit + 1}
        return _page(await self._fetch(queries.CLEARANCE_BY_SUPPLIER, values), _clearance)

    async def clearance_by_merchant(
        self, merchant_id: str, *, version: str | None, after: tuple[str, str], limit: int
    ) -> Page | None:
        """Warnings about the stock of what a merchant sells, after a (sku, supplier)."""
        values = {
            "merchant_id": merchant_id,
            "version": version,
            "after": after[0],
            "after_supplier": after[1],
            "rows": limit + 1,
        }
        return _page(await self._fetch(queries.CLEARANCE_BY_MERCHANT, values), _clearance)

    async def supplier_grades(
        self, supplier_id: str | None, *, version: str | None, after: str, limit: int
    ) -> Page | None:
        """Grades of suppliers after one of them, or that of one supplier."""
        values = {"supplier_id": supplier_id, "version": version, "after": after, "rows": limit + 1}
        return _page(await self._fetch(queries.SUPPLIER_GRADES, values), _supplier_grade)

    async def channels_of_supplier(
        self, supplier_id: str, *, version: str | None, after: str, limit: int
    ) -> Page | None:
        """A supplier's channels after a category."""
        values = {"supplier_id": supplier_id, "version": version, "after": after, "rows": limit + 1}
        return _page(await self._fetch(queries.CHANNELS_OF_SUPPLIER, values), _channel_score)

    async def channels_of_category(
        self, category_id: str, *, version: str | None, after: int, limit: int
    ) -> Page | None:
        """The channels of a category after a rank, the best first."""
        values = {"category_id": category_id, "version": version, "after": after, "rows": limit + 1}
        return _page(await self._fetch(queries.CHANNELS_OF_CATEGORY, values), _channel_score)

    async def supply_resilience(self, *, version: str | None, after: str, limit: int) -> Page | None:
        """How far categories lean on one supplier, after a category."""
        values = {"version": version, "after": after, "rows": limit + 1}
        return _page(await self._fetch(queries.SUPPLY_RESILIENCE, values), _resilience)

    async def supply_proposals(
        self, category_id: str | None, *, version: str | None, after: tuple[str, str, str], limit: int
    ) -> Page | None:
        """What should change, of one category or all, after a (category, sku, supplier)."""
        values = {
            "category_id": category_id,
            "version": version,
            "after": after[0],
            "after_sku": after[1],
            "after_supplier": after[2],
            "rows": limit + 1,
        }
        return _page(await self._fetch(queries.SUPPLY_PROPOSALS, values), _proposal)

    async def supply_failures(
        self, supplier_id: str | None, *, version: str | None, after: str, limit: int
    ) -> Page | None:
        """What the failure of a supplier would cost, of one or all, after a supplier."""
        values = {"supplier_id": supplier_id, "version": version, "after": after, "rows": limit + 1}
        return _page(await self._fetch(queries.SUPPLY_FAILURES, values), _failure)

    async def assortment(
        self, merchant_id: str | None, *, version: str | None, after: tuple[str, int], limit: int
    ) -> Page | None:
        """What merchants should take in, of one or all, after a (merchant, rank)."""
        values = {
            "merchant_id": merchant_id,
            "version": version,
            "after": after[0],
            "after_rank": after[1],
            "rows": limit + 1,
        }
        return _page(await self._fetch(queries.ASSORTMENT, values), _assortment)

    async def wakeup(
        self,
        merchant_id: str | None,
        *,
        version: str | None,
        after: tuple[int, str],
        with_control: bool,
        limit: int,
    ) -> Page | None:
        """The wake-up list, of one merchant or all, after a (rank, consumer)."""
        values: Mapping[str, object] = {
            "merchant_id": merchant_id,
            "version": version,
            "after_rank": after[0],
            "after": after[1],
            "with_control": with_control,
            "rows": limit + 1,
        }
        query = queries.WAKEUP_ALL if merchant_id is None else queries.WAKEUP_BY_MERCHANT
        rows = await self._fetch(query, values)
        if not rows:
            return None
        owner_known = True if merchant_id is None else bool(rows[0][14])
        entries = [
            documents.WakeupEntry(
                rank=row[2],
                consumer_id=row[3],
                merchant_id=row[4],
                dormant_days=row[5],
                churn_probability=row[6],
                expected_value_cents=row[7],
                is_high_value=row[8],
                offer_code=row[9],
                offer_threshold_cents=row[10],
                offer_value_cents=row[11],
                reason_codes=_ANY.decode(row[12]),
                is_control=row[13] if with_control else None,
            )
            for row in rows
            if row[3] is not None
        ]
        return Page(Shown(rows[0][0], rows[0][1]), entries, owner_known)

    async def profiles(
        self, consumers: Sequence[str], *, merchant_id: str | None
    ) -> tuple[Shown, dict[str, StoredProfile]] | None:
        """The profiles of some consumers, all of one revision; with a merchant, only of its own consumers."""
        values = {"consumers": list(consumers), "merchant_id": merchant_id}
        rows = await self._fetch(queries.PROFILES, values)
        if not rows:
            return None
        version, as_of, revision, live_as_of = rows[0][:4]
        found = {}
        for _, _, _, _, consumer_id, profile_as_of, fingerprint, tags, changed, is_hidden, consents in rows:
            if not is_hidden and (tags is not None or changed is not None):
                found[consumer_id] = StoredProfile(
                    tags, fingerprint or "", profile_as_of or as_of, changed, consents or {}
                )
        return Shown(version, as_of, revision, read_instants(live_as_of)), found

    async def rebuy_reminders(self, consumer_id: str, *, merchant_id: str | None) -> Page | None:
        """What a consumer is likely to buy again; `owner_known` says whether the consumer is published."""
        values = {"consumer_id": consumer_id, "merchant_id": merchant_id}
        rows = await self._fetch(queries.REBUY, values)
        if not rows:
            return None
        version, as_of, items, known = rows[0]
        return Page(Shown(version, as_of), _REMINDERS.decode(items or "[]"), known)

    async def segment(
        self,
        name: str,
        *,
        show: documents.SegmentShow,
        days: int,
        version: str | None,
        after: str,
        limit: int,
    ) -> SegmentMembers | None:
        """A segment, and its consumers after one; one more than `limit` if there is one."""
        values = {
            "segment": name,
            "show": show,
            "days": days,
            "version": version,
            "after": after,
            "rows": limit + 1,
        }
        rows = await self._fetch(queries.SEGMENT, values)
        if not rows:
            return None
        head = rows[0]
        members = [
            documents.SegmentMember(consumer_id=row[7], entered_on=row[8], left_on=row[9])
            for row in rows
            if row[7] is not None
        ]
        return SegmentMembers(
            Shown(head[0], head[1]), None if head[2] is None else Segment(*head[3:7]), members
        )

    async def segments(self, *, days: int) -> Page | None:
        """Every segment of the version that readers see, by name."""
        rows = await self._fetch(queries.SEGMENTS, {"days": days, "version": None})
        if not rows:
            return None
        listed = [
            documents.SegmentSummary(
                segment=row[2],
                description=row[3],
                member_count=row[4],
                entered_count=row[5],
                left_count=row[6],
            )
            for row in rows
            if row[2] is not None
        ]
        return Page(Shown(rows[0][0], rows[0][1]), listed, owner_known=True)

    async def current_publication(self) -> documents.Publication | None:
        """The version that readers see."""
        rows = await self._fetch(queries.CURRENT_PUBLICATION, {})
        return _publication(rows[0]) if rows else None

    async def publications(self, *, after: str | None, limit: int) -> list[documents.Publication]:
        """Versions after one, newest load first; one more than `limit` if there is one."""
        rows = await self._fetch(queries.PUBLICATIONS, {"after": after, "rows": limit + 1})
        return [_publication(row) for row in rows]


def _page(rows: list[tuple[Any, ...]], document: Any) -> Page | None:
    """A page from rows of (version, as_of, owner known, key, ...); a null key means no row."""
    if not rows:
        return None
    found = [document(row[3:]) for row in rows if row[3] is not None]
    return Page(Shown(rows[0][0], rows[0][1]), found, bool(rows[0][2]))


def _assortment(row: Sequence[Any]) -> documents.AssortmentSuggestion:
    return documents.AssortmentSuggestion(
        merchant_id=row[0],
        rank=row[1],
        sku_id=row[2],
        scene=row[3],
        category_id=row[4],
        horizon_days=row[5],
        expected_qty=row[6],
        expected_margin_cents=row[7],
        list_price_cents=row[8],
        supplier_id=row[9],
        supply_price_cents=row[10],
        backups=_BACKUPS.decode(row[11]),
        is_new_product=row[12],
        propensity=row[13],
        basis=row[14],
        reason_code=row[15],
        explanation=_ANY.decode(row[16]),
        decision=row[17],
    )


def _resilience(row: Sequence[Any]) -> documents.CategoryResilience:
    return documents.CategoryResilience(
        category_id=row[0],
        units_per_day=row[1],
        suppliers=row[2],
        main_supplier_id=row[3],
        main_share=row[4],
        is_main_too_large=row[5],
        backup_share=row[6],
        is_backup_too_small=row[7],
        trial_share=row[8],
        trial_skus=_NAMES.decode(row[9]),
        moved_share=row[10],
        extra_cents_per_day=row[11],
    )


def _proposal(row: Sequence[Any]) -> documents.SupplyProposal:
    return documents.SupplyProposal(
        category_id=row[0],
        sku_id=row[1],
        supplier_id=row[2],
        units_per_day=row[3],
        proposed_per_day=row[4],
    )


def _failure(row: Sequence[Any]) -> documents.SupplierFailure:
    return documents.SupplierFailure(
        supplier_id=row[0],
        horizon_days=row[1],
        skus=row[2],
        units=row[3],
        lost_units=row[4],
        lost_sales_cents=row[5],
        extra_cost_cents=row[6],
        extra_days=row[7],
        days_until_short=row[8],
        lost_skus=_NAMES.decode(row[9]),
    )


def _clearance(row: Sequence[Any]) -> documents.ClearanceWarning:
    return documents.ClearanceWarning(
        sku_id=row[0],
        supplier_id=row[1],
        on_hand_qty=row[2],
        sold_qty=row[3],
        window_days=row[4],
        turnover_rate=row[5],
        days_to_clear_now=row[6],
        price_cents=row[7],
        cost_cents=row[8],
        elasticity=row[9],
        cuts=_CUTS.decode(row[10]),
    )


def _graded(row: Sequence[Any]) -> dict[str, Any]:
    """What a grade of a supplier and one of a channel have in common."""
    names = ("supplier_id", "grade", "gate", "score", "score_low", "score_high", "quality", "fulfilment",
             "price", "line_count", "graded_on")  # fmt: skip
    return {**dict(zip(names, row, strict=False)), "explanation": _ANY.decode(row[11])}


def _supplier_grade(row: Sequence[Any]) -> documents.SupplierGrade:
    return documents.SupplierGrade(**_graded(row), channels=row[12])


def _channel_score(row: Sequence[Any]) -> documents.ChannelScore:
    return documents.ChannelScore(**_graded(row), category_id=row[12], rank=row[13])


def _price_page(rows: list[tuple[Any, ...]], merchant_id: str) -> Page | None:
    """A page of prices; their rows also name the revision and up to when the prices are right."""
    page = _page([(*row[:2], *row[4:]) for row in rows], _price_of(merchant_id))
    if page is None or not rows[0][2]:
        return page
    live_as_of = {PRICES_AS_OF: datetime.fromisoformat(rows[0][3])}
    return replace(page, shown=replace(page.shown, revision=rows[0][2], live_as_of=live_as_of))


def _price_of(merchant_id: str) -> Any:
    def document(row: Sequence[Any]) -> documents.Price:
        return documents.Price(
            merchant_id=merchant_id,
            sku_id=row[0],
            cost_cents=row[1],
            list_price_cents=row[2],
            price_cents=row[3],
            floor_cents=row[4],
            ceiling_cents=row[5],
            anchor_cents=row[6],
            printed_formula_cents=row[7],
            elasticity=row[8],
            pricing_mode=row[9],
            action=row[10],
            explanation=_ANY.decode(row[11]),
        )

    return document


def _publication(row: Sequence[Any]) -> documents.Publication:
    return documents.Publication(
        version=row[0],
        created_at=row[1],
        as_of=row[2],
        data_from=row[3],
        data_to=row[4],
        model_versions=row[5],
        row_counts=row[6],
        content_hash=row[7],
        status=row[8],
        is_current=row[9],
        kind=row[10],
        is_pinned=row[11],
    )
