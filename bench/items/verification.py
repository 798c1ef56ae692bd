"""What checking a signature costs: the same small answer with and without the check.

Both routes get requests of the same size from the same client (wrk), so that reading them costs the
same, and answer from the event loop. A wrong signature must not be dearer to refuse than a good one
is to answer.
"""
import re

from harness.process import run
from harness.report import Measure, interleaved, median
from harness.server import PREFIX, Server

CONNECTIONS = 64


def wrk(port, seconds, path, headers, good):
    """Requests per second; all answers must be 200, or none."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    said = run(*words, f"http://127.0.0.1:{port}{path}")
    if "Socket errors" in said or ("Non-2xx" in said) == good:
        raise RuntimeError(f"wrk: {said}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said).group(1))


def measure(options):
    seconds = options.pick(3, 1)
    path = f"{PREFIX}/authentication"
    with Server("verification") as server:
        headers = server.headers(path)
        wrong = {**headers, "Authorization": headers["Authorization"][:-4] + "AAA="}
        figures = interleaved(options.pick(7, 3), {
            "signed": lambda: wrk(server.port, seconds, path, server.headers(path), True),
            "unsigned": lambda: wrk(server.port, seconds, "/healthz", headers, True),
            "wrong": lambda: wrk(server.port, seconds, path, wrong, False)})
    signed = Measure("verified signature, against a route without one", "/s", median(figures["signed"]))
    signed.rounds = figures
    refused = Measure("wrong signature refused, against a good one", "/s", median(figures["wrong"]))
    return [signed.at_least(0.95, "the same without a signature", median(figures["unsigned"])),
            refused.at_least(0.9, "good ones", median(figures["signed"]))]
