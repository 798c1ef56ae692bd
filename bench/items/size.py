"""Size of the stripped release binary."""
import shutil

from harness.process import DATA, run
from harness.report import Measure
from harness.server import BINARY


def measure(_):
    stripped = DATA / "cloudml.stripped"
    shutil.copy(BINARY, stripped)
    run("strip", stripped)
    size = Measure("stripped release binary", "MB", stripped.stat().st_size / 1e6).limit(40)
    return [size.beside("as it is built", BINARY.stat().st_size / 1e6)]
