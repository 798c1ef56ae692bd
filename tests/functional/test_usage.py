"""Usage, prices and budgets as users and administrators see them, with the real binary."""
import csv
import io
import json
import subprocess
import time

import pytest

from harness.cli import Cli
from harness.polling import wait_for
from harness.server import cloudml_binary

PRICES = {"currency": "EUR", "list": [
    {"resource": "cpu", "per_hour": 3600},  # 1 EUR a core-second, so that seconds are seen
    {"resource": "memory", "per_hour": 0.004},
    {"resource": "gpu", "gpu": "fake", "per_hour": 1.2},
    {"resource": "storage", "per_month": 0.023}]}


@pytest.fixture
def billed(make_server):
    return make_server(config={"prices": PRICES, "fake_gpus": 2, "capacity_cpu": 4,
                               "capacity_memory": "4G"})


@pytest.fixture
def tool(billed, tmp_path):
    return Cli(billed, tmp_path / "home")


def lines(rest, query):
    answer = rest.get(f"/usage?{query}")
    assert answer.status == 200, answer
    return {line["name"]: line for line in answer.json()["data"]}


def test_a_job_is_billed_for_what_it_reserved_while_it_ran(billed, tool):
    rest = billed.rest()
    rest.run("short", "sleep 1", cpu_limit="0.5", memory_limit="512M", gpu_limit=1,
             labels={"team": "vision"})
    rest.wait("short")
    line = lines(rest, "by=job")["short"]
    assert 1 <= line["seconds"] < 2, line
    assert line["cpu_core_seconds"] == pytest.approx(line["seconds"] / 2, abs=1e-6)
    assert line["memory_gib_seconds"] == pytest.approx(line["seconds"] / 2, abs=1e-6)
    assert line["gpu_seconds_by_model"] == {"fake": line["seconds"]}
    assert lines(rest, "by=label:team")["vision"]["cost"] == line["cost"]

    shown = tool.ok("usage", "--by", "job", "--day").stdout
    assert shown.split()[0] == "JOB" and "short" in shown and "COST EUR" in shown
    rows = list(csv.DictReader(io.StringIO(tool.ok("usage", "--by", "job", "--csv").stdout)))
    assert [row["name"] for row in rows if row["name"] == "short"] == ["short"]
    assert rows[0]["currency"] == "EUR" and "." in rows[0]["cost"]
    assert json.loads(tool.ok("usage", "-o", "json").stdout)["by"] == "org"
    assert "cost so far" in tool.ok("jobs", "describe", "short").stdout
    assert "core-hour" in tool.ok("usage", "prices").stdout


def test_a_job_that_is_deleted_while_it_runs_stays_on_the_bill(billed):
    rest = billed.rest()
    rest.run("gone", "echo here; sleep 1000", cpu_limit="0.5")
    rest.wait_for_log("gone", "here")
    wait_for(lambda: lines(rest, "by=job").get("gone", {}).get("seconds", 0) > 1, 20, "a second to go by")
    before = lines(rest, "by=job")["gone"]["seconds"]
    rest.delete_job("gone")
    rest.gone("gone")
    after = lines(rest, "by=job&job=gone")["gone"]["seconds"]
    # The start is known a little more exactly when the run has ended.
    assert before - 0.5 <= after < before + 5
    assert lines(rest, "by=job")["gone"]["seconds"] == after, "and it does not grow any more"
    assert not billed.jobs_processes()


def test_what_lies_in_buckets_is_billed_over_a_restart(billed):
    rest = billed.rest()
    rest.run("writes", "head -c 20000000 /dev/urandom > /fds/default/big")
    rest.wait("writes")
    billed.restart()  # reads at the stop, and at the start
    wait_for(lambda: lines(rest, "by=kind").get("storage", {}).get("storage_gib_hours", 0) > 0, 20,
             "storage to be counted")
    first = lines(rest, "by=kind")["storage"]["storage_gib_hours"]
    billed.kill9()
    billed.start()
    wait_for(lambda: lines(rest, "by=kind")["storage"]["storage_gib_hours"] > first, 20, "storage to grow")


def test_a_budget_refuses_and_lets_start_again(billed, tool):
    rest = billed.rest()
    assert rest.get("/budget").status == 404
    shown = tool.ok("usage", "budget", "set", "0.000001", "--action", "refuse", "--warn-at", "50,100").stdout
    assert "nothing starts any more" in shown
    rest.run("first", "sleep 1")
    rest.wait("first")
    wait_for(lambda: rest.get("/budget").json()["percent"] >= 100, 20, "the budget to be used up")
    wait_for(lambda: len(rest.get("/budget").json()["notices"]) == 2, 20, "both warnings")
    listed = tool.ok("quota", "list")
    assert "budget of default: " in listed.stderr and "it is used up" in listed.stderr, listed
    assert "budget" not in listed.stdout
    assert "budget" not in tool.ok("quota", "list", "-o", "json").stderr
    assert "used up" in tool.ok("usage").stderr

    def refused():
        answer = rest.post("/train", {"job_name": "second", "docker_command": "true"})
        if answer.status == 200:
            rest.delete_job("second")
        return answer if answer.status == 403 else None
    answer = wait_for(refused, 20, "a submit to be refused")
    assert answer.message.startswith("budget: organisation default has spent "), answer
    saved = rest.submit(job_name="later", docker_command="true", save_mode=True)
    assert saved["state"] == "initial", "it may be kept"
    assert rest.get("/train/later/start").status == 403
    looked = tool.ok("usage")
    assert "%)" in looked.stdout and "100 % reached" in looked.stderr
    text = rest.call("GET", "/metrics").body.decode()
    assert 'cloudml_budget_percent{org_id="' in text

    tool.ok("usage", "budget", "set", "1000000", "--action", "refuse")
    assert rest.get("/train/later/start").status == 200
    rest.wait("later", "completed")
    assert "Successfully" in tool.ok("usage", "budget", "delete").stdout
    assert tool.run("usage", "budget").returncode == 4
    assert "budget" not in tool.ok("quota", "list").stderr


def test_a_budget_that_stops_ends_what_runs(billed):
    rest = billed.rest()
    rest.run("endless", "echo here; sleep 1000", cpu_limit="1")
    rest.wait_for_log("endless", "here")
    answer = rest.call("PUT", "/cloud_ml/v1/budget", {"amount": "3", "action": "stop"})
    assert answer.status == 200, answer
    wait_for(lambda: rest.job("endless")["state"] == "failed", 40, lambda: f"it to be stopped: {rest.job('endless')}")
    job = rest.job("endless")
    assert job["reason"] == "BudgetExceeded" and job["retries"] == 0, job
    assert job["message"].startswith("budget: ")
    spent = lines(rest, "by=job")["endless"]["seconds"]
    assert 3 <= spent < 15
    time.sleep(0.2)
    assert lines(rest, "by=job")["endless"]["seconds"] == spent


@pytest.mark.parametrize("query, says", [
    ("by=colour", "by"), ("by=label:", "by"), ("from=yesterday", "from"), ("until=2026-02-30", "until"),
    ("from=2026-03-02&until=2026-03-02", "until"), ("from=1900-01-01&until=2100-01-01", "days"),
    ("label=team", "label"), ("format=xml", "format")])
def test_questions_that_make_no_sense_are_answered_with_the_rule(rest, query, says):
    answer = rest.get(f"/usage?{query}")
    assert answer.status == 400 and says in answer.message, answer


def test_prices_with_a_gap_stop_the_start(tmp_path):
    config = tmp_path / "cloudml.yaml"
    config.write_text("prices:\n  currency: EUR\n  list:\n"
                      "    - {resource: cpu, per_hour: 0.03, until: 2026-06-30}\n"
                      "    - {resource: cpu, per_hour: 0.04, from: 2026-07-01}\n")
    ended = subprocess.run([str(cloudml_binary()), "server", "--data", str(tmp_path / "data"), "--listen",
                            "127.0.0.1:0", "--config", str(config)], capture_output=True, text=True,
                           timeout=30, check=False)
    assert ended.returncode > 0
    assert "no price holds from 2026-06-30 to 2026-07-01" in ended.stdout + ended.stderr
