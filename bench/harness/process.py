"""Processes that a benchmark starts, each ended when the block that started it is left."""
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
DATA = BUILD / "data"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(probe, seconds, what, every=0.02):
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(every)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def run(*command, seconds=120, env=None):
    """Runs a command that must succeed; returns what it printed."""
    ended = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                           timeout=seconds, env=env, check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"{command[0]} exited {ended.returncode}: {ended.stderr[-800:]}")
    return ended.stdout


class Daemon:
    """A process in a session of its own; leaving the block sends it SIGTERM, then SIGKILL."""

    def __init__(self, command, log, env=None, stdout=None):
        self.log = Path(log)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                                            stdout=stdout or out, stderr=out, env=env,
                                            start_new_session=True)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, seconds=15):
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()
