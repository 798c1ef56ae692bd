"""Every route × every role × own and foreign organisation, from the table that the server itself obeys.

Two organisations hold one of everything, with a word in it that occurs nowhere else. Whoever may not
is refused and nothing has changed; whoever may is let through; no answer holds the other's word.
The table of all answers is left in build/results/access_table.md.
"""
import json
import re
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import botocore.config
import pytest

from harness.rest import PREFIX, Rest, send
from harness.server import REPOSITORY, cloudml_binary

ROLES = ("viewer", "member", "org_admin", "platform_admin")
ROW = re.compile(r"^\| `(\w+) (/\S*)` \| (\S+) \| (\S+) \| (.+?) \| (\S+) \|$")
ORG_QUERY = {"–": "none", "one": "one", "one, or -1": "all"}
NOWHERE = "nothing-of-this-name"
# What stands in a path: the object of the organisation that is named.
OBJECTS = {"job": "job", "org": "id", "namespace": "name", "user": "user", "key": "spare_key",
           "name": "runtime", "version": "version", "org_id": "id", "node": "node",
           "application": "application", "id": "webhook", "webhook": "webhook", "budget": "id"}


@dataclass(frozen=True)
class Rule:
    method: str
    pattern: str
    action: str
    least: str
    org_query: str
    changes: bool

    def allows(self, role):
        return self.least == "anyone" or ROLES.index(role) >= ROLES.index(self.least)


def read_rules():
    text = subprocess.run([cloudml_binary(), "server", "access"], capture_output=True, text=True,
                          check=True, timeout=20).stdout
    rows = [ROW.match(line) for line in text.splitlines() if line.startswith("| `")]
    assert rows and all(rows), text
    return [Rule(r[1], r[2], r[3], r[4], ORG_QUERY[r[5]], r[6] == "yes") for r in rows]


RULES = read_rules()


@dataclass
class Organisation:
    name: str
    word: str  # in everything that it has
    id: str = ""
    keys: dict = field(default_factory=dict)  # role → Rest
    job: str = ""
    user: str = ""
    spare_key: str = ""
    runtime: str = NOWHERE
    version: str = "0"
    node: str = NOWHERE
    application: str = NOWHERE
    webhook: str = NOWHERE

    def path(self, pattern):
        """The pattern with this organisation's objects; a test must know each placeholder."""
        return re.sub(r"\{(\w+)\}", lambda m: getattr(self, OBJECTS[m[1]]), pattern)


def must(answer):
    assert answer.status == 200, answer
    return answer.json()


def furnish(server, admin, name):
    """An organisation with one of everything."""
    word = "word" + uuid.uuid4().hex
    org = Organisation(name, word)
    org.id = str(must(admin.post("/org", {"org_name": name, "org_mail": f"{word}@example.com",
                                          "description": word}))["org_id"])
    at = f"?org_id={org.id}"
    for role in ROLES:
        made = must(admin.post(f"/key{at}", {"role": role, "label": f"{role} {word}"}))
        org.keys[role] = Rest(lambda: server.url, made["access_key"], made["secret_key"])
    org.spare_key = must(admin.post(f"/key{at}", {"role": "viewer", "label": word}))["access_key"]
    org.user = f"person-{name}"
    must(admin.post(f"/user{at}", {"user": org.user, "mail": f"{word}@example.com"}))
    member = org.keys["member"]
    org.job = f"only-{name}"
    member.run(org.job, f"echo {word}", env={"WORD": word}, labels={"word": word}, description=word)
    member.wait(org.job, "completed")
    objects(server, member).put_object(Bucket="default", Key="file", Body=word.encode())
    furnish_later_things(org, admin, at)
    return org


def furnish_later_things(org, admin, at):
    """Resources that not every version of the table has."""
    known = {rule.pattern for rule in RULES}
    if PREFIX + "/webhook" in known:
        made = must(org.keys["org_admin"].post("/webhook", {
            "url": f"https://hooks.example.com/{org.word}", "events": ["train_job.completed"]}))
        org.webhook = made["webhook_id"]
    if PREFIX + "/application" in known:
        must(org.keys["member"].post(f"/application{at}", {
            "org_id": org.id, "org_name": org.name, "org_mail": f"{org.word}@example.com",
            "region": org.word, "service": "jobs", "cpu_limit": "4", "memory_limit": "8G",
            "gpu_limit": "4"}))
        org.application = str(must(admin.get(f"/application{at}"))["data"][0]["id"])


def objects(server, rest):
    return boto3.client("s3", endpoint_url=server.url, aws_access_key_id=rest.access_key,
                        aws_secret_access_key=rest.secret_key, region_name="local",
                        config=botocore.config.Config(retries={"max_attempts": 1},
                                                      s3={"addressing_style": "path"}))


class World:
    def __init__(self, server):
        self.server = server
        self.admin = server.rest()
        self.alpha = furnish(server, self.admin, "alpha")
        self.beta = furnish(server, self.admin, "beta")
        self.table = []
        for org in (self.alpha, self.beta):
            org.node = must(self.admin.get("/nodes"))["data"][0]["node"] if any(
                "{node}" in rule.pattern for rule in RULES) else NOWHERE
        self.before = self.snapshot()

    def snapshot(self):
        """What the two organisations have, as the administrator sees it; without what grows by itself."""
        seen = {}
        for org in (self.alpha, self.beta):
            for path in ("/org/" + org.id, "/user", "/key", f"/train/{org.job}", "/quota", "/webhook",
                         "/application", "/budget"):
                if not any(rule.method == "GET" and path.startswith(
                        rule.pattern.removeprefix(PREFIX).split("{")[0].rstrip("/")) for rule in RULES):
                    continue
                answer = self.admin.get(f"{path}?org_id={org.id}")
                text = answer.body.decode()
                seen[org.name, path] = re.sub(r'"(last_used|cost[a-z_]*|spent)": ?"?[^",}]*"?', "", text)
        return seen


@pytest.fixture(scope="module")
def world(tmp_path_factory, make_module_server):
    world = World(make_module_server())
    yield world
    results = REPOSITORY / "build" / "results"
    results.mkdir(parents=True, exist_ok=True)
    lines = ["| Route | Role | Organisation | Status |", "|---|---|---|---|"]
    lines += [f"| `{method} {pattern}` | {role} | {whose} | {status} |"
              for method, pattern, role, whose, status in world.table]
    (results / "access_table.md").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def make_module_server(tmp_path_factory):
    from harness.server import Server
    started = []

    def make(**options):
        started.append(Server(tmp_path_factory.mktemp("server"), **options))
        return started[-1]

    yield make
    for one in started:
        one.close()


def query(path, **fields):
    pairs = "&".join(f"{name}={value}" for name, value in fields.items())
    return path + ("?" + pairs if pairs else "")


def ask(world, rule, role, mine, other, whose, path, body=b"{}"):
    """One request of `mine`'s key; the answer never holds the other's word, unless it is the
    platform administrator who asks for it."""
    answer = mine.keys[role].call(rule.method, path, body if rule.method in ("POST", "PUT", "PATCH") else b"")
    world.table.append((rule.method, rule.pattern, role, whose, answer.status))
    assert answer.status < 500, (path, answer)
    text = answer.body.decode(errors="replace") + str(answer.headers)
    if role != "platform_admin":
        assert other.word not in text, f"{role} sees the other organisation: {path}: {answer}"
    if answer.status >= 400:
        assert answer.json()["error"] is True, answer
        assert other.word not in text, f"an error tells of the other organisation: {path}: {answer}"
    return answer


def refused(answer):
    return answer.status in (401, 403)


def own_path(rule, org, real):
    """Requests that change something and are allowed name nothing that exists."""
    if real or not rule.changes:
        return org.path(rule.pattern)
    return re.sub(r"\{\w+\}", NOWHERE, rule.pattern)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.method} {rule.pattern}")
@pytest.mark.parametrize("role", ROLES)
def test_own_organisation(world, rule, role):
    for mine, other in ((world.alpha, world.beta), (world.beta, world.alpha)):
        if not rule.allows(role):
            answer = ask(world, rule, role, mine, other, "own", own_path(rule, mine, real=True))
            assert answer.status == 403, answer
            continue
        answer = ask(world, rule, role, mine, other, "own", own_path(rule, mine, real=False),
                     b"[]" if rule.changes else b"{}")  # what is no object changes nothing
        # 401 and 403 would be about the key; what is asked may well be wrong or missing.
        assert not refused(answer), answer
        if not rule.changes and "{" not in rule.pattern:
            none_yet = (404,) if rule.pattern.endswith("/budget") else ()  # an organisation may have none
            assert answer.status in (200, 400, *none_yet), answer


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.method} {rule.pattern}")
@pytest.mark.parametrize("role", ROLES)
def test_foreign_organisation_by_org_id(world, rule, role):
    if rule.least == "anyone":
        return
    for mine, other in ((world.alpha, world.beta), (world.beta, world.alpha)):
        admin = role == "platform_admin"
        path = query(own_path(rule, other, real=not admin), org_id=other.id)
        body = b"[]" if admin and rule.changes else b"{}"
        answer = ask(world, rule, role, mine, other, "foreign, by org_id", path, body)
        if admin:
            assert not refused(answer), answer
        else:
            assert answer.status == 403, answer
        everything = ask(world, rule, role, mine, other, "all, by org_id=-1",
                         query(own_path(rule, mine, real=not admin), org_id="-1"), body)
        if not admin:
            assert everything.status == 403, everything
        elif rule.org_query == "one":
            assert everything.status == 400, everything
        else:
            assert not refused(everything), everything


@pytest.mark.parametrize("rule", [r for r in RULES if "{" in r.pattern and r.least != "anyone"],
                         ids=lambda rule: f"{rule.method} {rule.pattern}")
@pytest.mark.parametrize("role", ROLES[:-1])
def test_foreign_organisation_by_name(world, rule, role):
    shared = re.search(r"/(nodes|runtimes)/", rule.pattern)  # the platform's, the same for all
    for mine, other in ((world.alpha, world.beta), (world.beta, world.alpha)):
        answer = ask(world, rule, role, mine, other, "foreign, by name", other.path(rule.pattern))
        if not shared or rule.changes:
            assert answer.status in (400, 403, 404), answer


def test_without_a_key_or_with_a_wrong_one(world):
    for rule in RULES:
        path = world.alpha.path(rule.pattern)
        bare = send(world.server.url, rule.method, path)
        wrong = Rest(world.server.url, world.alpha.keys["member"].access_key, "not the secret").call(
            rule.method, path, b"{}" if rule.method in ("POST", "PUT", "PATCH") else b"")
        for answer in (bare, wrong):
            world.table.append((rule.method, rule.pattern, "none", "–", answer.status))
            assert world.alpha.word not in answer.body.decode(errors="replace"), answer
            if rule.least == "anyone":
                assert answer.status == 200, (rule, answer)
            else:
                assert answer.status == 401, (rule, answer)


@pytest.mark.parametrize("role", ROLES)
def test_buckets_and_objects(world, role):
    for mine, other in ((world.alpha, world.beta), (world.beta, world.alpha)):
        store = objects(world.server, mine.keys[role])
        assert store.get_object(Bucket="default", Key="file")["Body"].read().decode() == mine.word
        listed = json.dumps(store.list_objects_v2(Bucket="default"), default=str)
        assert other.word not in listed
        writes = {
            "PUT object": lambda s=store: s.put_object(Bucket="default", Key="mine", Body=b"x"),
            "DELETE object": lambda s=store: s.delete_object(Bucket="default", Key="mine"),
            "PUT bucket": lambda s=store, r=role: s.create_bucket(Bucket="b-" + r.replace("_", "-")),
        }
        for what, act in writes.items():
            try:
                status = act()["ResponseMetadata"]["HTTPStatusCode"]
            except store.exceptions.ClientError as error:
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            world.table.append((what, "(S3)", role, "own", status))
            assert (status == 403) == (role == "viewer"), (what, role, status)


# Last: reads what the others left.
def test_nothing_has_changed_and_no_log_line_tells(world):
    assert world.snapshot() == world.before
    log = world.server.log()
    for org in (world.alpha, world.beta):
        assert org.word not in log
        for rest in org.keys.values():
            assert rest.secret_key not in log


def test_every_placeholder_is_known():
    names = {name for rule in RULES for name in re.findall(r"\{(\w+)\}", rule.pattern)}
    assert names <= set(OBJECTS), f"teach OBJECTS about {names - set(OBJECTS)}"


def test_the_table_covers_what_the_api_describes(world):
    described = set(re.findall(r"^  (/\S+):$", Path(REPOSITORY / "docs/api/openapi.yaml").read_text(), re.M))
    plain = {re.sub(r"\{\w+\}", "{}", p) for p in described}
    assert {re.sub(r"\{\w+\}", "{}", rule.pattern) for rule in RULES} == plain
