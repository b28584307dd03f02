"""Who may state which fact: one table as data, read by the guard, the audit log and the documents."""

from serving.authority.table import AUTHORITIES, Authority, authority_of

__all__ = ["AUTHORITIES", "Authority", "authority_of"]
