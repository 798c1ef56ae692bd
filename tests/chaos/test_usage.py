"""The bill of a busy day equals what the jobs' own clocks say, whatever is killed meanwhile.

Every run notes its start, the time every 100 ms, and its end, in a file of its bucket: an independent
count that needs no server. Jobs end, fail and are tried again, are deleted while they run, and lose
their shims; the server is killed with SIGKILL and stays away for a while.
"""
import collections
import datetime
import http.client
import os
import signal
import threading
import time

from harness.polling import wait_for

JOBS = int(os.environ.get("CLOUDML_CHAOS_USAGE_JOBS", "120"))
CRASHES = int(os.environ.get("CLOUDML_CHAOS_USAGE_CRASHES", "4"))
GPUS = 8

COMMAND = """
exec 8>>/fds/default/clock-$CLOUD_ML_JOB_ID-$EPOCHREALTIME
exec 9<> <(:)
end=$((${{EPOCHREALTIME/./}} + {micros}))
while :; do
  now=${{EPOCHREALTIME/./}}
  echo $now >&8
  ((now >= end)) && break
  read -t 0.1 -u 9
done
exit {status}
"""

Job = collections.namedtuple("Job", "name id cpu memory gpus")


def patiently(call, seconds=60):
    """The answer of a call that is made again while the server is down."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = call()
            if answer.status != 503:
                return answer
        except (OSError, http.client.HTTPException):
            pass
        assert time.monotonic() < deadline, "the server stays away"
        time.sleep(0.02)


class Day:
    """What users do: submits jobs of all kinds, deletes some while they run."""

    def __init__(self, server, dice):
        self.server, self.dice = server, dice
        self.rest = server.rest()
        self.jobs = {}
        self.unsure = 0
        self.deletes = 0
        self.over = threading.Event()
        self.wrong = None
        self.bucket = next((server.data / "objects").glob("*/default"))
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def finish(self):
        self.thread.join()
        if self.wrong:
            raise self.wrong

    def _run(self):
        try:
            for number in range(JOBS):
                self._submit(number)
                if self.dice.random() < 0.12:
                    self._delete()
                time.sleep(self.dice.uniform(0, 0.06))
        except BaseException as wrong:  # pylint: disable=broad-except
            self.wrong = wrong
        finally:
            self.over.set()

    def _submit(self, number):
        dice = self.dice
        cpu = dice.choice(["0.1", "0.25", "0.5", "1", "1.5"])
        memory = dice.choice([64, 100, 128])
        gpus = dice.choice([0, 0, 0, 0, 0, 0, 1, 2])
        body = {"job_name": f"u-{number}", "cpu_limit": cpu, "memory_limit": f"{memory}M",
                "labels": {"team": dice.choice(["vision", "speech"])},
                "docker_command": COMMAND.format(micros=dice.randrange(200_000, 3_000_000),
                                                 status=dice.choice([0, 0, 0, 0, 1]))}
        if gpus:
            body["gpu_limit"] = gpus
        if dice.random() < 0.5:
            body["max_retries"] = dice.randrange(1, 3)
        answer = patiently(lambda: self.rest.post("/train", body))
        if answer.status == 409:  # accepted by a server that was killed before it answered
            self.unsure += 1
            answer = patiently(lambda: self.rest.get(f"/train/u-{number}"))
        assert answer.status == 200, answer
        job = Job(f"u-{number}", answer.json()["job_id"], float(cpu), memory, gpus)
        self.jobs[job.id] = job

    def _delete(self):
        """One that runs just now, by the look of its clock."""
        running = [path.name.split("-")[1] for path in self.bucket.glob("clock-*")
                   if time.time() - path.stat().st_mtime < 0.15]
        running = [one for one in running if one in self.jobs]
        if running:
            job = self.jobs[self.dice.choice(running)]
            answer = patiently(lambda: self.rest.delete(f"/train/{job.name}"))
            assert answer.status in (200, 404), answer
            self.deletes += 1


class Watcher:
    """Asks for the bill all the time: it grows, and never by more than can run at once."""

    def __init__(self, server, most):
        self.server, self.rest, self.most = server, server.rest(), most
        self.stop = threading.Event()
        self.faults, self.looks = [], 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def finish(self):
        self.stop.set()
        self.thread.join()

    def _run(self):
        before, at = None, 0
        while not self.stop.wait(0.1):
            began = time.monotonic()
            try:
                answer = self.rest.get("/usage?by=kind&" + span())
                if answer.status != 200:
                    continue
            except (OSError, http.client.HTTPException):
                continue
            now = sum(line["seconds"] for line in answer.json()["data"] if line["key"] == "train_job")
            ended = time.monotonic()
            self.looks += 1
            # A start is known a little more exactly at the end, and so is an end that nobody wrote.
            if before is not None and not -2 <= now - before <= (ended - at) * self.most + 1:
                self.faults.append((before, now, ended - at))
            before, at = now, began


def span():
    today = datetime.datetime.now(datetime.timezone.utc).date()
    day = datetime.timedelta(days=1)
    return f"from={today - day}&until={today + 2 * day}"


def clocks(bucket):
    """Seconds that each run of each job counted itself, by the job's id."""
    runs = collections.defaultdict(list)
    for path in bucket.glob("clock-*"):
        job = path.name.split("-")[1]
        started = int(path.name.split("-")[2].replace(".", ""))
        ticks = [int(line) for line in path.read_text().split() if line.isdigit()]
        runs[job].append(((ticks[-1] if ticks else started) - started) / 1e6)
    return runs


def kill_some_shims(server, dice):
    killed = 0
    for pid in server.shims():
        if dice.random() < 0.12:
            try:
                os.kill(pid, signal.SIGKILL)
                killed += 1
            except ProcessLookupError:
                pass
    return killed


def test_the_bill_equals_the_jobs_own_clocks(make_server, dice):
    server = make_server(config={
        "capacity_cpu": 8, "capacity_memory": "4G", "fake_gpus": GPUS,
        "prices": {"currency": "EUR", "list": [
            {"resource": "cpu", "per_hour": 0.036}, {"resource": "memory", "per_hour": 0.0036},
            {"resource": "gpu", "gpu": "fake", "per_hour": 3.6}]}})
    rest = server.rest()
    day, watcher = Day(server, dice), Watcher(server, most=80)
    crashes = shims = 0
    while not day.over.is_set() or crashes < CRASHES:
        time.sleep(dice.uniform(0.2, 1) * max(1, JOBS / 200) * 4 / max(4, CRASHES) * 2)
        if dice.random() < 0.7:
            shims += kill_some_shims(server, dice)
        if crashes < CRASHES:
            server.kill9()
            crashes += 1
            if dice.random() < 0.3:
                shims += kill_some_shims(server, dice)  # nobody sees their end
            time.sleep(dice.choice([0, 0, 0.5, 1.5]))
            server.start()
    day.finish()
    wait_for(lambda: all(j["state"] in ("completed", "failed") for j in rest.jobs()), 240,
             lambda: f"all jobs to end: {[(j['job_name'], j['state'], j.get('message')) for j in rest.jobs()][:10]}")
    wait_for(lambda: not server.jobs_processes(), 20, "no process to be left")
    watcher.finish()

    answer = rest.get(f"/usage?by=job&{span()}")
    assert answer.status == 200, answer
    report = answer.json()
    bill = {line["key"]: line for line in report["data"] if line["key"] in day.jobs}
    own = clocks(day.bucket)
    assert set(own) <= set(day.jobs)
    assert set(own) <= set(bill), f"never billed: {sorted(set(own) - set(bill))[:10]}"

    off, runs = [], 0
    for key, line in bill.items():
        job, counted = day.jobs[key], own.get(key, [])
        runs += max(line["records"], len(counted))
        difference = line["seconds"] - sum(counted)
        off.append(difference)
        allowed = max(1, line["records"], len(counted))
        assert abs(difference) < allowed, (job, line, counted)
        # What was reserved × the time, exactly.
        assert abs(line["cpu_core_seconds"] - line["seconds"] * job.cpu) < 2e-6 * allowed, (job, line)
        assert abs(line["memory_gib_seconds"] - line["seconds"] * job.memory / 1024) < 2e-6 * allowed
        assert abs(line["gpu_seconds"] - line["seconds"] * job.gpus) < 2e-6 * allowed, (job, line)
        assert set(line["gpu_seconds_by_model"]) <= ({"fake"} if job.gpus else set()), line
        cost = (line["cpu_core_seconds"] * 36 + line["memory_gib_seconds"] * 3.6 +
                line["gpu_seconds"] * 3600) / 3600 / 1000
        assert abs(float(line["cost"]) - cost) < 2e-6, (line, cost)
    billed, counted = sum(line["seconds"] for line in bill.values()), sum(map(sum, own.values()))
    print(f"{len(day.jobs)} jobs, {runs} runs, {day.deletes} deletes while running, {shims} shims and "
          f"{crashes} servers killed: billed {billed:.3f} s, the jobs' own clocks {counted:.3f} s; per "
          f"job {min(off):+.3f} … {max(off):+.3f} s, mean {sum(off) / len(off):+.4f} s; {watcher.looks} "
          "looks meanwhile")
    assert abs(billed - counted) < 0.25 * runs, "the total drifts"
    assert not watcher.faults, watcher.faults[:5]

    # Every way to group it is the same sum, also after one more start.
    server.kill9()
    server.start()
    totals = [rest.get(f"/usage?by={by}&{span()}").json()["total"] for by in
              ("day", "org", "user", "job", "kind")]
    for field in ("seconds", "cpu_core_seconds", "memory_gib_seconds", "gpu_seconds", "cost"):
        assert len({total[field] for total in totals}) == 1, (field, totals)
    teams = rest.get(f"/usage?by=label:team&{span()}").json()
    assert {line["key"] for line in teams["data"]} <= {"vision", "speech"}
    assert teams["total"]["cost"] == totals[0]["cost"] == report["total"]["cost"]
