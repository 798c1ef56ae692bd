"""Idempotency keys: a create that is sent twice is done once."""
import threading
import uuid

from harness.cli import Cli
from harness.rest import PREFIX, connection_to, galaxy_v3_headers


def submit(rest, name, key, **fields):
    return rest.post("/train", {"job_name": name, "docker_command": "true", "save_mode": True, **fields},
                     headers={"Idempotency-Key": key})


def test_the_same_request_gives_the_same_job(rest, job_name):
    key = str(uuid.uuid4())
    first, again = submit(rest, job_name, key), submit(rest, job_name, key)
    assert first.status == again.status == 200
    assert first.json()["job_id"] == again.json()["job_id"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert submit(rest, job_name, str(uuid.uuid4())).status == 409, "another key is another request"


def test_another_request_with_the_key_is_refused(rest, job_name):
    key = str(uuid.uuid4())
    assert submit(rest, job_name, key).status == 200
    refused = submit(rest, job_name + "x", key)
    assert refused.status == 422 and "Idempotency-Key" in refused.message
    assert rest.get(f"/train/{job_name}x").status == 404


def test_a_key_has_a_form(rest, job_name):
    for key in ("", "with blank", "x" * 256):
        assert submit(rest, job_name, key).status == 400, key
    assert submit(rest, job_name, "x" * 255).status == 200


def test_a_refused_create_does_not_use_the_key_up(rest, job_name):
    key = str(uuid.uuid4())
    assert submit(rest, "Bad Name", key).status == 400
    assert submit(rest, job_name, key).status == 200


def test_what_was_created_and_deleted_is_not_made_again(rest, job_name):
    key = str(uuid.uuid4())
    assert submit(rest, job_name, key).status == 200
    rest.delete_job(job_name)
    rest.gone(job_name)
    assert submit(rest, job_name, key).status == 409
    assert rest.get(f"/train/{job_name}").status == 404


def test_many_at_once_give_one_job(rest, job_name):
    key, answers = str(uuid.uuid4()), []
    start = threading.Barrier(16)

    def send():
        start.wait()
        answers.append(submit(rest, job_name, key))

    senders = [threading.Thread(target=send) for _ in range(16)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert {answer.status for answer in answers} == {200}, answers
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1


def test_kill_9_between_commit_and_answer(own_server):
    """The request goes out, nobody waits for its answer, the server dies; the repetition finds what it did."""
    for attempt in range(5):
        key, name = str(uuid.uuid4()), f"killed-{attempt}"
        body = (b'{"job_name": "%s", "docker_command": "true", "save_mode": true}' % name.encode())
        headers = galaxy_v3_headers(own_server.access_key, own_server.secret_key, PREFIX + "/train", body)
        connection = connection_to(own_server.url, 20)
        connection.request("POST", PREFIX + "/train", body, {**headers, "Idempotency-Key": key})
        own_server.kill9()
        connection.close()
        own_server.start()
        rest = own_server.rest()
        there = rest.get(f"/train/{name}")
        again = rest.post("/train", body, headers={"Idempotency-Key": key})
        assert again.status == 200, again
        if there.status == 200:
            assert again.json()["job_id"] == there.json()["job_id"]
            assert again.headers["Idempotency-Replayed"] == "true"
        third = rest.post("/train", body, headers={"Idempotency-Key": key})
        assert third.json()["job_id"] == again.json()["job_id"]
    names = [job["job_name"] for job in rest.jobs()]
    assert sorted(names) == sorted(set(names))


def test_keys_survive_a_restart_and_webhooks_have_them_too(own_server):
    rest, key = own_server.rest(), str(uuid.uuid4())
    body = {"url": "https://example.com/hook"}
    first = rest.post("/webhook", body, headers={"Idempotency-Key": key})
    assert first.status == 200, first
    own_server.restart()
    rest = own_server.rest()
    again = rest.post("/webhook", body, headers={"Idempotency-Key": key})
    assert again.json() == first.json() and again.headers["Idempotency-Replayed"] == "true"
    assert len(rest.get("/webhook").json()["data"]) == 1


def test_the_command_line_sends_a_key(own_server, tmp_path):
    cli = Cli(own_server, tmp_path / "home")
    cli.ok("jobs", "submit", "-n", "mine", "-dc", "true", "-sv")
    assert cli.run("jobs", "submit", "-n", "mine", "-dc", "true", "-sv").returncode == 3


def test_every_create_is_done_once(own_server):
    """Organisations, users, keys with their secrets, rotations, applications, namespaces: across a restart, too."""
    rest = own_server.rest()
    creates = [
        ("/org", {"org_name": "once", "org_mail": "o@example.com"}),
        ("/user", {"user": "ann"}),
        ("/key", {"user": "ann", "role": "member", "label": "laptop"}),
        ("/application", {"service": "jobs", "gpu_limit": "2"}),
        ("/namespace", {"name": "space", "owner_email": "s@example.com"}),
        ("/namespace_user", {"namespace": "space", "user_id": "eve"}),
    ]
    keys = {path: str(uuid.uuid4()) for path, _ in creates}

    def send(rest, path, body):
        return rest.post(path, body, headers={"Idempotency-Key": keys[path]})

    first = {}
    for path, body in creates:
        first[path] = send(rest, path, body)
        assert first[path].status == 200, (path, first[path])
        assert "Idempotency-Replayed" not in first[path].headers, path
        if path == "/key":
            rotate = f"/key/{first[path].json()['access_key']}/rotate"
            keys[rotate] = str(uuid.uuid4())
            first[rotate] = send(rest, rotate, {"overlap": 3600})
            assert first[rotate].status == 200, first[rotate]
    creates.append((rotate, {"overlap": 3600}))
    own_server.kill9()
    own_server.start()
    rest = own_server.rest()
    counts = {path: len(rest.get(path).json()["data"]) for path in ("/org", "/user", "/key", "/application")}
    for path, body in creates:
        again = send(rest, path, body)
        assert again.status == 200, (path, again)
        assert again.headers["Idempotency-Replayed"] == "true", path
        for field in ("org_id", "user", "access_key", "secret_key", "id", "name", "user_id"):
            assert again.json().get(field) == first[path].json().get(field), (path, field)
        changed = send(rest, path, {**body, "comment": "another request"})
        assert changed.status == 422, (path, changed)
    for path, count in counts.items():
        assert len(rest.get(path).json()["data"]) == count, path
    made = send(rest, "/key", creates[2][1]).json()
    assert made["secret_key"], "the secret comes again"
    theirs = own_server.rest(made["access_key"], made["secret_key"])
    assert theirs.get("/train").status == 200, "and it is the right one"


def test_a_secret_is_not_given_to_another_key(own_server):
    rest, key, body = own_server.rest(), str(uuid.uuid4()), {"role": "org_admin"}
    first = rest.post("/key", body, headers={"Idempotency-Key": key}).json()
    other = own_server.rest(first["access_key"], first["secret_key"])
    second = other.post("/key", body, headers={"Idempotency-Key": key})
    assert second.status == 200 and second.json()["access_key"] != first["access_key"]
    assert "Idempotency-Replayed" not in second.headers
