"""Tasks of distributed jobs, their keepers and the server are killed at random moments.

Each job completes as the contract says: a killed task runs again in place, a killed keeper costs one
try of the whole job, a killed server nothing. Afterwards no process, port or GPU is left taken.
"""
import os
import re
import signal
import time
from pathlib import Path

import pytest

from harness.polling import wait_for

ROUNDS = int(os.environ.get("CLOUDML_CHAOS_DISTRIBUTED_ROUNDS", "12"))
GPUS = 4

# Every task opens its own port, so that one which is still taken would end it; the chief is done when
# it has reached all others and some time has gone by.
PROGRAM = r"""
import json, os, socket, threading, time
config = json.loads(os.environ["TF_CONFIG"])
kind, index = config["task"]["type"], config["task"]["index"]
host, port = config["cluster"][kind][index].split(":")
server = socket.create_server((host, int(port)))
print("up", flush=True)
def answer():
    while True:
        connection, _ = server.accept()
        connection.close()
threading.Thread(target=answer, daemon=True).start()
def reach(address):
    host, port = address.split(":")
    while True:
        try:
            socket.create_connection((host, int(port)), 2).close()
            return
        except OSError:
            time.sleep(0.05)
while kind != "chief":
    time.sleep(60)
for address in config["cluster"]["worker"] + config["cluster"]["ps"]:
    reach(address)
time.sleep(1.5)
print("done", flush=True)
"""
COMMAND = f"exec /usr/bin/python3 -c '{PROGRAM}'"


def replica_of(server, pid):
    """The replica that a keeper keeps, by the lock that it holds."""
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found = re.search(r"/runs/\w+\.\d+/(\w+-\d+)/lock$", os.readlink(fd))
        except OSError:
            continue
        if found:
            return found.group(1)
    return None


def keepers(server):
    found = {}
    for pid in server.shims():
        try:
            name = replica_of(server, pid)
        except OSError:
            continue
        if name:
            found[name] = pid
    return found


def program_of(keeper):
    """The innermost process below a keeper: the task's program."""
    pid = None
    left = [keeper]
    while left:
        parent = left.pop()
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        except OSError:
            continue
        for child in children:
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words and words[0].endswith(b"python3"):
                pid = int(child)
            left.append(int(child))
    return pid


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


def strike(server, dice, what):
    """Kills it, if it is there just now."""
    if what == "server":
        server.kill9()
        server.start()
        return True
    role = what.removeprefix("shim of ")
    alive = {name: pid for name, pid in keepers(server).items() if name.startswith(role)}
    if not alive:
        return False
    keeper = alive[dice.choice(sorted(alive))]
    if what.startswith("shim of "):
        return kill(keeper)
    program = program_of(keeper)
    return program is not None and kill(program)


def ports_held(server):
    text = server.rest().call("GET", "/metrics").body.decode()
    return int(re.search(r"^cloudml_ports_held (\d+)", text, re.M).group(1))


@pytest.mark.timeout(60 + 40 * ROUNDS)
def test_each_job_ends_as_promised_and_leaves_nothing(make_server, dice):
    server = make_server(config={"capacity_cpu": 8, "capacity_memory": "8G", "fake_gpus": GPUS})
    rest = server.rest()
    targets = ["worker", "chief", "ps", "shim of worker", "shim of chief", "shim of ps", "server"]
    struck = dict.fromkeys(targets, 0)
    for number in range(ROUNDS):
        name = f"gang-{number}"
        rest.run(name, COMMAND, ps_count=1, worker_count=2, gpu_limit=1)
        lost = hits = 0
        what = targets[number % len(targets)]
        for _ in range(dice.choice((1, 1, 2, 3))):
            time.sleep(dice.uniform(0, 1.2))
            hit = strike(server, dice, what)
            struck[what] += hit
            hits += hit and what != "server"
            lost += hit and what.startswith("shim")
            what = dice.choice(targets if lost < 3 else [t for t in targets if not t.startswith("shim")])
        wait_for(lambda: rest.job(name)["state"] in ("completed", "failed"), 120,
                 lambda: f"{name} to end: {rest.job(name)} {rest.events(name)}", every=0.2)
        job = rest.job(name)
        reasons = [event["reason"] for event in rest.events(name)]
        assert job["state"] == "completed", (job, rest.events(name), rest.log(name))
        assert job["retries"] <= lost, (job, lost, rest.events(name))
        if lost == 0:
            assert sum(r["restarts"] for r in job["replicas"]) <= hits, (job, hits)
        if job["retries"]:
            assert "RunLost" in reasons, reasons
        wait_for(lambda: not server.jobs_processes(), 30,
                 lambda: f"no process to be left: {server.jobs_processes()}")
        if dice.random() < 0.5:
            rest.delete_job(name)
            rest.gone(name)
    assert all(struck.values()) or ROUNDS < len(targets), struck
    print(f"{ROUNDS} jobs, killed: {struck}")
    wait_for(lambda: ports_held(server) == 0, 10, lambda: f"no port to be held: {ports_held(server)}")
    # All GPUs and all cores can be had.
    rest.run("everything", "echo $CUDA_VISIBLE_DEVICES", cpu_limit="8", gpu_limit=GPUS)
    rest.wait("everything", "completed")
    assert rest.log("everything").strip() == "0,1,2,3"
