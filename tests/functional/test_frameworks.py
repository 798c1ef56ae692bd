"""Jobs that really train, one per framework, and the environments that they train in.

The packages are those of examples/, submitted with our own command line; what a job leaves in its
bucket is loaded again by a second job. Environments take minutes when there are none yet: all of
them are asked for at once, and the tests use them in the order in which they get ready.
"""
import json
import os
import re
import shutil
import time
from dataclasses import dataclass, field

import boto3
import pytest
from botocore.config import Config

from harness.census import census_files
from harness.cli import Cli
from harness.notes import note
from harness.packages import write_package
from harness.server import REPOSITORY, environments_folder, tools_folder

# A cold environment is most of a test's time. The first test of all waits for a download, too.
pytestmark = pytest.mark.timeout(600)

ACCURACY = re.compile(r"^(?:test|eval|loaded) accuracy (\d\.\d+)$", re.MULTILINE)
TF1 = ("tensorflow", "1.15.5")


def runtimes(cli):
    """What `cloudml runtimes list` knows, by name, version and variant."""
    rows = json.loads(cli.ok("runtimes", "list", "-o", "json").stdout)["data"]
    return {(row["name"], row["version"], row["variant"]): row for row in rows}


def runtime(cli, name, version):
    return runtimes(cli)[name, version, "cpu"]


def newest(cli, name):
    versions = {version for known, version, _ in runtimes(cli) if known == name}
    return max(versions, key=lambda version: [int(part) for part in version.split(".")])


# ---- environments; the servers here share none with those of the other tests


@pytest.fixture
def empty_environments():
    """A folder without environments beside the shared one, so that both have one download cache."""
    folder = environments_folder().with_name(f"environments-of-test-{os.getpid()}")
    folder.mkdir()
    yield folder
    for path, folders, _ in os.walk(folder):  # they are not writable; that is their nature
        for name in folders:
            inner = os.path.join(path, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o755)
    shutil.rmtree(folder)


def test_an_environment_is_prepared_for_a_job_and_removed(make_server, empty_environments, tmp_path):
    server = make_server(config={"environments_folder": str(empty_environments)})
    cli, rest = Cli(server, tmp_path), server.rest()
    version = newest(cli, "scikit-learn")
    assert {row["state"] for key, row in runtimes(cli).items() if key[2] == "cpu"} <= {
        "absent", "unavailable"}

    # A job that comes first says what it waits for, and then runs.
    command = "python -c 'import sklearn; print(\"it is\", sklearn.__version__)'"
    ended = cli.ok("jobs", "submit", "-n", "first", "-F", "scikit-learn", "-dc", command, "-f",
                   "-c", "0.5", "-M", "512M", seconds=400)
    assert f"it is {version}\n" in ended.stdout
    step = f"environment scikit-learn {version}: "
    assert re.search(f"^first +creating +{re.escape(step)}[a-z]", ended.stderr,
                     re.MULTILINE), ended.stderr
    events = [event for event in rest.events("first") if event["reason"] == "Preparing"]
    assert all(event["type"] == "Normal" for event in events), events
    assert all(event["message"].startswith(step) for event in events), events
    assert events[-1]["message"] == step + "trying it out" and len(events) >= 3, events
    assert re.search(f"Preparing +{re.escape(step)}", cli.ok("jobs", "describe", "first").stdout)

    ready = runtime(cli, "scikit-learn", version)
    assert ready["state"] == "ready" and ready["python"] == "3.11", ready
    assert ready["packages"]["scikit-learn"] == version
    # Within a tenth of what the files take: the number is for people who clear up.
    [folder] = [path for path in empty_environments.iterdir() if path.name[0] != "."]
    taken = sum(os.lstat(os.path.join(path, name)).st_blocks * 512
                for path, _, names in os.walk(folder) for name in names)
    assert 0.9 * taken <= ready["size_bytes"] <= 1.1 * taken
    table = cli.ok("runtimes", "list").stdout
    assert re.search(rf"^scikit-learn +{re.escape(version)} +cpu +3\.11 +ready +\d", table,
                     re.MULTILINE), table

    # Removed it is gone; prepared again it costs no download.
    assert "removed" in cli.ok("runtimes", "remove", "scikit-learn", version).stdout
    assert runtime(cli, "scikit-learn", version)["state"] == "absent"
    assert not any(empty_environments.glob("scikit-learn-*"))
    started = time.monotonic()
    said = cli.ok("runtimes", "prepare", "scikit-learn", version, seconds=400).stderr
    assert "ready" in said.splitlines()[-1], said
    assert runtime(cli, "scikit-learn", version)["state"] == "ready"
    note(f"scikit-learn {version}: prepared from the cache in {time.monotonic() - started:.1f} s, "
         f"{ready['size_bytes'] / 1e6:.0f} MB")
    assert cli.ok("runtimes", "prepare", f"scikit-learn-{version}", seconds=20)
    unknown = cli.run("runtimes", "prepare", "scikit-learn", "0.0.1")
    assert unknown.returncode == 4 and "0.0.1" in unknown.stderr, unknown


def test_a_runtime_without_its_python_is_unavailable_and_says_so(make_server, tmp_path):
    # /usr/bin and /usr/local/bin are always looked into; one that is there is covered up.
    there = [path for path in ("/usr/bin/python3.7", "/usr/local/bin/python3.7")
             if os.path.exists(path)]
    cover = ["bwrap", "--dev-bind", "/", "/"] if there else []
    for path in there:
        cover += ["--ro-bind", "/dev/null", os.path.realpath(path)]
    bare = {"HOME": str(tmp_path), "PATH": f"/usr/bin:/bin:{tools_folder() / 'bin'}"}
    server = make_server(environment=bare, as_prefix=cover)
    cli, rest = Cli(server, tmp_path), server.rest()

    missing = runtime(cli, *TF1)
    assert missing["state"] == "unavailable", missing
    sentence = missing["message"]
    assert "tensorflow 1.15.5 needs Python 3.7" in sentence, sentence
    line = [line for line in cli.ok("runtimes", "list").stdout.splitlines() if "1.15.5" in line]
    assert len(line) == 1 and "unavailable" in line[0] and "needs Python 3.7" in line[0], line

    refused = cli.run("runtimes", "prepare", *TF1)
    assert refused.returncode not in (0, 2) and sentence in refused.stderr, refused
    failed = cli.run("jobs", "submit", "-n", "none", "-F", TF1[0], "-V", TF1[1], "-dc", "true", "-f")
    assert failed.returncode == 6 and sentence in failed.stderr, failed
    job = rest.job("none")
    assert job["state"] == "failed" and job["message"] == sentence, job
    assert [e["message"] for e in rest.events("none") if e["type"] == "Warning"] == [sentence]
    # The others are as they were.
    assert runtime(cli, "scikit-learn", newest(cli, "scikit-learn"))["state"] != "unavailable"


# ---- training


@pytest.fixture(scope="module")
def prepared(cli):
    """Asks for every environment at once, the small ones first. Two are built at a time."""
    python37 = tools_folder() / "python3.7"
    wanted = [("scikit-learn", newest(cli, "scikit-learn")), ("xgboost", newest(cli, "xgboost")),
              ("tensorflow", "2.15.1"), TF1, ("pytorch", newest(cli, "pytorch")),
              ("tensorflow", newest(cli, "tensorflow"))]
    for name, version in wanted:
        if (name, version) != TF1 or python37.exists():
            cli.ok("runtimes", "prepare", name, version, "--no-wait")


@dataclass
class Trained:
    """A job that completed, with what it printed and what it left in the bucket."""
    name: str
    log: str
    accuracy: float
    keys: dict = field(default_factory=dict)  # below its job directory: name and size

    def one(self, ending):
        found = [key for key in self.keys if key.endswith(ending)]
        assert len(found) == 1, (ending, self.keys)
        return found[0]


class Bucket:
    """A bucket of the server under test with the census data in it."""

    def __init__(self, server, cli, folder):
        self.name = "frameworks-" + os.urandom(4).hex()
        self.s3 = boto3.client(
            "s3", endpoint_url=server.url, region_name="us-east-1",
            aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
        cli.ok("fs", "mb", f"fds://{self.name}")
        train, evaluation = census_files(folder)
        cli.ok("fs", "cp", train, evaluation, f"fds://{self.name}/census/")
        self.census = (f"--train-files /fds/{self.name}/census/{train.name} "
                       f"--eval-files /fds/{self.name}/census/{evaluation.name}")
        self.evaluation = f"/fds/{self.name}/census/{evaluation.name}"

    def objects(self, prefix=""):
        found = {}
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name,
                                                                      Prefix=prefix):
            found.update((o["Key"], o["Size"]) for o in page.get("Contents", []))
        return found

    def read(self, key, size):
        return self.s3.get_object(Bucket=self.name, Key=key,
                                  Range=f"bytes=0-{size - 1}")["Body"].read()

    def close(self):
        for key in self.objects():
            self.s3.delete_object(Bucket=self.name, Key=key)
        self.s3.delete_bucket(Bucket=self.name)


@pytest.fixture(scope="module")
def bucket(server, cli, tmp_path_factory):
    made = Bucket(server, cli, tmp_path_factory.mktemp("census"))
    yield made
    made.close()


class Trainer:
    """Submits training jobs and checks what holds for each of them."""

    def __init__(self, cli, rest, bucket, folder):
        self.cli, self.rest, self.bucket, self.folder = cli, rest, bucket, folder
        self.names = []

    def prepare(self, name, version):
        """Waits for the environment alone, so that a test's own time is the job's."""
        ready = self.cli.run("runtimes", "prepare", name, version, seconds=550)
        assert ready.returncode == 0, ready.stderr

    def submit(self, name, package, framework, *options, memory="2G"):
        """One job to its end, its log followed. Returns what it printed."""
        self.names.append(name)
        ended = self.cli.ok("jobs", "submit", "-n", name, "-m", "trainer.task", "-u", package,
                            "-F", framework[0], "-V", framework[1], "-c", "1", "-M", memory, "-f",
                            *options, seconds=300)
        assert self.rest.job(name)["state"] == "completed"
        log = self.rest.log(name)
        assert ended.stdout == log, "the followed log is not the log"
        return log

    def train(self, name, example, framework, arguments="", memory="2G"):
        self.prepare(*framework)
        home = f"fds://{self.bucket.name}/{name}"
        options = ["--job_dir", home] + (["-a", arguments] if arguments else [])
        started = time.monotonic()
        log = self.submit(name, REPOSITORY / "examples" / example, framework, *options,
                          memory=memory)
        took = time.monotonic() - started

        accuracy = ACCURACY.findall(log)
        assert len(accuracy) == 1, log
        keys = {key.removeprefix(f"{name}/"): size
                for key, size in self.bucket.objects(f"{name}/").items()}
        self._check_description(name, framework, home)
        note(f"{framework[0]} {framework[1]}: {example} trained in {took:.1f} s, accuracy "
             f"{accuracy[0]}")
        return Trained(name, log, float(accuracy[0]), keys)

    def _check_description(self, name, framework, home):
        job = self.rest.job(name)
        assert (job["framework"], job["framework_version"]) == framework
        assert job["exit_code"] == 0 and job["started_at"] and job["ended_at"]
        assert job["usage"]["cpu_millis"] > 500, job["usage"]
        assert job["usage"]["memory_peak"] > 50 << 20, job["usage"]
        text = self.cli.ok("jobs", "describe", name).stdout
        for wanted in (rf"^{name}  completed", rf"runtime +{' '.join(map(re.escape, framework))}",
                       r"used +.*CPU time.*peak", r"ran +\d", rf"output +{home}", "Completed"):
            assert re.search(wanted, text, re.MULTILINE), (wanted, text)

    def load(self, trained, framework, program, memory="2G"):
        """A second job that loads what the first left; returns the accuracy that it measures."""
        folder = write_package(self.folder / f"{trained.name}-load", program, name="load")
        log = self.submit(f"{trained.name}-load", folder, framework, "-a",
                          f"/fds/{self.bucket.name}/{trained.name}", memory=memory)
        found = ACCURACY.findall(log)
        assert len(found) == 1, log
        return float(found[0])

    def check_events(self, trained, folder=""):
        """At least one event file for TensorBoard, and one in truth."""
        found = [key for key in trained.keys if "events.out.tfevents." in key and
                 key.startswith(folder)]
        assert found, trained.keys
        for key in found:
            assert b"brain.Event:2" in self.bucket.read(f"{trained.name}/{key}", 64), key

    def close(self):
        for name in self.names:
            self.rest.delete(f"/train/{name}")
        for name in self.names:
            self.rest.gone(name)


@pytest.fixture
def trainer(cli, rest, bucket, prepared, tmp_path):
    one = Trainer(cli, rest, bucket, tmp_path)
    yield one
    one.close()


# What the loading jobs have in common: the pictures that the digits examples learn from, whole.
DIGITS = """
import sys
import numpy
from sklearn.datasets import load_digits
home = sys.argv[1]
pixels, labels = load_digits(return_X_y=True)
def tell(found):
    assert len(found) == len(labels) == 1797
    print(f"loaded accuracy {float((numpy.asarray(found) == labels).mean()):.4f}", flush=True)
"""

CENSUS_READ = """
import pandas
COLUMNS = ["age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation",
           "relationship", "race", "gender", "capital_gain", "capital_loss", "hours_per_week",
           "native_country", "income_bracket"]
NUMBERS = ["age", "education_num", "capital_gain", "capital_loss", "hours_per_week"]
WORDS = ["workclass", "education", "marital_status", "occupation", "relationship", "race", "gender",
         "native_country"]
def read(path):
    table = pandas.read_csv(path, header=None, names=COLUMNS)
    return table[NUMBERS + WORDS], (table["income_bracket"] == ">50K").astype(int)
"""


def test_scikit_learn(trainer, cli):
    framework = ("scikit-learn", newest(cli, "scikit-learn"))
    trained = trainer.train("sklearn-digits", "sklearn_digits", framework, memory="1G")
    assert trained.accuracy > 0.95
    assert trained.log.count("gamma") == 9
    assert trained.keys["model.joblib"] > 10_000
    assert trainer.load(trained, framework, memory="1G", program=DIGITS + """
import joblib
tell(joblib.load(home + "/model.joblib").predict(pixels))
""") > 0.97


def test_xgboost_on_the_census(trainer, bucket, cli):
    framework = ("xgboost", newest(cli, "xgboost"))
    trained = trainer.train("xgboost-census", "census_xgboost", framework, bucket.census,
                            memory="1G")
    assert trained.accuracy > 0.83
    assert "round 200/200 accuracy" in trained.log
    assert trained.keys["model.ubj"] > 10_000
    assert trainer.load(trained, framework, memory="1G", program=f"""
import sys
import xgboost
{CENSUS_READ}
eval_x, eval_y = read("{bucket.evaluation}")
for column in WORDS:
    eval_x[column] = eval_x[column].astype("category")
model = xgboost.XGBClassifier()
model.load_model(sys.argv[1] + "/model.ubj")
print(f"loaded accuracy {{float((model.predict(eval_x) == eval_y).mean()):.4f}}")
""") == pytest.approx(trained.accuracy, abs=0.001)


def test_keras_on_tensorflow_2_15(trainer):
    check_keras(trainer, "keras-215", ("tensorflow", "2.15.1"))


def test_an_estimator_on_tensorflow_1_15(trainer, bucket):
    missing = tools_folder() / "python3.7.missing"
    if missing.exists():  # tests/install_tools.sh has looked for it
        note(f"tensorflow 1.15.5: not trained, {missing.read_text().strip()}")
        pytest.skip(missing.read_text().strip())
    trained = trainer.train("estimator-census", "census_estimator", TF1, bucket.census)
    assert trained.accuracy > 0.83
    trainer.check_events(trained)
    trainer.check_events(trained, "eval_final/")
    model = trained.one("/saved_model.pb")
    assert re.fullmatch(r"export/census/\d+/saved_model\.pb", model) and trained.keys[model] > 10_000
    assert trained.one("/variables/variables.index").startswith(os.path.dirname(model))
    assert trainer.load(trained, TF1, f"""
import sys
import tensorflow as tf
{CENSUS_READ}
table, rich = read("{bucket.evaluation}")
tf.compat.v1.enable_eager_execution()
model = tf.compat.v2.saved_model.load(sys.argv[1] + "/{os.path.dirname(model)}")
predict = model.signatures["predict"]
right = 0
for start in range(0, len(table), 2000):
    part = table[start:start + 2000]
    features = {{name: tf.constant(part[name].astype("float32" if name in NUMBERS else object).values)
                for name in NUMBERS + WORDS}}
    found = predict(**features)["class_ids"].numpy()[:, 0]
    right += int((found == rich[start:start + 2000].values).sum())
print("loaded accuracy {{:.4f}}".format(right / len(table)))
""") == pytest.approx(trained.accuracy, abs=0.001)


def test_pytorch(trainer, cli):
    framework = ("pytorch", newest(cli, "pytorch"))
    trained = trainer.train("torch-digits", "pytorch_digits", framework)
    assert trained.accuracy > 0.95
    assert "epoch 10/10 accuracy" in trained.log
    trainer.check_events(trained, "logs/")
    assert trained.keys["model/model.pt2"] > 10_000
    assert trainer.load(trained, framework, DIGITS + """
import torch
model = torch.export.load(home + "/model/model.pt2").module()
with torch.no_grad():
    tell(model(torch.from_numpy((pixels / 16).astype("float32"))).argmax(dim=1).numpy())
""") > 0.97


def test_keras_on_the_newest_tensorflow(trainer, cli):
    version = newest(cli, "tensorflow")
    assert version.startswith("2.") and version != "2.15.1"
    check_keras(trainer, "keras-newest", ("tensorflow", version))


def check_keras(trainer, name, framework):
    trained = trainer.train(name, "digits", framework)
    assert trained.accuracy > 0.95
    assert "epoch 10/10 accuracy" in trained.log
    trainer.check_events(trained, "logs/train/")
    trainer.check_events(trained, "logs/validation/")
    assert trained.keys["model/1/saved_model.pb"] > 1_000
    assert trained.keys["model/1/variables/variables.index"] > 0
    assert trainer.load(trained, framework, DIGITS + """
import tensorflow as tf
serve = tf.saved_model.load(home + "/model/1").signatures["serving_default"]
[name] = serve.structured_input_signature[1]
[found] = serve(**{name: tf.constant((pixels / 16).astype("float32"))}).values()
tell(found.numpy().argmax(axis=1))
""") > 0.97
