"""Who may speak: Galaxy V3 and AWS Signature Version 4, made by clients that are not ours."""
import contextlib
import json
import re
import sqlite3
import subprocess
import time
import urllib.parse

import boto3
import botocore.config
import pytest

from harness import wire
from harness.polling import wait_for
from harness.rest import (PREFIX, galaxy_v3_headers, galaxy_v3_signature, send, sigv4_headers,
                          sigv4_presigned)

ORG_IDS = PREFIX + "/org_ids"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
STRAY = b"0\r\n\r\n"


def keys(server):
    return server.access_key, server.secret_key


def refusal(answer):
    """Status and message of a 401 in the contract's form."""
    assert answer.status == 401, answer
    parsed = answer.json()
    assert parsed["error"] is True
    return answer.status, parsed["message"]


# ---- Galaxy V3

@pytest.mark.parametrize(("path", "body", "signature"), [
    ("/cloud_ml//v1/train", b"", "2RiDHGBaCYJ7nTJWkBEsqOBF2cY="),
    ("/cloud_ml/v1/train", b"", "niUtnoeUliQty3xCB9n3h3LBRqQ="),
    ("//cloud_ml/v1/train", b"", "oGCsgPz6uPzAdFjwW+4HI1hes70="),
    ("/cloud_ml/v1/train/a%20b", b"", "07FEJzOgh/wc0JaZYDBjF4dqIGU="),
    ("/cloud_ml/v1/quota", b'{"org_mail": "a@xiaomi.com"}', "IWUo3hDym2VU4OsLjTpEc0NzsbM="),
])
def test_these_tests_sign_as_the_contract_says(path, body, signature):
    headers = galaxy_v3_headers("ak", "sk", path, body, timestamp=1474203860)
    assert headers["Authorization"] == "Galaxy V3 " + signature


def test_a_galaxy_v3_signature_is_accepted(rest):
    answer = rest.get("/org_ids")
    assert answer.status == 200 and answer.json()["org_id"], answer


def test_a_path_with_two_slashes_is_accepted_as_it_is_signed(rest):
    assert rest.call("GET", "//cloud_ml/v1/org_ids").status == 200
    assert rest.call("GET", "/cloud_ml//v1/org_ids").status == 200


def test_a_client_that_signs_two_slashes_and_sends_one_is_accepted(server):
    headers = galaxy_v3_headers(*keys(server), "/" + ORG_IDS)
    assert send(server.url, "GET", ORG_IDS, headers).status == 200


def test_the_query_is_not_signed_and_may_hold_two_question_marks(rest):
    assert rest.call("GET", ORG_IDS + "?org_id=1?force=True").status == 200


def test_the_same_get_twice_in_one_second_is_no_replay(server):
    headers = galaxy_v3_headers(*keys(server), ORG_IDS)
    assert [send(server.url, "GET", ORG_IDS, headers).status for _ in range(3)] == [200] * 3


def test_the_older_variant_signs_the_whole_url_without_a_prefix(server):
    timestamp = str(int(time.time()))
    signature = galaxy_v3_signature(server.secret_key, server.url + ORG_IDS, timestamp, EMPTY_MD5)
    headers = {"X-Xiaomi-Timestamp": timestamp, "X-Xiaomi-Content-MD5": EMPTY_MD5,
               "X-Xiaomi-Secret-Key-Id": server.access_key, "Authorization": signature}
    host = urllib.parse.urlsplit(server.url).netloc
    status, _, body = wire.exchange(
        server.url, wire.head("GET", ORG_IDS, headers).replace(b"Host: cloudml", b"Host: " + host.encode()))
    assert status == 200, body


@pytest.mark.parametrize("minutes", [-20, 20, -60 * 24, 60 * 24 * 365])
def test_a_stale_or_future_clock_is_refused(server, minutes):
    stale = int(time.time()) + minutes * 60
    headers = galaxy_v3_headers(*keys(server), ORG_IDS, timestamp=stale)
    refusal(send(server.url, "GET", ORG_IDS, headers))


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_within_the_window_is_accepted(server, minutes):
    headers = galaxy_v3_headers(*keys(server), ORG_IDS, timestamp=int(time.time()) + minutes * 60)
    assert send(server.url, "GET", ORG_IDS, headers).status == 200


@pytest.mark.parametrize("timestamp", ["", "x", "-1", "1e9", " 1", "9" * 40, "0x10", "1.5"])
def test_a_timestamp_that_is_no_number_is_refused(server, timestamp):
    headers = galaxy_v3_headers(*keys(server), ORG_IDS, timestamp=timestamp)
    refusal(send(server.url, "GET", ORG_IDS, headers))


def test_a_body_that_was_changed_on_the_way_is_refused(server, job_name):
    body = json.dumps({"job_name": job_name, "docker_command": "true", "save_mode": True}).encode()
    headers = galaxy_v3_headers(*keys(server), PREFIX + "/train", body)
    changed = body.replace(b'"true"', b'"evil"')
    refusal(send(server.url, "POST", PREFIX + "/train", headers, changed))
    assert server.rest().get(f"/train/{job_name}").status == 404


def test_wrong_signature_unknown_key_and_disabled_key_get_the_same_answer(own_server):
    access, secret = keys(own_server)
    assert own_server.rest().get("/org_ids").status == 200
    disable_key(own_server, access)
    cases = {
        "wrong secret": (access, secret + "x"),
        "unknown key": ("AK" + "0" * (len(access) - 2), secret),
        "disabled key": (access, secret),
    }
    url = own_server.url
    galaxy, sigv4 = {}, {}
    for name, pair in cases.items():
        galaxy[name] = refusal(send(url, "GET", ORG_IDS, galaxy_v3_headers(*pair, ORG_IDS)))
        sigv4[name] = refusal(send(url, "GET", ORG_IDS, sigv4_headers(pair, "GET", url + ORG_IDS)))
    assert len(set(galaxy.values())) == 1, galaxy
    assert len(set(sigv4.values())) == 1, sigv4
    assert "signature" in galaxy["wrong secret"][1]


def disable_key(server, access_key):
    """Disables a key in the database, while the server is away."""
    server.stop()
    databases = [path for path in server.data.rglob("*")
                 if path.is_file() and path.read_bytes()[:15] == b"SQLite format 3"]
    changed = 0
    for path in databases:
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            changed += database.execute("UPDATE api_keys SET disabled = 1 WHERE access_key = ?",
                                        (access_key,)).rowcount
    assert changed == 1
    server.start()


def test_new_keys_hold_no_character_that_breaks_urls(server):
    assert re.fullmatch(r"[A-Za-z0-9]+", server.access_key)
    assert re.fullmatch(r"[A-Za-z0-9]+", server.secret_key)
    assert server.admin_file_mode() == 0o600


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": ""}, {"Authorization": "Galaxy V3"}, {"Authorization": "Galaxy V3 x"},
    {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer x"},
    {"Authorization": "AWS4-HMAC-SHA256"}, {"Authorization": "AWS4-HMAC-SHA256 Credential=a"},
    {"Authorization": "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=, Signature="},
    {"Authorization": "x" * 8000},
], ids=lambda h: h.get("Authorization", "none")[:50] or "empty")
def test_a_missing_or_malformed_signature_is_refused(server, headers):
    refusal(send(server.url, "GET", ORG_IDS, headers))


def test_frameworks_need_no_signature(server):
    answer = send(server.url, "GET", PREFIX + "/framework")
    assert answer.status == 200
    assert "tensorflow" in answer.json()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_and_metrics_need_no_signature(server, path):
    assert send(server.url, "GET", path).status == 200


# ---- what old HTTP libraries do to a signed GET

def signed_head(server, target, extra=()):
    headers = galaxy_v3_headers(*keys(server), target)
    return wire.head("GET", target, {**headers, **dict(extra)})


def test_a_get_with_an_empty_chunked_body_is_answered_once(server):
    chunked = signed_head(server, ORG_IDS, {"Transfer-Encoding": "chunked"}) + STRAY
    with wire.connect(server.url) as peer, peer.makefile("rb") as stream:
        for _ in range(3):
            peer.sendall(chunked)
            assert wire.read_answer(stream)[0] == 200


@pytest.mark.parametrize("apart", [False, True], ids=["one-packet", "later-packet"])
def test_stray_chunk_bytes_after_a_get_are_swallowed(server, apart):
    head = signed_head(server, ORG_IDS)
    with wire.connect(server.url) as peer, peer.makefile("rb") as stream:
        for _ in range(3):
            if apart:
                peer.sendall(head)
                assert wire.read_answer(stream)[0] == 200
                peer.sendall(STRAY)
            else:
                peer.sendall(head + STRAY)
                assert wire.read_answer(stream)[0] == 200
        # The next answer must belong to the next question.
        peer.sendall(signed_head(server, PREFIX + "/train/no-such-job"))
        status, _, body = wire.read_answer(stream)
        assert status == 404, body


def test_stray_bytes_do_not_destroy_the_answer_of_a_connection_that_closes(server):
    head = signed_head(server, ORG_IDS, {"Connection": "close"})
    for _ in range(20):
        answer = wire.exchange(server.url, head + STRAY)
        assert answer is not None and answer[0] == 200, answer


# ---- Signature Version 4: botocore

def test_botocore_reads_and_submits(server, job_name):
    url = server.url + PREFIX + "/train"
    body = json.dumps({"job_name": job_name, "docker_command": "true", "save_mode": True}).encode()
    headers = sigv4_headers(keys(server), "POST", url, body)
    assert send(server.url, "POST", PREFIX + "/train", headers, body).status == 200
    target = f"{PREFIX}/train/{job_name}"
    headers = sigv4_headers(keys(server), "GET", server.url + target)
    answer = send(server.url, "GET", target, headers)
    assert answer.status == 200 and answer.json()["job_name"] == job_name


def test_botocore_signs_a_query(server):
    target = PREFIX + "/train?org_id=-1&b=2%203&a=%E4%B8%AD"
    headers = sigv4_headers(keys(server), "GET", server.url + target)
    assert send(server.url, "GET", target, headers).status == 200
    changed = target.replace("-1", "-2")
    refusal(send(server.url, "GET", changed, headers))


def test_a_presigned_url_works_in_any_client(server):
    url = sigv4_presigned(keys(server), "GET", server.url + ORG_IDS)
    got = subprocess.run(["curl", "-sS", "-w", "\n%{http_code}", url], capture_output=True, text=True,
                         check=True, timeout=30)
    body, status = got.stdout.rsplit("\n", 1)
    assert status == "200" and json.loads(body)["org_id"]


def test_a_presigned_url_ends(server):
    url = sigv4_presigned(keys(server), "GET", server.url + ORG_IDS, seconds=1)
    target = url.removeprefix(server.url)
    wait_for(lambda: send(server.url, "GET", target).status == 401, 10, "the URL to expire")


def test_a_presigned_url_is_bound_to_its_query_and_path(server):
    url = sigv4_presigned(keys(server), "GET", server.url + ORG_IDS)
    target = url.removeprefix(server.url)
    refusal(send(server.url, "GET", target.replace("org_ids", "train")))
    refusal(send(server.url, "GET", target.replace("X-Amz-Expires=300", "X-Amz-Expires=3000")))
    url = sigv4_presigned(keys(server), "GET", server.url + PREFIX + "/train/no-such-job")
    assert send(server.url, "GET", url.removeprefix(server.url)).status == 404
    refusal(send(server.url, "DELETE", url.removeprefix(server.url)))


@pytest.mark.parametrize("seconds", [0, -1, 604801, 10**12])
def test_a_presigned_url_of_an_impossible_age_is_refused(server, seconds):
    url = sigv4_presigned(keys(server), "GET", server.url + ORG_IDS, seconds=seconds)
    refusal(send(server.url, "GET", url.removeprefix(server.url)))


def test_a_changing_request_cannot_be_replayed(server, job_name):
    rest = server.rest()
    body = json.dumps({"job_name": job_name, "docker_command": "true", "save_mode": True}).encode()
    headers = sigv4_headers(keys(server), "POST", server.url + PREFIX + "/train", body)
    assert send(server.url, "POST", PREFIX + "/train", headers, body).status == 200
    rest.delete_job(job_name)
    rest.gone(job_name)
    refusal(send(server.url, "POST", PREFIX + "/train", headers, body))
    assert rest.get(f"/train/{job_name}").status == 404


def test_a_replay_is_refused_after_a_restart_too(own_server):
    rest = own_server.rest()
    body = json.dumps({"job_name": "replayed", "docker_command": "true", "save_mode": True}).encode()
    pair = keys(own_server)
    headers = sigv4_headers(pair, "POST", own_server.url + PREFIX + "/train", body)
    assert send(own_server.url, "POST", PREFIX + "/train", headers, body).status == 200
    rest.delete_job("replayed")
    rest.gone("replayed")
    # Signatures carry whole seconds: a server that starts within the same one cannot tell.
    signed_at = time.time()
    wait_for(lambda: time.time() > signed_at + 2, 10, "the second of the signature to be over")
    own_server.kill9()
    own_server.start()
    refusal(send(own_server.url, "POST", PREFIX + "/train", headers, body))


def test_a_signature_for_another_service_or_method_is_refused(server):
    headers = sigv4_headers(keys(server), "GET", server.url + ORG_IDS, service="s3")
    refusal(send(server.url, "GET", ORG_IDS, headers))
    headers = sigv4_headers(keys(server), "GET", server.url + PREFIX + "/train/x")
    refusal(send(server.url, "DELETE", PREFIX + "/train/x", headers))


def test_an_sigv4_body_that_was_changed_is_refused(server, job_name):
    body = json.dumps({"job_name": job_name, "docker_command": "true", "save_mode": True}).encode()
    headers = sigv4_headers(keys(server), "POST", server.url + PREFIX + "/train", body)
    refusal(send(server.url, "POST", PREFIX + "/train", headers, body.replace(b"true", b"evil", 1)))


# ---- Signature Version 4: curl

def curl(server, *arguments, pair=None):
    """Runs curl with its own SigV4; returns (status, parsed body)."""
    access, secret = pair or keys(server)
    got = subprocess.run(
        ["curl", "-sS", "--aws-sigv4", "aws:amz:local:cloudml", "--user", f"{access}:{secret}",
         "-w", "\n%{http_code}", *arguments],
        capture_output=True, text=True, check=True, timeout=60)
    body, status = got.stdout.rsplit("\n", 1)
    return int(status), json.loads(body)


def test_curl_runs_a_job_from_submit_to_delete(server, rest, job_name):
    train = server.url + PREFIX + "/train"
    status, job = curl(server, train, "-H", "Content-Type: application/json", "--data",
                       json.dumps({"job_name": job_name, "docker_command": "echo from curl"}))
    assert status == 200 and job["job_name"] == job_name, job
    rest.wait(job_name, "completed")
    status, answer = curl(server, f"{train}/{job_name}/logs")
    assert status == 200 and "from curl\n" in answer["logs"]
    status, answer = curl(server, f"{train}/{job_name}/logs?lines=1")
    assert status == 200, answer
    status, answer = curl(server, "-X", "DELETE", f"{train}/{job_name}")
    assert status == 200 and "Successfully" in answer["message"]
    status, answer = curl(server, f"{train}/no-such-job")
    assert status == 404 and answer["error"] is True


def test_curl_with_a_wrong_secret_is_refused(server):
    status, answer = curl(server, server.url + ORG_IDS, pair=(server.access_key, "wrong"))
    assert status == 401 and answer["error"] is True


# ---- the object store speaks to boto3

def test_boto3_uses_the_object_store(server, tmp_path):
    s3 = boto3.client(
        "s3", endpoint_url=server.url, region_name="local", aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))
    s3.create_bucket(Bucket="boto3-test")
    assert "boto3-test" in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    data = bytes(range(256)) * 40_000  # 10 MB: two parts below
    s3.put_object(Bucket="boto3-test", Key="dir/small name+é.bin", Body=b"hello")
    assert s3.get_object(Bucket="boto3-test", Key="dir/small name+é.bin")["Body"].read() == b"hello"
    source = tmp_path / "large.bin"
    source.write_bytes(data)
    transfer = boto3.s3.transfer.TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.upload_file(str(source), "boto3-test", "large.bin", Config=transfer)
    ranged = s3.get_object(Bucket="boto3-test", Key="large.bin", Range="bytes=5-9")
    assert ranged["Body"].read() == data[5:10]
    back = tmp_path / "back.bin"
    s3.download_file("boto3-test", "large.bin", str(back), Config=transfer)
    assert back.read_bytes() == data
    listed = s3.list_objects_v2(Bucket="boto3-test", Prefix="dir/")["Contents"]
    assert [(entry["Key"], entry["Size"]) for entry in listed] == [("dir/small name+é.bin", 5)]
    presigned = s3.generate_presigned_url("get_object", {"Bucket": "boto3-test", "Key": "large.bin"})
    got = subprocess.run(["curl", "-sSf", presigned], capture_output=True, check=True, timeout=60)
    assert got.stdout == data
    for entry in s3.list_objects_v2(Bucket="boto3-test")["Contents"]:
        s3.delete_object(Bucket="boto3-test", Key=entry["Key"])
    s3.delete_bucket(Bucket="boto3-test")
    with pytest.raises(s3.exceptions.NoSuchBucket):
        s3.list_objects_v2(Bucket="boto3-test")
