"""Rate limits: of a key, and of wrong signatures from an address."""
import threading
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from harness.cli import Cli
from harness.rest import PREFIX, galaxy_v3_headers, send


def test_a_key_has_a_burst_and_a_rate(make_server):
    server = make_server(config={"rate_limit": {"requests_per_second": 1, "burst": 10}})
    rest = server.rest()
    began = time.monotonic()
    answers = [rest.get("/org_ids") for _ in range(30)]
    allowed = sum(answer.status == 200 for answer in answers)
    assert 10 <= allowed <= 11 + (time.monotonic() - began)
    refused = next(answer for answer in answers if answer.status == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["error"] is True and "1 a second" in refused.message
    assert send(server.url, "GET", "/healthz").status == 200, "what needs no key has no limit"

    # The object store counts the same key.
    s3 = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1",
                      aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key,
                      config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}))
    with pytest.raises(ClientError) as slow:
        for _ in range(30):
            s3.list_buckets()
    assert slow.value.response["Error"]["Code"] == "SlowDown"
    assert slow.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"


def test_changes_that_come_too_often_are_added_up_in_the_audit(make_server):
    server = make_server(config={"rate_limit": {"requests_per_second": 20, "burst": 20}})
    rest = server.rest()
    statuses = [rest.delete("/train/nothing").status for _ in range(100)]
    throttled = statuses.count(429)
    assert throttled > 0
    server.restart()
    lines = server.rest().get("/audit?limit=1000").json()["data"]
    assert sum(line["status"] == 404 for line in lines) == statuses.count(404)
    told = [line for line in lines if line["status"] == 429]
    assert len(told) == 2 if throttled > 1 else 1, told
    assert told[0]["message"].startswith(f"{throttled - 1} more since"), told


def test_wrong_signatures_are_slowed_down_and_right_ones_are_not(make_server):
    server = make_server(config={"rate_limit": {"refused_per_second": 1, "refused_burst": 5}})
    target = PREFIX + "/train"
    wrong = [send(server.url, "GET", target, galaxy_v3_headers(server.access_key, "wrong", target)) for _ in range(20)]
    assert [answer.status for answer in wrong[:5]] == [401] * 5
    assert wrong[-1].status == 429 and int(wrong[-1].headers["Retry-After"]) >= 1
    assert server.rest().get("/train").status == 200
    bad = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1",
                       aws_access_key_id=server.access_key, aws_secret_access_key="wrong",
                       config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}))
    with pytest.raises(ClientError) as refused:
        bad.list_buckets()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_zero_is_no_limit(make_server):
    server = make_server(config={"rate_limit": {"requests_per_second": 0}})
    rest = server.rest()
    assert {rest.get("/org_ids").status for _ in range(300)} == {200}


def test_the_command_line_waits_and_goes_on(make_server, tmp_path):
    server = make_server(config={"rate_limit": {"requests_per_second": 2, "burst": 2}})
    cli, ended = Cli(server, tmp_path / "home"), []

    def run(number):
        ended.append(cli.run("jobs", "submit", "-n", f"job-{number}", "-dc", "true", "-sv", seconds=60))

    runs = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    assert [one.returncode for one in ended] == [0] * 4, ended


def test_a_wrong_limit_is_refused_at_the_start(make_server):
    with pytest.raises(AssertionError) as refused:
        make_server(config={"rate_limit": {"requests_per_second": "many"}})
    assert "rate_limit.requests_per_second" in str(refused.value)
