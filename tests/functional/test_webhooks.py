"""Webhooks: a real receiver on loopback, signatures, repetitions, kill -9, and what they never reach."""
import hashlib
import hmac
import http.server
import json
import threading
import time

import pytest
from harness.cli import Cli
from harness.polling import wait_for
from harness.rest import PREFIX


class Receiver:
    """Answers with `status` and remembers what came."""

    def __init__(self, status=200):
        self.status, self.got = status, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers), body))
                self.send_response(outer.status)
                if outer.status == 302:
                    self.send_header("Location", outer.url + "/redirected")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def events(self):
        return [json.loads(body)["event"] for _, body in self.got]


@pytest.fixture
def receiver():
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def telling(make_server):
    return make_server(config={"webhooks": {"allow": ["127.0.0.1"]}})


def check_signature(secret, headers, body):
    """What the guide tells a receiver to do."""
    parts = dict(part.split("=", 1) for part in headers["X-Cloudml-Signature"].split(","))
    right = hmac.new(secret.encode(), f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(right, parts["v1"]) and abs(time.time() - int(parts["t"])) < 300


def deliveries(rest, hook):
    return rest.get(f"/webhook/{hook}/deliveries").json()["data"]


def test_the_states_of_a_job_are_told_and_signed(telling, receiver):
    rest = telling.rest()
    created = rest.post("/webhook", {"url": receiver.url + "/hook", "events": ["train_job.*"]}).json()
    rest.run("told", "true", labels={"team": "vision"})
    rest.wait("told", "completed")
    rest.delete_job("told")
    rest.gone("told")
    expected = {"train_job.enqueued", "train_job.creating", "train_job.running", "train_job.completed", "train_job.deleted"}
    wait_for(lambda: expected <= set(receiver.events()), 30, lambda: f"all events; there are {receiver.events()}")
    assert sorted(receiver.events()) == sorted(set(receiver.events())), "each once, where nothing fails"
    for headers, body in receiver.got:
        assert check_signature(created["secret"], headers, body)
        assert not check_signature("another", headers, body)
        assert headers["X-Cloudml-Event"] == json.loads(body)["event"]
        assert headers["X-Cloudml-Delivery"] == json.loads(body)["delivery_id"]
    last = next(json.loads(body) for _, body in receiver.got if b"train_job.completed" in body)
    assert last["train_job"]["job_name"] == "told" and last["train_job"]["exit_code"] == 0
    assert last["train_job"]["labels"] == {"team": "vision"} and last["org_id"] == "1"
    wait_for(lambda: {d["state"] for d in deliveries(rest, created["webhook_id"])} == {"delivered"}, 20,
             "all to be delivered")


def test_only_what_is_asked_for_is_told(telling, receiver):
    rest = telling.rest()
    hook = rest.post("/webhook", {"url": receiver.url, "events": ["train_job.failed"]}).json()["webhook_id"]
    rest.run("good", "true")
    rest.run("bad", "exit 3")
    rest.wait("good", "completed")
    rest.wait("bad", "failed")
    wait_for(lambda: receiver.got, 20, "the failure to be told")
    assert receiver.events() == ["train_job.failed"]
    assert rest.call("PATCH", f"/cloud_ml/v1/webhook/{hook}", {"active": False}).json()["active"] is False
    rest.run("bad-2", "exit 3")
    rest.wait("bad-2", "failed")
    assert len(deliveries(rest, hook)) == 1


def test_a_failed_delivery_comes_again_under_the_same_id(telling, receiver):
    receiver.status = 500
    rest = telling.rest()
    hook = rest.post("/webhook", {"url": receiver.url}).json()["webhook_id"]
    sent = rest.post(f"/webhook/{hook}/test", {}).json()
    assert sent["event"] == "webhook.test" and sent["state"] == "pending"
    wait_for(lambda: receiver.got and deliveries(rest, hook)[0]["attempts"] == 1, 20, "the first attempt")
    waiting = deliveries(rest, hook)[0]
    assert waiting["state"] == "pending" and waiting["status"] == 500 and waiting["next_attempt_at"]
    receiver.status = 204
    wait_for(lambda: deliveries(rest, hook)[0]["state"] == "delivered", 30, "the second attempt")
    assert [headers["X-Cloudml-Delivery"] for headers, _ in receiver.got] == [sent["delivery_id"]] * 2


def test_kill_9_loses_nothing(telling, receiver):
    receiver.status = 503
    rest = telling.rest()
    hook = rest.post("/webhook", {"url": receiver.url, "events": ["train_job.initial"]}).json()["webhook_id"]
    for number in range(5):
        rest.run(f"kept-{number}", "true", save_mode=True)
    telling.kill9()
    receiver.status = 200
    telling.start()
    rest = telling.rest()
    wait_for(lambda: {d["state"] for d in deliveries(rest, hook)} == {"delivered"}, 40, "all to be delivered")
    told = {json.loads(body)["train_job"]["job_name"] for _, body in receiver.got}
    assert told == {f"kept-{number}" for number in range(5)}
    by_id = {}
    for headers, body in receiver.got:
        by_id.setdefault(headers["X-Cloudml-Delivery"], set()).add(body)
    assert len(by_id) == 5 and all(len(bodies) == 1 for bodies in by_id.values())


def test_a_redirect_is_not_followed(telling, receiver):
    receiver.status = 302
    rest = telling.rest()
    hook = rest.post("/webhook", {"url": receiver.url}).json()["webhook_id"]
    rest.post(f"/webhook/{hook}/test", {})
    wait_for(lambda: deliveries(rest, hook)[0]["attempts"] > 0, 20, "an attempt")
    assert deliveries(rest, hook)[0]["status"] == 302 and len(receiver.got) == 1


def test_this_machine_is_closed_unless_it_is_allowed(server, receiver):
    rest = server.rest()
    port = receiver.url.rsplit(":", 1)[1]
    for host in ("127.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "[fe80::1]",
                 "10.0.0.1", "192.168.0.1", "[fd00:ec2::254]", "224.0.0.1", "2130706433", "0x7f.1"):
        refused = rest.post("/webhook", {"url": f"http://{host}:{port}/"})
        assert refused.status == 400, (host, refused)
        assert "no public address" in refused.message, (host, refused)
    for url in ("file:///etc/passwd", "ftp://example.com/", "gopher://example.com/", "http://u:p@example.com/", "x", ""):
        assert rest.post("/webhook", {"url": url}).status == 400, url
    # A name shows what it means when it is connected to.
    hook = rest.post("/webhook", {"url": f"http://localhost:{port}/"}).json()["webhook_id"]
    rest.post(f"/webhook/{hook}/test", {})
    wait_for(lambda: deliveries(rest, hook)[0]["attempts"] > 0, 20, "an attempt")
    assert "no public address" in deliveries(rest, hook)[0]["message"]
    assert not receiver.got
    assert rest.delete(f"/webhook/{hook}").status == 200


def test_a_silent_receiver_holds_up_nobody(telling, receiver):
    import socket
    rest = telling.rest()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        slow = rest.post("/webhook", {"url": f"http://127.0.0.1:{port}/"}).json()["webhook_id"]
        quick = rest.post("/webhook", {"url": receiver.url}).json()["webhook_id"]
        rest.post(f"/webhook/{slow}/test", {})
        rest.post(f"/webhook/{quick}/test", {})
        wait_for(lambda: deliveries(rest, quick)[0]["state"] == "delivered", 8, "the quick one to be told")
        wait_for(lambda: deliveries(rest, slow)[0]["attempts"] == 1, 25, "the silent one's time to be over")


def test_the_command_line(telling, receiver, tmp_path):
    cli = Cli(telling, tmp_path / "home")
    created = cli.ok("webhook", "create", "--url", receiver.url, "--event", "train_job.failed,train_job.completed",
                     "-o", "json")
    hook = json.loads(created.stdout)["webhook_id"]
    assert receiver.url in cli.ok("webhook", "list").stdout
    assert "train_job.failed" in cli.ok("webhook", "describe", hook).stdout
    cli.ok("webhook", "test", hook)
    wait_for(lambda: "delivered" in cli.ok("webhook", "deliveries", hook).stdout, 20, "the delivery")
    assert "no" in cli.ok("webhook", "update", hook, "--off").stdout
    assert cli.run("webhook", "update", hook).returncode == 2
    cli.ok("webhook", "delete", hook)
    assert cli.run("webhook", "describe", hook).returncode == 4


def test_a_budget_is_told_once(make_server, receiver):
    """Each percentage once a month, also when the server is killed in between."""
    prices = {"currency": "EUR", "list": [{"resource": "cpu", "per_hour": 3600}]}  # 1 EUR a core-second
    billed = make_server(config={"webhooks": {"allow": ["127.0.0.1"]}, "prices": prices, "capacity_cpu": 4,
                                 "capacity_memory": "4G"})
    rest = billed.rest()
    created = rest.post("/webhook", {"url": receiver.url, "events": ["budget.*"]}).json()
    rest.run("spends", "sleep 60", cpu_limit="1", memory_limit="256M")
    rest.wait("spends", "running")
    assert rest.call("PUT", PREFIX + "/budget", {"amount": "2", "warn_at": [50]}).status == 200
    wait_for(lambda: set(receiver.events()) == {"budget.warning", "budget.exceeded"}, 40,
             lambda: f"both events; there are {receiver.events()}")
    wait_for(lambda: {d["state"] for d in deliveries(rest, created["webhook_id"])} == {"delivered"}, 20, "all delivered")
    told = {}
    for headers, body in receiver.got:
        assert check_signature(created["secret"], headers, body)
        told[headers["X-Cloudml-Event"]] = json.loads(body)
    assert told["budget.warning"]["budget"]["warn_at"] == 50 and told["budget.exceeded"]["budget"]["warn_at"] == 100
    exceeded = told["budget.exceeded"]
    assert exceeded["org_id"] == "1" and exceeded["budget"]["percent"] >= 100
    assert float(exceeded["budget"]["spent"]) >= float(exceeded["budget"]["amount"]) == 2
    assert exceeded["budget"]["currency"] == "EUR" and exceeded["budget"]["action"] == "none"
    billed.kill9()
    billed.start()
    rest = billed.rest()
    # The budget is looked at before the server is ready, and again when it is set.
    assert rest.call("PUT", PREFIX + "/budget", {"amount": "2", "warn_at": [50]}).json()["percent"] >= 100
    assert len(deliveries(rest, created["webhook_id"])) == 2
    assert len(receiver.got) == 2
