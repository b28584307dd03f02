"""No package of serving writes another's tables: settlement tells orders what it booked."""

import re
from collections import defaultdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
WRITES = re.compile(r"(?:insert\s+into|update|delete\s+from)\s+([a-z_]+)\.([a-z_]+)", re.IGNORECASE)
BY_ITS_SCHEMA = {"assortment": "orders", "coupons": "orders", "promotions": "orders", "parties": "agents"}
ELSEWHERE = {
    "orders.recipient": "privacy",  # sealed values are written where they are sealed
    "market.price_change": "scores",  # in the transaction in which a price is published
    "channels.misfit": "settlement",  # money that fits no order is booked, channels only report it
}
SHARED = {"ops"}


def writers() -> dict[str, set[str]]:
    found = defaultdict(set)
    for file in (REPOSITORY / "serving").rglob("*.py"):
        if "migrations" not in file.parts:
            package = file.relative_to(REPOSITORY / "serving").parts[0].removesuffix(".py")
            for schema, table in WRITES.findall(file.read_text()):
                found[f"{schema}.{table}".lower()].add(package)
    return found


def test_every_table_is_written_by_the_package_that_owns_it():
    found = writers()
    assert len(found) > 50
    strangers = {
        table: sorted(packages)
        for table, packages in found.items()
        if table.split(".")[0] not in SHARED
        and packages != {ELSEWHERE.get(table, BY_ITS_SCHEMA.get(table.split(".")[0], table.split(".")[0]))}
    }
    assert strangers == {}
    assert {table: sorted(packages) for table, packages in found.items() if len(packages) > 1} == {}


def test_the_exceptions_are_still_needed():
    found = writers()
    assert {table: found[table] for table in ELSEWHERE} == {
        table: {package} for table, package in ELSEWHERE.items()
    }
