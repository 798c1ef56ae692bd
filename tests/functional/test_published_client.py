"""The published client cloud-ml-sdk 0.3.71, unchanged, against the real server.

`published_client/README.md` says what it sends and how it is installed.
"""
import base64
import csv
import hashlib
import json
import re
import subprocess

import pytest

from harness.packages import sdist, write_package

FRAMEWORK = ("-F", "scikit-learn")

TASK = """
import argparse, os, sys
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=50)
parser.add_argument("--fail", action="store_true")
options = parser.parse_args()
data, labels = load_digits(return_X_y=True)
train_x, test_x, train_y, test_y = train_test_split(data / 16.0, labels, random_state=0)
model = LogisticRegression(max_iter=options.rounds).fit(train_x, train_y)
print("accuracy %.3f after %d rounds" % (model.score(test_x, test_y), options.rounds), flush=True)
sys.exit(4 if options.fail else 0)
"""


@pytest.fixture
def package(tmp_path):
    return write_package(tmp_path / "digits", TASK)


def fields(printed):
    """`Name:   value` lines of a describe as a map."""
    found = {}
    for line in printed.splitlines():
        name, colon, value = line.partition(":")
        if colon and re.fullmatch(r"[A-Z][A-Za-z ]+", name):
            found[name] = re.sub(r"\x1b\[\d+m", "", value.strip())
    return found


def rows(printed):
    """The rows of a table as lists of words, without colours."""
    plain = re.sub(r"\x1b\[\d+m", "", printed)
    return [line.split() for line in plain.splitlines() if line.strip()]


def accuracy(text):
    found = re.search(r"accuracy (\d\.\d+)", text)
    assert found, text
    return float(found.group(1))


# ---- the client itself

@pytest.mark.parametrize("package_name", ["cloud_ml_sdk", "cloud_ml_common", "galaxy_fds_sdk"])
def test_the_clients_files_are_as_they_were_published(published, package_name):
    records = list(published.environment.glob(f"lib/python3*/site-packages/{package_name}-*/RECORD"))
    assert len(records) == 1
    site = records[0].parent.parent
    checked = 0
    with open(records[0], newline="") as lines:
        for path, digest, _ in csv.reader(lines):
            if not digest or not path.endswith(".py"):
                continue
            kind, value = digest.split("=", 1)
            assert kind == "sha256"
            actual = hashlib.sha256((site / path).read_bytes()).digest()
            assert base64.urlsafe_b64encode(actual).rstrip(b"=").decode() == value, path
            checked += 1
    assert checked >= 3


def test_it_is_version_0_3_71(published):
    assert published.ok("-v").strip() == "0.3.71"


# ---- org_id, framework, quota

def test_org_id(published, rest):
    printed = published.ok("org_id")
    assert printed.strip() == f"Your org_id is: {rest.get('/org_ids').json()['org_id']}"


def test_framework_list(published, rest):
    table = rows(published.ok("framework", "list"))
    assert table[0] == ["FRAMEWORK", "FRAMEWORK"]
    served = rest.get("/framework").json()
    assert ["tensorflow", served["tensorflow"][0]] in table
    for name, versions in served.items():
        assert [row[0] for row in table if row[0] == name] == [name]
        for version in versions:
            assert any(row[-1] == version for row in table), (name, version)
    assert "2.15.1" in served["tensorflow"] and "1.15.5" in served["tensorflow"]


def test_quota_list(published):
    printed = published.ok("quota", "list")
    assert "quota" in printed.lower()


def test_wrong_keys_are_refused_with_the_message_of_the_server(published, server):
    config = json.loads(published.config_file.read_text())
    published.write_config({**config, "xiaomi_secret_access_key": "wrong"})
    ended = published.run("jobs", "list")
    assert ended.returncode == 1
    assert ended.stdout.startswith("response: ") and "signature" in ended.stdout
    assert "Traceback" not in ended.stderr


# ---- config

def test_the_file_that_the_server_writes_is_a_configuration_of_the_client(published, server):
    published.config_file.write_bytes((server.data / "admin.json").read_bytes())
    assert "Your org_id is" in published.ok("org_id")
    assert published.ok("jobs", "list").startswith("JOB_NAME")
    assert server.secret_key not in published.ok("config", "show")


def config_answers(server, front, test="y"):
    """What a user types at `config init`, in the order of the questions."""
    return ["here", server.access_key, server.secret_key, front.endpoint, "", "", "", "ml@xiaomi.com",
            "y", server.url, "default", test, test, "y", "y"]


def test_config_init_tests_the_keys_and_the_object_store(published, server, tls_front):
    published.config_file.unlink()
    printed = published.ok("config", "init", answers=config_answers(server, tls_front))
    assert printed.count("Test successfully!") == 2
    config = json.loads(published.config_file.read_text())
    assert config["xiaomi_cloudml"]["default_config_context"] == "here"
    assert config["xiaomi_cloudml"]["here"]["xiaomi_cloudml_endpoint"] == server.url
    assert published.ok("jobs", "list").startswith("JOB_NAME")


def test_config_init_notices_wrong_keys(published, server, tls_front):
    published.config_file.unlink()
    answers = config_answers(server, tls_front)[:11]
    answers[2] = "wrong"
    # Test the keys: yes; retry: no; test the store: no; make it the default: no; save: no.
    ended = published.run("config", "init", answers=[*answers, "y", "n", "n", "n", "n"])
    assert "ERROR: Cloud-ML test failed" in ended.stdout
    assert ended.returncode == 255 and "Changes were NOT saved" in ended.stdout
    assert not published.config_file.exists()


def test_config_show_masks_the_secret(published, server):
    printed = published.ok("config", "show")
    shown = json.loads(printed)
    assert shown["xiaomi_access_key_id"] == server.access_key
    assert set(shown["xiaomi_secret_access_key"]) == {"*"}
    assert server.secret_key not in printed


@pytest.fixture
def two_contexts(published, server):
    """A configuration with the contexts `good` (the default) and `bad`."""
    config = json.loads(published.config_file.read_text())
    context = {name: config.pop(name) for name in
               ("xiaomi_cloudml_endpoint", "xiaomi_org_mail", "cloudml_default_fds_bucket")}
    config["xiaomi_cloudml"] = {
        "good": {**context, "xiaomi_access_key_id": server.access_key,
                 "xiaomi_secret_access_key": server.secret_key},
        "bad": {**context, "xiaomi_access_key_id": "AK", "xiaomi_secret_access_key": "SK"},
    }
    config["xiaomi_cloudml"]["default_config_context"] = "good"
    published.write_config(config)
    return published


def test_contexts_are_chosen_by_flag_and_by_default(two_contexts):
    client = two_contexts
    assert "Your org_id is" in client.ok("org_id")
    assert client.run("-k", "bad", "jobs", "list").returncode == 1
    assert "Successfully set default config context to: bad" in client.ok("config", "set_default", "bad")
    assert client.run("jobs", "list").returncode == 1
    assert client.ok("-k", "good", "jobs", "list").startswith("JOB_NAME")
    assert client.run("-k", "nosuch", "jobs", "list").returncode == 255


def test_config_delete_keeps_the_default_context(two_contexts):
    client = two_contexts
    assert "not allow to delete" in client.ok("config", "delete", "good")
    assert "Successfully deleted config context: bad" in client.ok("config", "delete", "bad")
    assert "bad" not in json.loads(client.config_file.read_text())["xiaomi_cloudml"]
    assert client.ok("jobs", "list").startswith("JOB_NAME")


# ---- jobs submit: every kind of package

@pytest.mark.timeout(600)  # the first of them may have to make the environment
def test_a_local_folder_is_uploaded_and_trains(published, rest, sklearn, package, job_name):
    printed = published.ok("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", package,
                           "-a", "--rounds 80", *FRAMEWORK)
    shown = fields(printed)
    assert shown["Job name"] == job_name and shown["Job args"] == "--rounds 80"
    assert re.fullmatch(r"fds://default/user_packages/digits\.cloudml_\d{8}_\d{6}\.tar\.gz",
                        shown["Trainer uri"])
    rest.wait(job_name, "completed", seconds=120)
    printed = published.ok("jobs", "logs", job_name)
    assert accuracy(printed) > 0.9 and "after 80 rounds" in printed


@pytest.mark.timeout(600)  # the first of them may have to make the environment
def test_a_source_distribution_is_uploaded_and_watched(published, sklearn, job_name, tmp_path):
    archive = sdist(tmp_path, TASK)
    printed = published.ok("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", archive,
                           *FRAMEWORK, "-W", seconds=120)
    assert re.fullmatch(r"fds://default/user_packages/trainer-1\.0_\d{8}_\d{6}\.tar\.gz",
                        fields(printed)["Trainer uri"])
    states = [row[1] for row in rows(printed) if row and row[0] == job_name]
    assert states[-1] == "completed"
    assert set(states) <= {"enqueued", "creating", "running", "completed"}


@pytest.mark.timeout(600)  # the first of them may have to make the environment
def test_a_package_of_the_object_store_runs_in_argo_mode(published, rest, sklearn, package, job_name):
    published.ok("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", package, "-sv",
                 *FRAMEWORK)
    uri = rest.job(job_name)["trainer_uri"]
    again = f"{job_name}-b"
    printed = published.ok("jobs", "submit", "-n", again, "-m", "trainer.task", "-u", uri, "-argo",
                           *FRAMEWORK, seconds=120)
    assert accuracy(printed) > 0.9
    rest.delete_job(again)


@pytest.mark.timeout(600)  # the first of them may have to make the environment
def test_a_failing_job_fails_argo_mode(published, sklearn, package, job_name):
    ended = published.run("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", package,
                          "--job_args=--fail", "-argo", *FRAMEWORK, seconds=120)
    assert ended.returncode == 255
    assert "Train job failed." in ended.stdout


def test_a_package_that_is_not_there_is_refused_by_the_client(published, rest, job_name):
    ended = published.run("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u",
                          "fds://default/no/such.tar.gz")
    assert ended.returncode == 255
    assert "Can't find file fds://default/no/such.tar.gz" in ended.stdout
    assert rest.get(f"/train/{job_name}").status == 404


def test_a_bucket_that_is_not_there_is_refused_by_the_client(published, package, job_name):
    ended = published.run("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", package, "-fb",
                          "no-such-bucket")
    assert ended.returncode == 255
    assert "Can't find no-such-bucket bucket" in ended.stdout


def test_a_job_description_file_is_merged_with_the_flags(published, rest, package, job_name, tmp_path):
    description = tmp_path / "job.yaml"
    description.write_text(
        f"job_name: {job_name}\nmodule_name: trainer.task\ntrainer_uri: {package}\n"
        f'cpu_limit: "1"\nmemory_limit: 1G\ngpu_limit: "0"\nframework: scikit-learn\n'
        f"some_other_key: [1, 2]\n")
    published.ok("jobs", "submit", "-f", description, "-M", "512M", "-sv")
    job = rest.job(job_name)
    assert (job["cpu_limit"], job["memory_limit"], job["gpu_limit"]) == ("1", "512M", 0)
    assert job["state"] == "initial" and job["framework"] == "scikit-learn"


def test_without_a_framework_the_server_chooses_one_and_says_so(published, rest, package, job_name):
    published.ok("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", package, "-sv")
    job = rest.job(job_name)
    assert job["framework"] in rest.get("/framework").json()
    assert job["framework_version"] in rest.get("/framework").json()[job["framework"]]
    assert {"framework", "framework_version"} <= set(job["defaults"])


def test_every_flag_of_a_plain_job_arrives(published, rest, package, job_name):
    published.ok("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", package, "-a", "--rounds 3",
                 "-c", "0.5", "-M", "512M", "-g", "0", "-F", "scikit-learn", "-pc", "echo a; echo b",
                 "-fc", "echo done", "-R", "-nsk", "disk", "-nsv", "ssd", "-sv")
    job = rest.job(job_name)
    expected = {"module_name": "trainer.task", "job_args": "--rounds 3", "cpu_limit": "0.5",
                "memory_limit": "512M", "gpu_limit": 0, "prepare_command": "echo a; echo b",
                "finish_command": "echo done", "enable_rank": 1, "node_selector_key": "disk",
                "node_selector_value": "ssd", "save_mode": True, "fds_bucket": "default"}
    assert {name: job[name] for name in expected} == expected


@pytest.mark.parametrize(("flags", "field"), [
    (("-d", "busybox"), "docker_image"),
    (("-vt", "hostPath", "-vp", "/d", "-mp", "/d"), "volume_type"),
    (("-tl", "/fds/x"), "tensorboard_logdir"),
    (("-mn", "m", "-mv", "v1"), "model_name"),
    (("-hka", "a", "-hkp", "p", "-he", "hdfs://h"), "hdfs_krb_account"),
])
def test_features_that_come_later_are_refused_by_name(published, rest, package, job_name, flags, field):
    ended = published.run("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", package, *flags)
    assert ended.returncode == 1, ended
    assert ended.stdout.startswith("response: ") and field in ended.stdout
    assert "Traceback" not in ended.stderr
    assert rest.get(f"/train/{job_name}").status == 404


# ---- distributed jobs

# The workers call the chief by its address; the ps waits for ever.
TASKS = """
import json, os, socket, time
config = json.loads(os.environ["TF_CONFIG"])
kind, index = config["task"]["type"], config["task"]["index"]
print("this is", kind, index, flush=True)
host, port = config["cluster"]["chief"][0].split(":")
if kind == "chief":  # its end is everybody's: it waits for a word of each
    others = config["cluster"]["worker"] + config["cluster"].get("ps", [])
    with socket.create_server((host, int(port))) as server:
        heard = sorted(server.accept()[0].recv(100).decode() for _ in others)
    print("heard", *(name for name in heard if name.startswith("worker")), flush=True)
while kind != "chief":
    try:
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"{kind}-{index}".encode())
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
while kind == "ps":
    time.sleep(60)
"""
SMALL = ("-c", "0.2", "-M", "200M", *FRAMEWORK[:2])


@pytest.mark.timeout(600)  # the first of them may have to make the environment
def test_a_distributed_job_from_counts(published, rest, sklearn, job_name, tmp_path):
    archive = sdist(tmp_path, TASKS)
    printed = published.ok("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", archive,
                           "-p", "1", "-w", "2", *SMALL, "-W", seconds=180)
    watched = [row[1] for row in rows(printed) if row and row[0] == job_name]
    assert watched[-1] == "completed", printed

    shown = fields(published.ok("jobs", "describe", job_name))
    assert shown["State"] == "completed" and shown["Cluster name"] == job_name, shown
    assert shown["Service port"].isdigit()
    job = rest.job(job_name)
    states = {r["name"]: (r["state"], r["reason"]) for r in job["replicas"]}
    assert states.pop("chief-0")[0] == "completed"
    assert states.pop("ps-0") == ("failed", "Stopped")
    # The job ends with its chief: a worker has ended by then, or is stopped.
    assert set(states) == {"worker-0", "worker-1"}
    assert all(s[0] == "completed" or s == ("failed", "Stopped") for s in states.values()), states

    log = published.ok("jobs", "logs", job_name)
    assert "chief-0: heard worker-0 worker-1" in log
    assert "ps-0: this is ps 0" in log and "worker-1: this is worker 1" in log
    followed = published.ok("jobs", "logs", "-f", job_name)
    assert "chief-0: heard worker-0 worker-1" in followed
    messages = " ".join(" ".join(row) for row in rows(published.ok("jobs", "events", job_name)))
    assert "worker-1: runs on node" in messages and "all 4 tasks run" in messages
    assert published.ok("jobs", "metrics", job_name)
    assert any(row[0] == job_name for row in rows(published.ok("jobs", "list")))
    assert "Successfully" in published.ok("jobs", "delete", "-n", job_name)
    rest.gone(job_name)


@pytest.mark.timeout(600)
def test_a_distributed_job_from_answers(published, rest, sklearn, job_name, tmp_path):
    archive = sdist(tmp_path, TASKS)
    answers = ["chief worker"] + ["1", "0.2", "200M", "0", ""] + ["1", "0.3", "200M", "0", "--more"]
    published.ok("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", archive, "-D",
                 *FRAMEWORK[:2], answers=answers, seconds=180)
    rest.wait(job_name, "completed", seconds=120)
    job = rest.job(job_name)
    assert job["cluster_spec"]["worker"]["cpu_limit"] == "0.3", job["cluster_spec"]
    assert "chief-0: heard worker-0" in published.ok("jobs", "logs", job_name)


@pytest.mark.timeout(600)
def test_a_distributed_job_from_a_specification(published, rest, sklearn, job_name, tmp_path):
    archive = sdist(tmp_path, TASKS)
    spec = {"chief": {"cpu_limit": 0.2}, "worker": {"count": "1", "gpu_type": None, "memory_limit": "200M"}}
    published.ok("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", archive, "-cs",
                 json.dumps(spec), *SMALL, seconds=180)
    rest.wait(job_name, "completed", seconds=120)
    assert [r["name"] for r in rest.job(job_name)["replicas"]] == ["chief-0", "worker-0"]


def test_a_name_in_use_is_refused(published, package, job_name):
    submit = ("jobs", "submit", "-n", job_name, "-m", "trainer.task", "-u", package, "-sv")
    published.ok(*submit)
    ended = published.run(*submit)
    assert ended.returncode == 1
    assert ended.stdout.startswith("response: ") and job_name in ended.stdout


# ---- jobs: everything after the submit, on plain commands

@pytest.fixture
def ran(rest, job_name):
    """The name of a job that printed three lines and completed."""
    rest.run(job_name, "for i in 1 2 3; do echo row $i; done")
    rest.wait(job_name, "completed")
    return job_name


def test_jobs_list(published, ran):
    table = rows(published.ok("jobs", "list"))
    assert table[0] == ["JOB_NAME", "STATE", "CREATED", "UPDATED"]
    row = next(row for row in table if row[0] == ran)
    assert row[1] == "completed"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", row[2])


def test_jobs_list_wide_shows_the_node(published, rest, ran):
    table = rows(published.ok("jobs", "list", "-o", "wide"))
    assert table[0][-2:] == ["NODE", "NAME"]
    row = next(row for row in table if row[0] == ran)
    assert row[-1] == rest.job(ran)["node_name"]


def test_jobs_list_has_rows_for_jobs_in_every_state(published, rest, ran):
    saved, failed = f"{ran}-s", f"{ran}-f"
    rest.submit(job_name=saved, docker_command="true", save_mode=True)
    rest.run(failed, "exit 1")
    rest.wait(failed, "failed")
    states = {row[0]: row[1] for row in rows(published.ok("jobs", "list", "-o", "wide"))[1:]}
    assert (states[ran], states[saved], states[failed]) == ("completed", "initial", "failed")
    rest.delete_job(saved)
    rest.delete_job(failed)


def test_jobs_describe(published, rest, ran):
    shown = fields(published.ok("jobs", "describe", ran))
    job = rest.job(ran)
    assert shown["Job name"] == ran and shown["State"] == "completed"
    assert shown["Org id"] == job["org_id"] and shown["Org name"] == "default"
    assert shown["Node name"] == job["node_name"]
    assert "Cluster name" not in shown


def test_jobs_logs(published, ran):
    printed = published.ok("jobs", "logs", ran)
    assert "row 1\nrow 2\nrow 3\n" in printed
    printed = published.ok("jobs", "logs", "-n", "2", ran)
    assert "row 2\nrow 3\n" in printed and "row 1" not in printed


def test_jobs_logs_of_an_unknown_job_is_an_error_object(published):
    printed = published.ok("jobs", "logs", "no-such-job")
    assert "'error': True" in printed and "Train job doesn't exist" in printed


def test_jobs_logs_followed_come_while_the_job_runs(published, rest, job_name):
    rest.run(job_name, "echo first; sleep 4; echo second")
    rest.wait_for_log(job_name, "first")
    follower = subprocess.Popen(published.command("jobs", "logs", "-f", job_name),
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                cwd=published.home, env=published.process_environment())
    try:
        for line in follower.stdout:
            if line.strip() == "b'first'":
                break
        else:
            pytest.fail("the stream ended before its first line")
        assert rest.job(job_name)["state"] in ("creating", "running"), "shown only at the end"
        rest_of_it = follower.stdout.read()
        assert "b'second'\n" in rest_of_it
        assert follower.wait(30) == 0
    finally:
        follower.kill()
        follower.wait(10)
        follower.stdout.close()


def test_jobs_logs_follow_the_last_lines(published, ran):
    printed = published.ok("jobs", "logs", "-f", "-n", "1", ran)
    assert len(printed.splitlines()) == 1


def test_jobs_events(published, rest, ran):
    table = rows(published.ok("jobs", "events", ran))
    assert table[0] == ["FirstTimestamp", "LastTimestamp", "Count", "Name", "Type", "Reason", "Message"]
    assert len(table) - 1 == len(rest.events(ran)) >= 3
    assert all(row[3] == ran and row[4] == "Normal" for row in table[1:])


def test_jobs_metrics(published, ran):
    printed = published.ok("jobs", "metrics", ran)
    assert [line.split(":")[0] for line in printed.splitlines() if ":" in line] == [
        "CPU", "Memory", "Network receive", "Network transmit"]


def test_jobs_hp_without_tuning_is_an_error(published, ran):
    ended = published.run("jobs", "hp", ran)
    assert ended.returncode == 1 and ended.stdout.startswith("response: ")
    assert "Traceback" not in ended.stderr


def test_jobs_start_runs_a_saved_job(published, rest, job_name):
    rest.submit(job_name=job_name, docker_command="echo ran", save_mode=True)
    assert fields(published.ok("jobs", "start", job_name))["Job name"] == job_name
    rest.wait(job_name, "completed")


def test_jobs_delete_takes_several_names(published, rest, job_name):
    names = [job_name, f"{job_name}-b", f"{job_name}-c"]
    for name in names:
        rest.submit(job_name=name, docker_command="true", save_mode=True)
    printed = published.ok("jobs", "delete", *names)
    assert printed.count("Successfully") == 3
    for name in names:
        rest.gone(name)


def test_jobs_delete_by_cluster_name(published, rest, job_name):
    rest.submit(job_name=job_name, docker_command="true", save_mode=True)
    assert "Successfully" in published.ok("jobs", "delete", "-n", job_name)
    rest.gone(job_name)


def test_jobs_delete_of_an_unknown_job_fails(published):
    ended = published.run("jobs", "delete", "no-such-job")
    assert ended.returncode == 1 and re.search(r"Train job doesn\\?'t exist", ended.stdout)


# ---- the administrator's program

def test_the_admin_program_lists_and_describes(published, rest, ran):
    org = rest.job(ran)["org_id"]
    printed = published.ok("jobs", "list", org, program="cloudml_admin")
    assert ran in printed
    printed = published.ok("jobs", "list", "--", "-1", program="cloudml_admin")
    row = next(row for row in rows(printed) if ran in row)
    assert row[:2] == [org, "default"]
    assert fields(published.ok("jobs", "describe", ran, org, program="cloudml_admin"))["State"] == "completed"
    assert "row 1\n" in published.ok("jobs", "logs", ran, org, program="cloudml_admin")
    assert ran in published.ok("jobs", "events", ran, org, program="cloudml_admin")
    assert "Successfully" in published.ok("jobs", "delete", ran, org, program="cloudml_admin")
    rest.gone(ran)
