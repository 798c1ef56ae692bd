"""Distributed training from nothing but counts: the same package, module and arguments as of a job of
one process. What the programs print themselves proves that their tasks trained together.
"""
import json
import re
import shutil
from pathlib import Path

import pytest

from harness.census import census_files
from harness.cli import Cli
from harness.notes import note
from harness.packages import write_package
from harness.polling import wait_for
from harness.server import REPOSITORY, tools_folder

pytestmark = pytest.mark.timeout(600)

PROGRAMS = Path(__file__).resolve().parent / "distributed"
TF1, TF2 = ("tensorflow", "1.15.5"), ("tensorflow", "2.15.1")
LOSS = re.compile(r"loss (\d\.\d+) to (\d\.\d+)")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server with room for gangs, whatever the machine has, and the census data in its bucket."""
    from harness.server import Server
    server = Server(tmp_path_factory.mktemp("server"),
                    config={"capacity_cpu": 32, "capacity_memory": "64G"})
    cli = Cli(server, tmp_path_factory.mktemp("home"))
    cli.ok("fs", "mb", "fds://data")
    train, evaluation = census_files(tmp_path_factory.mktemp("census"))
    cli.ok("fs", "cp", train, evaluation, "fds://data/census/")
    yield World(server, cli, f"/fds/data/census/{train.name}", f"/fds/data/census/{evaluation.name}")
    server.close()


class World:
    def __init__(self, server, cli, train, evaluation):
        self.server, self.cli, self.rest = server, cli, server.rest()
        self.train_file, self.eval_file = train, evaluation

    def newest(self, name):
        rows = json.loads(self.cli.ok("runtimes", "list", "-o", "json").stdout)["data"]
        versions = {row["version"] for row in rows if row["name"] == name}
        return name, max(versions, key=lambda v: [int(part) for part in v.split(".")])

    def prepare(self, framework):
        ready = self.cli.run("runtimes", "prepare", *framework, seconds=550)
        assert ready.returncode == 0, ready.stderr

    def train(self, name, package, framework, *options, arguments="", seconds=240, cpu="1"):
        """One job to its good end; returns its object and its log."""
        self.prepare(framework)
        ended = self.cli.ok("jobs", "submit", "-n", name, "-m", "trainer.task", "-u", package,
                            "-F", framework[0], "-V", framework[1], "-c", cpu, "-M", "2G", "-f",
                            "-a", f"--train-files {self.train_file} {arguments}", *options, seconds=seconds)
        job = self.rest.job(name)
        assert job["state"] == "completed", job
        log = self.rest.log(name)
        assert ended.stdout == log, "the followed log is not the log"
        started, stopped = job["started_at"], job["ended_at"]
        note(f"{framework[0]} {framework[1]} {name}: {len(job.get('replicas', [])) or 1} tasks, "
             f"{started[11:-1]} to {stopped[11:-1]}")
        return job, log

    def idle(self):
        """Nothing of any job is left."""
        wait_for(lambda: not self.server.jobs_processes(), 20,
                 lambda: f"no process to be left: {self.server.jobs_processes()}")


def package(folder, program):
    write_package(folder, (PROGRAMS / program).read_text())
    shutil.copy(PROGRAMS / "census.py", folder / "trainer" / "census.py")
    return folder


def lines_of(log, replica):
    return [line[len(replica) + 2:] for line in log.splitlines() if line.startswith(replica + ": ")]


def learned(log):
    first, last = map(float, LOSS.findall(log)[-1])
    assert last < first, (first, last)


def states(job):
    return {r["name"]: r["state"] for r in job["replicas"]}


# ---- TensorFlow 1


@pytest.mark.skipif(not (tools_folder() / "python3.7").exists(),
                    reason="TensorFlow 1.15 needs Python 3.7: tests/install_tools.sh fetches it")
class TestTensorFlow1:
    def test_a_program_that_reads_its_configuration_by_hand(self, world, tmp_path):
        folder = package(tmp_path, "by_hand.py")
        job, log = world.train("by-hand", folder, TF1, "-p", "1", "-w", "2")
        assert set(states(job)) == {"master-0", "worker-0", "worker-1", "ps-0"}
        assert job["cluster_name"] == "by-hand"
        cluster = json.loads(job["cluster_env_var"])["cluster"]
        assert {name: len(all_of) for name, all_of in cluster.items()} == {"master": 1, "worker": 2, "ps": 1}
        [found] = re.findall(r"^master-0: master: (\d+) steps of 3 tasks, gradients (\d+) (\d+) (\d+)", log, re.M)
        steps, gradients = int(found[0]), [int(n) for n in found[1:]]
        assert steps in (59, 60), "the count may be read before the last one is added"
        assert all(n > 0 for n in gradients), "each task has given gradients"
        # A step is made of three; the last of the slower ones may come too late to be counted.
        assert sum(gradients) >= 3 * steps - 6, gradients
        learned(log)
        for task in ("worker-0", "worker-1"):
            assert any("gave 20 gradients" in line for line in lines_of(log, task)), log
        # The same as one process.
        job, log = world.train("by-hand-alone", folder, TF1)
        assert "replicas" not in job and job["cluster_name"] == ""
        assert re.search(r"^master: 60 steps of 1 tasks, gradients 60,", log, re.M), log
        learned(log)

    def test_an_estimator(self, world):
        arguments = f"--eval-files {world.eval_file} --train-steps 600"
        job, log = world.train("census-tf1", REPOSITORY / "examples" / "census_estimator", TF1, "-p", "1",
                               "-w", "2", "--job_dir", "fds://data/census-tf1", arguments=arguments)
        check_estimator(world, "census-tf1", job, log, ["master-0", "worker-0", "worker-1"])


def check_estimator(world, name, job, log, trainers):
    """Steps of all tasks went into one model, which was evaluated and exported."""
    given = {task: [int(n) for n in re.findall(r"has made (\d+) of the \d+ steps so far",
                                               "\n".join(lines_of(log, task)))] for task in trainers}
    assert all(numbers and numbers[-1] > 0 for numbers in given.values()), (given, log[-4000:])
    accuracy = re.findall(r"eval accuracy (\d\.\d+)$", log, re.M)
    assert len(accuracy) == 1 and float(accuracy[0]) > 0.78, log[-4000:]
    assert states(job)["ps-0"] == "failed" and job["state"] == "completed", "a ps is stopped at the end"
    found = world.cli.ok("fs", "ls", "-r", f"fds://data/{name}/").stdout
    assert re.search(r"export/census/\d+/saved_model\.pb", found), found


# ---- TensorFlow 2


class TestTensorFlow2:
    def test_an_estimator_with_an_evaluator(self, world):
        arguments = f"--eval-files {world.eval_file} --train-steps 600"
        job, log = world.train("census-tf2", REPOSITORY / "examples" / "census_estimator", TF2, "-p", "1",
                               "-w", "2", "--evaluator_count", "1", "--job_dir", "fds://data/census-tf2",
                               arguments=arguments)
        assert set(states(job)) == {"chief-0", "worker-0", "worker-1", "ps-0", "evaluator-0"}
        assert states(job)["evaluator-0"] == "completed", "it has evaluated the last checkpoint"
        check_estimator(world, "census-tf2", job, log, ["chief-0", "worker-0", "worker-1"])

    @pytest.mark.parametrize("which", ["2.15.1", "newest"])
    def test_parameter_servers(self, world, tmp_path, which):
        framework = TF2 if which == "2.15.1" else world.newest("tensorflow")
        folder = package(tmp_path, "parameter_server.py")
        name = f"ps-{which.replace('.', '-')}"
        _, log = world.train(name, folder, framework, "-p", "1", "-w", "2")
        [found] = re.findall(r"^chief-0: steps of the workers: (\d+) (\d+),", log, re.M)
        counts = [int(n) for n in found]
        assert sum(counts) == 200 and min(counts) > 0, counts
        learned(log)
        if which == "newest":
            _, log = world.train(f"{name}-alone", folder, framework)
            assert "steps of the workers: 200," in log, log

    @pytest.mark.parametrize("which", ["2.15.1", "newest"])
    def test_mirrored_workers(self, world, tmp_path, which):
        framework = TF2 if which == "2.15.1" else world.newest("tensorflow")
        folder = package(tmp_path, "mirrored.py")
        name = f"mirrored-{which.replace('.', '-')}"
        # Without a chief all of them are waited for, so all of them tell.
        _, log = world.train(name, folder, framework, "-w", "2", "--chief_count", "0")
        check_equal(log, r"(\w+-\d) of 2: weights (\w+) after 40 steps over (\d+) rows", 2, 40 * 64 * 2)
        if which == "2.15.1":
            _, log = world.train(f"{name}-alone", folder, framework)
            check_equal(log, r"(\w+-\d) of 1: weights (\w+) after 40 steps over (\d+) rows", 1, 40 * 64)


def check_equal(log, line, tasks, rows):
    """Each task told the same weights and that the rows of all of them went into them."""
    found = re.findall(line, log)
    assert len({task for task, _, _ in found}) == tasks, log[-4000:]
    assert len({weights for _, weights, _ in found}) == 1, found
    assert {int(total) for _, _, total in found} == {rows}, found
    learned(log)


# ---- others


def test_pytorch_over_gloo(world, tmp_path):
    framework = world.newest("pytorch")
    folder = package(tmp_path, "torch_ddp.py")
    # Without a chief all of them are waited for, so all of them tell.
    job, log = world.train("ddp", folder, framework, "-w", "2", "--chief_count", "0")
    assert states(job) == {"worker-0": "completed", "worker-1": "completed"}
    check_equal(log, r"rank (\d) of 2: weights (\w+) after 40 steps over (\d+) rows", 2, 40 * 64 * 2)
    _, log = world.train("ddp-alone", folder, framework)
    check_equal(log, r"rank (\d) of 1: weights (\w+) after 40 steps over (\d+) rows", 1, 40 * 64)


def test_xgboost_on_spread_rows(world, tmp_path):
    framework = world.newest("xgboost")
    folder = package(tmp_path, "xgboost_rows.py")
    _, log = world.train("boosted", folder, framework, "-w", "3", "--chief_count", "0")
    found = re.findall(r"rank (\d) of 3: model (\w+) from (\d+) rows", log)
    assert len(found) == 3 and len({model for _, model, _ in found}) == 1, log
    assert {int(rows) for _, _, rows in found} == {4000}, found
    _, log = world.train("boosted-alone", folder, framework)
    assert re.search(r"rank 0 of 1: model \w+ from 4000 rows", log), log
