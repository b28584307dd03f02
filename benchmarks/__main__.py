"""`python -m benchmarks [all | <name> | page]`: run benchmarks by name, or write the page of results."""

from __future__ import annotations

import importlib
import sys

from benchmarks import page

ROOMS = {
    "api_read": "web",
    "profile_read": "web",
    "score_2m_skus": "web",
    "order_assignment": "supply",
    "routing": "supply",
    "quality_brake": "supply",
    "supplier_grades": "supply",
    "event_intake": "web",
    "event_to_profile": "web",
    "event_to_list": "web",
    "release_legs": "money",
    "ledger_throughput": "money",
    "reconciliation": "money",
    "crash_ledger": "money",
    "lock_pairs": "money",
    "money_authority": "money",
    "own_data": "runs",
    "first_run": "runs",
    "rerun_cost": "runs",
    "tags_default": "tags",
    "tags_scale": "tags",
    "tags_vs_peers": "tags",
    "point_in_time": "tags",
    "growth": "tags",
    "spark_equal": "tags",
    "clv_cdnow": "models",
    "next_basket_tafeng": "models",
    "next_basket_complete_journey": "models",
    "discovery_complete_journey": "models",
    "als_speed": "models",
    "neighbours_scale": "models",
    "pricing_regret": "models",
    "forecast_orange_juice": "models",
    "uplift_hillstrom": "models",
    "churn_complete_journey": "models",
    "rebuy_complete_journey": "models",
    "elasticity_orange_juice": "models",
    "inventory_orange_juice": "models",
    "forecast_complete_journey": "models",
    "off_policy_obd": "models",
}
"""Every benchmark with the package that it lies in, in the order in which `all` runs them."""


def main(arguments: list[str]) -> int:
    """Run the named benchmarks; the highest exit status of any of them is ours."""
    wanted = arguments or ["all"]
    if wanted == ["page"]:
        return page.main(tuple(ROOMS))
    names = tuple(ROOMS) if wanted == ["all"] else tuple(wanted)
    unknown = [name for name in names if name not in ROOMS]
    if unknown:
        print(
            f"error: no benchmark named {', '.join(unknown)}; there are: {', '.join(ROOMS)}", file=sys.stderr
        )
        return 2
    return max(importlib.import_module(f"benchmarks.{ROOMS[name]}.{name}").main() or 0 for name in names)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
