"""runtimes/install_packages.py against the real uv and a small real environment.

The environment's "frameworks" and all that can be fetched are wheels made here, so that only
setuptools, wheel and packaging come from the package index.
"""
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTALLER = ROOT / "runtimes" / "install_packages.py"
UV = (os.environ.get("CLOUDML_UV") or shutil.which("uv") or
      shutil.which("uv", path=os.path.dirname(sys.executable)))


def make_wheel(folder, name, version, requires=(), extras=None):
    """A wheel with one module that knows its version."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    for extra, lines in (extras or {}).items():
        metadata += f"Provides-Extra: {extra}\n"
        metadata += "".join(f"Requires-Dist: {line} ; extra == '{extra}'\n" for line in lines)
    metadata += "".join(f"Requires-Dist: {line}\n" for line in requires)
    path = folder / f"{module}-{version}-py3-none-any.whl"
    files = {f"{module}.py": f"version = {version!r}\n", f"{info}/METADATA": metadata,
             f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
                              "Tag: py3-none-any\n"}
    files[f"{info}/RECORD"] = "".join(f"{n},,\n" for n in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
    return path


def make_project(folder, name="digits", requires=(), setup=None):
    (folder / "trainer").mkdir(parents=True)
    (folder / "trainer" / "__init__.py").write_text("")
    (folder / "trainer" / "task.py").write_text("print('hello from the task')\n")
    (folder / "setup.py").write_text(setup or (
        "from setuptools import find_packages, setup\n"
        f"setup(name={name!r}, version='1.0', packages=find_packages(),\n"
        f"      install_requires={list(requires)!r})\n"))
    return folder


def make_archive(path, folder, top):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname=top)
    return path


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """An environment with tensorflow-cpu 2.15.1 and numpy 1.26.4, as far as anybody can tell."""
    assert UV, "these tests need uv: python3 -m pip install uv"
    folder = tmp_path_factory.mktemp("environment")
    wheels = tmp_path_factory.mktemp("framework")
    python = folder / "bin" / "python"
    subprocess.run([UV, "venv", "--quiet", "--clear", "--python",
                    os.path.realpath(sys.executable), folder], check=True)
    subprocess.run([UV, "pip", "install", "--quiet", "--python", python, "setuptools<81", "wheel",
                    "packaging", make_wheel(wheels, "tensorflow-cpu", "2.15.1"),
                    make_wheel(wheels, "numpy", "1.26.4"),
                    make_wheel(wheels, "requests", "2.34.2", extras={"socks": ["pysocks>=1"]})],
                   check=True)
    return python


class Job:
    def __init__(self, python, folder):
        self.python = python
        self.folder = folder
        self.layer = folder / "layer"
        self.index = folder / "index"
        self.index.mkdir()
        # Nothing but the folder `index`, and an address where nobody answers.
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "CLOUDML_UV": UV,
                    "UV_FIND_LINKS": str(self.index), "CLOUDML_UV_ARGUMENTS": "--no-index",
                    "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
        self.output = ""

    def install(self, *packages):
        done = subprocess.run([self.python, INSTALLER, "--layer", self.layer, *packages],
                              env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=120)
        self.output = done.stdout
        return done.returncode

    def last_line(self):
        return self.output.strip().splitlines()[-1]

    def run(self, code):
        done = subprocess.run([self.python, "-c", code], cwd=self.folder, text=True,
                              env={"PYTHONPATH": str(self.layer)}, capture_output=True)
        return (done.stdout + done.stderr).strip()

    def in_layer(self):
        return sorted(p.name for p in self.layer.glob("*.dist-info"))


@pytest.fixture
def job(environment, tmp_path):
    return Job(environment, tmp_path)


@pytest.mark.parametrize("kind", ["folder", "sdist", "zip", "flat archive"])
def test_every_form_of_a_project_installs_without_a_network(job, tmp_path, kind):
    package = make_project(tmp_path / "digits", requires=["numpy"])
    if kind == "sdist":
        package = make_archive(tmp_path / "digits-1.0.tar.gz", package, "digits-1.0")
    elif kind == "flat archive":
        package = make_archive(tmp_path / "whatever.tgz", package, ".")
    elif kind == "zip":
        package = pathlib.Path(shutil.make_archive(tmp_path / "mine", "zip", tmp_path, "digits"))
    assert job.install(package) == 0, job.output
    assert job.run("import trainer.task") == "hello from the task"
    assert job.in_layer() == ["digits-1.0.dist-info"]
    assert "warning" not in job.output


def test_the_users_folder_stays_as_it_was(job, tmp_path):
    package = make_project(tmp_path / "digits")
    before = sorted(package.rglob("*"))
    assert job.install(package) == 0, job.output
    assert sorted(package.rglob("*")) == before


def test_packages_of_the_runtime_win_with_a_warning(job, tmp_path):
    package = make_project(tmp_path / "digits", requires=["tensorflow==1.15.2", "numpy<1.20"])
    assert job.install(package) == 0, job.output
    assert job.in_layer() == ["digits-1.0.dist-info"]
    assert ("warning: digits 1.0 asks for tensorflow==1.15.2; the runtime has 2.15.1, which is used"
            in job.output)
    assert "warning: digits 1.0 asks for numpy<1.20; the runtime has 1.26.4" in job.output


def test_only_what_is_missing_is_fetched_in_a_version_that_fits(job, tmp_path):
    make_wheel(job.index, "extra-lib", "1.0", ["numpy<2", "helper"])
    make_wheel(job.index, "extra-lib", "2.0", ["numpy>=2", "helper"])
    make_wheel(job.index, "helper", "3.1", ["tensorflow>=2"])
    make_wheel(job.index, "numpy", "2.4.0")
    make_wheel(job.index, "numpy", "1.26.4")
    assert job.install(make_project(tmp_path / "digits", requires=["extra-lib"])) == 0, job.output
    assert job.in_layer() == ["digits-1.0.dist-info", "extra_lib-1.0.dist-info",
                              "helper-3.1.dist-info"]
    assert job.run("import extra_lib, numpy; print(extra_lib.version, numpy.version)") == "1.0 1.26.4"


def test_a_version_is_chosen_that_fits_tensorflow_cpu_as_tensorflow(job, tmp_path):
    for version in ("2.15.1", "2.21.0"):
        make_wheel(job.index, "tf-keras", version, [f"tensorflow=={version}"])
        make_wheel(job.index, "tensorflow", version, ["cuda-of-all-sorts"])
    assert job.install(make_project(tmp_path / "digits", requires=["tf-keras"])) == 0, job.output
    assert job.in_layer() == ["digits-1.0.dist-info", "tf_keras-2.15.1.dist-info"]
    assert "warning" not in job.output


def test_where_no_version_fits_the_runtime_still_wins(job, tmp_path):
    make_wheel(job.index, "extra-lib", "2.0", ["numpy>=2"])
    make_wheel(job.index, "numpy", "2.4.0")
    make_wheel(job.index, "numpy", "1.26.4")
    assert job.install(make_project(tmp_path / "digits", requires=["extra-lib"])) == 0, job.output
    assert job.in_layer() == ["digits-1.0.dist-info", "extra_lib-2.0.dist-info"]
    assert "warning: extra-lib 2.0 asks for numpy>=2; the runtime has 1.26.4" in job.output


def test_a_later_package_may_need_an_earlier_one(job, tmp_path):
    library = make_wheel(tmp_path, "our-library", "0.3")
    package = make_project(tmp_path / "digits", requires=["our-library>=0.2"])
    assert job.install(library, package) == 0, job.output
    assert job.in_layer() == ["digits-1.0.dist-info", "our_library-0.3.dist-info"]


def test_an_extra_of_a_runtime_package_is_fetched_without_the_package(job, tmp_path):
    make_wheel(job.index, "pysocks", "1.7.1")
    assert job.install(make_project(tmp_path / "digits", requires=["requests[socks]"])) == 0, job.output
    assert job.in_layer() == ["digits-1.0.dist-info", "pysocks-1.7.1.dist-info"]


def test_markers_and_backports_count(job, tmp_path):
    package = make_project(tmp_path / "digits", requires=["enum34", "futures ; python_version < '3'"])
    assert job.install(package) == 0, job.output
    assert job.in_layer() == ["digits-1.0.dist-info"]


def test_a_second_time_fetches_nothing(job, tmp_path):
    """A replica that is restarted finds its layer there."""
    make_wheel(job.index, "extra-lib", "1.0")
    package = make_project(tmp_path / "digits", requires=["extra-lib"])
    assert job.install(package) == 0, job.output
    shutil.rmtree(job.index)
    assert job.install(package) == 0, job.output
    assert job.in_layer() == ["digits-1.0.dist-info", "extra_lib-1.0.dist-info"]


def test_a_folder_with_requirements_only(job, tmp_path):
    make_wheel(job.index, "extra-lib", "1.0")
    folder = tmp_path / "plain"
    (folder / "trainer").mkdir(parents=True)
    (folder / "trainer" / "task.py").write_text("import extra_lib\nprint(extra_lib.version)\n")
    (folder / "requirements.txt").write_text("# mine\n-r more.txt\ntensorflow-gpu==1.4 \\\n  # old\n")
    (folder / "more.txt").write_text("extra-lib>=1\n")
    archive = make_archive(tmp_path / "plain.tar.gz", folder, "plain")
    assert job.install(archive) == 0, job.output
    assert job.run("import trainer.task") == "1.0"
    assert "asks for tensorflow-gpu==1.4; the runtime has 2.15.1" in job.output


def test_path_files_of_the_layer_are_read(job, tmp_path):
    setup = ("from setuptools import setup\n"
             "setup(name='digits', version='1.0', packages=['trainer'],\n"
             "      data_files=[('', ['hook.pth'])])\n")
    package = make_project(tmp_path / "digits", setup=setup)
    (package / "hook.pth").write_text("import os; os.environ['HOOKED'] = 'yes'\n")
    assert job.install(package) == 0, job.output
    if (job.layer / "hook.pth").exists():
        assert job.run("import os; print(os.environ['HOOKED'])") == "yes"
    else:
        pytest.fail("the .pth file is not in the layer: " + str(list(job.layer.iterdir())))


@pytest.mark.parametrize("setup, reason", [
    ("import nosuchmodule\n", "ModuleNotFoundError: No module named 'nosuchmodule'"),
    ("def broken(:\n", "SyntaxError: invalid syntax"),
])
def test_a_package_that_does_not_build_says_why(job, tmp_path, setup, reason):
    assert job.install(make_project(tmp_path / "digits", setup=setup)) == 3
    assert job.last_line() == f"package digits does not build: {reason}"


def test_a_dependency_that_nobody_has(job, tmp_path):
    assert job.install(make_project(tmp_path / "digits", requires=["no-such-package>=3"])) == 3
    assert job.last_line().startswith(
        "what digits 1.0 needs cannot be had (no-such-package>=3): ")
    assert "no-such-package" in job.last_line().split("): ", 1)[1]


def test_without_a_network_the_reason_is_the_network(job, tmp_path):
    job.env["CLOUDML_UV_ARGUMENTS"] = ""
    assert job.install(make_project(tmp_path / "digits", requires=["no-such-package"])) == 3
    assert "Connection refused" in job.last_line() or "127.0.0.1:9" in job.last_line()


def test_what_is_no_package_is_refused(job, tmp_path):
    text = tmp_path / "model.tar.gz"
    text.write_text("not an archive")
    assert job.install(text) == 3
    assert job.last_line().startswith("model.tar.gz is no wheel, source archive or folder")
    assert job.install(tmp_path / "gone.whl") == 3
    assert job.last_line() == "package gone.whl is not there"
    (tmp_path / "empty").mkdir()
    assert job.install(tmp_path / "empty") == 3
    assert job.last_line().startswith("empty has no setup.py")


@pytest.mark.parametrize("member", ["../escaped.py", "/tmp/escaped.py", "link"])
def test_an_archive_cannot_write_outside_of_its_folder(job, tmp_path, member):
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(member)
        if member == "link":
            entry.type = tarfile.SYMTYPE
            entry.linkname = "../../../etc"
            archive.addfile(entry)
        else:
            entry.size = 2
            archive.addfile(entry, io.BytesIO(b"x\n"))
    assert job.install(path) == 3
    assert "would write outside of its folder" in job.last_line()
