"""Plain command jobs from submit to delete, over REST."""
import json
import re

import pytest

from harness.polling import wait_for
from harness.rest import PREFIX

EVENT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
JOB_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?$")

# Every key that one of the two published clients indexes (cloud_ml v1, 6.2 and 15).
TRAIN_KEYS = """org_id org_name job_name module_name trainer_uri job_args fds_endpoint fds_bucket
hdfs_krb_account hdfs_endpoint cpu_limit memory_limit gpu_limit docker_image docker_command framework
framework_version state create_time update_time cluster_name service_port cluster_env_var
hyperparameters_name hyperparameters_goal hyperparameters_params volume_type volume_path mount_path
mount_read_only prepare_command finish_command node_name node_selector_key node_selector_value""".split()
COLUMNS = "org_id org_name job_name state create_time update_time node_name".split()


def reasons(rest, name):
    return [event["reason"] for event in rest.events(name)]


def lines_with(log, prefix):
    return [line for line in log.splitlines() if line.startswith(prefix)]


def test_a_command_runs_from_submit_to_its_exit(rest, job_name):
    job = rest.run(job_name, "echo to stdout; echo to stderr >&2; echo the last line")
    assert job["job_name"] == job_name
    assert job["state"] in ("enqueued", "creating", "running")
    ended = rest.wait(job_name, "completed")
    assert ended["exit_code"] == 0
    log = rest.log(job_name)
    assert [line for line in log.splitlines() if line.startswith(("to ", "the last"))] == [
        "to stdout", "to stderr", "the last line"]


def test_the_job_object_has_every_key_that_the_clients_read(rest, job_name):
    rest.run(job_name, "true")
    job = rest.wait(job_name, "completed")
    assert not [key for key in TRAIN_KEYS if key not in job]
    assert not [key for key in COLUMNS if not isinstance(job[key], str)]
    assert JOB_TIME.match(job["create_time"]) and JOB_TIME.match(job["update_time"])
    assert job_name in [row["job_name"] for row in rest.jobs()]
    assert all(key in row for row in rest.jobs() for key in TRAIN_KEYS)
    assert not [key for key in job if "password" in key and job[key]]


def test_every_change_is_an_event_with_a_reason(rest, job_name):
    rest.run(job_name, "true")
    rest.wait(job_name, "completed")
    events = rest.events(job_name)
    assert len(events) >= 3, events
    for event in events:
        assert event["type"] in ("Normal", "Warning")
        assert re.fullmatch(r"[A-Z][A-Za-z]+", event["reason"]), event
        assert event["message"].strip() and "\n" not in event["message"]
        assert event["count"] >= 1
        assert event["involvedObject"]["name"] == job_name
        assert EVENT_TIME.match(event["firstTimestamp"]) and EVENT_TIME.match(event["lastTimestamp"])
    assert [event["type"] for event in events] == ["Normal"] * len(events)
    assert events[-1]["reason"] == "Completed" or "Completed" in reasons(rest, job_name)
    answer = rest.get(f"/train/{job_name}/events").json()
    assert answer["recommend"] == [] or answer["recommend"] is None


def test_a_failing_command_fails_the_job_with_its_exit_status(rest, job_name):
    rest.run(job_name, "echo before; exit 7", max_retries=0)
    job = rest.wait(job_name, "failed")
    assert job["exit_code"] == 7
    assert "7" in job["message"]
    assert [e for e in rest.events(job_name) if e["type"] == "Warning"]
    assert "before\n" in rest.log(job_name)


def test_a_command_that_a_signal_ends_fails_with_128_and_the_signal(rest, job_name):
    rest.run(job_name, "kill -SEGV $$", max_retries=0)
    assert rest.wait(job_name, "failed")["exit_code"] == 128 + 11


def test_metrics_are_four_numbers(rest, job_name):
    rest.run(job_name, "echo up; sleep 30")
    rest.wait_for_log(job_name, "up")
    answer = rest.get(f"/train/{job_name}/metrics")
    assert answer.status == 200, answer
    for key in ("cpu", "memory", "network_receive", "network_transmit"):
        assert isinstance(answer.json()[key], (int, float)), answer
    wait_for(lambda: rest.get(f"/train/{job_name}/metrics").json()["memory"] > 0, 20,
             "the memory of a running job to be seen")


def test_tuning_results_of_a_job_without_tuning_are_not_found(rest, job_name):
    rest.run(job_name, "true")
    answer = rest.get(f"/train/{job_name}/hyperparameters")
    assert answer.status == 404 and answer.message


# ---- logs

def test_lines_gives_exactly_the_last_lines(rest, job_name):
    rest.run(job_name, "for i in 1 2 3 4 5 6 7 8 9; do echo row $i; done; printf unfinished")
    rest.wait(job_name, "completed")
    whole = rest.log(job_name)
    rows = whole.splitlines()
    for count in (1, 2, 5, len(rows), len(rows) + 100):
        assert rest.log(job_name, lines=count).splitlines() == rows[-count:]
    assert "row 9\n" in whole


def test_a_large_log_is_whole(rest, job_name):
    rest.run(job_name, "seq -f 'number %.0f' 1 200000")
    rest.wait(job_name, "completed")
    numbers = lines_with(rest.log(job_name), "number ")
    assert numbers == [f"number {i}" for i in range(1, 200_001)]


def test_a_log_may_hold_any_bytes(rest, job_name):
    rest.run(job_name, r"printf 'utf \303\251\n'; printf 'bad \377\376\n'; printf 'ctrl \001\033[1m\n'; "
                       r"printf 'zero \000 end\n'; echo after")
    rest.wait(job_name, "completed")
    log = rest.log(job_name)
    assert "utf é\n" in log and "bad " in log and "ctrl " in log and "after\n" in log


def test_a_job_that_has_not_started_has_an_empty_log(rest, job_name):
    rest.submit(job_name=job_name, docker_command="true", save_mode=True)
    assert rest.log(job_name) == ""


def test_a_followed_log_comes_while_the_job_runs_and_ends_with_it(rest, job_name):
    rest.run(job_name, "echo first; sleep 2; echo second")
    seen = []
    for line in rest.follow(job_name):
        seen.append(line)
        if line == "first":
            assert rest.job(job_name)["state"] in ("creating", "running")
    assert seen[-1:] == ["second"] or "second" in seen
    assert seen.index("first") < seen.index("second")
    rest.wait(job_name, "completed")
    assert list(rest.follow(job_name)) == rest.log(job_name).splitlines()
    assert list(rest.follow(job_name, lines=1)) == rest.log(job_name).splitlines()[-1:]


def test_a_followed_log_ends_when_the_job_is_deleted(rest, job_name):
    rest.run(job_name, "echo first; sleep 300")
    stream = rest.follow(job_name)
    while next(stream) != "first":
        pass
    rest.delete_job(job_name)
    for _ in stream:  # ends by itself, properly: the reader would raise on a cut
        pass


def test_following_an_unknown_job_is_not_found(rest):
    assert rest.get("/train/no-such-job/logs?follow=True").status == 404
    assert rest.get("/train/no-such-job/logs").status == 404


# ---- what surrounds the command

def test_prepare_and_finish_run_around_the_command(rest, job_name):
    rest.run(job_name, "echo step command; echo value is $FROM_PREPARE",
             prepare_command="echo step prepare; export FROM_PREPARE=42",
             finish_command="echo step finish; echo status $CLOUDML_EXIT_STATUS")
    rest.wait(job_name, "completed")
    log = rest.log(job_name)
    assert lines_with(log, "step ") == ["step prepare", "step command", "step finish"]
    assert "value is 42\n" in log and "status 0\n" in log


def test_finish_runs_after_a_failure_and_learns_the_exit_status(rest, job_name):
    rest.run(job_name, "exit 5", finish_command="echo finish saw $CLOUDML_EXIT_STATUS", max_retries=0)
    assert rest.wait(job_name, "failed")["exit_code"] == 5
    assert "finish saw 5\n" in rest.log(job_name)


@pytest.mark.parametrize("command", ["exec sh -c 'exit 6'", "trap 'echo mine' EXIT; exit 6",
                                     "sh -c 'exit 6'", "set -e; sh -c 'exit 6'; echo not here"])
def test_finish_runs_whatever_the_command_does_to_its_shell(rest, job_name, command):
    rest.run(job_name, command, finish_command="echo finish saw $CLOUDML_EXIT_STATUS")
    assert rest.wait(job_name, "failed")["exit_code"] == 6
    log = rest.log(job_name)
    assert "finish saw 6\n" in log and "not here" not in log


def test_a_failing_prepare_command_fails_the_job_before_the_command(rest, job_name):
    rest.run(job_name, "echo must not run", prepare_command="echo preparing; exit 9", max_retries=0)
    assert rest.wait(job_name, "failed")["exit_code"] == 9
    assert "must not run" not in rest.log(job_name)


def test_variables_reach_the_job_as_they_were_given(rest, job_name):
    values = {"PLAIN": "x", "BLANKS": "a  b", "QUOTES": "it's \"q\" $HOME `id` \\n", "EMPTY": "",
              "UNICODE": "é中", "LINES": "one\ntwo"}
    rest.run(job_name, "python3 -c 'import os, json; print(\"ENV \" + json.dumps(dict(os.environ)))'",
             env=values)
    rest.wait(job_name, "completed")
    seen = json.loads(lines_with(rest.log(job_name), "ENV ")[0][4:])
    assert {name: seen.get(name) for name in values} == values
    assert seen["CUDA_VISIBLE_DEVICES"] == ""
    assert seen["CLOUD_ML_JOB_ID"] and seen["CLOUDML_ORG_ID"] and seen["CLOUDML_REPLICA"]


def test_what_was_submitted_is_what_describe_shows(rest, job_name):
    given = {"docker_command": "true", "job_args": "--a 'b c'", "cpu_limit": "0.5",
             "memory_limit": "256M", "description": "a try, \u00e9", "labels": {"team": "vision"},
             "env": {"A": "1"}, "job_dir": "gs://bucket/dir", "priority_class": "best-effort",
             "wall_time_limit": 600, "max_retries": 2, "prepare_command": "true",
             "finish_command": "true"}
    rest.submit(job_name=job_name, save_mode=True, **given)
    job = rest.job(job_name)
    assert {name: job[name] for name in given} == given


# ---- limits, retries, ends

def test_a_failing_command_is_retried_as_often_as_allowed(rest, job_name):
    rest.run(job_name, "echo x >> $CLOUDML_CHECKPOINT_DIR/tries; "
                       "echo try $(wc -l < $CLOUDML_CHECKPOINT_DIR/tries); exit 3", max_retries=2)
    job = wait_for(lambda: (j := rest.job(job_name))["state"] == "failed" and j, 90, "the job to fail")
    assert job["retries"] == 2 and job["exit_code"] == 3
    assert lines_with(rest.log(job_name), "try ") == ["try 1", "try 2", "try 3"]


def test_a_retry_finds_the_checkpoint_and_can_complete(rest, job_name):
    rest.run(job_name, "if [ -e $CLOUDML_CHECKPOINT_DIR/step ]; then echo resumed; exit 0; fi; "
                       "touch $CLOUDML_CHECKPOINT_DIR/step; exit 1", max_retries=1)
    job = rest.wait(job_name, "completed")
    assert job["retries"] == 1 and "resumed\n" in rest.log(job_name)


def test_without_a_budget_a_failing_command_is_not_retried(rest, job_name):
    rest.run(job_name, "echo once; exit 1")
    assert rest.wait(job_name, "failed")["retries"] == 0
    assert rest.log(job_name).count("once\n") == 1


def test_the_wall_time_ends_the_job(rest, job_name):
    rest.run(job_name, "echo started; sleep 300", wall_time_limit=2)
    job = rest.wait(job_name, "failed", seconds=60)
    assert job["reason"] == "WallTimeLimit", job
    assert "WallTimeLimit" in reasons(rest, job_name)


def test_the_memory_limit_kills_the_job_and_says_so(rest, job_name):
    rest.run(job_name, "python3 -c \"x = b'x' * (400 << 20); print(len(x))\"", memory_limit="64M",
             max_retries=0)
    job = rest.wait(job_name, "failed")
    assert job["reason"] == "OutOfMemory", job
    assert "64M" in job["message"] or "memory" in job["message"]


@pytest.mark.parametrize("command", [
    "dd if=/dev/zero of=big bs=1M count=200; sleep 60",
    "for i in $(seq 1 50); do dd if=/dev/zero of=part$i bs=1M count=8 2>/dev/null || break; done; sleep 60",
    "for i in $(seq 1 50); do dd if=/dev/zero of=/tmp/part$i bs=1M count=8 2>/dev/null || break; done; "
    "sleep 60",
], ids=["one-file", "many-files", "many-temporary-files"])
def test_the_disk_limit_ends_the_job_and_says_so(rest, job_name, command):
    rest.run(job_name, f"set -e; {command}; echo survived", disk_limit="32M", max_retries=0)
    job = rest.wait(job_name, "failed")
    assert "survived" not in rest.log(job_name)
    assert job["reason"] == "DiskLimit", (job["reason"], job["message"])
    assert "32M" in job["message"] or "disk" in job["message"]


# ---- names, start, delete

def test_a_name_in_use_is_refused(rest, job_name):
    rest.submit(job_name=job_name, docker_command="true", save_mode=True)
    answer = rest.post("/train", {"job_name": job_name, "docker_command": "true"})
    assert answer.status == 409, answer
    assert job_name in answer.message


def test_a_deleted_name_is_free_at_once(rest, job_name):
    rest.run(job_name, "echo the old one; sleep 300")
    rest.wait_for_log(job_name, "the old one")
    rest.delete_job(job_name)
    rest.run(job_name, "echo the new one")
    rest.wait(job_name, "completed")
    log = rest.log(job_name)
    assert "the new one\n" in log and "the old one" not in log


def test_delete_ends_the_job_and_the_job_is_gone(rest, job_name):
    rest.run(job_name, "echo up; sleep 300")
    rest.wait_for_log(job_name, "up")
    answer = rest.delete_job(job_name)
    assert answer["error"] is False and "Successfully" in answer["message"]
    rest.gone(job_name)
    assert job_name not in [job["job_name"] for job in rest.jobs()]
    assert rest.delete(f"/train/{job_name}").status == 404


def test_a_saved_job_waits_for_its_start(rest, job_name):
    job = rest.submit(job_name=job_name, docker_command="echo ran", save_mode=True)
    assert job["state"] == "initial"
    started = rest.get(f"/train/{job_name}/start")
    assert started.status == 200 and started.json()["job_name"] == job_name
    rest.wait(job_name, "completed")
    assert "ran\n" in rest.log(job_name)


def test_a_job_that_ended_can_be_started_again(rest, job_name):
    rest.run(job_name, "echo run $(cat /proc/sys/kernel/random/uuid); exit 1")
    rest.wait(job_name, "failed")
    first = lines_with(rest.log(job_name), "run ")
    answer = rest.get(f"/train/{job_name}/start")
    assert answer.status == 200 and answer.json()["state"] not in ("failed", "initial")
    wait_for(lambda: lines_with(rest.log(job_name), "run ")[-1:] not in ([], first), 60,
             lambda: f"a second run: {rest.events(job_name)}")
    job = wait_for(lambda: (j := rest.job(job_name))["state"] == "failed" and j, 30, "the second end")
    assert job["retries"] == 0


def test_starting_a_job_that_runs_is_refused(rest, job_name):
    rest.run(job_name, "echo up; sleep 300")
    rest.wait_for_log(job_name, "up")
    answer = rest.get(f"/train/{job_name}/start")
    assert answer.status in (400, 409), answer
    assert answer.message


def test_delete_by_cluster_name_takes_the_job(rest, job_name):
    rest.submit(job_name=job_name, docker_command="true", save_mode=True)
    answer = rest.delete(f"/train/{job_name}?is_cluster_name=True")
    assert answer.status == 200, answer
    rest.gone(job_name)


def test_a_dry_run_checks_and_keeps_nothing(rest, job_name):
    job = {"job_name": job_name, "docker_command": "true"}
    answer = rest.post("/train?dry_run=True", job)
    assert answer.status == 200 and answer.json()["job_name"] == job_name
    assert rest.get(f"/train/{job_name}").status == 404
    answer = rest.post("/train?dry_run=True", {**job, "memory_limit": "8GB"})
    assert answer.status == 400 and "memory_limit" in answer.message


@pytest.mark.parametrize("path", ["", "/logs", "/events", "/metrics", "/start", "/hyperparameters"])
def test_an_unknown_job_is_not_found_everywhere(rest, path):
    answer = rest.get(f"/train/no-such-job{path}")
    assert answer.status == 404, answer
    assert answer.json()["error"] is True and answer.message


def test_an_ordinary_list_may_ask_for_all_organisations(rest, job_name):
    rest.submit(job_name=job_name, docker_command="true", save_mode=True)
    answer = rest.call("GET", PREFIX + "/train?org_id=-1")
    assert answer.status == 200
    assert job_name in [job["job_name"] for job in answer.json()["data"]]


# ---- waiting

@pytest.fixture
def one_gpu(make_server):
    return make_server(arguments=["--fake-gpus", "1"])


def test_a_waiting_job_says_why_and_starts_when_it_can(one_gpu):
    rest = one_gpu.rest()
    rest.run("holder", "echo card $CUDA_VISIBLE_DEVICES; sleep 300", gpu_limit=1)
    rest.wait_for_log("holder", "card 0")
    rest.run("waiter", "echo card $CUDA_VISIBLE_DEVICES", gpu_limit=1)
    message = wait_for(lambda: rest.job("waiter").get("message"), 20, "the reason why it waits")
    assert rest.job("waiter")["state"] == "enqueued"
    assert "GPU" in message and "\n" not in message
    rest.delete_job("holder")
    rest.wait("waiter", "completed", seconds=60)
    assert "card 0\n" in rest.log("waiter")


def test_waiting_jobs_start_in_the_order_of_their_priority(one_gpu):
    rest = one_gpu.rest()
    rest.run("holder", "echo up; sleep 300", gpu_limit=1)
    rest.wait_for_log("holder", "up")
    for name in ("best-effort", "preferred", "guaranteed"):
        rest.run(name, "date +%s.%N; sleep 0.2", gpu_limit=1, priority_class=name)
    rest.delete_job("holder")
    started = {}
    for name in ("best-effort", "preferred", "guaranteed"):
        rest.wait(name, "completed", seconds=90)
        started[name] = float([line for line in rest.log(name).splitlines()
                               if re.fullmatch(r"\d+\.\d+", line)][0])
    assert sorted(started, key=started.get) == ["guaranteed", "preferred", "best-effort"]


def test_a_job_that_can_never_start_says_so(one_gpu):
    rest = one_gpu.rest()
    answer = rest.post("/train", {"job_name": "huge", "docker_command": "true", "gpu_limit": 64})
    if answer.status == 200:
        message = wait_for(lambda: rest.job("huge").get("message"), 20, "the reason why it waits")
    else:
        assert answer.status in (400, 403), answer
        message = answer.message
    assert "64" in message and "GPU" in message.replace("gpu_limit", "GPU")


def test_a_job_without_a_fitting_node_waits_and_says_so(rest, job_name):
    rest.run(job_name, "true", node_selector_key="no-such-label", node_selector_value="x")
    message = wait_for(lambda: rest.job(job_name).get("message"), 20, "the reason why it waits")
    assert rest.job(job_name)["state"] == "enqueued"
    assert "no-such-label" in message
