"""`/v1/ledger`: posting by hand, balances, transactions and the hash chain."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.params import Parameter
from msgspec import Meta, Struct

from serving.api.answers import principal_of, problem_responses
from serving.api.approvals.four_eyes import Waiting, answer, two_people, two_people_responses
from serving.api.clock import now_of
from serving.api.cursor import cursor_after, read_cursor
from serving.api.parameters import CursorText, PageSize
from serving.api.refusals import typed_problems
from serving.api.transactions import note, tenant_transaction
from serving.approvals.asking import Ask
from serving.approvals.catalogue import MANUAL_POSTING
from serving.audit import Outcome
from serving.ledger import chain
from serving.ledger.accounts import PLATFORM, AccountKind, Party
from serving.ledger.balances import trial_balance
from serving.ledger.manual import moved_cents, suggestion_of
from serving.ledger.posting import Line, Posting
from serving.ledger.posting import post as book
from serving.orders.contracts import Id, Moment
from serving.problems import ApiError
from serving.security import Role, Scope
from serving.settings import Settings

_READERS = frozenset({Role.OPERATOR, Role.AUDITOR})
_READ = {"scope": Scope.LEDGER_READ, "roles": _READERS, "owner": None}
_IdempotencyKey = Annotated[
    str,
    Parameter(
        header="Idempotency-Key",
        min_length=1,
        max_length=128,
        pattern=r"^[\x21-\x7e]+(?!\n)$",
        description="The same key books once; with another body it answers 409.",
    ),
]


class EntryRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry. Credits (the holder has more) are positive; money at the channel stands negative."""

    account: Annotated[AccountKind, Meta(examples=["platform_fee"])]
    amount_cents: Annotated[int, Meta(ge=-(10**15), le=10**15, description="Fen, or points; never 0.")]
    party_type: Annotated[str, Meta(pattern=r"^(platform|supplier|merchant|agent|consumer)(?!\n)$")] = (
        PLATFORM.party_type
    )
    party_id: Annotated[str, Meta(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*(?!\n)$")] = PLATFORM.party_id


class TransactionRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A transaction; its entries sum to zero per unit."""

    kind: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}(?!\n)$", examples=["correction"])]
    booked_at: Annotated[Moment, Meta(description="Business time; not in a closed month.")]
    entries: Annotated[list[EntryRequest], Meta(min_length=2, max_length=500)]
    order_id: Id | None = None
    reason_code: Annotated[
        str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}(?!\n)$", examples=["rounding_difference"])
    ]
    reference_id: Annotated[Id | None, Meta(description="Where the reason is told in words.")] = None


class PostedView(Struct, frozen=True, kw_only=True):
    """A booked transaction."""

    transaction_id: int
    is_new: Annotated[bool, Meta(description="False when the key had booked it before.")]
    is_alone: Annotated[
        bool, Meta(description="True: the amount is one that a person posts without a second one.")
    ] = True


class AccountView(Struct, frozen=True, kw_only=True):
    """Balance of an account."""

    account: str
    party_type: str
    party_id: str
    unit: Annotated[str, Meta(description="`CNY` (fen) or `PT` (points).")]
    balance_cents: int


class AccountList(Struct, frozen=True, kw_only=True):
    """Accounts with their balances; over all accounts they sum to zero per unit."""

    accounts: list[AccountView]
    next_cursor: str | None


class EntryView(Struct, frozen=True, kw_only=True):
    """One entry."""

    entry_no: int
    account: str
    party_type: str
    party_id: str
    unit: str
    amount_cents: int
    leg_id: int | None


class TransactionView(Struct, frozen=True, kw_only=True):
    """A transaction with its entries."""

    transaction_id: int
    idempotency_key: str
    kind: str
    order_id: str | None
    booked_at: datetime
    recorded_at: datetime
    entries: list[EntryView]


class ChainView(Struct, frozen=True, kw_only=True):
    """The head of the hash chain; null in `is_verified` when nobody asked to verify."""

    block_no: int
    hash: str
    is_verified: bool | None
    difference: str | None


@post(
    "/ledger/transactions",
    opt={"scope": Scope.LEDGER_POST, "roles": frozenset({Role.OPERATOR}), "owner": None},
    tags=["Ledger"],
    summary="Post a transaction by hand",
    status_code=201,
    responses=two_people_responses(409),
    sync_to_thread=True,
)
def post_transaction(
    request: Request[Any, Any, Any], data: TransactionRequest, idempotency_key: _IdempotencyKey
) -> Response[PostedView | Waiting]:
    """Corrections and the like. Nothing that is booked can be changed, only posted against.

    202: another person must approve it first. 201: its amount lies within `MUYUN_ALONE_POSTING_CENTS`.
    """
    posting = _posting(data, idempotency_key)
    with typed_problems(), tenant_transaction(request) as conn:
        ask = Ask(
            kind=MANUAL_POSTING,
            subject=("posting", idempotency_key),
            suggestion=suggestion_of(posting),
            value_cents=moved_cents(posting),
        )

        def act() -> PostedView:
            posted = book(conn, principal_of(request).tenant_id, posting)
            outcome: Outcome = "done" if posted.is_new else "repeated"
            note(request, conn, "ledger.post", "transaction", str(posted.transaction_id), outcome=outcome)
            return PostedView(transaction_id=posted.transaction_id, is_new=posted.is_new)

        found = two_people(request, conn, ask, now_of(request, conn), act)
    return answer(found)


@get(
    "/ledger/accounts",
    opt={**_READ},
    tags=["Ledger"],
    summary="Balances",
    responses=problem_responses(),
    sync_to_thread=True,
)
def list_accounts(
    request: Request[Any, Any, Any],
    kind: Annotated[AccountKind | None, Parameter(description="Only accounts of this kind.")] = None,
    limit: PageSize = 500,
    cursor: CursorText = None,
) -> AccountList:
    """The accounts of the tenant, by kind and party."""
    position = read_cursor(cursor, "accounts")
    after = ("", "", "") if position is None else tuple(map(str, position.key))
    with tenant_transaction(request) as conn:
        rows = trial_balance(
            conn, [kind] if kind is not None else [], after=(after[0], after[1], after[2]), limit=limit + 1
        )
        note(request, conn, "ledger.read_accounts", "account", kind or "*")
    found = rows[:limit]
    following = cursor_after(
        rows, limit, "accounts", lambda one: [one.kind, one.party.party_type, one.party.party_id]
    )
    return AccountList(
        next_cursor=following,
        accounts=[
            AccountView(
                account=row.kind,
                party_type=row.party.party_type,
                party_id=row.party.party_id,
                unit=row.unit,
                balance_cents=row.amount,
            )
            for row in found
        ],
    )


@get(
    "/ledger/transactions/{transaction_id:int}",
    opt={**_READ},
    tags=["Ledger"],
    summary="A transaction",
    responses=problem_responses(404),
    sync_to_thread=True,
)
def get_transaction(
    request: Request[Any, Any, Any], transaction_id: Annotated[int, Parameter(ge=1, le=2**63 - 1)]
) -> TransactionView:
    """The transaction and its entries in order."""
    with tenant_transaction(request) as conn:
        head = conn.execute(
            "select transaction_id, idempotency_key, kind, order_id, booked_at, recorded_at"
            " from ledger.transaction where transaction_id = %s",
            (transaction_id,),
        ).fetchone()
        if head is None:
            detail = f"There is no transaction {transaction_id}."
            raise ApiError(404, "transaction-not-found", "No such transaction", detail)
        entries = conn.execute(
            "select e.entry_no, a.kind, a.party_type, a.party_id, e.unit, e.amount, e.leg_id"
            " from ledger.entry e join ledger.account a using (account_id)"
            " where e.transaction_id = %s order by e.entry_no",
            (transaction_id,),
        ).fetchall()
        note(request, conn, "ledger.read", "transaction", str(transaction_id))
    names = ("entry_no", "account", "party_type", "party_id", "unit", "amount_cents", "leg_id")
    return TransactionView(
        transaction_id=head[0],
        idempotency_key=head[1],
        kind=head[2],
        order_id=head[3],
        booked_at=head[4],
        recorded_at=head[5],
        entries=[EntryView(**dict(zip(names, row, strict=True))) for row in entries],
    )


@get(
    "/ledger/chain",
    opt={**_READ},
    tags=["Ledger"],
    summary="The hash chain",
    responses=problem_responses(),
    sync_to_thread=True,
)
def get_chain(
    request: Request[Any, Any, Any],
    verify: Annotated[bool, Parameter(description="Recompute every block and compare the anchors.")] = False,
) -> ChainView:
    """The head; with `verify` every block is recomputed, which takes longer the longer the ledger is."""
    settings: Settings = request.app.state.settings
    with tenant_transaction(request) as conn:
        note(request, conn, "ledger.read_chain", "chain", "head")
        # The chain spans all tenants and belongs to the owner of the tables; only hashes leave this block.
        conn.execute("set local role none")
        row = conn.execute(
            "select block_no, encode(hash, 'hex') from ledger.chain_block order by block_no desc limit 1"
        ).fetchone()
        block_no, digest = row if row else (0, chain.GENESIS.hex())
        if not verify:
            return ChainView(block_no=block_no, hash=digest, is_verified=None, difference=None)
        try:
            head = chain.verify(conn, chain.anchors_of(settings.home))
        except chain.ChainBrokenError as error:
            return ChainView(block_no=block_no, hash=digest, is_verified=False, difference=str(error))
    return ChainView(block_no=head.block_no, hash=head.hash.hex(), is_verified=True, difference=None)


LEDGER_ROUTES = [post_transaction, list_accounts, get_transaction, get_chain]


def _posting(data: TransactionRequest, key: str) -> Posting:
    lines = [
        Line(entry.account, entry.amount_cents, Party(entry.party_type, entry.party_id))
        for entry in data.entries
    ]
    details = {"reason_code": data.reason_code, "reference_id": data.reference_id}
    told = {name: found for name, found in details.items() if found is not None}
    return Posting(f"manual:{key}", data.kind, data.booked_at, lines, data.order_id, told)
