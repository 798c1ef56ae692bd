"""The server stops, is killed, comes back: jobs neither notice nor lose a line."""
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from harness.polling import wait_for
from harness.server import cloudml_binary

COUNT = "for i in $(seq 1 40); do echo line $i; sleep 0.1; done"
COUNTED = [f"line {i}" for i in range(1, 41)]


def counted(rest, name):
    return [line for line in rest.log(name).splitlines() if line.startswith("line ")]


def marked(mark):
    """Process ids whose command line holds `mark`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def parent(pid):
    for line in (Path("/proc") / str(pid) / "status").read_text().splitlines():
        if line.startswith("PPid:"):
            return int(line.split()[1])
    return 0


def shim_of(pid, server):
    """The ancestor of `pid` that runs our binary and is not the server."""
    while pid > 1:
        try:
            program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
        except OSError:
            program = ""
        if pid != server.pid and program == str(cloudml_binary()):
            return pid
        pid = parent(pid)
    raise AssertionError("the job has no shim")


@pytest.mark.parametrize("how", ["kill9", "stop"])
def test_a_running_job_outlives_the_server(own_server, how):
    rest = own_server.rest()
    rest.run("counter", COUNT + "; exit 0")
    rest.wait_for_log("counter", "line 5\n")
    getattr(own_server, how)()
    own_server.start()
    job = rest.wait("counter", "completed")
    assert job["exit_code"] == 0 and job["retries"] == 0
    assert counted(rest, "counter") == COUNTED


def test_a_server_killed_again_and_again_loses_no_line(own_server):
    rest = own_server.rest()
    rest.run("counter", COUNT)
    for line in (5, 12, 19, 26):
        rest.wait_for_log("counter", f"line {line}\n")
        own_server.kill9()
        own_server.start()
    assert rest.wait("counter", "completed")["retries"] == 0
    assert counted(rest, "counter") == COUNTED


@pytest.mark.parametrize("status", [0, 7])
def test_the_exit_of_a_job_that_ended_meanwhile_is_learnt(own_server, status):
    mark = "mark" + uuid.uuid4().hex
    rest = own_server.rest()
    rest.run("ender", f"echo up; sh -c 'sleep 3; : {mark}'; echo last words; exit {status}",
             max_retries=0)
    rest.wait_for_log("ender", "up")
    wait_for(lambda: marked(mark), 10, "the job's process")
    own_server.kill9()
    wait_for(lambda: not marked(mark), 30, "the job to end while no server runs")
    own_server.start()
    job = rest.wait("ender", "completed" if status == 0 else "failed")
    assert job["exit_code"] == status
    assert "last words\n" in rest.log("ender")


def test_a_follower_can_come_back_after_a_restart(own_server):
    rest = own_server.rest()
    rest.run("counter", COUNT)
    rest.wait_for_log("counter", "line 3\n")
    own_server.kill9()
    own_server.start()
    seen = [line for line in rest.follow("counter") if line.startswith("line ")]
    assert seen == COUNTED


def test_what_was_acknowledged_is_there_after_a_kill(own_server):
    rest = own_server.rest()
    for number in range(5):
        rest.submit(job_name=f"kept-{number}", docker_command="true", save_mode=True)
        own_server.kill9()
        own_server.start()
    assert sorted(job["job_name"] for job in rest.jobs()) == [f"kept-{n}" for n in range(5)]
    rest.delete_job("kept-0")
    own_server.kill9()
    own_server.start()
    rest.gone("kept-0")


def test_waiting_jobs_go_on_waiting_and_then_run(make_server):
    server = make_server(arguments=["--fake-gpus", "1"])
    rest = server.rest()
    rest.run("holder", "echo up; sleep 300", gpu_limit=1)
    rest.wait_for_log("holder", "up")
    rest.run("waiter", "echo my turn", gpu_limit=1)
    server.kill9()
    server.start()
    assert rest.job("holder")["state"] == "running"
    assert rest.job("waiter")["state"] == "enqueued"
    rest.delete_job("holder")
    rest.wait("waiter", "completed", seconds=60)


def test_a_job_deleted_just_before_the_kill_ends(own_server):
    mark = "mark" + uuid.uuid4().hex
    rest = own_server.rest()
    rest.run("doomed", f"echo up; sh -c 'sleep 600; : {mark}'")
    rest.wait_for_log("doomed", "up")
    wait_for(lambda: marked(mark), 10, "the job's process")
    rest.delete_job("doomed")
    own_server.kill9()
    own_server.start()
    rest.gone("doomed", seconds=60)
    wait_for(lambda: not marked(mark), 45, "the job's processes to end")


def test_a_killed_shim_takes_its_job_with_it_and_the_job_says_so(own_server):
    mark = "mark" + uuid.uuid4().hex
    rest = own_server.rest()
    rest.run("orphan", f"echo up; sh -c 'sleep 600; : {mark}'", max_retries=0)
    rest.wait_for_log("orphan", "up")
    first = wait_for(lambda: marked(mark), 10, "the job's process")[-1]
    os.kill(shim_of(first, own_server), signal.SIGKILL)
    wait_for(lambda: not marked(mark), 20, lambda: f"the job to end with its shim: {marked(mark)}")
    job = rest.wait("orphan", "failed")
    assert job["reason"] == "RunLost", job
    assert job["message"]


def test_a_lost_run_is_retried(own_server):
    mark = "mark" + uuid.uuid4().hex
    rest = own_server.rest()
    rest.run("orphan", f"if [ -e $CLOUDML_CHECKPOINT_DIR/a ]; then echo second run; exit 0; fi; "
                       f"touch $CLOUDML_CHECKPOINT_DIR/a; echo up; sh -c 'sleep 600; : {mark}'")
    rest.wait_for_log("orphan", "up")
    first = wait_for(lambda: marked(mark), 10, "the job's process")[-1]
    os.kill(shim_of(first, own_server), signal.SIGKILL)
    job = rest.wait("orphan", "completed", seconds=60)
    assert job["retries"] == 1
    assert "second run\n" in rest.log("orphan")


def test_sigterm_ends_the_server_within_ten_seconds(own_server):
    rest = own_server.rest()
    rest.run("sleeper", "echo up; sleep 300")
    rest.wait_for_log("sleeper", "up")
    stream = rest.follow("sleeper")  # an open stream must not hold the server back
    assert next(stream)
    began = time.monotonic()
    assert own_server.stop(seconds=10) == 0
    assert time.monotonic() - began < 10
    own_server.start()
    assert rest.job("sleeper")["state"] == "running"


def test_keys_and_port_survive_a_restart(own_server):
    before = (own_server.access_key, own_server.secret_key, own_server.url)
    own_server.restart()
    assert (own_server.access_key, own_server.secret_key, own_server.url) == before


def test_a_second_server_on_the_same_data_is_refused(own_server):
    ended = subprocess.run(
        [str(cloudml_binary()), "server", "--data", str(own_server.data), "--listen", "127.0.0.1:0"],
        capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode not in (0, -signal.SIGSEGV), ended
    assert str(own_server.data) in ended.stderr + ended.stdout
    assert own_server.rest().get("/org_ids").status == 200


def test_a_taken_port_is_refused_with_its_address(own_server, tmp_path):
    ended = subprocess.run(
        [str(cloudml_binary()), "server", "--data", str(tmp_path / "other"), "--listen",
         f"127.0.0.1:{own_server.port}"],
        capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode != 0
    assert str(own_server.port) in ended.stderr + ended.stdout


def test_a_backup_taken_while_running_holds_the_jobs(own_server, make_server, tmp_path):
    rest = own_server.rest()
    for number in range(20):
        rest.submit(job_name=f"kept-{number}", docker_command="true", save_mode=True)
    backup = tmp_path / "backup.db"
    subprocess.run([str(cloudml_binary()), "server", "backup", str(backup), "--data",
                    str(own_server.data)], check=True, timeout=60)
    import sqlite3
    with sqlite3.connect(backup) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        text = "\n".join(copy.iterdump())
    assert all(f"kept-{number}" in text for number in range(20))
