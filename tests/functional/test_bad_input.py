"""Each field of a train job wrong in each way: a 4xx in JSON that names the field, and no harm done."""
import gzip
import json
import re

import pytest

from harness import wire
from harness.rest import PREFIX, galaxy_v3_headers

NUL = "\0"
ZERO_WIDTH = "\u200b"
ARABIC_ONE = "\u0661"
FULL_WIDTH_ONE = "\uff11"

GOOD = {"job_name": "bad-input", "docker_command": "true", "save_mode": True}


@pytest.fixture(autouse=True)
def server_still_answers(server, rest):
    """Whatever was sent, the server must be the same process and answer, and no job may be there."""
    pid = server.pid
    yield
    assert server.running and server.pid == pid, server.log()[-3000:]
    assert rest.get("/org_ids").status == 200
    leftovers = [job["job_name"] for job in rest.jobs() if job["job_name"].startswith("bad-input")]
    for name in leftovers:
        rest.delete_job(name)
        rest.gone(name)
    assert not leftovers, "a refused request left a job behind"


def refused(answer, *names, status=(400,)):
    """The answer is a refusal whose message names one of the fields, as a word of its own."""
    assert answer.status in status, answer
    assert answer.headers.get("Content-Type", "").startswith("application/json"), answer.headers
    parsed = answer.json()
    assert parsed["error"] is True, answer
    message = parsed["message"]
    assert any(re.search(rf"(?<![a-z_]){re.escape(name)}(?![a-z_])", message) for name in names), (
        f"the message names none of {names}: {message!r}")
    # Clients show it raw: short, one line, nothing that could drive a terminal.
    assert len(message) < 2000 and not re.search(r"[\x00-\x1f\x7f]", message), repr(message)
    return message


# ---- values that break a field's own rule

NAMES = ["", " ", "a b", "A", "Linear", "-a", "a-", "a..b", ".a", "a.", "a_b", "x" * 64, "x" * 70000,
         "a\n", "a\r\n", "\na", "a\t", "a" + NUL, "a" + NUL + "b", "\x7f", "a\x1b[31m", "é", "\u0430",
         "\u4e2d", FULL_WIDTH_ONE, "a" + ARABIC_ONE, "a" + ZERO_WIDTH, "\U0001f600", "a/b", "../a",
         "a%2fb", "a;b", "$(id)", "a'b", 'a"b', "a\\b"]
MODULES = ["1a", "a..b", ".a", "a.", "a b", "a;b", "a/b", "../a", "a\n", "\na", "a" + NUL, "a.b\r",
           "x" * 256, "-c", "--help", "a" + ZERO_WIDTH, "$(id)"]
URIS = ["trainer.tar.gz", "./trainer", "/etc/passwd", "file:///etc/passwd", "ftp://h/a.tar.gz",
        "fds://", "fds://bucket", "fds://bucket/", "fds:///a.tar.gz", "fds://b/a.exe", "fds://b/a",
        "fds://b/a\n.tar.gz", "fds://b/a.tar.gz\n", "fds://b/a" + NUL + ".tar.gz",
        "fds://b/\x1b[2J.tar.gz", "fds://b/" + "x" * 5000 + ".tar.gz", ",", "fds://b/a.tar.gz,x"]
CPUS = ["0", "0.00", "-1", "+1", "abc", "1.234", "1e3", "0x1", "1 ", " 1", "1\n", "inf", "NaN", ".",
        "1,5", "1.5.5", "1G", "1" + NUL, FULL_WIDTH_ONE, ARABIC_ONE, "9" * 30, "-0", "--", "1" * 70000]
SIZES = ["0G", "8", "8GB", "8 G", "-1G", "+1G", "1.234G", "1e3G", "8G\n", " 8G", "8G ", "G", "8P",
         "8g8", FULL_WIDTH_ONE + "G", ARABIC_ONE + "G", "9" * 30 + "G", "8G" + NUL, ".G", "nanG"]
NUMBERS = [-1, 1.5, "x", "", " ", "1.0", "1 ", "1\n", "+-1", "0x1", "1e1", FULL_WIDTH_ONE, ARABIC_ONE,
           "1" + NUL, 2**63, -(2**63) - 1, 10**30, 1e300, "9" * 40]
TEXTS = ["a" + NUL, NUL, "x" * 70_000]

VALUES = {
    "job_name": NAMES,
    "cpu_limit": CPUS,
    "memory_limit": SIZES + ["1K", "15M"],
    "disk_limit": SIZES,
    "gpu_limit": [n for n in NUMBERS if n not in ("", " ")] + [1025, " "],
    "enable_rank": [2, -1, "x", "yes", 1.5, FULL_WIDTH_ONE],
    "save_mode": ["yes", "x", 2, -1, 1.5, "tru e", "true\n", FULL_WIDTH_ONE],
    "wall_time_limit": [n for n in NUMBERS if n != ""] + ["1h", 10**12],
    "max_retries": [n for n in NUMBERS if n != ""] + [101],
    "priority_class": ["high", "GUARANTEED", "best effort", "preferred\n", "x" * 70_000,
                       "preferred" + NUL],
    "description": TEXTS,
    "docker_command": TEXTS,
    "prepare_command": TEXTS,
    "finish_command": TEXTS,
    "job_args": TEXTS + ['"open', "it's", "a 'b"],
    "job_dir": TEXTS + ["a\nb", "a\x1bb"],
    "framework": TEXTS + ["nosuch", "Tensor Flow", "../tensorflow", "tensorflow\n"],
    "fds_bucket": TEXTS,
    "fds_endpoint": TEXTS + ["fds.example.com", "https://fds.example.com:8443", "http://[", "127.0.0.1:1",
                             "\x1b[31m"],
    "env": ["A=1", 1, [], ["A=1"], {"": "x"}, {"1A": "x"}, {"A-B": "x"}, {"A=B": "x"}, {"A\n": "x"},
            {"A B": "x"}, {"\uff21": "x"}, {"A" + NUL: "x"}, {"A": ["x"]}, {"A": {}}, {"A": None},
            {"A": "x" + NUL}, {"A": "x" * 40_000}, {f"V{i}": "x" for i in range(300)},
            {"N" * 300: "x"}],
    "labels": ["a=b", 1, [], {"": "x"}, {"k": "a b"}, {"k": "x" * 64}, {"k" * 64: "x"}, {"k\n": "x"},
               {"k": "x\n"}, {"k": "\u00e9"}, {"k": []}, {"k": None},
               {f"k{i}": "x" for i in range(300)}],
}


def shown(value):
    text = json.dumps(value)
    return text if len(text) < 24 else f"{text[:16]}…{len(text)}"


@pytest.mark.parametrize(
    ("field", "value"),
    [pytest.param(field, value, id=f"{field}={shown(value)}-{number}")
     for field, values in VALUES.items() for number, value in enumerate(values)])
def test_a_wrong_value_is_refused_by_name(rest, field, value):
    refused(rest.post("/train", {**GOOD, field: value}), field)


@pytest.mark.parametrize("value", MODULES, ids=shown)
def test_a_wrong_module_is_refused_by_name(rest, value):
    job = {"job_name": "bad-input", "module_name": value, "trainer_uri": "fds://default/t-1.tar.gz",
           "save_mode": True}
    refused(rest.post("/train", job), "module_name")


@pytest.mark.parametrize("value", URIS, ids=shown)
def test_a_wrong_package_is_refused_by_name(rest, value):
    job = {"job_name": "bad-input", "module_name": "trainer.task", "trainer_uri": value,
           "save_mode": True}
    refused(rest.post("/train", job), "trainer_uri")


@pytest.mark.parametrize("version", ["99.99", "2.15.1\n", "../2.15.1", "x" * 300, "2" + NUL],
                         ids=shown)
def test_an_unknown_framework_version_is_refused_by_name(rest, version):
    job = {**GOOD, "framework": "tensorflow", "framework_version": version}
    refused(rest.post("/train", job), "framework_version", "framework")


# ---- values of another type

TEXT_FIELDS = ["job_name", "job_args", "cpu_limit", "memory_limit", "disk_limit", "framework",
               "framework_version", "docker_command", "prepare_command", "finish_command",
               "node_selector_key", "node_selector_value", "fds_endpoint", "fds_bucket",
               "description", "job_dir", "priority_class", "module_name", "trainer_uri"]
NUMBER_FIELDS = ["gpu_limit", "enable_rank", "wall_time_limit", "max_retries"]


@pytest.mark.parametrize("value", [[], {}, True, ["a"], {"a": 1}], ids=shown)
@pytest.mark.parametrize("field", TEXT_FIELDS)
def test_a_text_field_of_another_type_is_refused_by_name(rest, field, value):
    refused(rest.post("/train", {**GOOD, field: value}), field)


@pytest.mark.parametrize("value", [[], {}, True, False, [1], {"a": 1}], ids=shown)
@pytest.mark.parametrize("field", NUMBER_FIELDS)
def test_a_number_field_of_another_type_is_refused_by_name(rest, field, value):
    refused(rest.post("/train", {**GOOD, field: value}), field)


@pytest.mark.parametrize("value", [[], {}, [True], {"a": 1}], ids=shown)
def test_a_flag_of_another_type_is_refused_by_name(rest, value):
    refused(rest.post("/train", {**GOOD, "save_mode": value}), "save_mode")


# ---- fields that are missing or do not go together

@pytest.mark.parametrize(("job", "field"), [
    ({"docker_command": "true"}, "job_name"),
    ({"job_name": None, "docker_command": "true"}, "job_name"),
    ({"job_name": "bad-input"}, "module_name"),
    ({"job_name": "bad-input", "trainer_uri": "fds://b/a.tar.gz"}, "module_name"),
    ({"job_name": "bad-input", "module_name": "trainer.task"}, "trainer_uri"),
    ({**GOOD, "node_selector_key": "gpu"}, "node_selector_value"),
    ({**GOOD, "node_selector_value": "v100"}, "node_selector_key"),
    ({}, "job_name"),
], ids=lambda v: shown(v) if isinstance(v, dict) else v)
def test_a_missing_field_is_named(rest, job, field):
    refused(rest.post("/train", job), field)


# ---- features that come later are refused, never ignored

LATER = {
    "hyperparameters": {"goal": "MAXIMIZE"}, "hyperparameters_name": "x", "volume_type": "hostPath",
    "volume_path": "/data", "mount_path": "/data", "mount_read_only": True,
    "hdfs_endpoint": "hdfs://h", "hdfs_krb_account": "a", "hdfs_krb_password": "p",
    "hdfs_krb_keytab": "k", "docker_image": "busybox", "tensorboard_logdir": "/tmp/x",
    "model_name": "m", "model_version": "v1", "gpu_type": "v100",
}


@pytest.mark.parametrize(("field", "value"), LATER.items(), ids=lambda v: shown(v))
def test_a_field_of_a_later_feature_is_refused_by_name(rest, field, value):
    message = refused(rest.post("/train", {**GOOD, field: value}), field)
    assert "not available" in message


def test_unknown_and_null_fields_are_ignored(rest, job_name):
    job = rest.submit(job_name=job_name, docker_command="true", save_mode=True, my_own_key=[1, {"a": 2}],
                      cpu_limit=None, ps_count=None, env=None)
    assert job["state"] == "initial"


# ---- distributed jobs: what cannot be is refused before anything is kept

@pytest.mark.parametrize(("fields", "says"), [
    ({"worker_count": -1}, "worker_count -1"),
    ({"worker_count": "two"}, "worker_count"),
    ({"ps_count": 1000}, "ps_count 1000"),
    ({"ps_count": 200, "worker_count": 200}, "401 tasks"),
    ({"worker_count": 1, "cluster_spec": {"worker": {}}}, "not both"),
    ({"cluster_spec": {"ps": {"count": 1}}}, "nobody would train"),
    ({"cluster_spec": [1]}, "cluster_spec"),
    ({"cluster_spec": "{"}, "cluster_spec"),
    ({"cluster_spec": {"worker": 2}}, "cluster_spec"),
    ({"cluster_spec": {"Worker": {}}}, "Worker"),
    ({"cluster_spec": {"worker": {"memory_limit": "8GB"}}}, "cluster_spec worker memory_limit"),
    ({"cluster_spec": {"master": {}, "chief": {}}}, "exclude each other"),
    ({"cluster_spec": {"worker": {}, "ps": {"gpu_limit": 1}}}, "gets no GPU"),
], ids=lambda v: shown(v) if isinstance(v, dict) else v)
def test_a_cluster_that_cannot_be_is_refused(rest, fields, says):
    assert says in rest.post("/train", {**GOOD, **fields}).message


# ---- the body as a whole

BODIES = {
    "empty": b"",
    "blank": b"  \n ",
    "list": b"[]",
    "list-of-jobs": b'[{"job_name": "bad-input", "docker_command": "true"}]',
    "null": b"null",
    "number": b"1",
    "string": b'"job_name"',
    "open-object": b"{",
    "open-string": b'{"job_name": "bad-input',
    "no-value": b'{"job_name":}',
    "single-quotes": b"{'job_name': 'bad-input'}",
    "trailing-comma": b'{"job_name": "bad-input",}',
    "two-objects": b'{"job_name": "bad-input", "docker_command": "true"}{}',
    "text-after-the-end": b'{"job_name": "bad-input", "docker_command": "true"} x',
    "zero-byte-after-the-end": b'{"job_name": "bad-input", "docker_command": "true"}\0',
    "byte-order-mark": b'\xef\xbb\xbf{"job_name": "bad-input", "docker_command": "true"}',
    "utf-16": '{"job_name": "bad-input", "docker_command": "true"}'.encode("utf-16"),
    "comment": b'{"job_name": "bad-input", /* x */ "docker_command": "true"}',
    "nan": b'{"job_name": "bad-input", "docker_command": "true", "gpu_limit": NaN}',
    "infinity": b'{"job_name": "bad-input", "docker_command": "true", "gpu_limit": Infinity}',
    "hex-number": b'{"job_name": "bad-input", "docker_command": "true", "gpu_limit": 0x1}',
    "leading-zero": b'{"job_name": "bad-input", "docker_command": "true", "gpu_limit": 01}',
    "raw-control-character": b'{"job_name": "bad-input", "docker_command": "tr\x01ue"}',
    "raw-newline-in-string": b'{"job_name": "bad-input\n", "docker_command": "true"}',
    "invalid-utf-8": b'{"job_name": "bad-input", "docker_command": "\xff\xfe"}',
    "invalid-utf-8-in-a-key": b'{"job_name": "bad-input", "docker_command": "true", "\xff": 1}',
    "overlong-utf-8": b'{"job_name": "bad-input", "docker_command": "\xc0\xaf"}',
    "utf-8-surrogate": b'{"job_name": "bad-input", "docker_command": "\xed\xa0\x80"}',
    "truncated-utf-8": b'{"job_name": "bad-input", "docker_command": "\xe4\xb8"}',
    "lone-high-surrogate": rb'{"job_name": "bad-input", "docker_command": "\ud800"}',
    "lone-low-surrogate": rb'{"job_name": "bad-input", "docker_command": "\udc00"}',
    "swapped-surrogates": rb'{"job_name": "bad-input", "docker_command": "\udc00\ud800"}',
    "bad-escape": rb'{"job_name": "bad-input", "docker_command": "\x41"}',
    "short-escape": rb'{"job_name": "bad-input", "docker_command": "\u12"}',
    "deep-lists": b'{"job_name": "bad-input", "docker_command": "true", "x": ' + b"[" * 10_000
                  + b"]" * 10_000 + b"}",
    "deep-objects": b'{"x":' * 10_000 + b"1" + b"}" * 10_000,
    "deep-and-open": b"[" * 10_000,
    "form": b"job_name=bad-input&docker_command=true",
    "html": b"<html></html>",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_no_json_object_is_refused(rest, body):
    refused(rest.call("POST", PREFIX + "/train", body), "body", "JSON")


@pytest.mark.parametrize("body", [
    b'{"job_name": "bad-input", "docker_command": "true", "gpu_limit": 1e400}',
    b'{"job_name": "bad-input", "docker_command": "true", "gpu_limit": -1e400}',
    b'{"job_name": "bad-input", "docker_command": "true", "gpu_limit": 1' + b"0" * 5000 + b"}",
    b'{"job_name": "bad-input", "docker_command": "true", "gpu_limit": 0.' + b"1" * 5000 + b"}",
    b'{"job_name": "bad-input", "docker_command": "true", "gpu_limit": 18446744073709551615}',
], ids=["1e400", "-1e400", "5000-digits", "5000-decimals", "2-to-the-64"])
def test_a_huge_number_is_refused(rest, body):
    refused(rest.call("POST", PREFIX + "/train", body), "gpu_limit", "body", "JSON")


def test_a_name_given_twice_is_refused(rest):
    body = b'{"job_name": "bad-input", "docker_command": "true", "job_name": "bad-input-2"}'
    refused(rest.call("POST", PREFIX + "/train", body), "job_name")


def test_a_body_of_10_mb_is_refused(rest):
    body = json.dumps({**GOOD, "description": "x" * (10 << 20)}).encode()
    refused(rest.call("POST", PREFIX + "/train", body), "body", "description", status=(400, 413))


def test_a_compressed_body_is_refused(rest):
    body = gzip.compress(json.dumps(GOOD).encode())
    answer = rest.call("POST", PREFIX + "/train", body, headers={"Content-Encoding": "gzip"})
    refused(answer, "Content-Encoding", "body", status=(400, 415))


# ---- queries and paths

@pytest.mark.parametrize("query", [
    "lines=x", "lines=-1", "lines=1.5", "lines=1e3", "lines=%EF%BC%91", "lines=%D9%A1", "lines=1%0A",
    "lines=1%00", "lines=" + "9" * 40, "lines=0x10", "lines=%20"])
def test_a_wrong_number_of_lines_is_refused_by_name(rest, job_name, query):
    rest.submit(job_name=job_name, docker_command="true", save_mode=True)
    refused(rest.get(f"/train/{job_name}/logs?{query}"), "lines")


@pytest.mark.parametrize("query", ["follow=maybe", "follow=2", "follow=True%0A"])
def test_a_wrong_follow_is_refused_by_name(rest, job_name, query):
    rest.submit(job_name=job_name, docker_command="true", save_mode=True)
    refused(rest.get(f"/train/{job_name}/logs?{query}"), "follow")


@pytest.mark.parametrize("path", [
    "/train/%00", "/train/%ff", "/train/..%2f..%2fetc%2fpasswd", "/train/../../etc/passwd",
    "/train/%2e%2e", "/train/a%0Ab", "/train/" + "a" * 8000, "/train/a/b/c/d", "/train/%", "/train/%zz",
    "/train/A", "/train/a%20b/logs", "/nosuch", "/train/a/nosuch", "/../v1/train"])
def test_a_strange_path_is_an_error_in_json(rest, path):
    answer = rest.get(path)
    assert answer.status in (400, 404, 414, 431), answer
    assert answer.json()["error"] is True


@pytest.mark.parametrize(("method", "path"), [
    ("PUT", "/train"), ("PATCH", "/train"), ("DELETE", "/train"), ("POST", "/train/a"),
    ("PUT", "/train/a/logs"), ("DELETE", "/org_ids")])
def test_a_wrong_method_is_refused_in_json(rest, method, path):
    answer = rest.call(method, PREFIX + path)
    assert answer.status in (404, 405), answer
    assert answer.json()["error"] is True


# ---- broken HTTP

def signed_post(server, extra, body=b""):
    headers = galaxy_v3_headers(server.access_key, server.secret_key, PREFIX + "/train", body)
    return wire.head("POST", PREFIX + "/train", {**headers, **extra})


CHUNKED = {"Transfer-Encoding": "chunked"}
BROKEN_CHUNKS = {
    "no-size": b"\r\n{}\r\n0\r\n\r\n",
    "letters": b"zz\r\n{}\r\n0\r\n\r\n",
    "negative": b"-2\r\n{}\r\n0\r\n\r\n",
    "sign": b"+2\r\n{}\r\n0\r\n\r\n",
    "hex-prefix": b"0x2\r\n{}\r\n0\r\n\r\n",
    "overflow": b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "enormous": b"7fffffffffffffff\r\n{}",
    "too-short": b"5\r\n{}\r\n0\r\n\r\n",
    "too-long": b"1\r\n{}\r\n0\r\n\r\n",
    "size-without-end": b"2" * 100_000,
}


@pytest.mark.parametrize("chunks", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS.keys())
def test_broken_chunks_are_refused(server, chunks):
    answer = wire.exchange(server.url, signed_post(server, CHUNKED, b"{}"), chunks, end=True)
    assert answer is not None, "closed without an answer"
    assert 400 <= answer[0] < 500, answer
    wire.error_of(answer)


BROKEN_HEADS = {
    "both-lengths": b"POST /cloud_ml/v1/train HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two-lengths": b"POST /cloud_ml/v1/train HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                   b"Content-Length: 3\r\n\r\n{}x",
    "negative-length": b"POST /cloud_ml/v1/train HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "letters-as-length": b"POST /cloud_ml/v1/train HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    "endless-length": b"POST /cloud_ml/v1/train HTTP/1.1\r\nHost: a\r\nContent-Length: "
                      + b"9" * 40 + b"\r\n\r\n",
    "no-colon": b"GET /healthz HTTP/1.1\r\nHost a\r\n\r\n",
    "blank-before-colon": b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length : 0\r\n\r\n",
    "zero-byte-in-a-name": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX\0Y: 1\r\n\r\n",
    "no-version": b"GET /healthz\r\n\r\n",
    "strange-version": b"GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "zero-byte-in-the-target": b"GET /heal\0thz HTTP/1.1\r\nHost: a\r\n\r\n",
    "unknown-coding": b"POST /cloud_ml/v1/train HTTP/1.1\r\nHost: a\r\n"
                      b"Transfer-Encoding: magic\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("head", BROKEN_HEADS.values(), ids=BROKEN_HEADS.keys())
def test_a_broken_head_is_refused(server, head):
    answer = wire.exchange(server.url, head, end=True)
    assert answer is None or 400 <= answer[0] < 600, answer
    if answer is not None and answer[2]:
        wire.error_of(answer)


@pytest.mark.parametrize("head", [
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 40_000 + b"\r\n",
    b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
], ids=["one-field", "many-fields", "target"])
def test_a_head_that_is_too_long_is_refused(server, head):
    answer = wire.exchange(server.url, head)
    assert answer is None or answer[0] in (400, 414, 431), answer


def test_a_body_that_is_cut_off_does_no_harm(server):
    body = json.dumps(GOOD).encode()
    head = signed_post(server, {"Content-Length": str(len(body))}, body)
    answer = wire.exchange(server.url, head, body[:10], end=True)
    assert answer is None or answer[0] == 400, answer


def test_a_body_announced_as_enormous_is_refused_before_it_comes(server):
    head = signed_post(server, {"Content-Length": str(1 << 40)})
    answer = wire.exchange(server.url, head)
    assert answer is not None and answer[0] == 413, answer
    wire.error_of(answer)
