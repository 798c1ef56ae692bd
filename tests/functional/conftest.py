"""Fixtures of the functional tests: the real binary, real clients, free ports, temporary folders."""
import itertools
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import server as server_module  # noqa: E402
from harness.cli import Cli  # noqa: E402
from harness.notes import all_notes  # noqa: E402
from harness.published import PublishedClient  # noqa: E402
from harness.tls_front import TlsFront  # noqa: E402

# uv, for the servers that the tests start (tests/install_tools.sh).
os.environ["PATH"] += os.pathsep + str(server_module.tools_folder() / "bin")


def pytest_terminal_summary(terminalreporter):
    if all_notes():
        terminalreporter.section("notes")
        for text in all_notes():
            terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def cloudml_binary():
    return server_module.cloudml_binary()


@pytest.fixture(scope="session")
def tls_front(tmp_path_factory):
    front = TlsFront(tmp_path_factory.mktemp("front"))
    yield front
    front.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory, tls_front):
    """One server for all tests that neither stop it nor need it empty."""
    started = server_module.Server(tmp_path_factory.mktemp("server"),
                                   config={"public_endpoints": [tls_front.endpoint]})
    tls_front.server_port = started.port
    yield started
    started.close()


@pytest.fixture
def make_server(tmp_path_factory):
    """Starts servers of a test's own: make_server(config={…}, arguments=[…])."""
    started = []

    def make(**options):
        one = server_module.Server(tmp_path_factory.mktemp("server"), **options)
        started.append(one)
        return one

    yield make
    for one in started:
        one.close()


@pytest.fixture
def own_server(make_server):
    """A server that the test may stop, kill and restart."""
    return make_server()


@pytest.fixture(scope="session")
def cli(server, tmp_path_factory):
    """Our own command line, set up for the server under test."""
    return Cli(server, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def rest(server):
    return server.rest()


@pytest.fixture(scope="session")
def sklearn(rest):
    """The scikit-learn environment, the smallest of the runtimes, made ready. Returns its name."""
    rest.run("prepare-sklearn", "python -c 'import sklearn; print(sklearn.__version__)'",
             framework="scikit-learn")
    rest.wait("prepare-sklearn", "completed", seconds=400)
    rest.delete_job("prepare-sklearn")
    return "scikit-learn"


_numbers = itertools.count(1)


@pytest.fixture
def job_name(request):
    """A new name for a job, readable in logs; the job is deleted after the test if it is there."""
    base = "".join(c if c.isalnum() else "-" for c in request.node.originalname.lower())
    name = f"{base.removeprefix('test-')[:30].strip('-')}-{os.getpid() % 1000}-{next(_numbers)}"
    yield name
    if "server" in request.fixturenames:
        running = request.getfixturevalue("server")
        if running.running:
            running.rest().delete(f"/train/{name}")


@pytest.fixture
def published(server, tls_front, tmp_path):
    """The published client, configured for the server under test."""
    client = PublishedClient(tmp_path / "home", tls_front.certificate)
    client.home.mkdir()
    client.write_config({
        "xiaomi_access_key_id": server.access_key,
        "xiaomi_secret_access_key": server.secret_key,
        "xiaomi_cloudml_endpoint": server.url,
        "xiaomi_org_mail": "ml@xiaomi.com",
        "xiaomi_fds_endpoint": tls_front.endpoint,
        "cloudml_default_fds_bucket": "default",
    })
    return client
