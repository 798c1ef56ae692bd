"""A clean release build of cloudml, from cmake to the link, without a compiler cache."""
import os
import shutil
import time

from harness.process import DATA, ROOT, run
from harness.report import Measure


def measure(_):
    folder = DATA / "clean-build"
    shutil.rmtree(folder, ignore_errors=True)
    env = {**os.environ, "CCACHE_DISABLE": "1"}
    began = time.monotonic()
    run("cmake", "--preset", "release", "-S", ROOT, "-B", folder, env=env)
    run("cmake", "--build", folder, "--target", "cloudml", seconds=3600, env=env)
    took = time.monotonic() - began
    shutil.rmtree(folder, ignore_errors=True)
    return [Measure(f"clean release build on {os.cpu_count()} cores", "s", took).limit(300)]
