"""The disk of the data folder fills up: clear errors, nothing corrupt, and on it goes with space."""
import os
import subprocess

import pytest

from harness.polling import wait_for


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MiB of its own."""
    assert os.geteuid() == 0, "mounting a small file system needs root"
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=755", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_said_and_survived(make_server, small_disk):
    server = make_server(folder=small_disk)
    rest = server.rest()
    rest.run("before", "echo kept")
    rest.wait("before", "completed")

    filler = small_disk / "filler"
    with open(filler, "wb") as out:
        try:
            while True:
                out.write(b"x" * 65536)
                out.flush()
        except OSError:
            pass
    refused = None
    for number in range(200):  # SQLite may have room in its log for a few more
        answer = rest.post("/train", {"job_name": f"full-{number}", "docker_command": "true",
                                      "description": "x" * 4000})
        if answer.status != 200:
            refused = answer
            break
    assert refused is not None and refused.status == 503, refused
    assert "space" in refused.message, refused
    assert rest.job("before")["state"] == "completed"  # reading goes on
    assert rest.log("before") == "kept\n"

    filler.unlink()
    wait_for(lambda: rest.post("/train", {"job_name": "after", "docker_command": "echo again"}).status
             in (200, 409), 20, "a submit to work again")
    assert rest.wait("after", "completed")["exit_code"] == 0
    for job in rest.jobs():  # what was accepted while it was full still has its fate
        rest.wait(job["job_name"])
    server.restart()
    assert rest.job("before")["state"] == "completed"
    answer = rest.get("/train")
    assert answer.status == 200
