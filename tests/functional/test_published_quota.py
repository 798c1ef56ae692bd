"""The quota commands of the published client and of its administrator's program, unchanged."""
import re

import pytest

from harness.published import PublishedClient


@pytest.fixture(scope="module")
def quiet_server(tmp_path_factory, module_server):
    return module_server(config={"capacity_cpu": 8, "capacity_memory": "8G", "fake_gpus": 4})


@pytest.fixture(scope="module")
def module_server(tmp_path_factory):
    """Starts servers for the tests of this file: their quotas are nobody else's."""
    from harness.server import Server
    started = []

    def make(**options):
        started.append(Server(tmp_path_factory.mktemp("server"), **options))
        return started[-1]

    yield make
    for one in started:
        one.close()


@pytest.fixture
def client(quiet_server, tmp_path):
    made = PublishedClient(tmp_path / "home")
    made.home.mkdir()
    made.write_config({
        "xiaomi_access_key_id": quiet_server.access_key,
        "xiaomi_secret_access_key": quiet_server.secret_key,
        "xiaomi_cloudml_endpoint": quiet_server.url,
        "xiaomi_org_mail": "ml@xiaomi.com",
    })
    return made


@pytest.fixture
def rest(quiet_server):
    return quiet_server.rest()


@pytest.fixture
def org(rest):
    return rest.get("/org_ids").json()["org_id"]


def quota_of(rest):
    data = rest.get("/quota").json()["data"]
    assert len(data) == 1
    return data[0]


def table(printed):
    """The rows of `quota list` as {title: [cells]}; the columns are 26 wide."""
    found = {}
    for line in printed.splitlines():
        title = line[:16].strip()
        if title in ("Train job", "Model service", "Dev environment", "Tensorboard", "Total quota"):
            found[title] = [cell.strip() for cell in re.split(r"\s{2,}", line[17:].strip())]
    return found


def test_without_limits_the_list_shows_inf(client):
    shown = table(client.ok("quota", "list"))
    assert set(shown) == {"Train job", "Model service", "Dev environment", "Tensorboard", "Total quota"}
    assert shown["Total quota"][:3] == ["INF / 0K", "INF / 0", "INF / 0"]
    assert shown["Train job"][-1] == "INF / 0"


def test_reading_leaves_the_mail_of_the_configuration(client, rest):
    printed = client.ok("quota", "list")
    assert "Org mail address: ml@xiaomi.com" in re.sub(r" +", " ", printed)
    assert quota_of(rest)["org_mail"] == "ml@xiaomi.com"


def test_the_administrator_lists_one_and_all(client, org):
    one = client.ok("quota", "list", org, program="cloudml_admin")
    assert "Train job" in table(one)
    everything = client.ok("quota", "list", "--", "-1", program="cloudml_admin")
    assert f"The quota of user {org}-default:" in everything


@pytest.mark.parametrize(("kind", "prefix", "row"), [
    ("jobs", "train", "Train job"), ("models", "model", "Model service"), ("dev", "dev", "Dev environment")])
def test_the_administrator_updates_a_group(client, rest, org, kind, prefix, row):
    printed = client.ok("quota", "update", org, "-t", kind, "-c", "12.5", "-m", "24G", "-g", "3", "-C", "7",
                        "-R", "2", "-P", "3", program="cloudml_admin")
    assert table(printed)[row] == ["24G / 0K", "12.5 / 0", "3 / 0", "- / -", "3", "2 / 0", "7 / 0"]
    assert printed.rstrip().endswith("updated")
    quota = quota_of(rest)
    assert {name: quota[f"{prefix}_{name}"] for name in
            ("cpu_quota", "memory_quota", "gpu_quota", "count_quota", "priority_quota", "priority_rank")} == {
        "cpu_quota": "12.5", "memory_quota": "24G", "gpu_quota": "3", "count_quota": "7",
        "priority_quota": "2", "priority_rank": "3"}


def test_the_administrator_updates_tensorboards_the_total_and_the_organisation(client, rest, org):
    client.ok("quota", "update", org, "-t", "tensorboard", "-T", "5", "-P", "2", program="cloudml_admin")
    printed = client.ok("quota", "update", org, "-t", "total", "-c", "16", "-m", "64G", "-g", "4",
                        program="cloudml_admin")
    assert table(printed)["Total quota"][:3] == ["64G / 0K", "16 / 0", "4 / 0"]
    client.ok("quota", "update", org, "-M", "vision@xiaomi.com", "-proj", "eyes", program="cloudml_admin")
    quota = quota_of(rest)
    assert (quota["tensorboard_quota"], quota["tensorboard_priority_rank"]) == ("5", "2")
    assert (quota["org_mail"], quota["project"], quota["org_name"]) == ("vision@xiaomi.com", "eyes", "default")
    assert quota["total_gpu_quota"] == "4"  # what is not named stays


def test_what_is_used_is_shown_while_a_job_holds_it(client, rest):
    rest.run("holds", "sleep 60", gpu_limit=1, enable_rank=1)
    shown = table(client.ok("quota", "list"))["Train job"]
    assert [cell.split(" / ")[1] for cell in shown[:3]] == ["256M", "0.25", "1"]
    assert shown[-1].endswith(" / 1")
    rest.delete_job("holds")
    rest.gone("holds")
    assert quota_of(rest)["train_count_used"] == "0"


def test_an_update_of_the_user_files_an_application(client, rest):
    printed = client.ok("quota", "update", "-t", "jobs", "-c", "8", "-M", "32G", "-g", "2")
    assert "Your application has been submitted for approval" in printed
    filed = rest.get("/application?state=pending").json()["data"][0]
    assert filed["service"] == "jobs" and filed["memory_limit"] == "32G"
    assert (filed["cpu_limit"], filed["gpu_limit"]) == ("8", "8")  # as the client sends it
    assert filed["region"] == rest.url
    answer = rest.post(f"/application/{filed['id']}/grant", {"gpu_limit": "2", "message": "welcome"})
    assert answer.status == 200, answer
    assert (answer.json()["state"], answer.json()["gpu_limit"]) == ("granted", "8")
    assert quota_of(rest)["train_gpu_quota"] == "2"


def test_an_unknown_organisation_is_refused(client):
    ended = client.run("quota", "update", "987654", "-t", "jobs", "-g", "1", program="cloudml_admin")
    assert ended.returncode == 1 and ended.stdout.startswith("response: ") and "987654" in ended.stdout
    assert "Traceback" not in ended.stderr


def test_a_submit_above_the_quota_is_refused_with_the_sentence(client, rest, org, tmp_path):
    rest.call("PUT", f"/cloud_ml/v1/quota/{org}", {"train_gpu_quota": 0})
    answer = rest.post("/train", {"job_name": "greedy", "docker_command": "true", "gpu_limit": 1})
    assert answer.status == 403, answer
    assert answer.message.startswith("quota: train: 1 GPU asked, 0 used, 0 allowed")
    assert rest.get("/train/greedy").status == 404


def test_resources_list(client):
    printed = client.ok("resources", "list").splitlines()
    assert printed[0].split() == ["Available", "cpu", "Available", "memory", "Available", "gpu"]
    assert printed[1].split() == ["8", "8G", "4"]
