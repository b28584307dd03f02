"""A round of feedback: the texts of every tenant that nobody sorted, by what people corrected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from models.feedback.sorting import Example, Sorter, learn, name_of, shipped_examples
from serving.db.operations import Operations
from serving.db.retries import ConnectionFactory, in_transaction
from serving.db.tenants import tenants_of
from serving.feedback.records import Verdict, corrected, put_verdicts, unsorted

MOST = 5_000
"""Texts of a tenant that a round sorts, some minutes of one core; the next round goes on."""
_BATCH = 250
_LEARNED = 500
"""Corrections of a tenant that its model learns, the newest."""


@dataclass(frozen=True)
class Round:
    """What a round did.

    Attributes:
        by_topic: Texts that were sorted, by topic.
        sorters: Name of the model that sorted, by tenant; a tenant without a text to sort is not in it.
        waiting: Tenants with more texts than a round takes.
    """

    by_topic: Counter[str] = field(default_factory=Counter)
    sorters: dict[str, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)


def sort_feedback(
    url: str, now: datetime, teach: Callable[[Sequence[Example]], Sorter] = learn, most: int = MOST
) -> Round:
    """Sort what nobody sorted; where nothing waits no model is loaded.

    A tenant's model knows the examples of the product and what people of the tenant corrected.

    Args:
        url: Address of the migrated operational database.
        now: Business time.
        teach: Makes a model of examples.
        most: Texts of a tenant.
    """
    done = Round()
    for tenant_id in tenants_of(url):
        with Operations(url, size=1) as operations:
            _sort_tenant(partial(operations.transaction, tenant_id), tenant_id, now, teach, most, done)
    return done


def _sort_tenant(
    transactions: ConnectionFactory,
    tenant_id: str,
    now: datetime,
    teach: Callable[[Sequence[Example]], Sorter],
    most: int,
    done: Round,
) -> None:
    learned = in_transaction(transactions, partial(corrected, tenant_id=tenant_id, most=_LEARNED))
    examples = [*shipped_examples(), *(Example(*row) for row in learned)]
    waits = partial(unsorted, tenant_id=tenant_id, sorter=name_of(examples), limit=1)
    if not in_transaction(transactions, waits):
        return
    sorter = teach(examples)
    done.sorters[tenant_id] = sorter.name
    to_sort = partial(unsorted, tenant_id=tenant_id, sorter=sorter.name)
    left = most
    while left and (found := in_transaction(transactions, partial(to_sort, limit=min(_BATCH, left)))):
        left -= len(found)
        made = sorter.sort([text for _, text in found])
        verdicts = [Verdict(number, *one) for (number, _), one in zip(found, made, strict=True)]
        put = partial(put_verdicts, tenant_id=tenant_id, verdicts=verdicts, sorter=sorter.name, now=now)
        in_transaction(transactions, put)
        done.by_topic.update(one.topic for one in verdicts)
    if in_transaction(transactions, partial(to_sort, limit=1)):
        done.waiting.append(tenant_id)
