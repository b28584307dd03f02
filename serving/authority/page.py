"""The table as a page; `python -m serving.authority` prints what `docs/authority.md` holds."""

from __future__ import annotations

from serving.authority.table import AUTHORITIES, Authority

_HEAD = """\
# Authority: who may state what

Every fact that is stated from outside, and by whom. The table is data (`serving/authority/table.py`):
the guard of the routes takes the roles from it, the audit log names the authority of every write. Printed
by `python -m serving.authority > docs/authority.md`.
Why: [decision 29](adr/0029-authority-as-data.md).

A key of a supplier, a merchant or an agent states facts about its own party only; another party's things
are 404, another party's name is 403. An auditor states nothing. A limit is a setting (`MUYUN_` and its name
in capitals).
"""
_NAMES = (
    "Fact", "What", "Who states it", "What proves it", "Who must agree", "Limits", "Routes",
)  # fmt: skip
_COLUMNS = f"| {' | '.join(_NAMES)} |\n{'|---' * len(_NAMES)}|\n"


def page() -> str:
    """The whole page, Markdown."""
    money = [one for one in AUTHORITIES if one.moves_money]
    others = [one for one in AUTHORITIES if not one.moves_money]
    return (
        f"{_HEAD}\n## Facts that move money\n\n{_COLUMNS}{''.join(map(_row, money))}"
        f"\n## Other facts\n\n{_COLUMNS}{''.join(map(_row, others))}"
    )


def _row(one: Authority) -> str:
    cells = (
        f"`{one.fact}`",
        one.says,
        ", ".join(sorted(one.roles)) or one.by,
        one.proof,
        one.agrees or "nobody",
        ", ".join(f"`{limit}`" for limit in one.limits) or "none",
        "<br>".join(f"`{route}`" for route in one.routes) or "none",
    )
    return f"| {' | '.join(cells)} |\n"
