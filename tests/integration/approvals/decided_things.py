"""A desk at which people ask and decide, in transactions of their own, and kinds with effects that count."""

import datetime as dt

from serving.approvals import batches, decisions
from serving.approvals.asking import Ask, request
from serving.approvals.decisions import Decider, Seen
from serving.approvals.effects import Effects, Wired
from serving.approvals.errors import ApprovalError
from serving.approvals.expiry import run_clock
from serving.approvals.kinds import Kind, Rail
from serving.approvals.records import ApprovalFilter, page_of_approvals, read_approval, read_decisions
from serving.audit import record
from serving.ledger.accounts import AccountKind
from serving.ledger.posting import Line, Posting, post
from serving.security import ROLE_SCOPES, Principal, Role, Scope

NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
_KIND = {
    "roles": frozenset({Role.OPERATOR}),
    "scope": Scope.SETTLEMENT_APPROVE,
    "reasons": frozenset({"too_high"}),
    "validity": 7 * DAY,
    "rails": {"cents": Rail(1, "most_cents")},
    "second_above_cents": 1_000,
}
TRANSFER = Kind(name="transfer", **_KIND)
UNIQUE = Kind(name="unique_transfer", is_unique=True, **_KIND)
QUIET = Kind(name="quiet_transfer", quiet=10 * DAY, watched="cents", moves_bps=1_000, **_KIND)


class EffectRefusedError(ApprovalError):
    """The test's effect refuses."""


def _book(conn, tenant_id, approval, now):
    """Moves the cents from the fee to the subsidy; refuses, after it has written, what is 13 fen."""
    cents = approval.wanted["cents"]
    lines = [Line(AccountKind.PLATFORM_FEE, -cents), Line(AccountKind.SUBSIDY, cents)]
    posted = post(conn, tenant_id, Posting(f"approval:{approval.approval_id}", "correction", now, lines))
    if cents == 13:
        raise EffectRefusedError("thirteen")
    return {"transaction_id": posted.transaction_id}


EFFECTS = Effects([Wired(TRANSFER, _book), Wired(UNIQUE, _book), Wired(QUIET, _book)])


class Desk:
    """People by name; every act is a transaction with its audit row, as in the API."""

    def __init__(self, operations, tenant):
        self.operations, self.tenant = operations, tenant

    def person(self, name):
        return Principal(name, self.tenant, Role.OPERATOR, None, ROLE_SCOPES[Role.OPERATOR])

    def transaction(self):
        return self.operations.transaction(self.tenant)

    def ask(self, subject="s", cents=100, by="anna", kind=TRANSFER, now=NOW, **more):
        """Ask; by a job when its name begins with `job:`."""
        asker = by.removeprefix("job:") if by.startswith("job:") else self.person(by)
        suggestion = {"cents": cents, "most_cents": cents}
        ask = Ask(
            **{
                "kind": kind,
                "subject": ("thing", subject),
                "suggestion": suggestion,
                "value_cents": cents,
                **more,
            }
        )
        with self.transaction() as conn:
            return request(conn, self.tenant, ask, asker, now)

    def act(self, name, approval, by, *arguments, now=NOW):
        """Decide about a request as this approval shows it."""
        seen = Seen(approval_id=approval.approval_id, version=approval.version, digest=approval.digest)
        person = self.person(by)
        with self.transaction() as conn:
            done = getattr(decisions, name)(
                conn, EFFECTS, seen, Decider(principal=person, now=now), *arguments
            )
            record(conn, person, f"approval.{name}", "approval", str(approval.approval_id), request_id="r")
        return done

    def clock(self, now):
        return run_clock(self.transaction, EFFECTS, self.tenant, now)

    def read(self, approval):
        with self.transaction() as conn:
            return read_approval(conn, self.tenant, approval.approval_id)

    def log(self, approval):
        with self.transaction() as conn:
            return read_decisions(conn, self.tenant, approval.approval_id)

    def all(self, **wanted):
        with self.transaction() as conn:
            return page_of_approvals(conn, self.tenant, ApprovalFilter(**wanted), before=None, limit=10_000)

    def freeze(self, by="berta", now=NOW, **more):
        with self.transaction() as conn:
            return batches.freeze(conn, self.person(by), now, **{"kind": "transfer", "bucket": "all", **more})

    def decide(self, frozen, action, by="berta", now=NOW, **more):
        decider = Decider(principal=self.person(by), now=now)
        with self.transaction() as conn:
            return batches.decide(conn, EFFECTS, frozen.batch_id, frozen.digest, decider, action, **more)

    def booked(self):
        """Fen that effects moved."""
        with self.transaction() as conn:
            row = conn.execute(
                "select coalesce(sum(amount), 0)::bigint from ledger.account_balance where kind = 'subsidy'"
            ).fetchone()
        return row[0]

    def audited(self):
        with self.transaction() as conn:
            rows = conn.execute("select action, object_id from ops.audit_log order by audit_id")
            return rows.fetchall()
