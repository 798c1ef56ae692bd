"""Jobs have their organisation's network: a loopback of their own, and a way out."""
import os
import socket
import threading
from pathlib import Path


import pytest

from harness.polling import wait_for


def keepers(data):
    """Processes that hold networks of this data folder: their shared file is open or named."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name = (entry / "comm").read_text().strip()
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if name in ("cloudml-network", "cloudml-net") and str(data) in command:
            found.append(int(entry.name))
    return found


def test_the_machines_loopback_is_out_of_reach(server, rest, job_name):
    port = int(server.url.rsplit(":", 1)[1])
    rest.run(job_name, f"""python3 - <<'END'
import socket
for host in ("127.0.0.1", "10.0.2.2", "localhost"):
    try:
        socket.create_connection((host, {port}), timeout=5)
        print("reached", host)
    except OSError as error:
        print("no", host, error)
END
echo end""", max_retries=0)
    rest.wait(job_name, "completed")
    log = rest.log(job_name)
    assert "end\n" in log and "reached" not in log, log


def test_jobs_of_one_organisation_meet_on_their_loopback(rest, job_name, tmp_path):
    first, second = job_name + "-a", job_name + "-b"
    rest.run(first, """python3 - <<'END'
import socket
listening = socket.create_server(("127.0.0.1", 45671))
print("listens", flush=True)
peer, _ = listening.accept()
peer.sendall(b"hello from the neighbour")
END""", max_retries=0)
    wait_for(lambda: "listens" in rest.log(first), 20, what="the first job")
    rest.run(second, """python3 - <<'END'
import socket
print(socket.create_connection(("127.0.0.1", 45671), timeout=5).recv(100).decode())
END""", max_retries=0)
    rest.wait(second, "completed")
    assert "hello from the neighbour" in rest.log(second)
    rest.wait(first, "completed")


def test_names_and_addresses_outside_are_reached(rest, job_name):
    """Through NAT: an address of this machine that is not loopback stands for all that is outside."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing: asks for the way out
        address = probe.getsockname()[0]
    with socket.create_server((address, 0)) as listening:
        def answer():
            peer, _ = listening.accept()
            peer.sendall(b"from outside")
            peer.close()
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        rest.run(job_name, f"""cat /etc/resolv.conf; python3 - <<'END'
import socket
print(socket.create_connection(("{address}", {listening.getsockname()[1]}), timeout=10).recv(100).decode())
END""", max_retries=0)
        rest.wait(job_name, "completed")
    assert "from outside" in rest.log(job_name)
    assert "nameserver 10.0.2.3" in rest.log(job_name)


def test_a_network_lives_as_long_as_its_jobs_and_no_longer(own_server):
    rest = own_server.rest()
    rest.run("first", "sleep 60", max_retries=0)
    rest.wait("first", "running")
    held = keepers(own_server.data)
    assert held
    own_server.kill9()
    assert keepers(own_server.data) == held, "the job goes on, and so does its network"
    own_server.start()
    rest = own_server.rest()
    rest.run("second", "readlink /proc/self/ns/net; ip -br address 2>/dev/null; cat /proc/net/dev", max_retries=0)
    rest.wait("second", "completed")
    assert "tap0" in rest.log("second")
    assert sorted(keepers(own_server.data)) == sorted(held), "the same network was found again"
    own_server.kill9()
    rest_gone = [pid for pid in held if not Path(f"/proc/{pid}").exists()]
    assert not rest_gone
    own_server.start()
    own_server.rest().delete("/train/first")
    wait_for(lambda: own_server.rest().get("/train/first").status == 404, 30, what="the job to go")
    own_server.kill9()
    wait_for(lambda: not keepers(own_server.data), 20, what="the network to go")


def test_a_killed_network_is_made_again(own_server):
    rest = own_server.rest()
    rest.run("first", "true", max_retries=0)
    rest.wait("first", "completed")
    for pid in keepers(own_server.data):
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass
    rest.run("second", "cat /proc/net/dev", max_retries=0)
    rest.wait("second", "completed")
    assert "tap0" in rest.log("second")


def test_with_the_hosts_network_the_loopback_is_shared(make_server):
    server = make_server(config={"network": "host"})
    rest = server.rest()
    rest.run("one", f"python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {server.port})); print(\"reached\")'",
             max_retries=0)
    rest.wait("one", "completed")
    assert "reached" in rest.log("one")


@pytest.mark.parametrize("value", ["private", 1, ["host"]])
def test_a_wrong_choice_is_refused_with_the_right_ones(make_server, value):
    with pytest.raises(AssertionError, match="auto, organisation or host"):
        make_server(config={"network": value})
