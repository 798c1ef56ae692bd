"""A small REST client that sends exactly what it is told: raw paths, raw bodies, any signature.

Galaxy V3 is signed by the few lines here, Signature Version 4 by botocore.
"""
import base64
import hashlib
import hmac
import http.client
import json
import ssl
import time
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from .polling import wait_for

PREFIX = "/cloud_ml/v1"
FINAL_STATES = ("completed", "failed")


def galaxy_v3_signature(secret_key, path, timestamp, md5):
    text = f"{path}\n{timestamp}\n{md5}\n".encode()
    return base64.b64encode(hmac.new(secret_key.encode(), text, hashlib.sha1).digest()).decode()


def galaxy_v3_headers(access_key, secret_key, target, body=b"", timestamp=None):
    """The four headers of cloud_ml v1, section 2, for the raw request target `target`."""
    timestamp = str(int(time.time()) if timestamp is None else timestamp)
    md5 = hashlib.md5(body).hexdigest()
    signature = galaxy_v3_signature(secret_key, target.split("?", 1)[0], timestamp, md5)
    return {
        "X-Xiaomi-Timestamp": timestamp,
        "X-Xiaomi-Content-MD5": md5,
        "X-Xiaomi-Secret-Key-Id": access_key,
        "Authorization": f"Galaxy V3 {signature}",
    }


def sigv4_headers(credentials, method, url, body=b"", service="cloudml", region="local"):
    """Headers of an AWS Signature Version 4, made by botocore. `credentials`: (access, secret)."""
    request = botocore.awsrequest.AWSRequest(method=method, url=url, data=body)
    keys = botocore.credentials.Credentials(*credentials)
    botocore.auth.SigV4Auth(keys, service, region).add_auth(request)
    return dict(request.headers.items())


def sigv4_presigned(credentials, method, url, seconds=300, service="cloudml", region="local"):
    request = botocore.awsrequest.AWSRequest(method=method, url=url)
    keys = botocore.credentials.Credentials(*credentials)
    botocore.auth.SigV4QueryAuth(keys, service, region, expires=seconds).add_auth(request)
    return request.url


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body.decode("utf-8"))

    @property
    def message(self):
        return self.json().get("message", "")

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


def connection_to(url, seconds, ca=None):
    """`ca`: the file of the authority to trust, for https."""
    where = urllib.parse.urlsplit(url)
    if where.scheme == "https":
        return http.client.HTTPSConnection(where.hostname, where.port, timeout=seconds,
                                           context=ssl.create_default_context(cafile=ca))
    return http.client.HTTPConnection(where.hostname, where.port, timeout=seconds)


def send(url, method, target, headers=(), body=b"", seconds=60, ca=None):
    """One request on a connection of its own; nothing in `target` or `body` is changed."""
    connection = connection_to(url, seconds, ca)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in dict(headers).items():
            if name.lower() != "host":
                connection.putheader(name, value)
        if body or method in ("POST", "PUT", "PATCH", "DELETE"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


class Rest:
    """Signed calls with one key pair. `server_url` may be a function, as a restart may move it."""

    def __init__(self, server_url, access_key, secret_key, ca=None):
        self._url = server_url
        self.ca = ca
        self.access_key = access_key
        self.secret_key = secret_key

    @property
    def url(self):
        return self._url() if callable(self._url) else self._url

    def call(self, method, target, body=b"", headers=None, seconds=60):
        """`body`: bytes, or anything else to be sent as JSON."""
        if not isinstance(body, (bytes, bytearray)):
            body = json.dumps(body).encode()
        signed = galaxy_v3_headers(self.access_key, self.secret_key, target, body)
        signed.update(headers or {})
        return send(self.url, method, target, signed, body, seconds, self.ca)

    def get(self, path, **options):
        return self.call("GET", PREFIX + path, **options)

    def post(self, path, body, **options):
        return self.call("POST", PREFIX + path, body, **options)

    def delete(self, path, **options):
        return self.call("DELETE", PREFIX + path, **options)

    # ---- train jobs

    def submit(self, **fields):
        """Submits a job and returns its object; the server must accept it."""
        fields.setdefault("module_name", "")
        fields.setdefault("trainer_uri", "")
        fields = {name: value for name, value in fields.items() if value != ""}
        answer = self.post("/train", fields)
        assert answer.status == 200, answer
        return answer.json()

    def run(self, name, command, **fields):
        """Submits a job that runs one shell command, without image and package.

        It asks for little, so that several fit on a small machine at once.
        """
        fields = {"cpu_limit": "0.25", "memory_limit": "256M", **fields}
        return self.submit(job_name=name, docker_command=command, **fields)

    def job(self, name):
        answer = self.get(f"/train/{name}")
        assert answer.status == 200, answer
        return answer.json()

    def jobs(self):
        answer = self.get("/train")
        assert answer.status == 200, answer
        return answer.json()["data"]

    def events(self, name):
        answer = self.get(f"/train/{name}/events")
        assert answer.status == 200, answer
        return answer.json()["events"]

    def log(self, name, lines=None):
        answer = self.get(f"/train/{name}/logs" + (f"?lines={lines}" if lines is not None else ""))
        assert answer.status == 200, answer
        return answer.json()["logs"]

    def wait(self, name, states=FINAL_STATES, seconds=60):
        """Waits until the job is in one of `states` and returns the job object."""
        states = (states,) if isinstance(states, str) else states

        def reached():
            job = self.job(name)
            if job["state"] in states:
                return job
            assert job["state"] not in FINAL_STATES, (
                f"job {name} ended {job['state']}, expected {states}: {job.get('message')}\n"
                f"{self.log(name)}")
            return None

        def what():
            job = self.job(name)
            return (f"job {name} to be {' or '.join(states)}; it is {job['state']}: "
                    f"{job.get('message')}; events: {self.events(name)}")

        return wait_for(reached, seconds, what)

    def wait_for_log(self, name, text, seconds=30):
        wait_for(lambda: text in self.log(name), seconds,
                 lambda: f"{text!r} in the log of {name}, which is {self.log(name)!r}")

    def follow(self, name, lines=None, seconds=120):
        """Yields the lines of the job's log as they come, until the stream ends properly."""
        target = f"{PREFIX}/train/{name}/logs?follow=True" + (f"&lines={lines}" if lines else "")
        connection = connection_to(self.url, seconds, self.ca)
        try:
            headers = galaxy_v3_headers(self.access_key, self.secret_key, target)
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            assert answer.status == 200, (answer.status, answer.read())
            assert answer.headers.get("Transfer-Encoding") == "chunked"
            for line in iter(answer.readline, b""):
                yield line.decode("utf-8").rstrip("\n")
        finally:
            connection.close()

    def delete_job(self, name):
        answer = self.delete(f"/train/{name}")
        assert answer.status == 200, answer
        return answer.json()

    def gone(self, name, seconds=30):
        wait_for(lambda: self.get(f"/train/{name}").status == 404, seconds,
                 f"job {name} to be gone")
