"""Organisations, users and keys with the real server: made, used, suspended, deleted, also through a crash."""
import datetime
import itertools
import os
import sqlite3

import pytest
from harness.cli import Cli
from harness.polling import wait_for
from harness.rest import PREFIX

_numbers = itertools.count(1)
ROLES = ("viewer", "member", "org_admin", "platform_admin")


def patch(rest, path, body):
    return rest.call("PATCH", PREFIX + path, body)


def ok(answer):
    assert answer.status == 200, answer
    return answer.json()


class Org:
    """An organisation of a test, with keys of its own."""

    def __init__(self, server, name):
        self.server = server
        self.admin = server.rest()
        self.id = ok(self.admin.post("/org", {"org_name": name, "org_mail": "ann@example.com"}))["org_id"]
        self.name = name

    def key(self, role="member", **fields):
        made = ok(self.admin.post(f"/key?org_id={self.id}", {"role": role, **fields}))
        return self.server.rest(made["access_key"], made["secret_key"])

    def gone(self, seconds=60):
        wait_for(lambda: self.admin.get(f"/org/{self.id}").status == 404, seconds,
                 lambda: f"organisation {self.name} to be gone: {self.admin.get(f'/org/{self.id}')}")


@pytest.fixture
def org(server, request):
    base = request.node.originalname.removeprefix("test_").replace("_", "-")[:40].strip("-")
    made = Org(server, f"{base}-{os.getpid() % 1000}-{next(_numbers)}")
    yield made
    made.admin.post(f"/org/{made.id}/resume", {})
    made.admin.delete(f"/org/{made.id}")


def test_a_new_organisation_is_complete(server, org):
    shown = ok(org.admin.get(f"/org/{org.name}"))
    first = ok(org.admin.get("/org/1"))
    assert shown["state"] == "active" and shown["org_mail"] == "ann@example.com"
    assert shown["unix_uid"] == first["unix_uid"] + int(org.id) - 1
    bucket = server.data / "objects" / org.id / "default"
    assert bucket.is_dir()
    if os.geteuid() == 0:
        assert bucket.stat().st_uid == shown["unix_uid"]


def test_its_jobs_run_as_its_own_user_in_its_own_buckets(server, org):
    rest = org.key()
    rest.run("who", "id -u; echo made > /fds/default/by-job; ls /fds")
    rest.wait("who", "completed")
    lines = rest.log("who").splitlines()
    made = server.data / "objects" / org.id / "default" / "by-job"
    assert made.read_text() == "made\n"
    if os.geteuid() == 0:
        uid = ok(org.admin.get(f"/org/{org.id}"))["unix_uid"]
        assert made.stat().st_uid == uid
    assert lines[-1] == "default"


@pytest.mark.parametrize("role", ROLES)
def test_a_key_of_each_role_may_what_its_role_says(org, role):
    rest = org.key(role)
    rank = ROLES.index(role)
    assert rest.get("/train").status == 200
    assert ok(rest.get("/org_ids"))["org_id"] == org.id
    submitted = rest.post("/train", {"job_name": f"by-{role.replace('_', '-')}", "docker_command": "true",
                                     "save_mode": True})
    assert submitted.status == (200 if rank >= 1 else 403), submitted
    assert rest.post("/user", {"user": f"u-{role}"}).status == (200 if rank >= 2 else 403)
    made = rest.post("/org", {"org_name": f"{org.name[:40]}-x"})
    assert made.status == (200 if rank >= 3 else 403), made
    if rank >= 3:
        ok(org.admin.delete(f"/org/{made.json()['org_id']}"))
    for other in ROLES:
        answer = rest.post("/key", {"role": other})
        may = rank >= 2 and ROLES.index(other) <= rank
        assert answer.status == (200 if may else 403), (other, answer)
        if may:
            ok(org.admin.delete(f"/key/{answer.json()['access_key']}"))


def test_nobody_raises_his_own_role(org):
    boss = org.key("org_admin")
    refused = patch(boss, f"/key/{boss.access_key}", {"role": "platform_admin"})
    assert refused.status == 403, refused
    assert ok(boss.get(f"/key/{boss.access_key}"))["role"] == "org_admin"
    ok(patch(boss, f"/key/{boss.access_key}", {"role": "viewer"}))
    assert boss.post("/user", {"user": "late"}).status == 403, "the role counts at once"


def test_keys_have_no_characters_that_break_urls_and_secrets_come_once(org):
    for _ in range(20):
        made = ok(org.admin.post(f"/key?org_id={org.id}", {}))
        assert not set(made["access_key"] + made["secret_key"]) & set("/+")
    shown = org.admin.get(f"/key?org_id={org.id}")
    assert len(ok(shown)["data"]) == 20
    assert b"secret" not in shown.body and made["secret_key"].encode() not in shown.body


def test_a_rotated_key_goes_on_for_the_overlap(org):
    boss, old = org.key("org_admin"), org.key(label="nightly")
    made = ok(boss.post(f"/key/{old.access_key}/rotate", {"overlap": 2}))
    new = org.server.rest(made["access_key"], made["secret_key"])
    assert made["replaces"] == old.access_key and made["label"] == "nightly"
    assert made["expires"] == ""
    assert new.get("/train").status == old.get("/train").status == 200
    wait_for(lambda: old.get("/train").status == 401, 5, "the old key to end")
    assert new.get("/train").status == 200
    assert ok(boss.get(f"/key/{old.access_key}"))["state"] == "expired"


def test_an_expired_key_is_answered_like_a_wrong_one(org):
    boss, brief = org.key("org_admin"), org.key(expires_in=1)
    wait_for(lambda: brief.get("/train").status == 401, 5, "the key to expire")
    wrong = org.server.rest("AKnosuchkey", "nothing").get("/train")
    assert brief.get("/train").body == wrong.body
    ok(patch(boss, f"/key/{brief.access_key}", {"expires": ""}))
    assert brief.get("/train").status == 200


def test_a_disabled_key_is_refused_at_once_and_its_last_use_is_known(org):
    boss, key = org.key("org_admin"), org.key()
    assert ok(boss.get(f"/key/{key.access_key}"))["last_used"] == ""
    assert key.get("/train").status == 200
    used = datetime.datetime.fromisoformat(ok(boss.get(f"/key/{key.access_key}"))["last_used"])
    age = datetime.datetime.now(datetime.timezone.utc) - used
    assert used.second == 0 and age < datetime.timedelta(minutes=2)
    ok(patch(boss, f"/key/{key.access_key}", {"disabled": True}))
    assert key.get("/train").status == 401
    ok(patch(boss, f"/key/{key.access_key}", {"disabled": False}))
    assert key.get("/train").status == 200


def test_the_last_use_outlives_a_restart(own_server):
    rest = own_server.rest()
    assert rest.get("/train").status == 200
    assert own_server.stop() == 0
    with sqlite3.connect(own_server.data / "cloudml.db") as database:
        columns = [row[1] for table in ("keys", "api_keys")
                   for row in database.execute(f"PRAGMA table_info({table})")]
    assert any("last_used" in column for column in columns), columns
    own_server.start()
    other = ok(rest.post("/key", {"role": "viewer"}))
    assert ok(rest.get(f"/key/{other['access_key']}"))["last_used"] == ""
    assert ok(rest.get(f"/key/{rest.access_key}"))["last_used"] != ""


def test_a_users_keys_go_with_him(org):
    boss = org.key("org_admin")
    assert boss.post("/key", {"user": "ann"}).status == 404
    ok(boss.post("/user", {"user": "ann", "mail": "ann@example.com"}))
    key = org.key(user="ann")
    assert key.get("/train").status == 200
    assert ok(boss.get("/user/ann"))["keys"] == 1
    assert ok(patch(boss, "/user/ann", {"mail": "lee@example.com"}))["mail"] == "lee@example.com"
    ok(boss.delete("/user/ann"))
    assert key.get("/train").status == 401
    assert boss.get("/user/ann").status == 404


def test_a_suspended_organisation_reads_and_nothing_of_it_starts(server, org):
    rest = org.key()
    rest.run("runs", "sleep 60")
    rest.wait("runs", "running")
    # More than there is: it waits whatever happens.
    rest.run("waits", "echo started", node_selector_key="nowhere", node_selector_value="yes")
    rest.submit(job_name="saved", docker_command="true", save_mode=True)
    ok(org.admin.post(f"/org/{org.id}/suspend", {"reason": "the bill is not paid"}))
    assert rest.job("runs")["state"] == "running"
    wait_for(lambda: "suspended" in rest.job("waits").get("message", ""), 15,
             lambda: f"the reason to be told: {rest.job('waits')}")
    assert "the bill is not paid" in rest.job("waits")["message"]
    for refused in (rest.post("/train", {"job_name": "new", "docker_command": "true"}),
                    rest.get("/train/saved/start"), rest.delete("/train/runs")):
        assert refused.status == 403 and "the bill is not paid" in refused.message, refused
    ok(org.admin.post(f"/org/{org.id}/resume", {}))
    wait_for(lambda: "nowhere" in rest.job("waits").get("message", ""), 15,
             lambda: f"the usual reason again: {rest.job('waits')}")
    assert rest.get("/train/saved/start").status == 200
    rest.wait("saved", "completed")


def test_what_waits_starts_after_the_suspension(org):
    admin = org.admin
    rest = org.key()
    ok(admin.post(f"/org/{org.id}/suspend", {"reason": "a pause"}))
    # A platform administrator may still submit for it.
    ok(admin.post(f"/train?org_id={org.id}", {"job_name": "held", "docker_command": "true",
                                              "cpu_limit": "0.25", "memory_limit": "256M"}))
    wait_for(lambda: "a pause" in rest.job("held").get("message", ""), 15, "the job to be held back")
    assert rest.job("held")["state"] == "enqueued"
    ok(admin.post(f"/org/{org.id}/resume", {}))
    rest.wait("held", "completed")


def test_a_rename_shows_in_every_answer(org):
    rest = org.key()
    rest.submit(job_name="saved", docker_command="true", save_mode=True)
    assert rest.job("saved")["org_name"] == org.name
    assert rest.job("saved")["org_name"] == org.name
    ok(patch(org.admin, f"/org/{org.id}", {"org_name": f"{org.name}-b"}))
    assert rest.job("saved")["org_name"] == f"{org.name}-b"
    assert rest.jobs()[0]["org_name"] == f"{org.name}-b"
    assert org.admin.get(f"/org/{org.name}").status == 404


def test_a_deletion_takes_running_jobs_and_everything_else(server, org):
    rest = org.key()
    for number in range(3):
        rest.run(f"runs-{number}", "echo begun; touch /fds/default/x; chmod 700 /fds/default; sleep 100")
    for number in range(3):
        rest.wait(f"runs-{number}", "running")
    ids = [job["job_id"] for job in rest.jobs()]
    ok(org.admin.post(f"/user?org_id={org.id}", {"user": "ann"}))
    said = ok(org.admin.delete(f"/org/{org.name}"))
    assert "Successfully" in said["message"]
    assert rest.get("/train").status == 401
    org.gone()
    assert not (server.data / "objects" / org.id).exists()
    assert not [path for path in server.data.rglob("*") if any(job in path.name for job in ids)]
    again = Org(server, org.name)
    assert int(again.id) > int(org.id)
    assert ok(again.admin.get(f"/user?org_id={again.id}"))["data"] == []
    ok(again.admin.delete(f"/org/{again.id}"))


@pytest.mark.timeout(240)
def test_a_deletion_goes_on_after_kill_9(own_server):
    for moment in range(4):
        org = Org(own_server, f"victim-{moment}")
        rest = org.key()
        for number in range(2):
            rest.run(f"runs-{number}", "touch /fds/default/x; sleep 100")
            rest.wait(f"runs-{number}", "running")
        ok(org.admin.delete(f"/org/{org.id}"))
        if moment == 1:
            wait_for(lambda: len(ok(org.admin.get(f"/train?org_id={org.id}"))["data"]) < 2, 30, "one job to go", 0.005)
        if moment == 2:
            wait_for(lambda: not ok(org.admin.get(f"/train?org_id={org.id}"))["data"], 30, "both jobs to go", 0.005)
        own_server.kill9()
        own_server.start()
        assert rest.get("/train").status == 401
        org.gone()
        assert not (own_server.data / "objects" / org.id).exists()
    assert [row["org_name"] for row in ok(own_server.rest().get("/org"))["data"]] == ["default"]
    assert own_server.jobs_processes() == []


def test_the_first_organisation_and_the_last_administrator_stay(own_server):
    rest = own_server.rest()
    assert rest.delete("/org/default").status == 409
    assert rest.post("/org/default/suspend", {"reason": "x"}).status == 409
    for refused in (rest.delete(f"/key/{rest.access_key}"),
                    patch(rest, f"/key/{rest.access_key}", {"disabled": True}),
                    patch(rest, f"/key/{rest.access_key}", {"expires_in": 5}),
                    patch(rest, f"/key/{rest.access_key}", {"role": "member"})):
        assert refused.status == 409 and "last" in refused.message, refused


def test_a_lost_admin_file_ends_the_key_that_was_in_it(own_server):
    old = own_server.rest()
    assert old.get("/train").status == 200
    own_server.stop()
    (own_server.data / "admin.json").unlink()
    own_server.start()
    assert own_server.rest().access_key != old.access_key
    assert own_server.rest().get("/train").status == 200
    assert old.get("/train").status == 401
    assert old.access_key in own_server.log() and "disabled" in own_server.log()


def test_the_command_line(server, tmp_path):
    cli = Cli(server, tmp_path / "home")
    name = f"by-cli-{os.getpid() % 1000}"
    assert cli.ok("org", "create", name, "--mail", "ann@example.com").stdout.startswith(f"{name}  active")
    assert name in cli.ok("org", "list").stdout
    cli.ok("user", "create", "ann", "--org", name)
    made = cli.ok("key", "create", "--org", name, "--user", "ann", "--role", "org_admin")
    pair = dict(line.strip().split("  ", 1) for line in made.stdout.splitlines() if " key  " in line)
    assert "cloudml config init" in made.stderr and pair["secret key"].strip() not in made.stderr
    own = Cli(server, tmp_path / "ann")
    own.process_environment = lambda: {**Cli.process_environment(own),
                                       "XIAOMI_ACCESS_KEY_ID": pair["access key"].strip(),
                                       "XIAOMI_SECRET_ACCESS_KEY": pair["secret key"].strip()}
    assert own.ok("org", "describe").stdout.startswith(f"{name}  active")
    listed = own.ok("key", "list").stdout
    assert pair["access key"].strip() in listed and pair["secret key"].strip() not in listed
    assert own.run("org", "describe", "default").returncode == 4
    assert own.run("org", "create", "another").returncode == 3
    own.ok("key", "label", pair["access key"].strip(), "laptop of ann")
    rotated = own.ok("key", "rotate", pair["access key"].strip(), "--overlap", "2h")
    assert "goes on until" in rotated.stderr
    cli.ok("org", "suspend", name, "--reason", "a test")
    refused = own.run("jobs", "submit", "-n", "x", "-dc", "true")
    assert refused.returncode == 3 and "a test" in refused.stderr
    cli.ok("org", "resume", name)
    cli.ok("org", "rename", name, f"{name}-b")
    assert own.ok("org", "describe", "-o", "name").stdout == f"{name}-b\n"
    asked = cli.run("org", "delete", f"{name}-b")
    assert asked.returncode == 2 and "--yes" in asked.stderr
    cli.ok("user", "delete", "ann", "--org", f"{name}-b", "--yes")
    assert own.run("org", "describe").returncode == 3
    cli.ok("org", "delete", f"{name}-b", "--yes")
