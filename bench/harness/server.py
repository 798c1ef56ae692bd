"""The server under measurement, and a signing client for what is not itself measured."""
import base64
import hashlib
import hmac
import http.client
import json
import shutil
import subprocess
import time

from .process import BUILD, DATA, Daemon, run, wait_until

BINARY = BUILD / "cloudml"
LOAD = BUILD / "bench" / "load"
PREFIX = "/cloud_ml/v1"


class Server:
    """`cloudml server` on a free port. `fresh`: with an empty data folder."""

    def __init__(self, name, config=None, fresh=True):
        self.data = DATA / name
        if fresh:
            shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True, exist_ok=True)
        command = [BINARY, "server", "--data", self.data, "--listen", "127.0.0.1:0"]
        # One key asks as fast as it can, and sometimes wrongly.
        config = {"rate_limit": {"requests_per_second": 0, "refused_per_second": 0}, **(config or {})}
        if config:
            file = DATA / f"{name}.yaml"
            file.write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in config.items()))
            command += ["--config", file]
        began = time.perf_counter()
        self.daemon = Daemon(command, DATA / f"{name}.log", stdout=subprocess.PIPE)
        line = self.daemon.process.stdout.readline().decode()
        self.ready_after = time.perf_counter() - began
        if not line.startswith("cloudml ready on "):
            self.daemon.stop()
            raise RuntimeError(f"the server did not start; see {self.daemon.log}")
        self.port = int(line.split()[3].rsplit(":", 1)[1])
        self.pid = self.daemon.pid
        admin = json.loads((self.data / "admin.json").read_text())
        self.access, self.secret = admin["xiaomi_access_key_id"], admin["xiaomi_secret_access_key"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.daemon.stop()

    # ---- requests

    def headers(self, target, body=b""):
        stamp = str(int(time.time()))
        md5 = hashlib.md5(body).hexdigest()
        text = f"{target.split('?')[0]}\n{stamp}\n{md5}\n".encode()
        signature = base64.b64encode(hmac.new(self.secret.encode(), text, hashlib.sha1).digest())
        return {"X-Xiaomi-Timestamp": stamp, "X-Xiaomi-Content-MD5": md5,
                "X-Xiaomi-Secret-Key-Id": self.access,
                "Authorization": f"Galaxy V3 {signature.decode()}"}

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def call(self, method, path, fields=None, connection=None):
        target = PREFIX + path
        body = b"" if fields is None else json.dumps(fields).encode()
        connection = connection or self.connect()
        connection.request(method, target, body, self.headers(target, body))
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
        return json.loads(text)

    def raw_get(self, path):
        """A whole signed request as bytes, for `load replay`."""
        target = PREFIX + path
        lines = [f"{k}: {v}" for k, v in {"Host": "localhost", **self.headers(target)}.items()]
        return ("\r\n".join([f"GET {target} HTTP/1.1", *lines]) + "\r\n\r\n").encode()

    # ---- jobs

    def occupy(self, cpus):
        """One job that takes all the capacity, so that those behind it wait."""
        self.call("POST", "/train", {"job_name": "occupier", "docker_command": "sleep 100000",
                                     "cpu_limit": str(cpus), "memory_limit": "64M"})
        wait_until(lambda: self.call("GET", "/train/occupier")["state"] == "running", 20,
                   "the job that takes all capacity")

    def release(self):
        """Deletes that job: jobs outlive their server."""
        self.call("DELETE", "/train/occupier")

        wait_until(lambda: not self.exists("occupier"), 20,
                   "the end of the job that took all capacity")

    def exists(self, name):
        try:
            self.call("GET", f"/train/{name}")
            return True
        except RuntimeError:
            return False

    def metric(self, name):
        connection = self.connect()
        connection.request("GET", "/metrics")
        for line in connection.getresponse().read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise RuntimeError(f"/metrics has no {name}")

    def unfinished(self):
        return sum(self.metric(f'cloudml_jobs{{state="{s}"}}') for s in ("waiting", "active"))

    def submit_many(self, connections, amount, name, fields):
        body = json.dumps({"job_name": "@", **fields})
        said = json.loads(run(LOAD, "submit", self.port, connections, amount, self.access,
                              self.secret, name, body, seconds=300))
        if said["errors"] or said["broken"]:
            raise RuntimeError(f"submits were refused: {said}")
        return said


def replay(port, connections, amount, requests, name):
    """Rates and latencies of whole GETs, sent in turn; every answer must be 200."""
    file = DATA / f"{name}.requests"
    file.write_bytes(b"".join(requests))
    said = json.loads(run(LOAD, "replay", port, connections, amount, file, seconds=300))
    if said["errors"] or said["broken"]:
        raise RuntimeError(f"requests were refused: {said}")
    return said
