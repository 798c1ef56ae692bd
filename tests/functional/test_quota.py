"""Quotas, applications, nodes and cordons with the real binary and our own command line."""
import json

import pytest

from harness.cli import Cli
from harness.polling import wait_for


@pytest.fixture
def small(make_server):
    return make_server(config={"capacity_cpu": 4, "capacity_memory": "4G", "fake_gpus": 8, "node_name": "gpu-01",
                               "default_quota": {"train_gpu_quota": 8}})


@pytest.fixture
def rest(small):
    return small.rest()


@pytest.fixture
def cloudml(small, tmp_path):
    return Cli(small, tmp_path / "home")


def quota(rest, field):
    return rest.get("/quota").json()["data"][0][field]


def set_quota(rest, **fields):
    org = rest.get("/org_ids").json()["org_id"]
    answer = rest.call("PUT", f"/cloud_ml/v1/quota/{org}", fields)
    assert answer.status == 200, answer
    return answer.json()


def test_the_first_organisation_has_the_default_quota(rest):
    assert quota(rest, "train_gpu_quota") == "8"
    assert quota(rest, "train_cpu_quota") == "-1.0"


def test_a_refused_submit_shows_what_is_in_use(rest, cloudml):
    rest.run("detector", "sleep 60", gpu_limit=4)
    rest.run("ocr-sweep", "sleep 60", gpu_limit=2)
    ended = cloudml.run("jobs", "submit", "-n", "ranker", "-dc", "true", "-g", "4")
    assert ended.returncode == 3, ended
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("error: quota: train: 4 GPUs asked, 6 used, 8 allowed")
    assert lines[1].strip() == "in use: detector (4), ocr-sweep (2)"


def test_used_follows_the_life_of_a_job(rest):
    rest.submit(job_name="saved", docker_command="true", save_mode=True)
    assert quota(rest, "train_count_used") == "0"
    rest.run("short", "true")
    rest.wait("short", "completed")
    assert quota(rest, "train_count_used") == "0"
    rest.run("long", "sleep 60", gpu_limit=1)
    assert (quota(rest, "train_count_used"), quota(rest, "train_gpu_used")) == ("1", "1")
    assert [h["name"] for h in rest.get("/quota_holders").json()["data"]] == ["long"]
    rest.delete_job("long")
    rest.gone("long")
    assert (quota(rest, "train_count_used"), quota(rest, "total_gpu_used")) == ("0", "0")


def test_a_start_is_checked_too(rest):
    rest.submit(job_name="saved", docker_command="true", save_mode=True)
    set_quota(rest, train_count_quota=0)
    assert rest.get("/train/saved/start").status == 403
    set_quota(rest, train_count_quota=None)
    assert rest.get("/train/saved/start").status == 200


def test_a_quota_survives_a_restart_and_is_checked_by_a_dry_run(small, rest):
    set_quota(rest, train_count_quota=0)
    small.kill9()
    small.start()
    rest = small.rest()
    assert quota(rest, "train_count_quota") == "0"
    assert rest.post("/train", {"job_name": "a", "docker_command": "true"}).status == 403
    assert rest.post("/train?dry_run=true", {"job_name": "a", "docker_command": "true"}).status == 403


def test_priority_is_counted_and_ranked(rest):
    set_quota(rest, train_priority_quota=1, train_priority_rank=3)
    rest.run("first", "sleep 60", enable_rank=1)
    answer = rest.post("/train", {"job_name": "second", "docker_command": "true", "enable_rank": 1})
    assert answer.status == 403 and "high-priority" in answer.message, answer
    assert rest.post("/train", {"job_name": "third", "docker_command": "true"}).status == 200


def test_an_application_from_the_command_line(rest, cloudml):
    identity = cloudml.ok("quota", "update", "-t", "jobs", "-g", "12", "--comment", "deadline", "-o", "name").stdout.strip()
    assert "deadline" in cloudml.ok("quota", "applications", "--all").stdout
    assert "granted" in cloudml.ok("quota", "grant", identity[:6], "-g", "10", "-m", "for now").stdout
    assert quota(rest, "train_gpu_quota") == "10"
    assert cloudml.run("quota", "decline", identity).returncode == 3
    assert "12.5" in cloudml.ok("quota", "set", "default", "-t", "jobs", "-c", "12.5").stdout
    assert quota(rest, "train_gpu_quota") == "10"
    shown = json.loads(cloudml.ok("quota", "set", "default", "-t", "jobs", "-g", "INF", "-o", "json").stdout)
    assert shown["train_gpu_quota"] == "-1" and shown["train_cpu_quota"] == "12.5"
    assert "10/" not in cloudml.ok("quota", "list").stdout


def test_who_uses_which_gpu_and_a_cordon_across_a_restart(small, rest, cloudml):
    rest.run("ranker", "sleep 100", gpu_limit=2)
    rest.wait("ranker", "running")
    node = rest.get("/nodes/gpu-01").json()
    assert (node["gpu"], node["gpu_used"], node["state"]) == (8, 2, "ready")
    users = [gpu["used_by"]["name"] for gpu in node["gpus"] if gpu["used_by"]]
    assert users == ["ranker", "ranker"]
    assert "ranker of default" in cloudml.ok("node", "describe", "gpu-01").stdout

    cloudml.ok("node", "cordon", "gpu-01", "--reason", "GPU 2 failed its test")
    rest.run("waits", "true")
    wait_for(lambda: "cordoned" in (rest.job("waits").get("message") or ""), 20, lambda: f"a reason: {rest.job('waits')}")
    assert rest.job("ranker")["state"] == "running"
    small.kill9()
    small.start()
    rest = small.rest()
    assert rest.get("/nodes/gpu-01").json()["reason"] == "GPU 2 failed its test"
    assert rest.get("/resources").json()["data"][0]["available_mem"] == "0K"
    assert rest.job("waits")["state"] == "enqueued" and rest.job("ranker")["state"] == "running"
    assert "GPU 2 failed" in cloudml.ok("node", "list").stdout
    cloudml.ok("node", "uncordon", "gpu-01")
    rest.wait("waits", "completed")
    rest.delete_job("ranker")


def test_an_organisation_that_is_made_has_the_default_quota(rest):
    made = rest.post("/org", {"org_name": "vision"})
    assert made.status == 200, made
    org = made.json()["org_id"]
    data = {row["org_name"]: row for row in rest.get("/quota?org_id=-1").json()["data"]}
    assert set(data) == {"default", "vision"}
    assert data["vision"]["train_gpu_quota"] == "8"
    answer = rest.call("PUT", f"/cloud_ml/v1/quota/{org}", {"org_name": "eyes", "train_gpu_quota": None})
    assert answer.status == 200 and answer.json()["org_name"] == "eyes", answer
    assert rest.get(f"/quota?org_id={org}").json()["data"][0]["train_gpu_quota"] == "-1"
    assert rest.call("PUT", f"/cloud_ml/v1/quota/{org}", {"org_name": "default"}).status == 409
