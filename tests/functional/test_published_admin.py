"""The namespace commands of the published administrator's program, unchanged (cloud_ml v1, 11.8 and 14)."""
import itertools
import os

import pytest
from harness.polling import wait_for

_numbers = itertools.count(1)


def fields(printed):
    """{"Name": "vision"} of lines "Name:    vision"."""
    pairs = (line.split(":", 1) for line in printed.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def rows(printed):
    return [line.split() for line in printed.splitlines()]


@pytest.fixture
def admin(published):
    def run(*arguments, **options):
        return published.ok(*arguments, program="cloudml_admin", **options)
    return run


@pytest.fixture
def namespace(rest, admin):
    name = f"robots-{os.getpid() % 1000}-{next(_numbers)}"
    printed = admin("namespace", "create", "-n", name, "-e", "ann@example.com", "-d", "arms and legs")
    assert fields(printed) == {"Name": name, "Owner Email": "ann@example.com", "Description": "arms and legs"}
    yield name
    rest.delete(f"/namespace/{name}")


def test_create_describe_and_list(rest, admin, namespace):
    assert fields(admin("namespace", "describe", namespace))["Owner Email"] == "ann@example.com"
    table = rows(admin("namespace", "list"))
    assert table[0] == ["NAMESPACE", "OWER_EMAIL", "DESCRIPTION"]
    assert [namespace, "ann@example.com", "arms", "and", "legs"] in table
    assert any(row[0] == "default" for row in table)
    # It is an organisation.
    org = rest.get(f"/org/{namespace}").json()
    assert (org["org_mail"], org["description"]) == ("ann@example.com", "arms and legs")


def test_create_with_a_name_alone(rest, admin):
    name = f"bare-{os.getpid() % 1000}"
    assert fields(admin("namespace", "create", "-n", name)) == {"Name": name, "Owner Email": "", "Description": ""}
    rest.delete(f"/namespace/{name}")


def test_a_name_in_use_is_refused(published, namespace):
    ended = published.run("namespace", "create", "-n", namespace, program="cloudml_admin")
    assert ended.returncode == 1
    assert ended.stdout.startswith("response: ") and namespace in ended.stdout
    assert "Traceback" not in ended.stderr


def test_update_changes_what_is_named_alone(admin, namespace):
    shown = fields(admin("namespace", "update", namespace, "-d", "wheels"))
    assert shown == {"Name": namespace, "Owner Email": "ann@example.com", "Description": "wheels"}
    shown = fields(admin("namespace", "update", namespace, "-e", "lee@example.com"))
    assert (shown["Owner Email"], shown["Description"]) == ("lee@example.com", "wheels")


def test_delete_asks_and_takes_everything(rest, admin, namespace):
    made = rest.post(f"/key?org_id={rest.get(f'/org/{namespace}').json()['org_id']}", {}).json()
    assert "Successfully" not in admin("namespace", "delete", namespace, answers=["n"])
    assert rest.get(f"/namespace/{namespace}").status == 200
    assert f"Successfully delete {namespace}" in admin("namespace", "delete", namespace, answers=["y"])
    wait_for(lambda: rest.get(f"/namespace/{namespace}").status == 404, 30, "the namespace to be gone")
    assert rest.get(f"/key/{made['access_key']}").status == 404


def test_an_unknown_namespace_is_an_error(published):
    ended = published.run("namespace", "describe", "nobody", program="cloudml_admin")
    assert ended.returncode == 1 and ended.stdout.startswith("response: ")
    assert "Traceback" not in ended.stderr


def test_quota(rest, admin, namespace):
    shown = fields(admin("namespace_quota", "create", namespace, "-c", "8", "-m", "16", "-g", "2"))
    assert (shown["CPU / Used"], shown["MEM / Used"], shown["GPU / Used"]) == ("8 / 0", "16 / 0", "2 / 0")
    shown = fields(admin("namespace_quota", "update", namespace, "-c", "4"))
    assert (shown["CPU / Used"], shown["MEM / Used"], shown["GPU / Used"]) == ("4 / 0", "16 / 0", "2 / 0")
    table = rows(admin("namespace_quota", "list"))
    assert table[0][0] == "NAMESPACE"
    assert [namespace, "4", "/", "0", "16", "/", "0", "2", "/", "0"] in table
    # What it holds shows, and what is more than there is is refused.
    org = rest.get(f"/org/{namespace}").json()["org_id"]
    body = {"job_name": "a", "docker_command": "true", "cpu_limit": "1.5", "memory_limit": "1G",
            "node_selector_key": "no", "node_selector_value": "where"}
    assert rest.post(f"/train?org_id={org}", body).status == 200
    quota = rest.get(f"/namespace_quota/{namespace}").json()["data"]
    assert (quota["cpu_used"], quota["memory_used"], quota["gpu_used"]) == ("1.5", "1", "0")
    assert rest.post(f"/train?org_id={org}", {**body, "job_name": "b", "cpu_limit": "3"}).status == 403


def test_users(rest, admin, namespace):
    printed = admin("namespace_user", "add", namespace, "u1", "u2")
    assert printed.count(f"Namespace:       {namespace}") == 2
    assert [[namespace, "u1"], [namespace, "u2"]] == rows(admin("namespace_user", "list", "-n", namespace))[1:]
    assert [namespace, "u2"] in rows(admin("namespace_user", "list"))
    printed = admin("namespace_user", "remove", namespace, "u1")
    assert "Successfully" in printed
    assert [[namespace, "u2"]] == rows(admin("namespace_user", "list", "-n", namespace))[1:]
    org = rest.get(f"/org/{namespace}").json()["org_id"]
    assert [user["user"] for user in rest.get(f"/user?org_id={org}").json()["data"]] == ["u2"]


@pytest.mark.parametrize("arguments", [
    ("namespace", "list"), ("namespace", "create", "-n", "mine"), ("namespace_quota", "list"),
    ("namespace_user", "add", "default", "me"),
])
def test_an_ordinary_key_is_refused(server, rest, published, arguments):
    made = rest.post("/key", {"role": "org_admin"}).json()
    published.write_config({
        "xiaomi_access_key_id": made["access_key"], "xiaomi_secret_access_key": made["secret_key"],
        "xiaomi_cloudml_endpoint": server.url, "xiaomi_org_mail": "ml@xiaomi.com"})
    ended = published.run(*arguments, program="cloudml_admin")
    assert ended.returncode == 1 and ended.stdout.count("response: ") == 1
    assert "platform administrator" in ended.stdout and "Traceback" not in ended.stderr
    rest.delete(f"/key/{made['access_key']}")
