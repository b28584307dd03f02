"""A small market in a database, and shortcuts to fill it, for the tests of orders."""

from datetime import UTC, datetime, timedelta

from serving.orders import records
from serving.orders.after_sales import after_sales, returns
from serving.orders.assortment import catalogue, losses, stock
from serving.orders.coupons import issuing, store
from serving.orders.coupons.programme import Share, Terms
from serving.orders.paying import payments
from serving.orders.placing import placing
from serving.settlement.plans.profiles import load_shipped, shipped_text
from serving.settlement.plans.store import publish_plan

TENANT = "default"
STRICT = load_shipped("cn_strict")
NOW = datetime(2026, 11, 1, 8, tzinfo=UTC)


class Shop:
    """A small market in a database, and shortcuts to fill it."""

    def __init__(self, url, operations):
        self.url = url
        self.operations = operations

    def transaction(self, tenant=TENANT):
        return self.operations.transaction(tenant)

    def sql(self, query, **values):
        with self.transaction() as conn:
            cursor = conn.execute(query, values)
            return cursor.fetchall() if cursor.description else None

    def supply(
        self, supplier, sku, qty, *, price=1000, freight=0, days=1, smallest=1, buffer=0, region=None, at=NOW
    ):
        offer = catalogue.Offer(supplier, sku, price, freight, days, at, smallest, region)
        with self.transaction() as conn:
            catalogue.put_offers(conn, TENANT, [offer])
            stock.report_stock(conn, TENANT, supplier, [stock.StockReport(sku, qty, buffer, at)], at)

    def list(self, sku, price, merchant="m1"):
        with self.transaction() as conn:
            catalogue.put_products(
                conn, TENANT, [catalogue.Product(sku, f"title of {sku}", ("leaf", "root"))]
            )
            catalogue.put_listings(conn, TENANT, [catalogue.Listing(merchant, sku, price)])

    def may_lose(self, cents, merchant="m1", days=366):
        """Let the lines of a merchant lose that much a day."""
        first = NOW.date()
        last = first + timedelta(days=days - 1)
        with self.transaction() as conn:
            return losses.set_budget(conn, TENANT, merchant, first, last, cents)

    def agent(self, agent_id, *, inviter=None, manager=None, tier="none", evidence=False):
        with self.transaction() as conn:
            conn.execute(
                "insert into parties.party (tenant_id, party_type, party_id, is_verified, has_contract)"
                " values (%s, 'agent', %s, true, true)",
                (TENANT, agent_id),
            )
            conn.execute(
                "insert into agents.agent (tenant_id, agent_id, inviter_agent_id, manager_agent_id, depth,"
                " tier, has_service_evidence) values (%s, %s, %s, %s, 1, %s, %s)",
                (TENANT, agent_id, inviter, manager, tier, evidence),
            )

    def hears(self, supplier):
        """Let a supplier have an endpoint of webhooks; nothing is sent there."""
        self.sql(
            "insert into orders.webhook_endpoint (tenant_id, endpoint_id, party_type, party_id, url,"
            " secret_enc) values (%(t)s, %(e)s, 'supplier', %(s)s, 'https://s.example/hook', 'x')",
            t=TENANT,
            e=f"we-{supplier}",
            s=supplier,
        )

    def plan(self, name="cn_strict", merchant=""):
        """Settle a merchant by a plan that ships; without a merchant, all that have none of their own."""
        with self.transaction() as conn:
            plan = publish_plan(conn, TENANT, shipped_text(name), NOW)
            conn.execute(
                "insert into settlement.merchant_plan (tenant_id, merchant_id, plan_id, effective_at)"
                " values (%s, %s, %s, %s) on conflict do nothing",
                (TENANT, merchant, plan.plan_id, plan.effective_at),
            )
        return plan

    def programme(self, *, issuer=("platform", ""), agree=True, name="sale", **terms):
        """Open a coupon programme in force, by default one of the platform, and let its funders agree."""
        shares = terms.pop("funders", {issuer: 10_000})
        values = {
            "funders": tuple(
                Share(party_type=kind, party_id=party, share_bps=bps) for (kind, party), bps in shares.items()
            ),
            "budget_cents": 10**9,
            "budget_count": 10**6,
            "per_consumer_count": 10**6,
            "valid_from": NOW - timedelta(days=1),
            "valid_to": NOW + timedelta(days=90),
        }
        merchant = next((party for kind, party in (issuer, *shares) if kind == "merchant"), None)
        values |= {"merchant_ids": (merchant,)} if merchant else {}
        with self.transaction() as conn:
            made = store.open_programme(conn, TENANT, *issuer, name, Terms(**(values | terms)), "test", NOW)
            for (kind, party), _ in shares.items() if agree else ():
                digest = made.terms.digest()
                store.consent(conn, TENANT, made.programme_id, kind, party, digest, "test", NOW)
        return made.programme_id

    def code(self, programme_id, *, at=NOW, **more):
        """Issue one coupon of a programme."""
        with self.transaction() as conn:
            return issuing.issue(conn, TENANT, programme_id, at, **more)[0].code

    def off(self, cents, **more):
        """The code of a new coupon that takes so many fen off."""
        terms = {"kind": "threshold", "off_cents": cents, "min_goods_cents": cents} | more
        return self.code(self.programme(**terms))

    def place(self, order_id, *lines, merchant="m1", consumer="c1", at=NOW, plan=STRICT, **more):
        wanted = [placing.WantedLine(sku, qty) for sku, qty in lines]
        order = placing.NewOrder(order_id, merchant, consumer, wanted, **more)
        with self.transaction() as conn:
            placing.place_order(conn, TENANT, order, plan, at)

    def pay(self, order_id, *, payment_id=None, fee=0, cents=None, adapter="simulated", at=NOW):
        with self.transaction() as conn:
            if cents is None:
                cents = records.find_order(conn, TENANT, order_id).payable_cents
            payment = payments.Payment(payment_id or f"pay-{order_id}", order_id, adapter, cents, fee, at)
            return payments.take_payment(conn, TENANT, payment, at)

    def act(self, function, *arguments, **named):
        """Call a function of the order flow in a transaction of its own."""
        with self.transaction() as conn:
            return function(conn, TENANT, *arguments, **named)

    def agreed_case(self, *arguments):
        """Open an after-sale case with which its supplier agrees at once."""
        case = self.act(after_sales.open_case, *arguments)
        return self.act(returns.answer_case, case.case_id, agrees=True, reason_code=None, now=case.opened_at)

    def read(self, order_id):
        """The order, its lines and its sub-orders."""
        with self.transaction() as conn:
            return (
                records.find_order(conn, TENANT, order_id),
                records.lines_of(conn, TENANT, order_id),
                records.sub_orders_of(conn, TENANT, order_id),
            )

    def balances(self):
        """Sum of entries by kind of account and party; accounts at 0 are left out."""
        rows = self.sql(
            "select a.kind, a.party_id, sum(e.amount)::bigint from ledger.entry e join ledger.account a"
            " using (account_id) group by 1, 2 having sum(e.amount) <> 0"
        )
        return {(kind, party): int(cents) for kind, party, cents in rows}

    def moved(self, before):
        """What the balances moved by since an earlier look."""
        now = self.balances()
        keys = sorted(before.keys() | now.keys())
        moves = {key: now.get(key, 0) - before.get(key, 0) for key in keys}
        return {key: cents for key, cents in moves.items() if cents}

    def stock_of(self, supplier, sku):
        """(on hand, reserved, available)."""
        with self.transaction() as conn:
            found = [s for s in stock.levels(conn, TENANT, supplier, after="", limit=500) if s.sku_id == sku]
        return (found[0].on_hand_qty, found[0].reserved_qty, found[0].available_qty)
