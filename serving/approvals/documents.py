"""Texts that a request is about and that are too long for codes: a plan, the list of a pay-out.

The suggestion holds the digest of the text, so that whoever decides about the one decides about the other.
"""

from __future__ import annotations

import hashlib

import psycopg

from serving.approvals.errors import UnknownApprovalError
from serving.approvals.records import Approval

FIELD = "document_sha256"
"""Field of a suggestion that names a text."""


def keep_document(conn: psycopg.Connection, tenant_id: str, body: str) -> str:
    """Keep a text; its SHA-256 in hex, for `FIELD` of the suggestion."""
    digest = hashlib.sha256(body.encode()).hexdigest()
    conn.execute(
        "insert into approvals.document (tenant_id, sha256, body) values (%s, %s, %s) on conflict do nothing",
        (tenant_id, digest, body),
    )
    return digest


def document_of(conn: psycopg.Connection, tenant_id: str, approval: Approval) -> str:
    """The text that a request is about.

    Raises:
        UnknownApprovalError: It is about none.
    """
    row = conn.execute(
        "select body from approvals.document where tenant_id = %s and sha256 = %s",
        (tenant_id, approval.wanted.get(FIELD)),
    ).fetchone()
    if row is None:
        raise UnknownApprovalError(f"{approval} is about no document")
    return str(row[0])
