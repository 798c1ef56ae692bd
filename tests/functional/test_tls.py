"""TLS of the server: what it speaks and what it refuses, seen by curl, openssl, Python, boto3, the
published client and our own command line."""
import hashlib
import http.client
import itertools
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import boto3
import botocore.config
import pytest
import requests
from cryptography import x509

from harness import wire
from harness.certificates import CLIENT, SERVER, Authority, replace
from harness.cli import Cli
from harness.notes import note
from harness.packages import write_package
from harness.polling import wait_for
from harness.published import PublishedClient
from harness.server import Server, cloudml_binary

RELOAD = 15  # seconds; the guide promises three on a machine that is not busy


def tls_config(files, **more):
    return {"tls": {"certificate": str(files[0]), "key": str(files[1]), **more}}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(tmp_path_factory, authority):
    """One server that speaks TLS, for the tests that change nothing of it."""
    started = Server(tmp_path_factory.mktemp("tls"), config=tls_config(authority.issue("server")),
                     ca=authority.certificate)
    yield started
    started.close()


@pytest.fixture
def make_tls(make_server, authority):
    def make(files, **more):
        return make_server(config=tls_config(files, **more), ca=authority.certificate)
    return make


def context_for(server, low=None, high=None):
    context = ssl.create_default_context(cafile=server.ca)
    if low == ssl.TLSVersion.TLSv1_1:
        context.set_ciphers("DEFAULT@SECLEVEL=0")
    if low:
        context.minimum_version = low
    if high:
        context.maximum_version = high
    return context


def handshake(server, context, **options):
    """A connected TLS socket."""
    where = urllib.parse.urlsplit(server.url)
    plain = socket.create_connection((where.hostname, where.port), 20)
    try:
        return context.wrap_socket(plain, server_hostname=where.hostname, **options)
    except BaseException:
        plain.close()
        raise


def ask(peer, target="/healthz"):
    peer.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    with peer.makefile("rb") as stream:
        return wire.read_answer(stream)


def serial_of(server):
    """Which certificate a new connection gets."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with handshake(server, context) as peer:
        return x509.load_der_x509_certificate(peer.getpeercert(True)).serial_number


def serial_in(certificate):
    return x509.load_pem_x509_certificate(certificate).serial_number


# ---- versions, ciphers, extensions

@pytest.mark.parametrize(("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
                                               (ssl.TLSVersion.TLSv1_3, "TLSv1.3")])
def test_it_speaks_tls_1_2_and_1_3(tls, version, name):
    with handshake(tls, context_for(tls, version, version)) as peer:
        assert peer.version() == name
        assert peer.compression() is None
        assert peer.cipher()[0].rsplit("-", 1)[-1] != "SHA" and peer.cipher()[2] >= 128
        assert ask(peer)[0] == 200
        assert ask(peer)[0] == 200  # kept alive


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_it_refuses_tls_1_1(tls):
    context = context_for(tls, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1)
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        handshake(tls, context).close()


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_minimum_1_3_refuses_1_2(make_tls, authority):
    server = make_tls(authority.issue("modern"), minimum="1.3")
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        handshake(server, context_for(server, high=ssl.TLSVersion.TLSv1_2)).close()
    with handshake(server, context_for(server)) as peer:
        assert peer.version() == "TLSv1.3" and ask(peer)[0] == 200


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384",
                                    "ECDHE-ECDSA-AES128-CCM8", "AECDH-AES128-SHA"])
def test_it_refuses_old_ciphers(tls, cipher):
    context = context_for(tls, high=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(cipher + ":@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        handshake(tls, context).close()


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256",
                                    "ECDHE-ECDSA-AES256-GCM-SHA384",
                                    "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_it_takes_modern_ciphers(tls, cipher):
    context = context_for(tls, high=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(cipher)
    with handshake(tls, context) as peer:
        assert peer.cipher()[0] == cipher and ask(peer)[0] == 200


@pytest.mark.parametrize(("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"),
                                                 (["http/1.1"], "http/1.1"), (None, None)])
def test_alpn_is_http_1_1(tls, offered, chosen):
    context = context_for(tls)
    if offered:
        context.set_alpn_protocols(offered)
    with handshake(tls, context) as peer:
        assert peer.selected_alpn_protocol() == chosen
        assert ask(peer)[0] == 200


def test_a_client_that_speaks_http_2_alone_is_told_so(tls):
    context = context_for(tls)
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        handshake(tls, context).close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(tls, version):
    context = context_for(tls, version, version)
    with handshake(tls, context) as peer:
        assert ask(peer)[0] == 200  # with 1.3 the ticket comes behind the handshake
        session = peer.session
    with handshake(tls, context, session=session) as peer:
        assert peer.session_reused
        assert ask(peer)[0] == 200


def test_renegotiation_is_refused(tls):
    ended = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{tls.port}", "-tls1_2", "-CAfile",
         str(tls.ca)], input=b"R\n", capture_output=True, timeout=30, check=False)
    said = ended.stdout + ended.stderr
    assert b"Verify return code: 0 (ok)" in said, said
    assert b"RENEGOTIATING" in said and b"no renegotiation" in said, said


def test_curl_and_openssl_and_requests(tls):
    for arguments in (["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3"], ["--http2"]):
        said = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", str(tls.ca), *arguments,
                               "-w", " %{http_version} %{ssl_verify_result}", tls.url + "/healthz"],
                              capture_output=True, text=True, timeout=30, check=True).stdout
        assert said.endswith(" 1.1 0"), said
    said = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{tls.port}", "-CAfile",
                           str(tls.ca), "-verify_return_error", "-brief"], input=b"",
                          capture_output=True, timeout=30, check=True).stderr
    assert b"Verification: OK" in said and b"TLSv1.3" in said, said
    session = requests.Session()
    session.trust_env = False
    for _ in range(3):
        assert session.get(tls.url + "/healthz", verify=str(tls.ca), timeout=30).status_code == 200
    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        session.get(tls.url + "/healthz", timeout=30)


# ---- what goes through it

def test_objects_of_all_sizes_go_both_ways(tls):
    s3 = boto3.client("s3", endpoint_url=tls.url, verify=str(tls.ca), region_name="local",
                      aws_access_key_id=tls.access_key, aws_secret_access_key=tls.secret_key,
                      config=botocore.config.Config(s3={"addressing_style": "path"}, proxies={}))
    for size in (0, 1, 16_384, 16_385, 40 << 20):
        body = os.urandom(size)
        s3.put_object(Bucket="default", Key=f"tls/{size}", Body=body)
        got = s3.get_object(Bucket="default", Key=f"tls/{size}")["Body"].read()
        assert hashlib.sha256(got).digest() == hashlib.sha256(body).digest(), size


def test_a_followed_log_comes_line_by_line(tls):
    rest = tls.rest()
    rest.run("followed", "echo one; sleep 600")
    rest.wait_for_log("followed", "one")
    lines = rest.follow("followed")
    assert next(lines) == "one"  # while the job runs
    rest.delete_job("followed")
    lines.close()


def test_many_requests_on_one_connection_sent_at_once(tls):
    with handshake(tls, context_for(tls)) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 200)
        with peer.makefile("rb") as stream:
            assert [wire.read_answer(stream)[0] for _ in range(200)] == [200] * 200


def test_bytes_may_come_in_any_pieces(tls):
    with handshake(tls, context_for(tls)) as peer:
        for byte in b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n":
            peer.send(bytes([byte]))
        with peer.makefile("rb") as stream:
            assert wire.read_answer(stream)[0] == 200


def test_the_end_of_a_connection_is_announced(tls):
    """Without close_notify a client cannot tell the end from a cut."""
    context = context_for(tls)
    with handshake(tls, context, suppress_ragged_eofs=False) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        said = b""
        while piece := peer.recv(65536):
            said += piece
        assert said.startswith(b"HTTP/1.1 200")


# ---- plain text

@pytest.mark.parametrize("bytes_", [
    b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"POST / HTTP/1.0\r\n\r\n", b"hello\n",
    b"\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0" * 100,
    b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000,
], ids=["get", "post", "text", "empty-lines", "http-2", "zeros", "upload"])
def test_plain_text_on_the_tls_port_is_told_what_to_do(tls, bytes_):
    answer = wire.exchange(tls.url, bytes_)
    assert answer is not None and answer[0] == 400, answer
    assert answer[1]["connection"] == "close" and answer[1]["x-request-id"], answer
    assert "https://" in wire.error_of(answer)


def test_tls_on_a_plain_port_fails_at_once(server):
    begin = time.monotonic()
    context = ssl.create_default_context()
    plain = socket.create_connection(("127.0.0.1", server.port), 20)
    with pytest.raises(ssl.SSLError, match="(?i)wrong.version"):
        context.wrap_socket(plain, server_hostname="127.0.0.1")
    plain.close()
    assert time.monotonic() - begin < 5


# ---- renewal

def test_a_new_certificate_is_taken_under_load_without_dropping_a_connection(make_tls, authority):
    files = authority.issue("renewed")
    server = make_tls(files)
    stop = threading.Event()
    failures, served = [], itertools.count()

    def kept():
        """One connection for the whole time."""
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30,
                                                 context=context_for(server))
        connection.auto_open = True
        connection.connect()
        connection.auto_open = 0  # a dropped one is an error
        while not stop.is_set():
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
            next(served)
        connection.close()

    def fresh():
        """A connection for each request, resumed and not."""
        context = context_for(server)
        session = None
        while not stop.is_set():
            with handshake(server, context, session=session) as peer:
                assert ask(peer)[0] == 200
                session = peer.session if next(served) % 2 else None

    def guarded(work):
        try:
            work()
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in [kept] * 3 + [fresh] * 2]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            new = authority.pair("renewed")
            replace(files[1], new[1])  # the key first: for a moment the two do not fit
            replace(files[0], new[0])
            wait_for(lambda: serial_of(server) == serial_in(new[0]), RELOAD, "the new certificate")
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not failures, failures
    note(f"certificate renewed three times under load: {next(served)} requests, none failed")


def test_a_bad_new_pair_keeps_the_old_one_and_sighup_looks_at_once(make_tls, authority):
    files = authority.issue("kept")
    server = make_tls(files)
    old = serial_of(server)
    for content in (b"not a certificate", b"", authority.pair("kept")[0]):
        warned = server.log().count("the old one stays")
        replace(files[0], content)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda before=warned: server.log().count("the old one stays") > before, RELOAD,
                 f"a warning about {content[:20]!r}")
        assert serial_of(server) == old
    os.unlink(files[1])
    wait_for(lambda: str(files[1]) in server.log(), RELOAD, "a warning about the missing key")
    assert serial_of(server) == old and server.rest().get("/train").status == 200
    new = authority.pair("kept")
    replace(files[0], new[0])
    replace(files[1], new[1])
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: serial_of(server) == serial_in(new[0]), RELOAD, "the new certificate")
    assert server.running


# ---- certificates of clients

@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("people"), "people")


def with_certificate(server, files):
    context = context_for(server)
    if files:
        context.load_cert_chain(*files)
    return context


def status_for(server, files):
    with handshake(server, with_certificate(server, files)) as peer:
        answer = ask(peer)
        return answer and answer[0]


REFUSED = (ssl.SSLError, ConnectionResetError, BrokenPipeError)


def test_with_none_a_certificate_is_not_asked_for(tls, people):
    assert status_for(tls, people.issue("alice", CLIENT)) == 200


@pytest.mark.parametrize("how", ["optional", "required"])
def test_certificates_of_clients(make_tls, authority, people, how):
    server = make_tls(authority.issue("strict"), client_certificates=how,
                      client_ca=str(people.certificate))
    alice = people.issue("alice", CLIENT)
    assert status_for(server, alice) == 200
    if how == "optional":
        assert status_for(server, None) == 200
    else:
        with pytest.raises(ssl.SSLError, match="(?i)certificate.required"):
            status_for(server, None)
    for wrong in (authority.issue("stranger", CLIENT), people.issue("late", CLIENT, days=(-9, -1)),
                  people.issue("server-only", SERVER)):
        with pytest.raises(REFUSED):
            status_for(server, wrong)
    # A resumed session is still the same client's, and only its.
    context = with_certificate(server, alice)
    with handshake(server, context) as peer:
        assert ask(peer)[0] == 200
        session = peer.session
    with handshake(server, context, session=session) as peer:
        assert peer.session_reused and ask(peer)[0] == 200


# ---- configuration

BAD = {
    "no-key": ({"certificate": "server.pem"}, "tls.key"),
    "no-certificate": ({"key": "server.key"}, "tls.certificate"),
    "missing-file": ({"certificate": "nosuch.pem", "key": "server.key"}, "nosuch.pem"),
    "another-key": ({"certificate": "server.pem", "key": "other.key"}, "does not belong to"),
    "key-as-certificate": ({"certificate": "server.key", "key": "server.key"}, "tls.certificate"),
    "old-minimum": ({"certificate": "server.pem", "key": "server.key", "minimum": "1.1"},
                    "tls.minimum"),
    "no-client-ca": ({"certificate": "server.pem", "key": "server.key",
                      "client_certificates": "required"}, "tls.client_ca"),
    "useless-client-ca": ({"certificate": "server.pem", "key": "server.key",
                           "client_ca": "authority.pem"}, "tls.client_ca"),
    "key-as-client-ca": ({"certificate": "server.pem", "key": "server.key",
                          "client_ca": "server.key", "client_certificates": "optional"},
                         "tls.client_ca"),
    "misspelt": ({"certificate": "server.pem", "key": "server.key", "client_cert": "none"},
                 "tls.client_cert"),
}


@pytest.mark.parametrize(("settings", "named"), BAD.values(), ids=BAD.keys())
def test_what_does_not_go_together_is_refused_at_the_start(tmp_path, settings, named):
    authority = Authority(tmp_path)
    authority.issue("server")
    authority.issue("other")
    lines = [f"  {key}: '{value}'\n" for key, value in settings.items()]
    (tmp_path / "cloudml.yaml").write_text("tls:\n" + "".join(lines))
    ended = subprocess.run([str(cloudml_binary()), "server", "--data", str(tmp_path / "data"),
                            "--listen", "127.0.0.1:0", "--config", "cloudml.yaml"], cwd=tmp_path,
                           capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode in (1, 2), ended
    assert ended.stderr.rstrip().splitlines()[-1].startswith("error: "), ended.stderr
    assert named in ended.stderr, ended.stderr


def test_the_address_that_is_printed_and_written_is_https(tls):
    assert tls.ready_line.startswith(f"cloudml ready on https://127.0.0.1:{tls.port} ")
    assert tls.admin["xiaomi_cloudml_endpoint"] == tls.url
    assert tls.admin["xiaomi_fds_endpoint"] == f"127.0.0.1:{tls.port}"


# ---- command lines

@pytest.fixture
def home(tls, tmp_path):
    return Cli(tls, tmp_path / "home")


def run_cli(cli, *arguments, **variables):
    environment = cli.process_environment()
    environment.pop("CLOUDML_CA", None)
    environment.update({name: str(value) for name, value in variables.items()})
    return subprocess.run([str(cli.server.binary), *map(str, arguments)], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=60, cwd=cli.home,
                          env=environment, check=False)


def test_our_command_line_trusts_a_private_authority(tls, home):
    assert home.ok("org_id").stdout.strip()
    assert run_cli(home, "jobs", "list", CLOUDML_CA=tls.ca).returncode == 0
    assert run_cli(home, "--ca", tls.ca, "jobs", "list").returncode == 0
    (home.home / "file").write_bytes(os.urandom(3 << 20))
    assert run_cli(home, "--ca", tls.ca, "fs", "cp", "file", "fds://default/cli").returncode == 0
    assert run_cli(home, "--ca", tls.ca, "fs", "cp", "fds://default/cli", "back").returncode == 0
    assert (home.home / "file").read_bytes() == (home.home / "back").read_bytes()


@pytest.mark.parametrize("command", [("jobs", "list"), ("fs", "ls")], ids=" ".join)
def test_an_untrusted_certificate_is_said_to_be_so(home, command):
    ended = run_cli(home, *command)
    assert ended.returncode == 3, ended
    assert "certificate is not trusted" in ended.stderr and "--ca FILE" in ended.stderr
    assert "is it running?" not in ended.stderr


def test_config_init_keeps_the_authority(tls, home):
    ended = run_cli(home, "config", "init", "--endpoint", tls.url, "--access-key", tls.access_key,
                    "--secret-key", tls.secret_key, "--ca", os.path.relpath(tls.ca, home.home))
    assert ended.returncode == 0, ended
    shown = run_cli(home, "config", "show")
    assert str(tls.ca) in shown.stdout, shown.stdout
    assert run_cli(home, "jobs", "list").returncode == 0


def test_a_wrong_scheme_is_named(tls, server, home):
    ended = run_cli(home, "--endpoint", f"http://127.0.0.1:{tls.port}", "jobs", "list")
    assert ended.returncode == 2 and "use https://" in ended.stderr, ended
    ended = run_cli(home, "--endpoint", f"https://127.0.0.1:{server.port}", "jobs", "list")
    assert ended.returncode == 2 and "use http://" in ended.stderr, ended
    ended = run_cli(home, "--ca", "nosuch.pem", "jobs", "list")
    assert ended.returncode == 2 and "nosuch.pem" in ended.stderr, ended


def test_our_command_line_shows_a_certificate(make_tls, authority, people, tmp_path):
    server = make_tls(authority.issue("asks"), client_certificates="required",
                      client_ca=str(people.certificate))
    cli = Cli(server, tmp_path / "home")
    refused = cli.run("jobs", "list")
    assert refused.returncode == 3 and "--client-certificate FILE" in refused.stderr, refused
    alice = people.issue("alice", CLIENT)
    cli.ok("--client-certificate", alice[0], "--client-key", alice[1], "jobs", "list")
    ended = run_cli(cli, "fs", "ls", CLOUDML_CA=server.ca, CLOUDML_CLIENT_CERTIFICATE=alice[0],
                    CLOUDML_CLIENT_KEY=alice[1])
    assert ended.returncode == 0, ended


TASK = """
import sys
print("trained with", sys.version_info[0], flush=True)
"""


def test_the_published_client_works_against_the_server_itself(tls, tmp_path):
    """REST and object store over the server's own TLS, without anything in between."""
    client = PublishedClient(tmp_path / "home", tls.ca)
    client.home.mkdir()
    client.write_config({
        "xiaomi_access_key_id": tls.access_key,
        "xiaomi_secret_access_key": tls.secret_key,
        "xiaomi_cloudml_endpoint": tls.url,
        "xiaomi_org_mail": "ml@xiaomi.com",
        "xiaomi_fds_endpoint": f"127.0.0.1:{tls.port}",
        "cloudml_default_fds_bucket": "default",
    })
    package = write_package(tmp_path / "package", TASK)
    client.ok("jobs", "submit", "-n", "published-tls", "-m", "trainer.task", "-u", package,
              "-F", "scikit-learn")
    rest = tls.rest()
    rest.wait("published-tls", "completed", seconds=400)
    assert "trained with 3" in client.ok("jobs", "logs", "published-tls")
    client.ok("jobs", "delete", "published-tls")
