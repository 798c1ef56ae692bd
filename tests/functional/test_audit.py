"""The audit: who changed what, one line for each change, and a chain in which nothing can be missing."""
import json
import sqlite3
import threading

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from harness.cli import Cli
from harness.polling import wait_for
from harness.rest import PREFIX, connection_to, galaxy_v3_headers, send


def s3_client(server, secret_key=None):
    return boto3.client("s3", endpoint_url=server.url, region_name="us-east-1",
                        aws_access_key_id=server.access_key,
                        aws_secret_access_key=secret_key or server.secret_key,
                        config=Config(signature_version="s3v4", retries={"max_attempts": 1}, s3={"addressing_style": "path"}))


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A server of this module's own, so that its lines can be counted."""
    from harness.server import Server
    started = Server(tmp_path_factory.mktemp("audited"))
    yield started
    started.close()


def lines(rest, query=""):
    """Of all organisations, and of nobody: so are refused signatures."""
    answer = rest.get(f"/audit?org_id=-1&limit=1000{query}")
    assert answer.status == 200, answer
    return answer.json()["data"]


def only(rest, query):
    found = lines(rest, query)
    assert len(found) == 1, found
    return found[0]


def test_a_change_leaves_exactly_one_line(audited):
    rest = audited.rest()
    rest.run("one", "true", env={"TOKEN": "hunter2hunter2"}, labels={"team": "a"})
    created = only(rest, "&action=train_job.create&target=train_job%20one")
    assert created["status"] == 200 and created["key"] == audited.access_key
    assert created["peer"].startswith("127.0.0.1") and created["role"] == "platform_admin"
    assert created["before"] is None and created["after"]["docker_command"] == "true"
    assert created["after"]["env"] == {"TOKEN": "***"}, "values of variables may be secrets"
    rest.wait("one", "completed")
    assert rest.get("/train/one/start").status == 200
    started = only(rest, "&action=train_job.start&target=train_job%20one")
    assert started["after"]["starts"] == started["before"]["starts"] + 1
    rest.wait("one", "completed")
    assert rest.delete("/train/one").status == 200
    deleted = only(rest, "&action=train_job.delete&target=train_job%20one")
    assert deleted["before"]["job_id"] and deleted["after"] is None


def test_refused_changes_are_there_and_dry_runs_are_not(audited):
    rest = audited.rest()
    assert rest.post("/train", {"job_name": "Bad Name", "docker_command": "true"}).status == 400
    refused = lines(rest, "&action=train_job.create&status=400")
    assert len(refused) == 1 and "job_name" in refused[0]["message"]
    assert rest.delete("/train/nothing").status == 404
    assert only(rest, "&target=train_job%20nothing")["status"] == 404
    dry = rest.post("/train?dry_run=True", {"job_name": "dry", "docker_command": "true"})
    assert dry.status == 200
    assert not lines(rest, "&target=train_job%20dry")
    reads = len(lines(rest))
    rest.get("/train")
    assert len(lines(rest)) == reads, "what only reads leaves no line"


def test_the_object_store_is_audited_too(audited):
    rest, s3 = audited.rest(), s3_client(audited)
    s3.create_bucket(Bucket="papers")
    s3.put_object(Bucket="papers", Key="a/b", Body=b"text")
    s3.put_object(Bucket="papers", Key="c", Body=b"text")
    s3.get_object(Bucket="papers", Key="a/b")["Body"].read()
    s3.delete_objects(Bucket="papers", Delete={"Objects": [{"Key": "a/b"}, {"Key": "c"}]})
    with pytest.raises(ClientError):
        s3.put_object(Bucket="no-such-bucket", Key="x", Body=b"")
    assert only(rest, "&action=bucket.create&target=bucket%20papers")["status"] == 200
    put = only(rest, "&action=object.write&target=object%20papers/a/b")
    assert put["status"] == 200 and put["after"]["etag"] and put["key"] == audited.access_key
    gone = only(rest, "&action=object.delete&target=bucket%20papers")
    assert gone["before"] == {"objects": 2, "keys": ["a/b", "c"]}
    failed = only(rest, "&target=object%20no-such-bucket/x")
    assert failed["status"] == 404 and "bucket" in failed["message"].lower()


def test_a_flood_of_wrong_signatures_is_a_few_lines(audited):
    rest = audited.rest()
    before = len(lines(rest))
    body = b'{"job_name": "x", "docker_command": "true"}'
    for _ in range(300):
        headers = galaxy_v3_headers(audited.access_key, "wrong", PREFIX + "/train", body)
        assert send(audited.url, "POST", PREFIX + "/train", headers, body).status in (401, 429)
    refused = [one for one in lines(rest) if one["status"] == 401]
    assert len(refused) == 1, "the first at once, the rest are added up"
    assert refused[0]["org"] == "" and refused[0]["key"] == "" and refused[0]["peer"] == "127.0.0.1"
    assert len(lines(rest)) - before <= 2
    audited.restart()
    sums = [one for one in lines(audited.rest()) if one["status"] == 401 and " more since " in one["message"]]
    assert len(sums) == 1 and sums[0]["message"].startswith("299 more since"), sums


def test_pages_filters_and_wrong_questions(audited):
    rest = audited.rest()
    seen, page = [], ""
    while True:
        answer = rest.get("/audit?org_id=-1&limit=3" + (f"&page={page}" if page else ""))
        seen += [one["number"] for one in answer.json()["data"]]
        page = answer.json().get("next_page")
        if not page:
            break
    assert seen == sorted(seen, reverse=True) and seen[-1] == 1 and len(set(seen)) == len(seen)
    assert all(one["action"].startswith("object.") for one in lines(rest, "&action=object.*"))
    assert not lines(rest, "&until=2020-01-01")
    assert len(lines(rest, "&from=2020-01-01T00:00:00Z")) == len(seen)
    for query in ("limit=x", "page=x", "from=yesterday", "follow=perhaps"):
        assert rest.get(f"/audit?{query}").status == 400, query


def test_followed_lines_come_as_they_are_written(audited):
    rest = audited.rest()
    target = PREFIX + "/audit?follow=True&limit=1"
    connection = connection_to(audited.url, 30)
    connection.request("GET", target, headers=galaxy_v3_headers(audited.access_key, audited.secret_key, target))
    answer = connection.getresponse()
    first = json.loads(answer.readline())
    rest.delete("/train/followed")
    second = json.loads(answer.readline())
    connection.close()
    assert second["number"] > first["number"] and second["target"] == "train_job followed"


def test_the_command_line_reads_exports_and_checks(audited, tmp_path):
    cli = Cli(audited, tmp_path / "home")
    listed = cli.ok("audit", "list", "--action", "train_job.*", "--limit", "5")
    assert "train_job.create" in listed.stdout or "train_job.delete" in listed.stdout
    exported = tmp_path / "audit.jsonl"
    cli.ok("audit", "export", "-O", exported, "--org_id", "-1")
    assert "none missing" in cli.ok("audit", "verify", "--file", exported).stdout
    assert "none altered" in cli.ok("audit", "verify").stdout
    text = exported.read_text()
    rows = text.splitlines(keepends=True)
    for name, broken, said in (
            ("altered", text.replace('"org":"1"', '"org":"2"', 1), "altered"),
            ("removed", "".join(rows[:3] + rows[4:]), ""),
            ("swapped", "".join([rows[1], rows[0], *rows[2:]]), ""),
            ("tail", "".join(rows[:-3] + rows[-1:]), ""),
            ("cut", "".join(rows[:-1]), "cut")):
        file = tmp_path / f"{name}.jsonl"
        file.write_text(broken)
        ended = cli.run("audit", "verify", "--file", file)
        assert ended.returncode == 6, (name, ended)
        assert "broken" in ended.stderr and said in ended.stderr, (name, ended.stderr)
    mine = tmp_path / "mine.jsonl"
    cli.ok("audit", "export", "-O", mine)
    assert "organisation 1" in cli.ok("audit", "verify", "--file", mine).stdout


@pytest.mark.parametrize("damage", [
    "UPDATE audit SET line = replace(line, 'train_job', 'train_jab') WHERE seq = 2",
    "DELETE FROM audit WHERE seq = 2",
    "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
])
def test_damage_in_the_database_is_found(make_server, tmp_path, damage):
    server = make_server()
    rest = server.rest()
    for number in range(4):
        rest.run(f"job-{number}", "true", save_mode=True)
    assert rest.get("/audit/verify").json()["whole"] is True
    assert server.stop() == 0
    with sqlite3.connect(server.data / "cloudml.db") as database:
        table = database.execute("SELECT sql FROM sqlite_master WHERE name = 'audit'").fetchone()
        assert table, "the table of the audit has another name now"
        for (trigger,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        assert database.execute(damage).rowcount == 1
    server.start()
    verdict = server.rest().get("/audit/verify").json()
    assert verdict["whole"] is False and verdict["wrong"] >= 2, verdict
    cli = Cli(server, tmp_path / "home")
    ended = cli.run("audit", "verify")
    assert ended.returncode == 6 and "broken" in ended.stderr, ended


def test_kill_9_in_the_middle_leaves_a_line_for_each_job(own_server):
    accepted, lock = [], threading.Lock()
    rest = own_server.rest()

    def submit(worker):
        for number in range(1000):
            try:
                name = f"k{worker}-{number}"
                if rest.post("/train", {"job_name": name, "docker_command": "true", "save_mode": True}).status != 200:
                    return
                with lock:
                    accepted.append(name)
            except OSError:
                return

    workers = [threading.Thread(target=submit, args=(w,)) for w in range(4)]
    for worker in workers:
        worker.start()
    wait_for(lambda: len(accepted) > 40, 30, "jobs to be accepted")
    own_server.kill9()
    for worker in workers:
        worker.join()
    own_server.start()
    rest = own_server.rest()
    assert rest.get("/audit/verify").json()["whole"] is True
    jobs = {job["job_name"] for job in rest.jobs()}
    told, page = [], ""
    while True:
        answer = rest.get("/audit?action=train_job.create&status=200&limit=1000" + (f"&page={page}" if page else "")).json()
        told += [one["target"].removeprefix("train_job ") for one in answer["data"]]
        page = answer.get("next_page")
        if not page:
            break
    assert set(accepted) <= jobs
    assert sorted(told) == sorted(jobs), "one line for each job that is there"


def test_no_secret_is_in_the_log(make_server, tmp_path):
    server = make_server(config={"log_format": "json", "log_requests": "all"})
    rest, s3 = server.rest(), s3_client(server)
    rest.run("logged", "true", env={"TOKEN": "very-secret-value"})
    s3.put_object(Bucket="default", Key="x", Body=b"body-text-that-is-nobodys-business")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "default", "Key": "x"})
    target = url[len(server.url):]
    assert send(server.url, "GET", target).status == 200
    rest.post("/train", {"job_name": "BAD", "docker_command": "very-secret-value"})
    headers = galaxy_v3_headers(server.access_key, "wrong-secret", PREFIX + "/train")
    send(server.url, "GET", PREFIX + "/train?token=query-secret", headers)
    created = rest.post("/webhook", {"url": "https://example.com/hook-path-secret"}).json()
    rest.wait("logged", "completed")
    log = server.log()
    signature = target.split("X-Amz-Signature=")[1].split("&")[0]
    for secret in (server.secret_key, "very-secret-value", signature, "X-Amz-Signature", "nobodys-business",
                   headers["Authorization"], "Galaxy V3", "query-secret", "hook-path-secret", created["secret"]):
        assert secret not in log, secret
    requests = [json.loads(line) for line in log.splitlines() if '"text":"request"' in line]
    mine = [one for one in requests if one["path"] == "/cloud_ml/v1/train" and one["method"] == "POST"]
    assert mine[0]["status"] == 200 and mine[0]["key"] == server.access_key and mine[0]["microseconds"] > 0
    assert {"request", "bytes", "org", "user", "peer"} <= set(mine[0])
    assert any(one["status"] == 401 for one in requests)
