"""A usage report over a million jobs, through REST, with prices.

The database is the one of `million`. Each report is a signed GET on a connection of its own, of the
whole time that the jobs took. The floor: what Python's sqlite3 needs to add the same records up one by
one, without days, prices and HTTP: what a report would cost without the sums that are kept per day.
"""
import sqlite3
import time

from harness.report import Measure, interleaved, median
from harness.server import Server
from items.million import JOBS, million

SPAN = "from=2023-11-01&until=2023-12-01"
PRICES = {"prices": {"currency": "EUR", "list": [
    {"resource": "cpu", "per_hour": 0.03}, {"resource": "memory", "per_hour": 0.004},
    {"resource": "gpu", "gpu": "v100", "per_hour": 1.2}]}}
REPORTS = ("org", "day", "user", "label:team", "kind")


def report_ms(server, by):
    began = time.perf_counter()
    answer = server.call("GET", f"/usage?by={by}&{SPAN}")
    took = (time.perf_counter() - began) * 1000
    total = answer["total"]
    # 60 s of 2 cores each, and of a GPU for every tenth: not one second is missing.
    if (total["records"], total["cpu_core_seconds"], total["gpu_seconds"]) != (JOBS, JOBS * 120, JOBS * 6):
        raise RuntimeError(f"by {by}: {total}")
    return took


def floor_ms(folder):
    db = sqlite3.connect(f"file:{folder}/cloudml.db?mode=ro", uri=True)
    began = time.perf_counter()
    count, _ = db.execute("SELECT count(*), sum((ended - started) * millicores) FROM usage_records").fetchone()
    took = (time.perf_counter() - began) * 1000
    db.close()
    if count < JOBS:
        raise RuntimeError(f"{count} records")
    return took


def measure(options):
    folder = million()
    with Server("million", config=PRICES, fresh=False) as server:
        for by in REPORTS:
            report_ms(server, by)
        rounds = interleaved(options.pick(15, 3), {
            **{by: (lambda by=by: report_ms(server, by)) for by in REPORTS},
            "floor": lambda: floor_ms(folder)})
    worst = max(REPORTS, key=lambda by: median(rounds[by]))
    measured = Measure(f"usage report over a million jobs (the slowest: by {worst})", "ms", median(rounds[worst]), rounds)
    measured.limit(100)
    for by in REPORTS:
        measured.beside(f"by {by}, the slowest of its rounds", max(rounds[by]))
    measured.beside("the million records added up one by one by sqlite3", median(rounds["floor"]))
    return [measured]
