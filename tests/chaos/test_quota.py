"""64 clients submit at once against a quota of 10, while it is changed, jobs are deleted and the server is killed.

At no moment is more held than 10; what is said to be used is exact in every field; afterwards the
quota can be used to its last unit, and when all is deleted exactly nothing is used.

$CLOUDML_QUOTA_ROUNDS repetitions.
"""
import http.client
import os
import threading
import time

from harness.polling import wait_for

ROUNDS = int(os.environ.get("CLOUDML_QUOTA_ROUNDS", "8"))
CLIENTS = 64
TRIES = 8  # of each, as long as it is refused
QUOTA = 10
# Which field is the narrow one, in turns.
FIELDS = ("train_count_quota", "train_gpu_quota", "total_gpu_quota", "train_cpu_quota")
LIMITS = {"cpu_limit": "1", "memory_limit": "16M", "gpu_limit": 1}
HOLDING = ("enqueued", "creating", "running", "deleting")
CUT = (OSError, http.client.HTTPException)  # the server was killed in the middle


class Round:
    def __init__(self, server, number, dice):
        self.server = server
        self.rest = server.rest()
        self.org = self.rest.get("/org_ids").json()["org_id"]
        self.number = number
        self.field = FIELDS[number % len(FIELDS)]
        self.dice = dice
        self.lock = threading.Lock()
        self.accepted, self.refused = set(), 0
        self.seen = []         # (used, held) as seen from outside
        self.faults = []
        self.storm = threading.Event()
        self.storm.set()
        self.barrier = threading.Barrier(CLIENTS + 1)

    def change(self, **fields):
        answer = self.rest.call("PUT", f"/cloud_ml/v1/quota/{self.org}", fields)
        assert answer.status in (200, 503), answer
        return answer

    def insist(self, call):
        """Calls until there is an answer other than 503: across kills of the server."""
        deadline = time.monotonic() + 30
        while True:
            try:
                answer = call()
                if answer.status != 503:
                    return answer
            except CUT:
                pass
            assert time.monotonic() < deadline, "no answer for 30 s"
            time.sleep(0.02)

    # ---- who takes part

    def submit(self, name):
        body = {"job_name": name, "docker_command": "sleep 100", **LIMITS}
        self.barrier.wait(30)
        asked = [0]

        def once():
            asked[0] += 1
            return self.rest.post("/train", body)

        for _ in range(TRIES):
            answer = self.insist(once)
            with self.lock:
                if answer.status == 200 or (answer.status == 409 and asked[0] > 1):  # the first answer was lost
                    self.accepted.add(name)
                    return
                self.refused += 1
                pause = self.dice.uniform(0, 0.06)
            time.sleep(pause)
            assert answer.status == 403 and answer.message.startswith("quota: "), answer

    def watch(self):
        while self.storm.is_set():
            try:
                self.look()
            except CUT:
                time.sleep(0.01)

    def look(self):
        answer = self.rest.get("/quota")
        if answer.status == 503:
            return
        quota = answer.json()["data"][0]
        used = int(quota["train_count_used"])
        assert used <= QUOTA, quota
        # One job holds one of each, so all fields must tell the same at the same moment.
        assert quota["train_gpu_used"] == quota["total_gpu_used"] == str(used), quota
        assert quota["train_cpu_used"] == str(used), quota
        assert quota["train_memory_used"] == (f"{16 * used}M" if used else "0K"), quota
        answer = self.rest.get("/train")
        if answer.status == 503:
            return
        held = sum(job["state"] in HOLDING for job in answer.json()["data"])
        assert held <= QUOTA, f"{held} unfinished jobs"
        self.seen.append((used, held))

    def remove(self, seed):
        dice = __import__("random").Random(seed)
        while self.storm.is_set():
            with self.lock:
                name = dice.choice(sorted(self.accepted)) if self.accepted else None
            if name:
                answer = self.insist(lambda: self.rest.delete(f"/train/{name}"))
                assert answer.status in (200, 404), answer
            time.sleep(dice.uniform(0, 0.03))

    def administer(self, field, seed):
        dice = __import__("random").Random(seed)
        while self.storm.is_set():
            answer = self.insist(lambda: self.change(**{field: dice.randint(3, QUOTA)}))
            assert answer.status == 200, answer
            time.sleep(dice.uniform(0, 0.03))

    def guarded(self, call, *arguments):
        def run():
            try:
                call(*arguments)
            except Exception as fault:  # told by the test's own thread
                self.faults.append(fault)
        thread = threading.Thread(target=run)
        thread.start()
        return thread

    # ---- the round

    def run(self):
        self.change(**{name: QUOTA if name == self.field else None for name in FIELDS}, dev_count_quota=None)
        kill = self.number % 2 == 1
        meanwhile = [self.guarded(self.watch), self.guarded(self.remove, self.dice.random()),
                     self.guarded(self.administer, self.field, self.dice.random()),
                     self.guarded(self.administer, "dev_count_quota", self.dice.random())]
        clients = [self.guarded(self.submit, f"q{self.number}-{i}") for i in range(CLIENTS)]
        self.barrier.wait(30)
        if kill:
            time.sleep(self.dice.uniform(0, 0.25))
            self.server.kill9()
            self.server.start()
        for thread in clients:
            thread.join(60)
        time.sleep(self.dice.uniform(0, 0.1))
        self.storm.clear()
        for thread in meanwhile:
            thread.join(60)
        assert not self.faults, self.faults
        assert not any(thread.is_alive() for thread in [*clients, *meanwhile]), "somebody got no answer"
        self.fill()
        self.empty()
        return kill

    def fill(self):
        """The quota can be used to its last unit, and no further."""
        self.change(**{self.field: QUOTA})
        wait_for(lambda: all(j["state"] != "deleting" for j in self.rest.jobs()), 60, "what was deleted to be gone")
        there = len(self.rest.jobs())
        for i in range(QUOTA - there):
            answer = self.rest.post("/train", {"job_name": f"f{self.number}-{i}", "docker_command": "sleep 100", **LIMITS})
            assert answer.status == 200, (there, i, answer)
        answer = self.rest.post("/train", {"job_name": f"over-{self.number}", "docker_command": "true", **LIMITS})
        assert answer.status == 403 and f"{QUOTA} used, {QUOTA} allowed" in answer.message, answer
        self.look()
        assert self.seen[-1] == (QUOTA, QUOTA)

    def empty(self):
        for job in self.rest.jobs():
            self.rest.delete_job(job["job_name"])
        wait_for(lambda: not self.rest.jobs(), 60, "all jobs to be gone")
        self.look()
        assert self.seen[-1] == (0, 0)
        used = {name: value for name, value in self.rest.get("/quota").json()["data"][0].items() if name.endswith("_used")}
        assert set(used.values()) <= {"0", "0K"}, used
        assert self.rest.get("/quota_holders").json() == {"data": []}


def test_sixty_four_clients_never_get_over_a_quota_of_ten(make_server, dice):
    server = make_server(config={"capacity_cpu": 64, "capacity_memory": "8G", "fake_gpus": 64})
    accepted = refused = kills = looks = highest = 0
    began = time.monotonic()
    for number in range(ROUNDS):
        one = Round(server, number, dice)
        kills += one.run()
        accepted += len(one.accepted)
        refused += one.refused
        looks += len(one.seen)
        highest = max(highest, *(max(pair) for pair in one.seen))
    print(f"{ROUNDS} rounds of {CLIENTS} clients in {time.monotonic() - began:.0f} s: {accepted} submits accepted, "
          f"{refused} refused, {kills} kills, {looks} looks, most held {highest} of {QUOTA}")
    assert highest == QUOTA
    assert kills == ROUNDS // 2
    assert looks >= ROUNDS * 3
