"""The server is killed at random points under a load of submits, deletes and ending jobs.

Afterwards: every acknowledged job is there or was deleted by us, none ran twice, each log is whole,
no process is left.
"""
import os
import threading
import time

from harness.polling import wait_for

ROUNDS = int(os.environ.get("CLOUDML_CHAOS_ROUNDS", "200"))
ROUNDS_BETWEEN_CHECKS = 20
LINES = 5

# Each run leaves one line in a bucket: a job that ran twice has two.
COMMAND = ("echo ran >> /fds/default/chaos-{name}; "
           "for i in 1 2 3 4 5; do echo {name} line $i; sleep 0.0{pause}; done")


class Load:
    """Submits and deletes until it is stopped; knows what was acknowledged."""

    def __init__(self, server, seed):
        self.server = server
        self.rest = server.rest()
        self.acknowledged = set()
        self.deleted = set()
        self.unsure = set()  # submitted or deleted without an answer
        self._dice = __import__("random").Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._number = 0
        self._seed = seed
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.is_set():
            try:
                if self._dice.random() < 0.25 and self.acknowledged - self.deleted:
                    self._delete()
                else:
                    self._submit()
            except OSError:
                time.sleep(0.01)  # the server is down just now
            except Exception as unknown:  # http.client's errors of a cut connection
                if "http" not in type(unknown).__module__:
                    raise

    def _submit(self):
        self._number += 1
        name = f"c{self._seed % 100000}-{self._number}"
        body = {"job_name": name, "cpu_limit": "0.1", "memory_limit": "64M",
                "docker_command": COMMAND.format(name=name, pause=self._dice.randrange(10))}
        self.unsure.add(name)
        answer = self.rest.post("/train", body)
        self.unsure.discard(name)
        assert answer.status in (200, 503), answer
        if answer.status == 200:
            self.acknowledged.add(name)

    def _delete(self):
        name = self._dice.choice(sorted(self.acknowledged - self.deleted))
        self.unsure.add(name)
        answer = self.rest.delete(f"/train/{name}")
        assert answer.status in (200, 404, 503), answer
        if answer.status in (200, 404):
            self.unsure.discard(name)
            self.deleted.add(name)


def check(server, loads):
    """Waits until all is quiet, then compares what is there with what was promised."""
    rest = server.rest()
    wait_for(lambda: all(j["state"] in ("completed", "failed") for j in rest.jobs()), 180,
             lambda: f"all jobs to end: {[(j['job_name'], j['state'], j.get('message')) for j in rest.jobs()][:10]}")
    there = {job["job_name"]: job for job in rest.jobs()}
    acknowledged = set().union(*(load.acknowledged for load in loads))
    deleted = set().union(*(load.deleted for load in loads))
    unsure = set().union(*(load.unsure for load in loads))
    lost = acknowledged - deleted - unsure - set(there)
    assert not lost, f"acknowledged and gone: {sorted(lost)[:10]}"
    back = deleted & set(there)
    assert not back, f"deleted and there: {sorted(back)[:10]}"
    bucket = next((server.data / "objects").glob("*/default"))
    for name, job in there.items():
        assert job["state"] == "completed", (name, job)
        runs = (bucket / f"chaos-{name}").read_text().count("ran")
        assert runs == 1 + job["retries"] and job["retries"] == 0, (name, runs, job)
        log = [line for line in rest.log(name).splitlines() if line.startswith(name)]
        assert log == [f"{name} line {i}" for i in range(1, LINES + 1)], (name, log)
    for path in bucket.glob("chaos-*"):  # a deleted job may have been ended before its line
        assert path.read_text().count("ran") <= 1, path
    wait_for(lambda: not server.jobs_processes(), 20,
             lambda: f"no process to be left: {server.jobs_processes()}")
    return len(there)


def test_nothing_acknowledged_is_lost_and_nothing_runs_twice(make_server, dice):
    server = make_server(config={"capacity_cpu": 4, "capacity_memory": "4G"})
    checked = 0
    for start in range(0, ROUNDS, ROUNDS_BETWEEN_CHECKS):
        loads = [Load(server, dice.randrange(1 << 30)) for _ in range(2)]
        for _ in range(min(ROUNDS_BETWEEN_CHECKS, ROUNDS - start)):
            time.sleep(dice.uniform(0.02, 0.5))
            server.kill9()
            server.start()
        for load in loads:
            load.stop()
        checked += check(server, loads)
        rest = server.rest()
        for job in rest.jobs():
            rest.delete_job(job["job_name"])
        wait_for(lambda: not rest.jobs(), 60, "all jobs to be gone")
        for path in next((server.data / "objects").glob("*/default")).glob("chaos-*"):
            path.unlink()
    print(f"{ROUNDS} kills, {checked} jobs kept and checked")
    assert checked > ROUNDS / 4
