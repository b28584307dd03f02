"""What a close of members leaves in the lake for the report, and how to ask whether it still stands."""

from serving.db.operations import Operations
from serving.members import records

REPORT = "operations/members"
"""Report of the lake: what the last close found and did."""


def state_of(url: str, tenant_id: str) -> str:
    """The programme in force and the newest change of a member; whoever has seen both has seen all.

    Args:
        url: Address of the migrated operational database.
        tenant_id: Whose members.
    """
    with Operations(url, size=1) as operations, operations.transaction(tenant_id) as conn:
        return records.state_of(conn, tenant_id)
