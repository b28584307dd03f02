"""A small market in a database, and shortcuts to fill it, for the tests of orders."""

from datetime import UTC, datetime

from serving.orders import catalogue, stock

TENANT = "default"
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

    def agent(self, agent_id, *, inviter=None, tier="none", manager=None):
        with self.transaction() as conn:
            conn.execute(
                "insert into parties.party (tenant_id, party_type, party_id, is_verified, has_contract)"
                " values (%s, 'agent', %s, true, true)",
                (TENANT, agent_id),
            )
            conn.execute(
                "insert into agents.agent (tenant_id, agent_id, inviter_agent_id, manager_agent_id, depth, tier)"
                " values (%s, %s, %s, %s, 1, %s)",
                (TENANT, agent_id, inviter, manager, tier),
            )

    def stock_of(self, supplier, sku):
        """(on hand, reserved, available)."""
        with self.transaction() as conn:
            found = [s for s in stock.levels(conn, TENANT, supplier, after="", limit=500) if s.sku_id == sku]
        return (found[0].on_hand_qty, found[0].reserved_qty, found[0].available_qty)
