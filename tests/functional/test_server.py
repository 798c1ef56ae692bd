"""The server as its operator sees it: first start, configuration, health, hostile connections."""
import json
import re
import socket
import subprocess
import time
import urllib.parse

import pytest
import yaml

from harness import wire
from harness.polling import wait_for
from harness.rest import PREFIX, galaxy_v3_headers, send
from harness.server import cloudml_binary


def start_refused(tmp_path, *arguments):
    """Runs a server that must not start; returns what it said."""
    ended = subprocess.run(
        [str(cloudml_binary()), "server", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0",
         *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode > 0, ended
    return ended.stdout + ended.stderr


def test_the_first_start_makes_an_organisation_and_a_key(own_server):
    admin = json.loads((own_server.data / "admin.json").read_text())
    assert admin["xiaomi_cloudml_endpoint"] == own_server.url
    assert own_server.admin_file_mode() == 0o600
    rest = own_server.rest()
    rest.run("first", "true")
    assert rest.job("first")["org_name"] == "default"
    assert rest.jobs()


def test_one_line_says_that_the_server_is_ready(own_server):
    assert own_server.ready_line.startswith(f"cloudml ready on {own_server.url}")


def test_health_readiness_and_metrics(server, rest):
    assert send(server.url, "GET", "/healthz").status == 200
    assert send(server.url, "GET", "/readyz").status == 200
    rest.get("/org_ids")
    answer = send(server.url, "GET", "/metrics")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain")
    text = answer.body.decode()
    samples = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(samples) >= 5
    for line in samples:
        assert re.fullmatch(r'[a-z_][a-z0-9_]*(\{[^}]*\})? -?[0-9.e+-]+', line), line
    names = {re.split(r"[{ ]", line)[0] for line in samples}
    typed = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert all(any(name.startswith(base) for base in typed) for name in names)
    assert server.secret_key not in text


def test_the_api_description_is_served_and_knows_the_train_routes(server):
    answer = send(server.url, "GET", "/openapi.yaml")
    assert answer.status == 200
    described = yaml.safe_load(answer.body)
    assert described["openapi"].startswith("3.")
    for path, methods in {"/cloud_ml/v1/train": {"get", "post"},
                          "/cloud_ml/v1/train/{job}": {"get", "delete"},
                          "/cloud_ml/v1/train/{job}/logs": {"get"},
                          "/cloud_ml/v1/framework": {"get"},
                          "/healthz": {"get"}}.items():
        assert methods <= set(described["paths"][path]), path


@pytest.mark.parametrize(("text", "named"), [
    ("no_such_setting: 1\n", "no_such_setting"),
    ("fake_gpus: many\n", "fake_gpus"),
    ("public_endpoints: 5\n", "public_endpoints"),
    ("capacity_cpu: -1\n", "capacity_cpu"),
    ("capacity_memory: 8GB\n", "capacity_memory"),
    ("log_level: loud\n", "log_level"),
    ("listen: nowhere\n", "listen"),
    ("[1, 2]\n", "cloudml.yaml"),
    ("a: [\n", "cloudml.yaml"),
], ids=lambda v: v.strip() if v.endswith("\n") else "")
def test_a_wrong_configuration_is_refused_by_name(tmp_path, text, named):
    file = tmp_path / "cloudml.yaml"
    file.write_text(text)
    assert named in start_refused(tmp_path, "--config", file)


def test_a_configuration_file_that_is_not_there_is_refused(tmp_path):
    assert "nosuch.yaml" in start_refused(tmp_path, "--config", tmp_path / "nosuch.yaml")


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "data").write_text("a file")
    assert str(tmp_path / "data") in start_refused(tmp_path)


def test_secrets_are_in_no_log_and_not_in_the_database(own_server):
    rest = own_server.rest()
    rest.run("job", "true", env={"TOKEN": "x"})
    rest.wait("job", "completed")
    rest.call("GET", "/cloud_ml/v1/org_ids?X-Amz-Signature=zzz")
    assert own_server.secret_key not in own_server.log()
    own_server.stop()
    for path in own_server.data.rglob("*"):
        if path.is_file() and path.name != "admin.json":
            assert own_server.secret_key.encode() not in path.read_bytes(), path


# ---- clients that are slow, silent or rude

def test_silent_clients_harm_nobody(server, rest):
    idle = [wire.connect(server.url) for _ in range(200)]
    try:
        for number, peer in enumerate(idle):
            if number % 2:
                peer.sendall(b"POST /cloud_ml/v1/train HTTP/1.1\r\nHost: a\r\nContent-Le")
        began = time.monotonic()
        for _ in range(20):
            assert rest.get("/org_ids").status == 200
        assert time.monotonic() - began < 5
    finally:
        for peer in idle:
            peer.close()


def test_a_head_that_never_ends_is_cut_off(server):
    with wire.connect(server.url, seconds=40) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        began = time.monotonic()
        while time.monotonic() - began < 35:
            try:
                peer.sendall(b"x")
                peer.settimeout(0.5)
                if not peer.recv(4096):
                    return
            except TimeoutError:
                continue
            except OSError:
                return
    pytest.fail("a head that grows byte by byte keeps its connection for ever")


def test_a_client_that_reads_nothing_does_not_hold_the_log_back(server, rest, job_name):
    rest.run(job_name, "seq 1 300000; echo the end")
    rest.wait(job_name, "completed")
    target = f"{PREFIX}/train/{job_name}/logs?follow=True"
    lazy = []
    try:
        for _ in range(10):
            peer = wire.connect(server.url)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.sendall(wire.head("GET", target, galaxy_v3_headers(
                server.access_key, server.secret_key, target)))
            lazy.append(peer)
        assert list(rest.follow(job_name))[-1] == "the end"
        assert rest.get("/org_ids").status == 200
    finally:
        for peer in lazy:
            peer.close()


def test_a_connection_serves_many_requests(server):
    head = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    with wire.connect(server.url) as peer, peer.makefile("rb") as stream:
        for _ in range(100):
            peer.sendall(head)
            assert wire.read_answer(stream)[0] == 200
        peer.sendall(head * 10)  # pipelined
        for _ in range(10):
            assert wire.read_answer(stream)[0] == 200


def test_expect_continue_is_answered_before_the_body(server):
    where = urllib.parse.urlsplit(server.url)
    with socket.create_connection((where.hostname, where.port), 15) as peer:
        peer.sendall(b"POST /cloud_ml/v1/train HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                     b"Expect: 100-continue\r\n\r\n")
        first = peer.recv(4096)
        assert first.startswith((b"HTTP/1.1 100", b"HTTP/1.1 401")), first


def test_a_head_request_gets_no_body(server):
    with wire.connect(server.url) as peer, peer.makefile("rb") as stream:
        peer.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = stream.read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 405")) and body == b"", answer


def test_many_clients_at_once(server):
    """256 connections, each with a request of its own, all answered."""
    peers = [wire.connect(server.url, 60) for _ in range(256)]
    try:
        for peer in peers:
            peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        for peer in peers:
            with peer.makefile("rb") as stream:
                assert wire.read_answer(stream)[0] == 200
    finally:
        for peer in peers:
            peer.close()
    wait_for(lambda: send(server.url, "GET", "/healthz").status == 200, 10, "an answer afterwards")
