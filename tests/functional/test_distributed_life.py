"""The life of a distributed job, with plain commands: who ends what, what is tried again, what is told."""
import re
import time

import pytest

from harness.polling import wait_for
from harness.server import Server

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with room for gangs, whatever the machine has."""
    one = Server(tmp_path_factory.mktemp("server"),
                 config={"capacity_cpu": 8, "capacity_memory": "8G", "fake_gpus": 2})
    yield one
    one.close()


@pytest.fixture(scope="module")
def rest(server):
    return server.rest()


def of(rest, name):
    return {r["name"]: r for r in rest.job(name)["replicas"]}


def told(rest, name, reason):
    return [e["message"] for e in rest.events(name) if e["reason"] == reason]


def log(rest, name, replica):
    return rest.get(f"/train/{name}/logs?replica={replica}").json()["logs"]


def test_the_chiefs_status_is_the_jobs_and_its_end_is_everybodys(server, rest):
    command = ("case $CLOUDML_REPLICA in chief-0) sleep 3; echo trained; exit 0;; "
               "worker-0) exit 0;; *) trap 'echo asked to end; exit 1' TERM; sleep 1000 & wait;; esac")
    rest.run("ends", command, ps_count=1, worker_count=2)
    rest.wait("ends", "completed")
    replicas = of(rest, "ends")
    assert {n: r["state"] for n, r in replicas.items()} == {
        "chief-0": "completed", "worker-0": "completed", "worker-1": "failed", "ps-0": "failed"}
    assert replicas["ps-0"]["reason"] == replicas["worker-1"]["reason"] == "Stopped"
    assert log(rest, "ends", "ps-0") == "asked to end\n"
    assert "chief-0: trained\n" in rest.log("ends")
    wait_for(lambda: not server.jobs_processes(), 10, "no process to be left")


def test_a_task_that_fails_runs_again_in_place_then_the_job_is_tried_again_then_it_fails(rest):
    command = "echo try; [ $CLOUDML_REPLICA != worker-0 ] && sleep 1000; exit 3"
    rest.run("fails", command, worker_count=1, max_restarts=1, max_retries=1)
    job = rest.wait("fails", "failed", seconds=60)
    assert job["exit_code"] == 3 and job["retries"] == 1, job
    assert job["message"] == "worker-0: exit status 3 (after 1 restarts in place)"
    assert len(told(rest, "fails", "Restarted")) == 2, rest.events("fails")
    text = log(rest, "fails", "worker-0")
    assert text.count("try\n") == 4 and "==== run 2 of this job ====" in text, text
    ports = set(re.findall(r"as (127\.0\.0\.1:\d+)", " ".join(told(rest, "fails", "Started"))))
    assert len(ports) == 4, "the second try has other addresses"


def test_what_cannot_be_mended_ends_the_job_at_once(rest):
    rest.run("usage", "[ $CLOUDML_REPLICA = worker-0 ] && exit 2; sleep 1000", worker_count=1)
    job = rest.wait("usage", "failed", seconds=30)
    assert job["retries"] == 0 and job["exit_code"] == 2
    assert job["message"] == "worker-0: exit status 2", job
    assert told(rest, "usage", "Restarted") == []


def test_one_that_hangs_before_its_program_is_told(rest):
    rest.run("hangs", "sleep 1000", worker_count=1, start_timeout=1, max_retries=0,
             prepare_command="[ $CLOUDML_REPLICA = worker-0 ] && sleep 1000; true")
    job = rest.wait("hangs", "failed", seconds=60)
    assert job["reason"] == "StartTimeout", job
    assert job["message"].startswith("worker-0: its program had not begun"), job


def test_an_evaluator_may_finish_and_not_for_ever(rest):
    command = "[ $CLOUDML_REPLICA = evaluator-0 ] && sleep {}; echo $CLOUDML_REPLICA ends"
    rest.run("evaluated", command.format(1.5), worker_count=1, evaluator_count=1)
    rest.wait("evaluated", "completed")
    assert "evaluator-0: evaluator-0 ends" in rest.log("evaluated")
    rest.run("endless", command.format(1000), worker_count=1, evaluator_count=1, evaluator_wait=1)
    rest.wait("endless", "completed", seconds=40)
    assert of(rest, "endless")["evaluator-0"]["reason"] == "Stopped"


def test_a_port_that_somebody_took_is_told_and_the_job_tried_with_others(server, rest):
    rest.run("before", "true", worker_count=1)
    rest.wait("before", "completed")
    last = max(int(r["address"].rpartition(":")[2]) for r in of(rest, "before").values())
    # Bound, not listened on: it cannot be seen beforehand.
    taker = ("import socket, time; s = socket.socket(); s.bind((\"\", {})); print(\"taken\", flush=True); "
             "time.sleep(1000)").format(last + 1)
    rest.run("taker", f"exec /usr/bin/python3 -c '{taker}'")
    rest.wait_for_log("taker", "taken")
    rest.run("loses", "true", worker_count=1)
    job = rest.wait("loses", "completed")
    assert job["retries"] == 1, rest.events("loses")
    assert any(f"port {last + 1} was taken" in m for m in told(rest, "loses", "PortLost"))
    addresses = {int(r["address"].rpartition(":")[2]) for r in of(rest, "loses").values()}
    assert last + 1 not in addresses
    rest.delete_job("taker")


def test_a_port_that_is_listened_on_is_not_given_out(rest):
    rest.run("look", "true", worker_count=1)
    rest.wait("look", "completed")
    last = max(int(r["address"].rpartition(":")[2]) for r in of(rest, "look").values())
    taker = ("import socket, time; s = socket.create_server((\"\", {})); print(\"taken\", flush=True); "
             "time.sleep(1000)").format(last + 1)
    rest.run("listens", f"exec /usr/bin/python3 -c '{taker}'")
    rest.wait_for_log("listens", "taken")
    rest.run("passes", "true", worker_count=1)
    assert rest.wait("passes", "completed")["retries"] == 0
    assert last + 1 not in {int(r["address"].rpartition(":")[2]) for r in of(rest, "passes").values()}
    rest.delete_job("listens")


def test_all_have_a_place_or_none_and_gpus_are_each_ones_own(rest):
    rest.run("holds", "sleep 1000", worker_count=1, chief_count=0,
             gpu_limit=1)
    rest.wait("holds", "running")
    rest.run("gang", "echo mine $CUDA_VISIBLE_DEVICES", worker_count=1, ps_count=1, gpu_limit=1)
    wait_for(lambda: rest.job("gang").get("message"), 20, "a reason")
    job = rest.job("gang")
    assert job["state"] == "enqueued" and job["replicas"] == []
    assert job["message"] == "2 replicas with 0.25 CPU, 256M memory, 1 GPU each asked, room for 1", job["message"]
    rest.delete_job("holds")
    rest.wait("gang", "completed")
    assert log(rest, "gang", "ps-0") == "mine\n"
    seen = {log(rest, "gang", r) for r in ("chief-0", "worker-0")}
    assert seen == {"mine 0\n", "mine 1\n"}


def test_the_server_may_be_away_meanwhile(server, rest):
    command = "for i in 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 0.2; done; [ $CLOUDML_REPLICA != ps-0 ] || sleep 1000"
    rest.run("away", command, worker_count=1, ps_count=1)
    rest.wait("away", "running")
    server.kill9()
    time.sleep(2.5)
    server.start()
    job = rest.wait("away", "completed")
    assert job["retries"] == 0
    for replica in ("chief-0", "worker-0", "ps-0"):
        expected = "".join(f"line {i}\n" for i in range(1, 10))
        assert log(rest, "away", replica).startswith(expected)
        mine = [line for line in rest.log("away").splitlines() if line.startswith(f"{replica}: line")]
        assert mine == [f"{replica}: line {i}" for i in range(1, 10)]


def test_the_merged_log_is_in_the_order_of_time_and_can_be_followed(rest):
    command = ("case $CLOUDML_REPLICA in chief-0) sleep 0.3; echo b; sleep 0.6; echo d;; "
               "worker-0) echo a; sleep 0.6; echo c; sleep 1000;; esac")
    rest.run("merged", command, worker_count=1)
    followed = [line for line in rest.follow("merged") if ": " in line and "Terminated" not in line]
    assert followed == ["worker-0: a", "chief-0: b", "worker-0: c", "chief-0: d"]
    assert rest.get("/train/merged/logs?replica=worker-7").status == 404
    answer = rest.get("/train/merged/events?replica=worker-0").json()["events"]
    assert answer and all(e["message"].startswith("worker-0: ") for e in answer)
    assert {e["involvedObject"]["name"] for e in answer} == {"merged-worker-0"}
    assert rest.get("/train/merged/metrics?replica=chief-0").json()["memory_peak"] > 0
