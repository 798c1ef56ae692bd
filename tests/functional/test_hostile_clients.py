"""Clients that are broken, slow or hostile: they get what they deserve, and nobody else notices."""
import json
import multiprocessing
import resource
import selectors
import socket
import ssl
import threading
import time

import pytest

from harness import wire
from harness.certificates import Authority
from harness.notes import note
from harness.polling import wait_for
from harness.rest import PREFIX, galaxy_v3_headers
from harness.server import Server

GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /cloud_ml/v1/train HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


def answers_to(url, bytes_, end=True, seconds=15):
    """All answers until the server closes, each (status, headers, body)."""
    found = []
    with wire.connect(url, seconds) as peer:
        try:
            peer.sendall(bytes_)
            if end:
                peer.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        with peer.makefile("rb") as stream:
            try:
                while answer := wire.read_answer(stream):
                    found.append(answer)
            except ConnectionResetError:
                pass
    return found


def check_error(answer, status):
    assert answer[0] == status, answer
    assert wire.error_of(answer)
    assert answer[1].get("x-request-id"), answer


# ---- what two programs could read differently

def with_lines(*lines, method=b"GET", body=b""):
    return b"\r\n".join([method + b" /healthz HTTP/1.1", b"Host: a", *lines]) + b"\r\n\r\n" + body


REFUSED = {
    # Two ways to say where the body ends.
    "cl-te": with_lines(b"Content-Length: 6", b"Transfer-Encoding: chunked", body=b"0\r\n\r\nG"),
    "te-cl": with_lines(b"Transfer-Encoding: chunked", b"Content-Length: 4",
                        body=b"5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n"),
    "te-cl-0": with_lines(b"Transfer-Encoding: chunked", b"Content-Length: 0", body=b"0\r\n\r\n"),
    "cl-cl-equal": with_lines(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "cl-cl-different": with_lines(b"Content-Length: 5", b"Content-Length: 0", body=b"hello"),
    "cl-list": with_lines(b"Content-Length: 5, 5", body=b"hello"),
    "cl-plus": with_lines(b"Content-Length: +5", body=b"hello"),
    "cl-minus": with_lines(b"Content-Length: -5", body=b"hello"),
    "cl-hex": with_lines(b"Content-Length: 0x5", body=b"hello"),
    "cl-exponent": with_lines(b"Content-Length: 5e0", body=b"hello"),
    "cl-point": with_lines(b"Content-Length: 5.0", body=b"hello"),
    "cl-blank-inside": with_lines(b"Content-Length: 1 1", body=b"hello world"),
    "cl-empty": with_lines(b"Content-Length:", body=b"hello"),
    "cl-blank": with_lines(b"Content-Length:   ", body=b"hello"),
    "cl-huge": with_lines(b"Content-Length: 18446744073709551621", body=b"hello"),
    "cl-vertical-tab": with_lines(b"Content-Length: \x0b5", body=b"hello"),
    "cl-quoted": with_lines(b'Content-Length: "5"', body=b"hello"),
    "cl-arabic-digit": with_lines("Content-Length: \u0665".encode(), body=b"hello"),
    # Codings that some do not see, or see differently.
    "te-te": with_lines(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked",
                        body=b"0\r\n\r\n"),
    "te-te-identity": with_lines(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity",
                                 body=b"0\r\n\r\n"),
    "te-twice-in-one": with_lines(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "te-identity": with_lines(b"Transfer-Encoding: identity", b"Content-Length: 5", body=b"hello"),
    "te-x": with_lines(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "te-parameter": with_lines(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"),
    "te-not-last": with_lines(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "te-comma": with_lines(b"Transfer-Encoding: chunked,", body=b"0\r\n\r\n"),
    "te-leading-comma": with_lines(b"Transfer-Encoding: ,", body=b"0\r\n\r\n"),
    "te-empty": with_lines(b"Transfer-Encoding:", body=b"0\r\n\r\n"),
    "te-quoted": with_lines(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
    "te-vertical-tab": with_lines(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "te-zero-byte": with_lines(b"Transfer-Encoding: chunked\0", body=b"0\r\n\r\n"),
    "te-underscored-cr": with_lines(b"Transfer-Encoding: chunk\red", body=b"0\r\n\r\n"),
    "te-http-1.0": b"POST /healthz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    # Lines that begin or end where others see none.
    "te-blank-before-colon": with_lines(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n"),
    "te-tab-before-colon": with_lines(b"Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"),
    "cl-blank-before-colon": with_lines(b"Content-Length : 5", body=b"hello"),
    "folded-value": with_lines(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"),
    "folded-header": with_lines(b"X: y\r\n Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "folded-with-tab": with_lines(b"X: y\r\n\tz"),
    "first-line-folded": b"GET /healthz HTTP/1.1\r\n Host: a\r\n\r\n",
    "bare-lf-everywhere": b"GET /healthz HTTP/1.1\nHost: a\n\n",
    "bare-lf-in-head": b"GET /healthz HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "bare-lf-at-end": b"GET /healthz HTTP/1.1\r\nHost: a\r\n\n",
    "bare-lf-hides-te": with_lines(b"X: y\nTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "bare-cr-in-value": with_lines(b"X: y\rTransfer-Encoding: chunked"),
    "cr-cr-lf": b"GET /healthz HTTP/1.1\r\nHost: a\r\r\n\r\n",
    "zero-byte-in-value": with_lines(b"X: a\0b"),
    "zero-byte-in-name": with_lines(b"X\0: a"),
    "zero-byte-in-target": b"GET /heal\0thz HTTP/1.1\r\nHost: a\r\n\r\n",
    "zero-byte-first": b"\0" + GET,
    "delete-in-value": with_lines(b"X: a\x7fb"),
    "escape-in-value": with_lines(b"X: a\x1b[31mb"),
    "no-colon": with_lines(b"Content-Length"),
    "no-name": with_lines(b": 5"),
    "blank-in-name": with_lines(b"Content Length: 5"),
    "latin-name": with_lines(b"X\xff: 5"),
    # Who is asked.
    "no-host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two-hosts": with_lines(b"Host: b"),
    "host-with-blank": b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n",
    "host-with-path": b"GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host-with-user": b"GET /healthz HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "absolute-other-scheme": b"GET ftp://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute-no-host": b"GET http:///healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "absolute-with-user": b"GET http://u:p@a/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "authority-form": b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "relative-target": b"GET healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "connect": b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
    "connect-path": b"CONNECT /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "star-with-get": b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    # Request lines.
    "two-blanks": b"GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "two-blanks-before-version": b"GET /healthz  HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab-between": b"GET\t/healthz\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "leading-blank": b" " + GET,
    "trailing-blank": b"GET /healthz HTTP/1.1 \r\nHost: a\r\n\r\n",
    "blank-in-target": b"GET /heal thz HTTP/1.1\r\nHost: a\r\n\r\n",
    "no-version": b"GET /healthz\r\n\r\n",
    "small-version": b"GET /healthz http/1.1\r\nHost: a\r\n\r\n",
    "version-with-text": b"GET /healthz XTTP/1.1\r\nHost: a\r\n\r\n",
    "method-with-brackets": b"G(E)T /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "only-cr": b"\r" + GET,
    # Chunks.
    "chunk-size-lf": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "chunk-data-lf": CHUNKED + b"2\r\n{}\n0\r\n\r\n",
    "chunk-end-lf": CHUNKED + b"0\r\n\n",
    "chunk-no-end": CHUNKED + b"2\r\n{}0\r\n\r\n",
    "chunk-longer": CHUNKED + b"2\r\n{}x\r\n0\r\n\r\n",
    "chunk-size-plus": CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n",
    "chunk-size-minus": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "chunk-size-0x": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "chunk-size-blank-before": CHUNKED + b" 2\r\n{}\r\n0\r\n\r\n",
    "chunk-size-blank-behind": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "chunk-size-empty": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "chunk-size-underscore": CHUNKED + b"1_0\r\n{}\r\n0\r\n\r\n",
    "chunk-size-overflow": CHUNKED + b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "chunk-size-zeros": CHUNKED + b"0" * 64 + b"2\r\n{}\r\n0\r\n\r\n",
    "chunk-extension-lf": CHUNKED + b"2;x\n{}\r\n0\r\n\r\n",
    "chunk-extension-cr": CHUNKED + b"2;x\ry\r\n{}\r\n0\r\n\r\n",
    "chunk-extension-zero-byte": CHUNKED + b"2;x=\0\r\n{}\r\n0\r\n\r\n",
    "chunk-extension-long": CHUNKED + b"2;" + b"x" * 40_000 + b"\r\n{}\r\n0\r\n\r\n",
    "chunk-extensions-many": CHUNKED + b"1;abcdefgh=ijklmnop\r\n \r\n" * 2000 + b"0\r\n\r\n",
    "trailer-long": CHUNKED + b"0\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
    "trailers-many": CHUNKED + b"0\r\n" + b"X: abcdefgh\r\n" * 4000 + b"\r\n",
    "trailer-lf": CHUNKED + b"0\r\nX: y\n\r\n",
    "trailer-zero-byte": CHUNKED + b"0\r\nX: \0\r\n\r\n",
}


@pytest.mark.parametrize("bytes_", REFUSED.values(), ids=REFUSED.keys())
def test_what_could_be_read_differently_is_refused_and_closed(server, bytes_):
    """A request that is hidden behind it is never answered."""
    answers = answers_to(server.url, bytes_ + HIDDEN)
    assert len(answers) == 1, answers
    check_error(answers[0], 400)
    assert answers[0][1]["connection"] == "close"


OTHERWISE_REFUSED = {
    "unknown-coding-before-chunked": (
        with_lines(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    "http-2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "http-0.9": (b"GET /healthz HTTP/0.9\r\n\r\n", 505),
    "expectation": (with_lines(b"Expect: tea"), 417),
    "long-target": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "endless-target": (b"GET /" + b"x" * 200_000, 414),
    "long-header": (with_lines(b"X: " + b"x" * 40_000), 431),
    "endless-header": (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 300_000, 431),
    "101-headers": (with_lines(*[b"X: y"] * 100), 431),
    "40000-headers": (with_lines(*[b"X: y"] * 40_000), 431),
    "long-name": (with_lines(b"x" * 40_000 + b": y"), 431),
    "body-over-the-limit": (POST + b"Content-Length: 1099511627776\r\n\r\n", 413),
}


@pytest.mark.parametrize(("bytes_", "status"), OTHERWISE_REFUSED.values(),
                         ids=OTHERWISE_REFUSED.keys())
def test_what_is_too_much_or_unknown_is_refused_and_closed(server, bytes_, status):
    answers = answers_to(server.url, bytes_ + HIDDEN, end=False)
    assert len(answers) == 1, [a[:2] for a in answers]
    check_error(answers[0], status)
    assert answers[0][1]["connection"] == "close"


TAKEN = {
    "plain": (GET, [200]),
    "empty-lines-before": (b"\r\n\r\n" + GET, [200]),
    "two-at-once": (GET + GET, [200, 200]),
    "99-headers": (with_lines(*[b"X: y"] * 99), [200]),
    "blanks-around-values": (with_lines(b"X:y", b"Y: \t y \t"), [200]),
    "absolute-form": (b"GET http://a:1/healthz HTTP/1.1\r\nHost: a\r\n\r\n", [200]),
    "absolute-form-upper-case": (b"GET HTTP://A/healthz HTTP/1.1\r\nHost: a\r\n\r\n", [200]),
    "empty-host": (b"GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", [200]),
    "http-1.0": (b"GET /healthz HTTP/1.0\r\n\r\n" + HIDDEN, [200]),
    "close": (with_lines(b"Connection: close") + HIDDEN, [200]),
    "get-with-length-0": (with_lines(b"Content-Length: 0") + GET, [200, 200]),
    "get-with-a-body": (with_lines(b"Content-Length: 5", body=b"hello") + GET, [200, 200]),
    "get-with-an-empty-chunked-body": (
        with_lines(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n") + GET, [200, 200]),
    "get-with-chunks": (
        with_lines(b"Transfer-Encoding: Chunked", body=b"5\r\nhello\r\n0\r\n\r\n") + GET,
        [200, 200]),
    "chunk-extensions": (with_lines(b"Transfer-Encoding: chunked",
                                    body=b'5;a=b;c="d"\r\nhello\r\n0;e\r\n\r\n') + GET, [200, 200]),
    "trailers-that-frame": (with_lines(
        b"Transfer-Encoding: chunked",
        body=b"0\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n") + GET, [200, 200]),
    "stray-chunk-behind-a-get": (GET + b"0\r\n\r\n" + GET, [200, 200]),
    "stray-chunk-and-end": (GET + b"0\r\n\r\n", [200]),
    "stray-chunk-once-only": (GET + b"0\r\n\r\n0\r\n\r\n" + HIDDEN, [200, 400]),
}


@pytest.mark.parametrize(("bytes_", "statuses"), TAKEN.values(), ids=TAKEN.keys())
def test_what_is_odd_but_clear_is_taken(server, bytes_, statuses):
    answers = answers_to(server.url, bytes_)
    assert [a[0] for a in answers] == statuses, answers


def signed(server, method, target, lines=(), body=b""):
    headers = galaxy_v3_headers(server.access_key, server.secret_key, target, body)
    text = [f"{method} {target} HTTP/1.1", "Host: a",
            *[f"{name}: {value}" for name, value in headers.items()], *lines]
    return ("\r\n".join(text) + "\r\n\r\n").encode() + body


@pytest.mark.parametrize("lines", [(), ("Transfer-Encoding: chunked",), ("Content-Length: 0",)],
                         ids=["stray", "chunked", "length"])
def test_a_signed_get_with_an_empty_chunked_body_works(server, lines):
    """cloud_ml v1, section 13.1: old clients send this, framed or not, on kept connections."""
    tail = b"" if lines == ("Content-Length: 0",) else b"0\r\n\r\n"
    one = signed(server, "GET", PREFIX + "/org_ids", lines) + tail
    answers = answers_to(server.url, one * 3)
    assert [a[0] for a in answers] == [200] * 3, answers
    assert all("org_id" in json.loads(a[2]) for a in answers)


def test_a_hidden_request_never_runs_as_the_signed_one(server, rest):
    """The body of a signed request is not a request, whatever the framing pretends."""
    hidden = signed(server, "GET", PREFIX + "/train")
    for lines in (("Content-Length: 0", f"Content-Length: {len(hidden)}"),
                  ("Transfer-Encoding: chunked", f"Content-Length: {len(hidden)}"),
                  ("Transfer-Encoding : chunked",)):
        answers = answers_to(server.url, signed(server, "POST", PREFIX + "/train", lines) + hidden)
        assert [a[0] for a in answers] == [400], answers


# ---- request ids

IDS = {"404": b"GET /cloud_ml/v1/nosuch HTTP/1.1\r\nHost: a\r\n%s\r\n",
       "401": b"GET /cloud_ml/v1/train HTTP/1.1\r\nHost: a\r\n%s\r\n",
       "200": b"GET /healthz HTTP/1.1\r\nHost: a\r\n%s\r\n",
       "413": POST + b"%sContent-Length: 1099511627776\r\n\r\n",
       "400": b"GET /healthz HTTP/1.1\r\nHost: a\r\n%sContent-Length: x\r\n\r\n",
       "501": b"GET /healthz HTTP/1.1\r\nHost: a\r\n%sTransfer-Encoding: gzip, chunked\r\n\r\n"}


@pytest.mark.parametrize("status", IDS)
def test_every_answer_has_a_request_id_and_a_good_one_is_kept(server, status):
    def ids(line):
        answers = answers_to(server.url, IDS[status] % line, end=False) if status not in (
            "404", "401", "200") else answers_to(server.url, IDS[status] % line)
        assert [str(a[0]) for a in answers] == [status], answers
        return answers[0][1]["x-request-id"]

    assert ids(b"X-Request-Id: abc-1._Z\r\n") == "abc-1._Z"
    first, second = ids(b""), ids(b"")
    assert first and second and first != second
    for bad in (b"a b", b"a" * 65, b"<script>", b"", b"\xff\xfe", b"a;b"):
        assert ids(b"X-Request-Id: " + bad + b"\r\n") not in ("", bad.decode("latin-1"))


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A server that waits for a second only."""
    started = Server(tmp_path_factory.mktemp("hasty"),
                     config={"http": {"head_seconds": 1, "body_seconds": 1, "idle_seconds": 1}})
    yield started
    started.close()


@pytest.mark.parametrize("body", [False, True], ids=["head", "body"])
def test_who_takes_too_long_is_told_so(hasty, body):
    bytes_ = signed(hasty, "POST", PREFIX + "/train", ["Content-Length: 9"]) if body else GET[:20]
    answers = answers_to(hasty.url, bytes_, end=False)
    assert len(answers) == 1, answers
    check_error(answers[0], 408)


def test_who_says_nothing_is_closed_without_a_word(hasty):
    assert answers_to(hasty.url, b"", end=False) == []
    assert [a[0] for a in answers_to(hasty.url, GET, end=False)] == [200]


# ---- floods

def test_a_thousand_requests_at_once_on_one_connection(server):
    answers = answers_to(server.url, GET * 1000, seconds=60)
    assert [a[0] for a in answers] == [200] * 1000


def test_empty_lines_without_end_are_no_request(hasty):
    with wire.connect(hasty.url) as peer:
        def flood():
            try:
                while True:
                    peer.sendall(b"\r\n" * 500)
            except OSError:
                pass
        thread = threading.Thread(target=flood)
        thread.start()
        thread.join(30)
        assert not thread.is_alive(), "the flood was never cut off"
    assert answers_to(hasty.url, GET)[0][0] == 200


# ---- a thousand slow ones

class Healthy:
    """A client that behaves, beside the others: how long each of its requests took."""

    def __init__(self, url, context=None):
        self.url = url
        self.context = context

    def once(self, peer=None):
        begin = time.monotonic()
        own = peer is None
        peer = peer or self.connect()
        try:
            peer.sendall(GET)
            with peer.makefile("rb") as stream:
                answer = wire.read_answer(stream)
        finally:
            if own:
                peer.close()
        assert answer is not None and answer[0] == 200, answer
        return time.monotonic() - begin

    def connect(self):
        plain = wire.connect(self.url, 30)
        if self.context is None:
            return plain
        return self.context.wrap_socket(plain, server_hostname="127.0.0.1")

    def requests(self, number, stop=None):
        """Every second one on a connection of its own, until `stop`. Sorted times."""
        times = []
        with self.connect() as kept:
            while len(times) < number or (stop and not stop.is_set()):
                times.append(self.once(kept if len(times) % 2 else None))
        return sorted(times)

    def report(self, stop, pipe):
        try:
            pipe.send((self.requests(400, stop), None))
        except Exception as error:  # noqa: BLE001
            pipe.send(([], repr(error)))


class Crowd:
    """Many connections that one thread feeds a byte at a time, as slowly as it is told to."""

    def __init__(self, where, sources):
        self.where = where
        self.sources = sources
        self.open = {}  # socket: what is still to be sent
        self.cut = 0
        self.answers = {}

    def add(self, number, bytes_, at_once=0):
        for n in range(number):
            peer = socket.socket()
            peer.bind((self.sources[n % len(self.sources)], 0))
            peer.settimeout(30)
            peer.connect(self.where)
            if at_once:
                peer.sendall(bytes_[:at_once])
            peer.setblocking(False)
            self.open[peer] = memoryview(bytes_)[at_once:]

    def step(self, wait=0.2):
        """One more byte of each; what the server has closed is counted."""
        with selectors.DefaultSelector() as selector:
            for peer in list(self.open):
                if self.open[peer]:
                    try:
                        self.open[peer] = self.open[peer][peer.send(self.open[peer][:1]):]
                    except BlockingIOError:
                        pass
                    except OSError:
                        self._gone(peer)
                        continue
                selector.register(peer, selectors.EVENT_READ)
            for key, _ in selector.select(wait):
                try:
                    said = key.fileobj.recv(4096)
                except OSError:
                    said = b""
                if said:
                    status = said.split(b" ")[1] if said.startswith(b"HTTP/1.1 ") else said[:1]
                    self.answers[status] = self.answers.get(status, 0) + 1
                else:
                    self._gone(key.fileobj)

    def _gone(self, peer):
        self.cut += 1
        peer.close()
        del self.open[peer]

    def close(self):
        for peer in self.open:
            peer.close()
        self.open = {}


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard == resource.RLIM_INFINITY or hard >= 4096, "too few open files for this test"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


QUICK = {"head_seconds": 4, "body_seconds": 4, "idle_seconds": 6}
SOURCES = [f"127.0.0.{n}" for n in range(2, 12)]


def beside(server, crowd, healthy, what):
    """Runs the crowd until the server has got rid of all of it, the healthy client beside it."""
    before = healthy.requests(400)
    # In a process of its own: what the crowd costs Python must not count.
    fork = multiprocessing.get_context("fork")
    stop = fork.Event()
    mine, its = fork.Pipe()
    beside_it = fork.Process(target=healthy.report, args=(stop, its), daemon=True)
    beside_it.start()
    end = time.monotonic() + 60
    while crowd.open and time.monotonic() < end:
        crowd.step()
    left = len(crowd.open)
    crowd.close()
    stop.set()
    assert mine.poll(60), "the healthy client hangs"
    result, failure = mine.recv()
    beside_it.join(10)
    assert failure is None, failure
    assert left == 0, f"{left} of {left + crowd.cut} are still connected"
    p99 = [times[len(times) * 99 // 100] * 1000 for times in (before, result)]
    note(f"{crowd.cut} {what}: p99 of a healthy client {p99[0]:.1f} ms before, {p99[1]:.1f} ms "
         f"during ({p99[1] / p99[0]:.2f} times), {len(result)} requests, none failed")
    assert server.running


def test_a_thousand_slow_clients_harm_nobody(make_server, many_files):
    server = make_server(config={"http": QUICK})
    body = signed(server, "POST", PREFIX + "/train", ["Content-Length: 4000"])
    chunks = signed(server, "POST", PREFIX + "/train", ["Transfer-Encoding: chunked"])
    crowd = Crowd(("127.0.0.1", server.port), SOURCES)
    crowd.add(400, b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X-a: b\r\n" * 100)
    crowd.add(200, body + b" " * 3999, at_once=len(body))
    crowd.add(100, chunks + b"1\r\n \r\n" * 500, at_once=len(chunks))
    crowd.add(200, b"")
    crowd.add(100, GET, at_once=len(GET))
    beside(server, crowd, Healthy(server.url), "slow clients (heads, bodies, silence)")
    assert crowd.answers[b"408"] >= 700 and crowd.answers[b"200"] == 100, crowd.answers


@pytest.fixture
def tls_server(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    files = authority.issue("server")
    started = Server(tmp_path_factory.mktemp("server"), ca=authority.certificate, config={
        "http": QUICK, "tls": {"certificate": str(files[0]), "key": str(files[1])}})
    yield started
    started.close()


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="a")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def test_a_thousand_handshakes_that_never_end_harm_nobody(tls_server, many_files):
    hello = client_hello()
    crowd = Crowd(("127.0.0.1", tls_server.port), SOURCES)
    crowd.add(300, hello)                             # drips
    crowd.add(300, hello, at_once=len(hello))         # never reads the answer's end
    crowd.add(300, b"")                               # says nothing
    crowd.add(100, b"\x16\x03\x01\x40\x00" + b"\0" * 4000, at_once=5)  # a record that never ends
    context = ssl.create_default_context(cafile=tls_server.ca)
    beside(tls_server, crowd, Healthy(tls_server.url, context), "handshakes that never end")


def test_one_address_cannot_take_all_connections(make_server, many_files):
    server = make_server(config={"http": {"max_connections": 500,
                                          "max_connections_per_address": 50}})
    crowd = Crowd(("127.0.0.1", server.port), ["127.0.0.2"])
    try:
        crowd.add(50, GET, at_once=len(GET))
        wait_for(lambda: (crowd.step(), crowd.answers.get(b"200", 0) == 50)[1], 30, "50 answers")
        with socket.create_connection(("127.0.0.1", server.port), 15, ("127.0.0.2", 0)) as peer:
            peer.sendall(GET)
            with peer.makefile("rb") as stream:
                answer = wire.read_answer(stream)
        check_error(answer, 429)
        assert answers_to(server.url, GET)[0][0] == 200  # another address
    finally:
        crowd.close()
    wait_for(lambda: _status_from(server, "127.0.0.2") == 200, 15,
             "the address to have room again")


def _status_from(server, source):
    with socket.create_connection(("127.0.0.1", server.port), 15, (source, 0)) as peer:
        peer.sendall(GET)
        with peer.makefile("rb") as stream:
            return wire.read_answer(stream)[0]


def test_a_full_server_closes_who_is_idle_longest(make_server, many_files):
    server = make_server(config={"http": {"max_connections": 100}})
    crowd = Crowd(("127.0.0.1", server.port), SOURCES)
    try:
        crowd.add(100, GET, at_once=len(GET))
        wait_for(lambda: (crowd.step(), crowd.answers.get(b"200", 0) == 100)[1], 30, "100 answers")
        # As soon as they have been idle for a second, each newcomer takes the place of one.
        wait_for(lambda: answers_to(server.url, GET)[0][0] == 200, 15, "room")
        for _ in range(20):
            assert answers_to(server.url, GET)[0][0] == 200
        wait_for(lambda: (crowd.step(), crowd.cut)[1] > 0, 10, "an idle connection to be closed")
    finally:
        crowd.close()


def test_a_full_server_without_idle_ones_says_503(make_server, many_files):
    server = make_server(config={"http": {"max_connections": 20, "head_seconds": 60}})
    crowd = Crowd(("127.0.0.1", server.port), SOURCES)
    try:
        crowd.add(20, GET, at_once=10)
        wait_for(lambda: answers_to(server.url, GET)[0][0] == 503, 15, "a 503")
        answer = answers_to(server.url, GET)[0]
        check_error(answer, 503)
    finally:
        crowd.close()
    wait_for(lambda: answers_to(server.url, GET)[0][0] == 200, 15, "room")
