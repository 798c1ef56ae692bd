"""Our own command line as a user has it: a home folder of its own, its settings in variables."""
import os
import subprocess
from pathlib import Path


class Cli:
    """Runs `cloudml …` against one server."""

    def __init__(self, server, home):
        self.server = server
        self.home = Path(home)
        self.home.mkdir(parents=True, exist_ok=True)

    def process_environment(self):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("XIAOMI_", "CLOUDML_"))}
        environment.update(HOME=str(self.home), XIAOMI_CLOUDML_ENDPOINT=self.server.url,
                           XIAOMI_ACCESS_KEY_ID=self.server.access_key,
                           XIAOMI_SECRET_ACCESS_KEY=self.server.secret_key,
                           NO_PROXY="127.0.0.1,localhost")
        if self.server.ca:
            environment["CLOUDML_CA"] = str(self.server.ca)
        return environment

    def run(self, *arguments, seconds=120):
        """Returns the ended process, with what it printed as text."""
        return subprocess.run([str(self.server.binary), *map(str, arguments)], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds,
                              cwd=self.home, env=self.process_environment(), check=False)

    def ok(self, *arguments, seconds=120):
        """Runs the command, which must exit 0; returns the ended process."""
        ended = self.run(*arguments, seconds=seconds)
        assert ended.returncode == 0, (
            f"cloudml {' '.join(map(str, arguments))} exited {ended.returncode}\n"
            f"{ended.stdout[-6000:]}\n{ended.stderr[-6000:]}")
        return ended
