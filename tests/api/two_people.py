"""What needs two people, done by two people: one helper for every test that once did it in one step."""


def approved(client, second_key, answer):
    """Approve what waits, with the key of another person.

    Args:
        client: Of the application.
        second_key: Secret of a key that did not ask.
        answer: The answer to whoever asked: 202 with what waits.

    Returns:
        The answer to the final approval; `effect` names what it made.
    """
    assert answer.status_code == 202, answer.text
    waiting = answer.json()
    return client.post(
        f"/v1/approvals/{waiting['approval_id']}/approve",
        json={"version": waiting["version"], "digest": waiting["digest"]},
        headers={"X-API-Key": second_key},
    )
