import pytest

from serving import keys
from serving.errors import ApiKeyError
from serving.security import PARTY_ROLES, ROLE_SCOPES, Role, Scope, issue_key

NOWHERE = "postgresql://nobody@127.0.0.1:1/none"
PERSONAL, RUN = Scope.PERSONAL_READ, Scope.SETTLEMENT_RUN
WRITES = {scope for scope in Scope if scope.endswith((":write", ":run", ":approve", ":post"))}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"role": "root"}, "unknown role 'root'"),
        ({"role": "supplier"}, "needs a party"),
        ({"role": "merchant", "party_id": " "}, "needs a party"),
        ({"role": "agent", "party_id": ""}, "needs a party"),
        ({"role": "operator", "party_id": "m1"}, "sees every party"),
        ({"role": "auditor", "party_id": "m1"}, "sees every party"),
        ({"role": "supplier", "merchant_id": "m1"}, "no other role"),
        ({"role": "merchant", "merchant_id": "m1", "party_id": "m2"}, "no other party"),
        ({"tenant_id": " "}, "needs a tenant"),
        ({"role": "supplier", "party_id": "s1", "scopes": [Scope.LEDGER_POST]}, "may not have ledger:post"),
        (
            {"role": "merchant", "party_id": "m1", "scopes": [PERSONAL]},
            "may not have personal:read",
        ),
        ({"role": "agent", "party_id": "a1", "scopes": [Scope.PLANS_WRITE]}, "may not have plans:write"),
        (
            {"role": "auditor", "scopes": [Scope.AUDIT_READ, RUN]},
            "may not have settlement:run",
        ),
        ({"merchant_id": "m1", "scopes": [Scope.AUDIT_READ]}, "may not have audit:read"),
    ],
)
def test_refused_before_the_database_is_asked(arguments, message):
    wanted = {"name": "x", "scopes": [Scope.PUBLICATIONS], **arguments}
    with pytest.raises(ApiKeyError, match=message):
        issue_key(NOWHERE, **wanted)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("scope", list(Scope))
def test_a_scope_beyond_the_role_is_never_issued(role, scope):
    if scope in ROLE_SCOPES[role]:
        return
    with pytest.raises(ApiKeyError, match=f"may not have {scope}"):
        issue_key(
            NOWHERE,
            name="x",
            role=role,
            party_id="p" if role in PARTY_ROLES else None,
            scopes=[*ROLE_SCOPES[role], scope],
        )


def test_what_roles_may_never_have():
    assert ROLE_SCOPES.keys() == set(Role)
    assert not ROLE_SCOPES[Role.AUDITOR] & WRITES
    only_the_operators = {
        Scope.PERSONAL_READ,
        Scope.LEDGER_POST,
        Scope.PLANS_WRITE,
        Scope.SETTLEMENT_RUN,
        Scope.SETTLEMENT_APPROVE,
        Scope.RECONCILIATION_RUN,
    }
    for role in set(Role) - {Role.OPERATOR}:
        assert not ROLE_SCOPES[role] & only_the_operators
    for role in PARTY_ROLES:
        assert not ROLE_SCOPES[role] & {Scope.LEDGER_READ, Scope.AUDIT_READ}


def test_the_command_line_says_what_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(keys, "ready_database", lambda settings: NOWHERE)
    assert keys.main(["create", "--name", "x", "--scopes", "all", "--role", "supplier"]) == 1
    assert "needs a party" in capsys.readouterr().err
    assert keys.main(["create", "--name", "x", "--scopes", "all", "--role", "king"]) == 1
    assert "unknown role 'king'" in capsys.readouterr().err
