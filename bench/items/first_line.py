"""From submit to the first line of a plain command's output, beside bare bubblewrap and sbatch.

Ours: one keep-alive connection, POST, then GET of the log with follow=True until the line is there.
sbatch: from its start until the line is in the output file, with Slurm's default scheduling and with
one tuned for speed. The floor: `bwrap … true`, start to end.
"""
import time

from harness.report import Measure, interleaved, median, percentile
from harness.server import PREFIX, Server
from peers import bubblewrap
from peers.slurm import DEFAULTS, TUNED, Slurm


def measure(options):
    rounds = options.pick(60, 10)
    fields = {"docker_command": "echo first", "cpu_limit": "1", "memory_limit": "64M"}
    number = 0
    with Server("first_line") as server:
        connection = server.connect()

        def ours():
            nonlocal number
            number += 1
            name = f"line-{number}"
            began = time.perf_counter()
            server.call("POST", "/train", {"job_name": name, **fields}, connection)
            target = f"{PREFIX}/train/{name}/logs?follow=True"
            connection.request("GET", target, headers=server.headers(target))
            answer = connection.getresponse()
            line = answer.readline()
            took = time.perf_counter() - began
            if line != b"first\n":
                raise RuntimeError(f"the first line was {line}")
            answer.read()
            return took * 1000

        for _ in range(3):
            ours()
        figures = interleaved(rounds, {"ours": ours, "bwrap": lambda: bubblewrap.once() * 1000})
        for name, scheduling in (("sbatch", DEFAULTS), ("sbatch, tuned", TUNED)):
            with Slurm(2, scheduling) as slurm:
                figures[name] = [slurm.first_line(n) * 1000 for n in range(options.pick(8, 3))]
            again = interleaved(options.pick(20, 3), {"ours": ours})  # ours at about the same time
            figures["ours"] += again["ours"]
    m = Measure("submit → first line of output, p50", "ms", median(figures["ours"]))
    m.rounds = figures
    return [m.at_most(3, "floor: bare bwrap … true", median(figures["bwrap"]))
             .at_most(1 / 30, "Slurm: sbatch, default scheduling", median(figures["sbatch"]))
             .beside("Slurm: sbatch, tuned scheduling", median(figures["sbatch, tuned"]))
             .beside("ours, p99", percentile(figures["ours"], 0.99))]
