"""A job against another organisation: files, sockets, processes, memory, ids, buckets, devices.

The victim, a job of organisation beta, has a secret in every place where a job can have one. The
intruder, a job of organisation alpha that runs at the same time, knows all there is to know of it
(paths, process ids, ports, uid, ids) and tries every way in INTRUDER. Each way says what it found;
the secret is among it if the way leads anywhere. As root and as an ordinary user.
"""
import json
import os
import re
import shutil
import tempfile
import uuid
from pathlib import Path

import boto3
import botocore.config
import pytest

from harness.notes import note
from harness.organisations import key_of, make_organisation
from harness.polling import wait_for
from harness.server import Server, cloudml_binary

NOBODY = 65534

VICTIM = r"""
import multiprocessing.shared_memory, mmap, os, socket, threading, time
secret = os.environ["SECRET"]
open("secret.txt", "w").write(secret)
open("/tmp/secret.txt", "w").write(secret)
open("/dev/shm/secret.txt", "w").write(secret)
os.makedirs("/fds/default/private", exist_ok=True)
open("/fds/default/private/secret.txt", "w").write(secret)
memory = bytearray(secret.encode() * 1000)
def serve(listening):
    while True:
        peer, _ = listening.accept()
        peer.sendall(secret.encode())
        peer.close()
def listen(family, address):
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(address)
    listening.listen()
    threading.Thread(target=serve, args=(listening,), daemon=True).start()
listen(socket.AF_INET, ("0.0.0.0", 45701))
listen(socket.AF_INET6, ("::", 45702))
listen(socket.AF_UNIX, "\0victims-abstract-socket")
listen(socket.AF_UNIX, "/tmp/victims.sock")
print("uid", os.getuid(), flush=True)
print("ready", flush=True)
time.sleep(600)
"""

# Each function is one way; what it returns is printed, so that the secret shows.
INTRUDER = r"""
import ctypes, glob, json, os, socket, stat, struct, subprocess, sys
known = json.loads(os.environ["KNOWN"])
libc = ctypes.CDLL(None, use_errno=True)
ways = {}
def way(f):
    ways[f.__name__] = f
    return f
def read(path, size=65536):
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError as error:
        return ("%s: %s" % (path, error)).encode()
def call(number, *args):
    result = libc.syscall(number, *args)
    return "%d %s" % (result, os.strerror(ctypes.get_errno()) if result < 0 else "")

@way
def files_by_their_real_paths():
    return [read(p) for p in known["paths"]]
@way
def files_through_proc():
    found = []
    for pid in [p for p in os.listdir("/proc") if p.isdigit()] + [str(p) for p in known["pids"]]:
        for name in ("environ", "cmdline", "maps"):
            found.append(read("/proc/%s/%s" % (pid, name)))
        for path in known["paths"] + ["/job/work/secret.txt", "/tmp/secret.txt"]:
            for door in ("root", "cwd"):
                found.append(read("/proc/%s/%s%s" % (pid, door, path)))
        for fd in glob.glob("/proc/%s/fd/*" % pid):
            if pid != str(os.getpid()) and not os.path.realpath(fd).startswith(("/dev/pts", "pipe")):
                try:
                    file = os.open(fd, os.O_RDONLY | os.O_NONBLOCK)
                    found.append(os.read(file, 65536))
                    os.close(file)
                except OSError as error:
                    found.append(str(error).encode())
    return found
@way
def files_that_a_search_finds():
    found = []
    for top, folders, files in os.walk("/"):
        if top.startswith(("/proc", "/sys", "/usr", "/lib")):
            folders[:] = []
            continue
        for name in files:
            if "secret" in name or name.endswith((".db", ".key")) or name == "admin.json":
                found.append(read(os.path.join(top, name)))
    return found
@way
def leftovers_in_shared_places():
    return [read(p) for d in ("/tmp", "/var/tmp", "/dev/shm", "/run", "/job") for p in glob.glob(d + "/**", recursive=True)
            if os.path.isfile(p)]
@way
def links_out_of_the_own_bucket():
    found = []
    for n, path in enumerate(known["paths"]):
        link = "/fds/default/link-%d" % n
        os.symlink(path, link)
        found.append(read(link))
        try:
            os.link(path, "/fds/default/hard-%d" % n)
            found.append(read("/fds/default/hard-%d" % n))
        except OSError as error:
            found.append(str(error).encode())
    for up in range(1, 8):
        found.append(read("/fds/" + "../" * up + known["paths"][0].lstrip("/")))
        found.append(repr(os.listdir("/fds/" + "../" * up)).encode())
    return found
@way
def other_buckets_beside_the_own():
    return [repr(sorted(os.listdir("/fds"))).encode()] + [read(p) for p in glob.glob("/fds/*/private/*")]
@way
def file_handles():
    return call(304, -100, b"\0" * 128, 0)  # open_by_handle_at
@way
def disks_and_devices():
    found = [repr(sorted(os.listdir("/dev"))).encode()]
    for name, major, minor in (("vda", 254, 0), ("sda", 8, 0), ("mem", 1, 1), ("nvidia0", 195, 0)):
        found.append(read("/dev/" + name, 4096))
        path = "/tmp/" + name
        try:
            os.mknod(path, 0o600 | stat.S_IFBLK, os.makedev(major, minor))
            found.append(read(path, 4096))
        except OSError as error:
            found.append(str(error).encode())
    return found
@way
def mounts_and_namespaces():
    found = [call(165, b"proc", b"/tmp", b"proc", 0, 0), call(272, 0x10000000 | 0x00020000), call(161, b"/tmp")]
    for pid in known["pids"] + [1]:
        for kind in ("mnt", "net", "pid", "user"):
            try:
                found.append(call(308, os.open("/proc/%s/ns/%s" % (pid, kind), os.O_RDONLY), 0))
            except OSError as error:
                found.append(str(error))
    return found
@way
def ports_on_every_address():
    found = []
    hosts = ["127.0.0.1", "127.0.0.2", "0.0.0.0", "10.0.2.2", "10.0.2.3", "10.0.2.100", "::1"] + known["addresses"]
    for host in hosts:
        for port in (45701, 45702, known["server_port"]):
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as s:
                s.settimeout(2)
                try:
                    s.connect((host, port))
                    found.append(b"CONNECTED %s %d " % (host.encode(), port) + s.recv(100))
                except OSError as error:
                    found.append(("%s %d %s" % (host, port, error)).encode())
    return found
@way
def unix_sockets():
    found = []
    for address in ("\0victims-abstract-socket", "/tmp/victims.sock", *known["sockets"]):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(2)
            try:
                s.connect(address)
                found.append(b"CONNECTED " + s.recv(100))
            except OSError as error:
                found.append(str(error).encode())
    return found
@way
def lists_of_sockets():
    text = b"".join(read("/proc/net/" + n) for n in ("tcp", "tcp6", "unix", "udp"))
    return [b"LISTENS" if b":B285" in text or b":B286" in text or b"victims" in text else b"none"]
@way
def packets():
    found = []
    for family, kind, protocol in ((17, 3, 0x0300), (2, 3, 1), (16, 3, 4)):
        try:
            socket.socket(family, kind, protocol).close()
            found.append("opened %d %d" % (family, kind))
        except OSError as error:
            found.append(str(error))
    return found
@way
def signals_and_tracing():
    found = []
    for pid in known["pids"]:
        try:
            os.kill(pid, 9)
            found.append("KILLED")
        except OSError as error:
            found.append(str(error))
        found.append(call(101, 16, pid, 0, 0))          # ptrace(ATTACH)
        found.append(call(434, pid, 0))                 # pidfd_open
        buffer = ctypes.create_string_buffer(4096)
        local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 4096)
        remote = (ctypes.c_void_p * 2)(0x400000, 4096)
        found.append(call(310, pid, local, 1, remote, 1, 0))  # process_vm_readv
        found.append(read("/proc/%d/mem" % pid, 16))
    return found
@way
def system_v_and_posix_memory():
    found = [read("/proc/sysvipc/" + n) for n in ("shm", "msg", "sem")]
    return found + [repr(glob.glob("/dev/mqueue/*")).encode(), repr(os.listdir("/dev/shm")).encode()]
@way
def keyrings():
    return [call(250, 0, -4, 1), read("/proc/keys"), read("/proc/key-users")]
@way
def becoming_the_other_user():
    if os.getuid() == known["uid"]:
        return "the server is not root: all jobs have its uid"
    found = []
    for what in (os.setuid, os.setgid, os.seteuid, os.setegid):
        try:
            what(known["uid"])
            found.append("BECAME")
        except OSError as error:
            found.append(str(error))
    for words in (["su", "-"], ["sudo", "-n", "id"], ["newuidmap"], ["chown", str(known["uid"]), "."]):
        try:
            found.append(subprocess.run(words, capture_output=True, timeout=10, stdin=subprocess.DEVNULL).stderr)
        except OSError as error:
            found.append(str(error))
    return found
@way
def control_groups():
    return [read(p) for p in glob.glob("/sys/fs/cgroup/**/cgroup.procs", recursive=True)[:50]] + [repr(os.path.exists("/sys/fs/cgroup")).encode()]
@way
def the_graphics_cards():
    return [os.environ.get("CUDA_VISIBLE_DEVICES", "").encode(), repr(glob.glob("/dev/nvidia*")).encode()]
@way
def the_environment():
    return [json.dumps(dict(os.environ)).replace(os.environ["KNOWN"], "")]

for name, f in ways.items():
    try:
        found = f()
    except Exception as error:
        found = ["%s: %s" % (type(error).__name__, error)]
    if not isinstance(found, list):
        found = [found]
    for piece in found:
        piece = piece if isinstance(piece, bytes) else str(piece).encode()
        print("WAY", name, repr(piece[:2000]))
print("WAYS", len(ways))
print("reached the end")
"""


@pytest.fixture(scope="module", params=["root", "user"])
def server(request):
    """A server as root, and one as an ordinary user."""
    with tempfile.TemporaryDirectory(prefix="tenants-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        options = {"config": {"fake_gpus": 2}}
        tun = os.stat("/dev/net/tun").st_mode
        if request.param == "user":
            # The mode that Debian gives it; on some machines root alone may open it.
            os.chmod("/dev/net/tun", 0o666)
            folder.chmod(0o755)
            binary = folder / "cloudml"
            shutil.copy(cloudml_binary(), binary)
            own = folder / "own"
            own.mkdir()
            for path in (own, binary):
                os.chown(path, NOBODY, NOBODY)
            folder = own
            options = {"as_prefix": ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                                     "--inh-caps=-all", "--bounding-set=-all"],
                       "binary": binary,
                       "config": {"fake_gpus": 2, "environments_folder": str(own / "environments")}}
        started = Server(folder, **options)
        started.as_root = request.param == "root"
        yield started
        started.close()
        os.chmod("/dev/net/tun", tun & 0o777)


def processes_of(secret):
    """Ids of the victim's processes, as the machine knows them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and secret.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def addresses():
    """Of this machine, but for loopback."""
    text = Path("/proc/net/fib_trie").read_text()
    found = set(re.findall(r"\|-- ([\d.]+)\n\s+/32 host LOCAL", text))
    return sorted(a for a in found if not a.startswith("127."))


def s3(server, rest):
    return boto3.client("s3", endpoint_url=server.url, aws_access_key_id=rest.access_key,
                        aws_secret_access_key=rest.secret_key, region_name="local",
                        config=botocore.config.Config(retries={"max_attempts": 1},
                                                      s3={"addressing_style": "path"}))


def test_no_way_leads_to_another_organisations_job(server):
    alpha = key_of(server, make_organisation(server, "alpha"))
    beta = key_of(server, make_organisation(server, "beta"))
    secret = "s" + uuid.uuid4().hex
    fields = {"gpu_limit": 1, "max_retries": 0}
    beta.run("victim", f"python3 -c {json_quoted(VICTIM)}", env={"SECRET": secret}, **fields)
    beta.wait_for_log("victim", "ready")
    victim = beta.get("/train/victim").json()
    paths = [str(p) for p in server.data.rglob("secret.txt")]
    assert len(paths) >= 3, paths  # work, tmp, bucket: the intruder is told the truth
    pids = processes_of(secret)
    assert pids
    known = {"paths": paths, "pids": pids, "addresses": addresses(), "server_port": server.port,
             "uid": int(re.search(r"uid (\d+)", beta.log("victim"))[1]),
             "sockets": [str(p) for p in server.data.rglob("victims.sock")]}
    alpha.run("intruder", f"python3 -c {json_quoted(INTRUDER)}", env={"KNOWN": json.dumps(known)}, **fields)
    alpha.wait("intruder", "completed")
    log = alpha.log("intruder")
    assert "reached the end\n" in log
    for line in log.splitlines():
        assert secret not in line, line
    # What was connected is what the machine offers to everybody, never the victim or the server.
    assert not re.findall(r"CONNECTED (?:127|10\.0|0\.0|::)\S* \d+", log), log
    assert "KILLED" not in log and "BECAME" not in log and "LISTENS" not in log
    assert beta.get("/train/victim").json()["state"] == "running"
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == pids
    cards = {name: re.search(r"the_graphics_cards b'([^']*)'", log) for name in ("intruder",)}
    assert cards["intruder"] and cards["intruder"][1] != "", log
    assert intruders_card_differs(victim, alpha.get("/train/intruder").json())
    if server.as_root:
        own = int(re.search(r"uid (\d+)", run_log(alpha, "who", "echo uid $(id -u)"))[1])
        assert own != known["uid"]
    # The links that it left lead nowhere through the object store either.
    store = s3(server, alpha)
    for n in range(len(paths)):
        for name in (f"link-{n}", f"hard-{n}"):
            try:
                assert secret.encode() not in store.get_object(Bucket="default", Key=name)["Body"].read()
            except store.exceptions.ClientError:
                pass
    note(f"tenants, {'root' if server.as_root else 'user'}: {re.search(r'WAYS ([0-9]+)', log)[1]} ways tried")
    # What it leaves behind is not found by the next of another organisation.
    beta.delete("/train/victim")
    wait_for(lambda: beta.get("/train/victim").status == 404, 60, "the victim to go")
    after = run_log(alpha, "after", "cat /tmp/* /job/work/* /dev/shm/* /job/layer/* 2>/dev/null; echo end")
    assert secret not in after and "end\n" in after


def json_quoted(program):
    """As one word of a shell."""
    return "'" + program.replace("'", "'\"'\"'") + "'"


def run_log(rest, name, command):
    rest.run(name, command, max_retries=0)
    rest.wait(name, "completed")
    return rest.log(name)


def intruders_card_differs(victim, intruder):
    return victim.get("gpus") != intruder.get("gpus") or not victim.get("gpus")
