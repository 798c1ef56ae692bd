"""Jobs that run `true`, from the first submit to the end of the last, beside Slurm and bare bwrap.

Four at a time on each side; submitting is part of it.
"""
import time

from harness.process import wait_until
from harness.report import Measure, interleaved, median
from harness.server import Server
from peers import bubblewrap
from peers.slurm import Slurm

AT_ONCE = 4


def measure(options):
    jobs = options.pick(200, 60)
    fields = {"docker_command": "true", "cpu_limit": "1", "memory_limit": "64M"}
    number = 0
    capacity = {"capacity_cpu": str(AT_ONCE), "capacity_memory": "8G"}
    with Server("trivial_jobs", capacity) as server, Slurm(AT_ONCE) as slurm:
        def ours():
            nonlocal number
            number += 1
            name = f"r{number}-"
            began = time.perf_counter()
            server.submit_many(AT_ONCE, jobs, name, fields)
            wait_until(lambda: server.unfinished() == 0 and completed(server, name) == jobs, 120,
                       "our jobs", every=0.01)
            return jobs / (time.perf_counter() - began)
        figures = interleaved(options.pick(5, 2), {
            "ours": ours, "bwrap": lambda: bubblewrap.rate(jobs, AT_ONCE),
            "slurm": lambda: slurm.end_to_end(options.pick(100, 30), AT_ONCE)})
    m = Measure(f"trivial jobs end to end, {AT_ONCE} at a time", "/s", median(figures["ours"]))
    m.rounds = figures
    return [m.at_least(3, "Slurm: sbatch to the end of the job", median(figures["slurm"]))
             .at_least(0.5, "floor: bare bwrap … true", median(figures["bwrap"]))]


def completed(server, name):
    jobs = server.call("GET", "/train?limit=1000")["data"]
    return sum(j["state"] == "completed" for j in jobs if j["job_name"].startswith(name))
