"""Organisations and their keys, for tests that need more than one."""
from .rest import Rest


def must(answer):
    """The JSON of an answer that has to be a success."""
    assert answer.status == 200, answer
    return answer.json()


def make_organisation(server, name, **fields):
    """Its id, as the platform administrator makes it."""
    return str(must(server.rest().post("/org", {"org_name": name, **fields}))["org_id"])


def key_of(server, org_id, role="member", **fields):
    """A client with a new key of that organisation."""
    made = must(server.rest().post(f"/key?org_id={org_id}", {"role": role, **fields}))
    return Rest(lambda: server.url, made["access_key"], made["secret_key"])
