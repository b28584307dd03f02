"""API keys, roles and scopes, and the guard of the routes. Personal fields: `serving.privacy`."""

from serving.security.authenticator import Authenticator
from serving.security.guard import Access, declared_access, require_scope, stated_authority
from serving.security.keys import IssuedKey, hash_key, issue_key, revoke_key
from serving.security.principal import Principal
from serving.security.roles import PARTY_ROLES, ROLE_SCOPES, Role, Scope
from serving.settings import DEFAULT_TENANT

__all__ = [
    "DEFAULT_TENANT",
    "PARTY_ROLES",
    "ROLE_SCOPES",
    "Access",
    "Authenticator",
    "IssuedKey",
    "Principal",
    "Role",
    "Scope",
    "declared_access",
    "hash_key",
    "issue_key",
    "require_scope",
    "revoke_key",
    "stated_authority",
]
