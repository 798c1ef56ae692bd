"""Bytes on a socket, for what no HTTP library would send."""
import json
import socket
import urllib.parse


def connect(url, seconds=15):
    where = urllib.parse.urlsplit(url)
    return socket.create_connection((where.hostname, where.port), seconds)


def read_answer(stream):
    """One answer from a binary file: (status, headers, body); None when the peer closed instead."""
    line = stream.readline()
    if not line:
        return None
    version, status, *_ = line.decode("latin-1").split(" ", 2)
    assert version in ("HTTP/1.1", "HTTP/1.0"), line
    headers = {}
    while (line := stream.readline().strip()):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(stream.readline().split(b";")[0], 16):
            body += stream.read(size)
            stream.read(2)
        stream.readline()
    else:
        body = stream.read(int(headers.get("content-length", "0")))
    return int(status), headers, body


def exchange(url, *pieces, end=False, seconds=15):
    """Sends the pieces on one connection and reads one answer; None: closed without an answer.

    A peer that answers early and closes makes later pieces fail; that is no error here.
    """
    with connect(url, seconds) as peer:
        try:
            for piece in pieces:
                peer.sendall(piece)
            if end:
                peer.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        with peer.makefile("rb") as stream:
            try:
                return read_answer(stream)
            except ConnectionResetError:
                return None


def head(method, target, headers):
    lines = [f"{method} {target} HTTP/1.1", "Host: cloudml"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def error_of(answer):
    """The message of an error answer; fails when it is not JSON of the contract's form."""
    status, headers, body = answer
    assert headers.get("content-type", "").startswith("application/json"), (status, headers, body)
    parsed = json.loads(body.decode("utf-8"))
    assert parsed["error"] is True, body
    assert isinstance(parsed["message"], str) and parsed["message"], body
    return parsed["message"]
