"""Start to ready, empty and with a million finished jobs; a page of 100 jobs out of a million.

The database is made once, by make_jobs, and kept in build/bench/data/million. A page is one signed
GET over HTTP at a random place of the list. The floor of a page: the same rows read with the same
query by Python's sqlite3, without HTTP or JSON.
"""
import random
import shutil
import sqlite3
import time

from harness.process import BUILD, DATA, run
from harness.report import Measure, interleaved, median, percentile
from harness.server import Server, replay

JOBS = 1_000_000
FIRST = 1_700_000_000_000  # creation times of make_jobs: one second apart


def million():
    """The folder with a million jobs, made if it is not there."""
    folder = DATA / "million"
    done = folder / "made"
    if not done.exists():
        print(f"… making {JOBS} jobs, once", flush=True)
        with Server("million"):
            pass
        run(BUILD / "bench" / "make_jobs", folder / "cloudml.db", JOBS, seconds=1800)
        done.write_text(str(JOBS))
    return folder


def start_ms(name, fresh):
    with Server(name, fresh=fresh) as server:
        return server.ready_after * 1000


def pages(count):
    """Paths of pages at random places. The list is newest first."""
    chosen = random.Random(1)
    return [f"/train?limit=100&page={FIRST + chosen.randrange(1000, JOBS) * 1000}.zzzzzzzzzz"
            for _ in range(count)]


def floor_page_us(folder, paths):
    db = sqlite3.connect(f"file:{folder}/cloudml.db?mode=ro", uri=True)
    query = ("SELECT id, org, name, created, updated, wish, record, state FROM resources WHERE "
             "org = '1' AND kind = ? AND created < ? ORDER BY created DESC LIMIT 100")
    kind = db.execute("SELECT kind FROM resources LIMIT 1").fetchone()[0]
    took = []
    for path in paths:
        before = int(path.split("page=")[1].split(".")[0])
        began = time.perf_counter()
        rows = db.execute(query, (kind, before)).fetchall()
        took.append((time.perf_counter() - began) * 1e6)
        if len(rows) != 100:
            raise RuntimeError(f"{len(rows)} rows")
    db.close()
    return took


def measure(options):
    folder = million()
    with Server("empty"):
        pass
    figures = interleaved(options.pick(15, 3), {
        "first start": lambda: start_ms("first", True), "empty": lambda: start_ms("empty", False),
        "million": lambda: start_ms("million", False)})
    shutil.rmtree(DATA / "first", ignore_errors=True)
    first = Measure("start → ready, the very first start", "ms", median(figures["first start"]),
                    figures).limit(50)
    empty = Measure("start → ready, without jobs", "ms", median(figures["empty"])).limit(50)
    full = Measure("start → ready, a million finished jobs", "ms", median(figures["million"]))
    full.limit(2000)

    paths = pages(options.pick(2000, 300))
    with Server("million", fresh=False) as server:
        check_page(server, paths[0])
        requests = [server.raw_get(path) for path in paths]
        rounds = interleaved(options.pick(5, 2), {
            "ours": lambda: replay(server.port, 1, len(requests), requests, "pages"),
            "sqlite": lambda: floor_page_us(folder, paths)})
    p99 = median([said["p99_us"] for said in rounds["ours"]]) / 1000
    page = Measure("a page of 100 out of a million jobs, p99", "ms", p99).limit(3)
    page.rounds = rounds["ours"]
    page.beside("ours, p50", median([said["p50_us"] for said in rounds["ours"]]) / 1000)
    page.beside("floor: the same rows by sqlite3 alone, p99",
                median([percentile(took, 0.99) for took in rounds["sqlite"]]) / 1000)
    return [first, empty, full, page]


def check_page(server, path):
    answer = server.call("GET", path)
    if len(answer["data"]) != 100 or not answer.get("next_page"):
        raise RuntimeError(f"{path}: not a page of 100 with more behind it")
