"""Signed GET of one job: 64 keep-alive connections, beside nginx `return 200` and FastAPI.

All three get the same requests from the same client (wrk) and answer with a body of the same length.
nginx checks nothing and reads nothing; FastAPI checks the same signature and reads from SQLite.
"""
import http.client
import re

from harness.process import run
from harness.report import Measure, interleaved, median
from harness.server import PREFIX, Server
from peers.fastapi_server import FastApi
from peers.nginx import Nginx

CONNECTIONS = 64


def wrk(port, seconds, path, headers):
    """Requests per second; every answer must have been a 200."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    said = run(*words, f"http://127.0.0.1:{port}{path}")
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"wrk: {said}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))


def measure(options):
    seconds = options.pick(3, 1)
    with Server("get") as server:
        server.call("POST", "/train", {"job_name": "one", "docker_command":
                                       "python train.py --epochs 10 --learning-rate 0.001",
                                       "description": "learns", "save_mode": True,
                                       "cpu_limit": "2", "memory_limit": "4G"})
        path = f"{PREFIX}/train/one"
        connection = server.connect()
        connection.request("GET", path, headers=server.headers(path))
        body = connection.getresponse().read().decode()
        with Nginx(body) as nginx, FastApi(server.access, server.secret, "one", body) as fastapi:
            check_peer(fastapi.port, path, server.headers(path), len(body))

            def against(port):
                return lambda: wrk(port, seconds, path, server.headers(path))
            figures = interleaved(options.pick(5, 2), {
                "ours": against(server.port), "nginx": against(nginx.port),
                "fastapi": against(fastapi.port)})
    m = Measure(f"signed GET of a job, {CONNECTIONS} connections", "/s", median(figures["ours"]))
    m.rounds = figures
    m.note = f"the answer has {len(body)} bytes; the client (wrk) runs on the same cores"
    return [m.at_least(0.7, "nginx, return 200", median(figures["nginx"]))
             .at_least(8, "FastAPI + SQLite, same HMAC check", median(figures["fastapi"]))]


def check_peer(port, path, headers, length):
    """A peer that refuses is no peer."""
    for signed, wanted in ((headers, 200), ({**headers, "Authorization": "Galaxy V3 x"}, 401)):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers=signed)
        answer = connection.getresponse()
        answer.read()
        if answer.status != wanted:
            raise RuntimeError(f"FastAPI answered {answer.status}, not {wanted}")
