"""Calls of the API by keys of several roles: one helper for tests that compare what each of them may do."""

from serving.security import ROLE_SCOPES, issue_key


def caller(client, url, parties):
    """A function that sends a request by the key of one of several roles.

    Args:
        client: Of the application.
        url: Address of its database.
        parties: Role and party of each key, by its name; a key has every scope of its role.

    Returns:
        `call(who, method, path, body=None, expected=None, key=None, **query)`: the document of the answer.
        `expected`: its status, or status and last word of its problem; `key`: of idempotency.
    """
    keys = {
        who: issue_key(url, name=who, role=role, party_id=party, scopes=sorted(ROLE_SCOPES[role])).secret
        for who, (role, party) in parties.items()
    }

    def call(who, method, path, body=None, expected=None, key=None, **query):
        headers = {"X-API-Key": keys[who]} | ({"Idempotency-Key": key} if key else {})
        answer = client.request(method, f"/v1{path}", params=query, json=body, headers=headers)
        if expected is not None:
            found = answer.status_code, answer.json().get("type", "").rsplit(":", 1)[-1]
            assert found == (expected if isinstance(expected, tuple) else (expected, "")), answer.text
        return answer.json()

    return call
