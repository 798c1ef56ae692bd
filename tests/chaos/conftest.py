"""Fixtures of the chaos tests: those of the functional tests, and a seed that is printed."""
import os
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "functional"))

from harness import server as server_module  # noqa: E402


@pytest.fixture
def make_server(tmp_path_factory):
    """Starts servers of a test's own: make_server(config={…}); `folder` places the data."""
    started = []

    def make(folder=None, **options):
        one = server_module.Server(folder or tmp_path_factory.mktemp("server"), **options)
        started.append(one)
        return one

    yield make
    for one in started:
        one.close()


@pytest.fixture
def dice():
    """Random numbers from $CLOUDML_CHAOS_SEED, or from a new seed; always printed."""
    seed = int(os.environ.get("CLOUDML_CHAOS_SEED") or random.SystemRandom().randrange(1 << 31))
    print(f"CLOUDML_CHAOS_SEED={seed}")
    return random.Random(seed)
