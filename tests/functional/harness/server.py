"""The server under test: the real binary on a free port of loopback with a data folder of its own."""
import json
import os
import re
import selectors
import signal
import stat
import subprocess
import time
from pathlib import Path

from .polling import wait_for
from .rest import Rest

REPOSITORY = Path(__file__).resolve().parents[3]
READY = re.compile(rb"^cloudml ready on (https?://127\.0\.0\.1:(\d+))")


def cloudml_binary():
    """$CLOUDML_BINARY, else the newest of the builds that the presets make."""
    named = os.environ.get("CLOUDML_BINARY")
    if named:
        if not os.access(named, os.X_OK):
            raise AssertionError(f"CLOUDML_BINARY={named} is not a program")
        return Path(named).resolve()
    built = [REPOSITORY / "build" / preset / "cloudml" for preset in ("debug", "release")]
    built = [path for path in built if os.access(path, os.X_OK)]
    if not built:
        raise AssertionError("no cloudml binary: build one (cmake --preset debug && cmake --build "
                             "--preset debug) or set CLOUDML_BINARY")
    return max(built, key=lambda path: path.stat().st_mtime)


def tools_folder():
    """What tests/install_tools.sh made."""
    return Path(os.environ.get("CLOUDML_TEST_TOOLS") or REPOSITORY / "build" / "tools")


def environments_folder():
    """Framework environments are large and never change: all test servers share them."""
    named = os.environ.get("CLOUDML_ENVIRONMENTS")
    folder = Path(named) if named else REPOSITORY / "build" / "environments"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Server:
    """Starts on construction. The options of `config` go into a configuration file."""

    def __init__(self, folder, config=None, arguments=(), as_prefix=(), binary=None,
                 environment=None, ca=None):
        self.binary = Path(binary or cloudml_binary())
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.config = {"environments_folder": str(environments_folder()), **(config or {})}
        self.arguments = list(arguments)
        self.prefix = list(as_prefix)
        self.environment = environment  # all of its variables; None: ours
        self.ca = ca  # who signed its certificate, where `config` has tls
        self.process = None
        self.port = 0
        self.url = None
        self.ready_line = None
        self.start()

    # ---- life

    def start(self, seconds=20):
        assert self.process is None
        config_file = self.folder / "cloudml.yaml"
        config_file.write_text(json.dumps(self.config, indent=2))  # JSON is YAML
        command = [*self.prefix, str(self.binary), "server", "--data", str(self.data),
                   "--listen", f"127.0.0.1:{self.port}", "--config", str(config_file),
                   *self.arguments]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log,
                                            start_new_session=True, env=self.environment)
        try:
            self._await_ready(seconds)
        except BaseException:
            self.kill9()
            raise
        admin = json.loads((self.data / "admin.json").read_text())
        self.access_key = admin["xiaomi_access_key_id"]
        self.secret_key = admin["xiaomi_secret_access_key"]
        self.admin = admin

    def _await_ready(self, seconds):
        deadline = time.monotonic() + seconds
        seen = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while time.monotonic() < deadline:
                if not selector.select(timeout=0.2):
                    continue
                piece = os.read(self.process.stdout.fileno(), 65536)
                seen += piece
                for line in seen.split(b"\n")[:-1]:
                    found = READY.match(line)
                    if found:
                        self.ready_line = line.decode()
                        self.url = found.group(1).decode()
                        self.port = int(found.group(2))
                        return
                if not piece:
                    break
        status = self.process.poll()
        raise AssertionError(f"the server is not ready (exit status {status}), said {seen!r}; its "
                             f"log: {self.log()[-3000:]}")

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return (self.folder / "server.log").read_text(errors="replace")

    def stop(self, seconds=15):
        """SIGTERM; returns the exit status. Running jobs go on."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._reap(seconds)

    def kill9(self):
        """SIGKILL to the server alone."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self._reap(10)

    def _reap(self, seconds):
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            self.process.stdout.close()
            self.process = None
            raise AssertionError(f"the server did not exit within {seconds} s of SIGTERM")
        self.process.stdout.close()
        self.process = None
        return status

    def restart(self):
        """Stops the server and starts it again on the same port and data."""
        status = self.stop()
        assert status == 0, f"exit status {status} after SIGTERM: {self.log()[-2000:]}"
        self.start()

    def close(self):
        """Ends the server, its jobs and every process that was started for them."""
        if self.running:
            try:
                rest = self.rest()
                names = [job["job_name"] for job in rest.jobs()]
                for name in names:
                    rest.delete(f"/train/{name}")
                wait_for(lambda: not rest.jobs(), 40, "the jobs to be deleted")
            except (AssertionError, OSError):
                pass  # a broken server must not keep the processes below alive
        try:
            self.stop()
        finally:
            for pid in {*self.processes(), *self.jobs_processes()}:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    # ---- what it is made of

    def processes(self):
        """Other processes whose command line or working folder names this server's data folder."""
        mark = os.fsencode(str(self.data))
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            if self.process is not None and int(entry.name) == self.process.pid:
                continue
            try:
                words = (entry / "cmdline").read_bytes()
                where = os.fsencode(os.readlink(entry / "cwd"))
            except OSError:
                continue
            if mark in words or where.startswith(mark):
                found.append(int(entry.name))
        return found

    def shims(self):
        """The keepers of running replicas: processes of our binary that lock a file of a run."""
        mark = os.fsencode(str(self.data / "runs"))
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                program = os.readlink(entry / "exe").removesuffix(" (deleted)")
                if program != str(self.binary) or (self.process and int(entry.name) == self.pid):
                    continue
                files = [os.fsencode(os.readlink(fd)) for fd in (entry / "fd").iterdir()]
            except OSError:
                continue
            if any(name.startswith(mark) and name.endswith(b"/lock") for name in files):
                found.append(int(entry.name))
        return found

    def jobs_processes(self):
        """Every process of a job of this server: the keepers and what runs below them."""
        children = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if fields[0] != "Z":
                    children.setdefault(int(fields[1]), []).append(int(entry.name))
        found, left = [], self.shims()
        while left:
            pid = left.pop()
            found.append(pid)
            left += children.get(pid, [])
        return found

    def rest(self, access_key=None, secret_key=None):
        return Rest(lambda: self.url, access_key or self.access_key,
                    secret_key or self.secret_key, ca=self.ca)

    def admin_file_mode(self):
        return stat.S_IMODE((self.data / "admin.json").stat().st_mode)
