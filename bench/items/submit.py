"""Durable submits on 64 connections, beside the disk's fdatasync rate and Slurm's sbatch.

The jobs really wait: one job holds all the capacity, on our side and on Slurm's, so that each submit
is accepted, queued and told why it waits, and nothing else runs. The floor is one writer that
overwrites 4 KiB and calls fdatasync, on the same disk as the database.
"""
import os
import time

from harness.process import DATA
from harness.report import Measure, interleaved, median
from harness.server import Server
from peers.slurm import Slurm

CONNECTIONS = 64
SBATCH_AT_ONCE = 8  # more only makes two cores swap between them


def fdatasync_rate(seconds):
    block = b"x" * 4096
    blocks = 1024
    fd = os.open(DATA / "fdatasync", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for i in range(blocks):
            os.pwrite(fd, block, i * 4096)
        os.fsync(fd)
        done = 0
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            os.pwrite(fd, block, done % blocks * 4096)
            os.fdatasync(fd)
            done += 1
        return done / (time.perf_counter() - began)
    finally:
        os.close(fd)


def measure(options):
    seconds = options.pick(3, 1)
    fields = {"docker_command": "true", "cpu_limit": "1", "memory_limit": "64M"}
    number = 0
    capacity = {"capacity_cpu": "1", "capacity_memory": "8G"}
    with Server("submit", capacity) as server, Slurm(1) as slurm:
        server.occupy(1)
        slurm.sbatch("--exclusive", command="sleep 100000")

        def ours(extra):
            def once():
                nonlocal number
                number += 1
                return server.submit_many(CONNECTIONS, f"{seconds}s", f"r{number}-",
                                          {**fields, **extra})["rate"]
            return once

        def sbatch():
            jobs = options.pick(100, 40)
            return jobs / slurm.submit(jobs, SBATCH_AT_ONCE)
        try:
            figures = interleaved(options.pick(5, 2), {
                "ours": ours({}), "fdatasync": lambda: fdatasync_rate(seconds),
                "sbatch": sbatch, "saved": ours({"save_mode": True})})
        finally:
            server.release()
    m = Measure(f"durable submit, {CONNECTIONS} connections, the job waits", "/s",
                median(figures["ours"]))
    m.rounds = figures
    return [m.at_least(2, "floor: fdatasync by one writer", median(figures["fdatasync"]))
             .at_least(20, f"Slurm: sbatch, {SBATCH_AT_ONCE} at a time", median(figures["sbatch"]))
             .beside("ours with save_mode: stored, not queued", median(figures["saved"]))]
