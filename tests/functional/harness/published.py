"""The published client cloud-ml-sdk 0.3.71 as a user has it: its own program in its own environment.

Nothing of the client is touched; see ../published_client for what Python itself lacks today.
"""
import json
import os
import subprocess
from pathlib import Path

from .server import tools_folder

SHIMS = Path(__file__).resolve().parents[1] / "published_client"


def environment_folder():
    folder = tools_folder() / "published"
    if not (folder / "bin" / "cloudml").exists():
        raise AssertionError(f"{folder} has no client: run tests/install_tools.sh")
    return folder


class PublishedClient:
    """Runs `cloudml …` with a home folder of its own."""

    def __init__(self, home, certificate=None):
        self.home = Path(home)
        self.certificate = certificate
        self.environment = environment_folder()

    @property
    def config_file(self):
        return self.home / ".config" / "xiaomi" / "config"

    def write_config(self, config):
        self.config_file.parent.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(json.dumps(config))

    def process_environment(self):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("XIAOMI_", "CLOUDML_", "PYTHON"))}
        environment.update(HOME=str(self.home), PYTHONPATH=str(SHIMS), PYTHONUNBUFFERED="1",
                           PYTHONDONTWRITEBYTECODE="1", NO_PROXY="127.0.0.1,localhost",
                           TMPDIR=str(self.home))
        if self.certificate:
            environment["REQUESTS_CA_BUNDLE"] = str(self.certificate)
        return environment

    def command(self, *arguments, program="cloudml"):
        return [str(self.environment / "bin" / program), *map(str, arguments)]

    def run(self, *arguments, answers=None, program="cloudml", seconds=120):
        """Returns the ended process; `answers` are typed at the client's questions."""
        typed = "" if answers is None else "".join(f"{line}\n" for line in answers)
        # A session of its own: getpass then reads the answers instead of a terminal.
        return subprocess.run(self.command(*arguments, program=program), input=typed, text=True,
                              capture_output=True, timeout=seconds, start_new_session=True,
                              cwd=self.home, env=self.process_environment(), check=False)

    def ok(self, *arguments, **options):
        """Runs the client, which must exit 0, and returns what it printed."""
        ended = self.run(*arguments, **options)
        assert ended.returncode == 0, (
            f"cloudml {' '.join(map(str, arguments))} exited {ended.returncode}\n"
            f"{ended.stdout}\n{ended.stderr}")
        return ended.stdout
