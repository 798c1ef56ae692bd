"""Memory (PSS) of a server and its helper process when nothing happens, and how often they wake up."""
import time
from pathlib import Path

from harness.report import Measure
from harness.server import Server

MOST_MB = 32
MOST_WAKEUPS = 5  # a second: a timer or two is no busy waiting


def family(pid):
    """The process and all below it."""
    pids = [pid]
    for one in pids:
        with open(f"/proc/{one}/task/{one}/children") as f:
            pids += [int(p) for p in f.read().split()]
    return pids


def pss_mb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("Pss:")) * 1024 / 1e6


def switches(pids):
    """Voluntary context switches of all threads: each end of a sleep is one."""
    return sum(int(line.split()[1])
               for pid in pids
               for task in Path(f"/proc/{pid}/task").iterdir()
               for line in (task / "status").read_text().splitlines()
               if line.startswith("voluntary_ctxt_switches"))


def measure(options):
    seconds = options.pick(20, 5)
    with Server("idle") as server:
        time.sleep(2)
        pids = family(server.pid)
        before = switches(pids)
        time.sleep(seconds)
        wakeups = (switches(pids) - before) / seconds
        each = {f"process {i} ({'server' if i == 0 else 'helper'})": pss_mb(pid)
                for i, pid in enumerate(pids)}
        fresh = sum(each.values())
        for n in range(200):
            server.call("POST", "/train", {"job_name": f"j{n}", "docker_command": "true",
                                           "save_mode": True})
            server.call("GET", "/train?limit=100")
        used = sum(pss_mb(pid) for pid in family(server.pid))
    memory = Measure("idle memory (PSS), server and helper", "MB", fresh).limit(MOST_MB)
    for name, mb in each.items():
        memory.beside(name, mb)
    memory.beside("after 400 requests", used)
    return [memory, Measure("wake-ups when idle", "/s", wakeups).limit(MOST_WAKEUPS)]
