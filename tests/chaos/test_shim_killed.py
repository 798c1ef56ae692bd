"""The keeper of a running job is killed: the job dies with it, is tried again, and completes."""
import os
import signal
import time

from harness.polling import wait_for

ROUNDS = int(os.environ.get("CLOUDML_CHAOS_SHIM_ROUNDS", "30"))

# The first run waits to be killed; a later one ends at once.
COMMAND = """
echo run >> /job/checkpoint/runs
if [ $(wc -l < /job/checkpoint/runs) -gt 1 ]; then echo done; exit 0; fi
echo waiting
sleep 1000
"""


def test_a_killed_shim_takes_its_job_with_it_and_the_job_is_tried_again(make_server, dice):
    server = make_server(config={"capacity_cpu": 4, "capacity_memory": "4G"})
    rest = server.rest()
    for number in range(ROUNDS):
        name = f"shim-{number}"
        rest.run(name, COMMAND, cpu_limit="0.1", memory_limit="64M")
        if dice.random() < 0.5:
            rest.wait_for_log(name, "waiting")
        else:
            wait_for(server.shims, 20, "a shim to start")
            time.sleep(dice.uniform(0, 0.05))
        for pid in server.shims():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if dice.random() < 0.3:
            server.kill9()
            server.start()
        job = rest.job(name)
        if job["state"] not in ("completed", "failed"):
            # A kill before the first line leaves a second run that waits; so it is killed again.
            def ended():
                state = rest.job(name)["state"]
                if state == "running" and rest.log(name).rstrip().endswith("waiting"):
                    for pid in server.shims():
                        os.kill(pid, signal.SIGKILL)
                return state in ("completed", "failed")
            wait_for(ended, 60, lambda: f"{name} to end: {rest.job(name)} {rest.log(name)!r}", every=0.3)
        job = rest.job(name)
        assert job["state"] == "completed" and 1 <= job["retries"] <= 3, job
        assert "RunLost" in [e["reason"] for e in rest.events(name)]
        rest.delete_job(name)
    wait_for(lambda: not server.jobs_processes(), 20,
             lambda: f"no process to be left: {server.jobs_processes()}")
