"""A job sees its own files and processes and nothing else, and leaves nothing behind."""
import os
import shlex
import shutil
import tempfile
import uuid
from pathlib import Path

import boto3
import pytest

from harness.polling import wait_for
from harness.server import Server, cloudml_binary


def run(rest, name, command, state="completed", **fields):
    """Runs `command` to its end and returns the log without what the platform says in it."""
    rest.run(name, command, max_retries=0, **fields)
    rest.wait(name, state)
    return rest.log(name)


def processes_with(mark):
    """Process ids on this machine whose command line or environment holds `mark`."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if mark.encode() in text:
            found.append(int(entry.name))
    return found


@pytest.fixture
def mark():
    """A word that occurs nowhere else on the machine."""
    return "mark" + uuid.uuid4().hex


def test_the_data_folder_and_the_keys_are_out_of_reach(server, rest, job_name):
    data = shlex.quote(str(server.data))
    log = run(rest, job_name, f"""
        cat {data}/admin.json; ls -la {data}; find {data} 2>/dev/null | head; cat {data}/*;
        cat /proc/1/root{data}/admin.json; cat /proc/self/root{data}/admin.json;
        for p in /proc/[0-9]*; do cat $p/root{data}/admin.json; cat $p/cwd/admin.json; done;
        find / -xdev -name admin.json 2>/dev/null; cat /proc/self/environ | tr '\\0' '\\n';
        echo reached the end""")
    assert "reached the end\n" in log
    assert server.secret_key not in log
    assert "xiaomi_secret_access_key" not in log
    assert not [line for line in log.splitlines() if line.strip() == f"{server.data}/admin.json"]


def test_the_database_and_the_sealing_key_are_out_of_reach(server, rest, job_name):
    names = sorted(path.name for path in server.data.iterdir() if path.name != "admin.json")
    assert names, "the server keeps its state somewhere"
    log = run(rest, job_name, f"ls -a {shlex.quote(str(server.data))} || true; echo reached the end")
    listed = set(log.splitlines())
    assert "reached the end" in listed
    files = {path.name for path in server.data.iterdir() if path.is_file()}
    assert not listed & files


def test_other_jobs_processes_and_environments_are_not_seen(server, rest, job_name, mark):
    other = f"{job_name}-o"
    rest.run(other, f"echo up; sh -c 'sleep 300; : {mark}'", env={"SECRET": mark})
    try:
        rest.wait_for_log(other, "up")
        assert processes_with(mark), "the other job must be running for this test to mean anything"
        half = len(mark) // 2
        log = run(rest, job_name, f"""
            m={mark[:half]}''{mark[half:]}; a={mark[:half]}; b={mark[half:]};
            cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' > seen;
            grep -c "SECRET=$a$b" seen; ls -d /proc/[0-9]* | wc -l; echo reached the end""")
        assert log.splitlines()[-3] == "0", log
        assert int(log.splitlines()[-2]) < 20, log
    finally:
        rest.delete_job(other)


def test_other_jobs_files_are_not_seen(server, rest, job_name, mark):
    other = f"{job_name}-o"
    rest.run(other, f"echo content > {mark}.txt; echo content > /tmp/{mark}.txt; echo up; sleep 300")
    try:
        rest.wait_for_log(other, "up")
        log = run(rest, job_name, f"find / -name '{mark}*' 2>/dev/null; ls /tmp; echo reached the end")
        assert "reached the end\n" in log and mark not in log
    finally:
        rest.delete_job(other)
    assert not (Path(tempfile.gettempdir()) / f"{mark}.txt").exists()


def test_the_machines_own_temporary_folder_is_not_seen(rest, job_name, mark):
    with tempfile.NamedTemporaryFile(dir="/tmp", prefix=mark):
        log = run(rest, job_name, "ls -la /tmp /var/tmp; echo reached the end")
    assert "reached the end\n" in log and mark not in log


@pytest.mark.parametrize("folder", ["/", "/usr", "/usr/bin", "/etc", "/lib", "/opt", "/root", "/home",
                                    "/var/lib", "/boot", "/sys", "/proc"])
def test_the_system_is_read_only(rest, job_name, folder, mark):
    log = run(rest, job_name, f"""
        if echo x > {folder}/{mark} 2>/dev/null; then echo wrote; else echo refused; fi""")
    assert "wrote" not in log and "refused\n" in log
    assert not (Path(folder) / mark).exists()


def test_a_job_can_write_where_it_should(rest, job_name):
    log = run(rest, job_name, "echo x > here && echo y > /tmp/there && cat here /tmp/there && pwd")
    assert "x\ny\n" in log


def test_a_job_is_not_root_and_cannot_become_it(rest, job_name):
    log = run(rest, job_name, """
        echo uid $(id -u); grep -E 'NoNewPrivs|CapEff|CapBnd|Seccomp:' /proc/self/status;
        cp /bin/sh s && chmod u+s s && ./s -p -c 'echo after-setuid $(id -u)';
        su -c id root </dev/null; sudo -n id; mount -t tmpfs none /mnt && echo mounted;
        chroot / id; mknod disk b 8 0 && echo made-node; echo reached the end""")
    assert "reached the end\n" in log
    lines = log.splitlines()
    if os.geteuid() == 0:
        assert "uid 0" not in lines, log
        assert "after-setuid 0" not in lines
    assert "mounted" not in lines and "made-node" not in lines
    assert "uid=0(root)" not in log
    status = dict(line.split(":\t") for line in lines if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == 0
    assert status["Seccomp"] == "2"


def test_a_job_cannot_signal_anything_outside(server, rest, job_name):
    pid = server.pid
    log = run(rest, job_name, f"kill -9 {pid} 2>/dev/null; kill -STOP {os.getpid()} 2>/dev/null; "
                              f"echo reached the end")
    assert "reached the end\n" in log
    assert server.running and server.pid == pid


def test_a_job_has_a_host_name_of_its_own(rest, job_name):
    before = os.uname().nodename
    run(rest, job_name, "hostname intruder || true")
    assert os.uname().nodename == before


def test_a_daemon_does_not_outlive_the_job(rest, job_name, mark):
    log = run(rest, job_name, f"""
        setsid sh -c '(trap "" TERM HUP INT; while :; do sleep 0.5; : {mark}; done) &' \
            </dev/null >/dev/null 2>&1;
        python3 -c "import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp('sh', ['sh', '-c', 'sleep 600; : {mark}'])
    os._exit(0)
os.wait()";
        echo left daemons""")
    assert "left daemons\n" in log
    wait_for(lambda: not processes_with(mark), 20,
             lambda: f"the daemons to end: {processes_with(mark)}")


def test_a_deleted_job_leaves_no_process_even_if_it_ignores_signals(rest, job_name, mark):
    rest.run(job_name, f"trap '' TERM HUP INT; setsid sh -c 'trap \"\" TERM; echo up; "
                       f"while :; do sleep 0.5; : {mark}; done' & wait; sleep 600")
    rest.wait_for_log(job_name, "up")
    assert processes_with(mark)
    rest.delete_job(job_name)
    rest.gone(job_name, seconds=60)
    wait_for(lambda: not processes_with(mark), 45,
             lambda: f"the processes to end: {processes_with(mark)}")


def test_memory_of_one_job_does_not_kill_its_neighbour(rest, job_name):
    neighbour = f"{job_name}-n"
    rest.run(neighbour, "echo up; sleep 6; echo survived", memory_limit="64M")
    rest.wait_for_log(neighbour, "up")
    rest.run(job_name, "python3 -c \"x = b'x' * (600 << 20)\"", memory_limit="64M", max_retries=0)
    assert rest.wait(job_name, "failed")["reason"] == "OutOfMemory"
    rest.wait(neighbour, "completed")
    assert "survived\n" in rest.log(neighbour)
    rest.delete_job(neighbour)


def test_a_fork_storm_stays_in_its_job(server, rest, job_name):
    log = run(rest, job_name, """python3 -c "
import os
import signal
children = []
try:
    while len(children) < 20000:
        pid = os.fork()
        if pid == 0:
            signal.pause()
        children.append(pid)
    print('no limit')
except OSError as error:
    print('limited after', len(children) > 10)
for pid in children:
    os.kill(pid, signal.SIGKILL)
" """, memory_limit="2G")
    assert "limited after True\n" in log, log
    assert rest.get("/org_ids").status == 200


def test_a_job_does_not_inherit_the_servers_files(server, rest, job_name):
    log = run(rest, job_name, "ls -l /proc/self/fd; echo reached the end")
    assert "reached the end\n" in log
    assert str(server.data) not in log and "socket:" not in log


def test_the_object_store_of_the_organisation_is_mounted(server, rest, job_name):
    s3 = boto3.client("s3", endpoint_url=server.url, region_name="local",
                      aws_access_key_id=server.access_key,
                      aws_secret_access_key=server.secret_key)
    s3.put_object(Bucket="default", Key="isolation/input.txt", Body=b"from the store\n")
    log = run(rest, job_name, "cat /fds/default/isolation/input.txt; ls /fds; echo reached the end",
              fds_bucket="default")
    assert "from the store\n" in log
    assert "default" in log.splitlines(), "the buckets can be listed"


# ---- a server that is not root

NOBODY = 65534


@pytest.fixture
def unprivileged_server():
    """A server of an ordinary user. Where the tests are not root, every server is one."""
    folder = Path(tempfile.mkdtemp(prefix="cloudml-user-", dir="/var/tmp"))
    binary = folder / "cloudml"
    shutil.copy(cloudml_binary(), binary)
    prefix = []
    if os.geteuid() == 0:
        for path in (folder, binary):
            os.chown(path, NOBODY, NOBODY)
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                  "--inh-caps=-all", "--bounding-set=-all"]
    started = Server(folder, config={"environments_folder": str(folder / "environments")},
                     as_prefix=prefix, binary=binary)
    yield started
    started.close()
    shutil.rmtree(folder)


def test_without_root_jobs_are_kept_apart_too(unprivileged_server, mark):
    server = unprivileged_server
    rest = server.rest()
    rest.run("other", f"echo content > {mark}.txt; echo up; sh -c 'sleep 300; : {mark}'",
             env={"SECRET": mark})
    rest.wait_for_log("other", "up")
    a, b = mark[:10], mark[10:]
    log = run(rest, "spy", f"""
        cat {shlex.quote(str(server.data))}/admin.json; find / -xdev -name admin.json 2>/dev/null;
        cat /proc/[0-9]*/environ | tr '\\0' '\\n' > seen; a={a}; grep -c "SECRET=$a"'{b}' seen;
        find / -name "$a"'{b}*' 2>/dev/null; touch /usr/bin/x /etc/x; kill -9 {server.pid};
        (setsid sh -c 'while :; do sleep 0.5; : '"$a"'{b}-daemon; done' >/dev/null 2>&1 &);
        grep -E 'NoNewPrivs|CapEff|Seccomp:' /proc/self/status; echo reached the end""")
    assert "reached the end\n" in log and server.running
    assert server.secret_key not in log and "xiaomi_secret_access_key" not in log
    lines = log.splitlines()
    assert "0" in lines and not [line for line in lines if line.endswith(f"{mark}.txt")], log
    status = dict(line.split(":\t") for line in lines if ":\t" in line)
    assert (status["NoNewPrivs"], int(status["CapEff"], 16), status["Seccomp"]) == ("1", 0, "2")
    wait_for(lambda: not processes_with(f"{mark}-daemon"), 20, "the daemon to end")
    rest.run("failing", "exit 7")
    assert rest.wait("failing", "failed")["exit_code"] == 7
