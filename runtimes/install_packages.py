"""Installs a job's packages into a thin layer above its framework environment.

    python install_packages.py --layer FOLDER PACKAGE…

Runs in the job's sandbox with the environment's own Python (3.7 or newer) and uv ($CLOUDML_UV, or
uv in PATH). Each PACKAGE is a wheel, a source archive or a folder; a folder without setup.py or
pyproject.toml counts as plain modules with, perhaps, a requirements.txt.

First every package goes into the layer without its dependencies, in the order given, without a
network. Then what is missing of their dependencies is fetched. What the environment already carries
stays as it is, whatever version a package asks for: a second numpy or protobuf above it would break
the framework. A different version asked for is a warning.

Exit status: 0; 3 when a package cannot be installed, with the reason as one sentence alone on the last
line of the output.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile

try:
    from importlib import metadata
except ImportError:  # Python 3.7
    import importlib_metadata as metadata
from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

# Packages that are one and the same under several names.
SAME = [{"tensorflow", "tensorflow-cpu", "tensorflow-gpu", "intel-tensorflow"},
        {"xgboost", "xgboost-cpu"},
        {"scikit-learn", "sklearn"}]
# Back-ports of modules that every Python here has; some of them break it.
PART_OF_PYTHON = {"argparse", "dataclasses", "enum34", "futures", "pathlib", "typing"}


class InstallError(Exception):
    """Its text is the sentence for the user."""


def say(text):
    print(text, flush=True)


def fail(sentence):
    say(sentence)
    return 3


def names_of(name):
    name = canonicalize_name(name)
    for group in SAME:
        if name in group:
            return group
    return {name}


class Distributions:
    """Installed distributions by canonical name."""

    def __init__(self, paths):
        self.by_name = {}
        for found in metadata.distributions(path=paths):
            name = found.metadata["Name"]
            if name:
                self.by_name.setdefault(canonicalize_name(name), found)

    def get(self, name):
        for candidate in [canonicalize_name(name)] + sorted(names_of(name)):
            if candidate in self.by_name:
                return self.by_name[candidate]
        return None


class Uv:
    def __init__(self, program, layer, scratch):
        self.program = program
        self.layer = layer
        self.env = dict(os.environ)
        self.env.update(UV_CACHE_DIR=os.path.join(scratch, "cache"), UV_NO_PROGRESS="1",
                        UV_LINK_MODE="copy", UV_PYTHON_DOWNLOADS="never", NO_COLOR="1")
        # A target folder in PYTHONPATH is not for the build.
        self.env.pop("PYTHONPATH", None)
        self.sources = os.environ.get("CLOUDML_UV_ARGUMENTS", "").split()

    def run(self, *arguments):
        env = self.env
        if "--offline" in arguments:  # an index or folder that cannot be reached must not matter
            env = {name: value for name, value in env.items()
                   if name not in ("UV_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX")}
        done = subprocess.run([self.program] + list(arguments), env=env,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, universal_newlines=True, encoding="utf-8",
                              errors="replace")
        return done.returncode, done.stdout, done.stderr

    def install(self, *arguments):
        return self.run("pip", "install", "--python", sys.executable, "--target", self.layer,
                        "--no-deps", *arguments)


def reason_of(errors):
    """One sentence out of what uv and the build it ran have written."""
    lines = [line.strip(" \t│×├╰─▶") for line in errors.splitlines()]
    lines = [line for line in lines if line and not line.startswith("hint:")]
    for line in reversed(lines):  # a traceback ends with what went wrong
        if re.match(r"[A-Za-z_.]*(Error|Exception|Exit)\b.*:", line):
            return line
    causes = [re.sub(r"^(error|cause|Caused by): *", "", line) for line in lines
              if not re.match(r"(Using |Resolved |Building |warning:)", line)]
    if not causes:
        return "no reason given"
    text = causes[0].rstrip(":")
    if len(causes) > 1 and len(causes[0]) < 200:
        text += ": " + " ".join(causes[1:4])
    return re.sub(r"//[^/@\s]+@", "//***@", text)[:600]


def unpack(archive, folder):
    """Unpacks a source archive below `folder`; members that would leave it are refused."""
    def check(name):
        target = os.path.realpath(os.path.join(folder, name))
        if not (target + os.sep).startswith(os.path.realpath(folder) + os.sep):
            raise InstallError(f"{os.path.basename(archive)} would write outside of its folder: "
                               f"{name}")
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                for name in opened.namelist():
                    check(name)
                opened.extractall(folder)
            return
        with tarfile.open(archive) as opened:
            members = []
            for member in opened.getmembers():
                check(member.name)
                if member.islnk() or member.issym():
                    base = "" if member.islnk() else os.path.dirname(member.name)
                    check(os.path.join(base, member.linkname))
                if member.isfile() or member.isdir() or member.islnk() or member.issym():
                    member.mode |= 0o600 if not member.isdir() else 0o700
                    members.append(member)
            opened.extractall(folder, members=members)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise InstallError(f"{os.path.basename(archive)} is no wheel, source archive or folder that "
                           f"can be read: {error}")


def project_of(folder):
    """The folder with the project in it: this one, or the single one at the top of an archive."""
    def is_project(path):
        return any(os.path.isfile(os.path.join(path, name))
                   for name in ("setup.py", "pyproject.toml", "requirements.txt"))
    if is_project(folder):
        return folder
    entries = [e for e in sorted(os.listdir(folder)) if not e.startswith((".", "__MACOSX"))]
    inner = [os.path.join(folder, e) for e in entries if os.path.isdir(os.path.join(folder, e))]
    if len(entries) == 1 and inner:
        if is_project(inner[0]) or not os.path.exists(os.path.join(inner[0], "__init__.py")):
            return inner[0]
    return folder


def copy_modules(project, layer, label):
    """Plain Python files without a build: they go into the layer as they lie there."""
    found = False
    for folder, folders, files in os.walk(project):
        folders[:] = [f for f in folders if f not in (".git", "__pycache__", ".venv", "venv")]
        found = found or any(name.endswith(".py") for name in files)
        for name in files:
            source = os.path.join(folder, name)
            target = os.path.join(layer, os.path.relpath(source, project))
            if name != "requirements.txt" and os.path.isfile(source):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy2(source, target)
    if not found and not os.path.isfile(os.path.join(project, "requirements.txt")):
        raise InstallError(f"{label} has no setup.py, pyproject.toml, requirements.txt or Python "
                           "file in it")


def build_backend(project):
    path = os.path.join(project, "pyproject.toml")
    if not os.path.isfile(path):
        return "setuptools"
    with open(path, encoding="utf-8", errors="replace") as file:
        found = re.search(r'^\s*build-backend\s*=\s*["\']([\w.]+)', file.read(), re.MULTILINE)
    return found.group(1).split(".")[0] if found else "setuptools"


def can_import(module):
    from importlib.util import find_spec
    return find_spec(module) is not None


def install_package(path, uv, scratch):
    """Puts one package into the layer; gives the requirements.txt that came with it, if any."""
    label = os.path.basename(path.rstrip("/"))
    if not os.path.exists(path):
        raise InstallError(f"package {label} is not there")
    if path.endswith(".whl"):
        code, _, errors = uv.install("--offline", path)
        if code != 0:
            raise InstallError(f"wheel {label} does not install: {reason_of(errors)}")
        return None
    # Building writes into the project: always in a copy.
    work = tempfile.mkdtemp(dir=scratch)
    if os.path.isdir(path):
        copy = os.path.join(work, label or "package")
        shutil.copytree(path, copy, symlinks=True,
                        ignore=shutil.ignore_patterns(".git", "__pycache__"))
        project = project_of(copy)
    else:
        unpack(path, work)
        project = project_of(work)
    if not any(os.path.isfile(os.path.join(project, n)) for n in ("setup.py", "pyproject.toml")):
        copy_modules(project, uv.layer, label)
        requirements = os.path.join(project, "requirements.txt")
        return requirements if os.path.isfile(requirements) else None
    backend = build_backend(project)
    if can_import(backend):
        code, _, errors = uv.install("--offline", "--no-build-isolation", project)
    else:
        say(f"{label} is built by {backend}, which is fetched")
        code, _, errors = uv.install(*uv.sources, project)
    if code != 0:
        raise InstallError(f"package {label} does not build: {reason_of(errors)}")
    return None


class Needs:
    """What the packages ask for, and where it comes from."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.options = []      # of requirements files, for uv
        self.missing = {}      # text → who asks
        self.warned = set()
        self.seen = set()

    def add(self, text, asker, layer, extras=frozenset()):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            self.missing[text] = asker  # uv may know better, and says what is wrong if not
            return
        if not self.applies(requirement, extras):
            return
        name = canonicalize_name(requirement.name)
        if name in PART_OF_PYTHON:
            return
        for where, owner in ((self.runtime, "the runtime"), (layer, "the job")):
            found = where.get(name)
            if found is None:
                continue
            self.compare(requirement, found, asker, owner)
            if requirement.extras and (name, text) not in self.seen:
                self.seen.add((name, text))
                for line in found.requires or []:
                    if "extra" in line:
                        self.add(line, f"{name}[{','.join(sorted(requirement.extras))}]", layer,
                                 frozenset(requirement.extras))
            return
        requirement.marker = None
        self.missing[str(requirement)] = asker

    @staticmethod
    def applies(requirement, extras):
        if requirement.marker is None:
            return True
        environment = default_environment()
        for extra in sorted(extras) or [""]:
            environment["extra"] = extra
            if requirement.marker.evaluate(environment):
                return True
        return False

    def compare(self, requirement, found, asker, owner):
        if requirement.url or not requirement.specifier:
            return
        if requirement.specifier.contains(found.version, prereleases=True):
            return
        warning = (f"warning: {asker} asks for {requirement.name}{requirement.specifier}; "
                   f"{owner} has {found.version}, which is used")
        if warning not in self.warned:
            self.warned.add(warning)
            say(warning)

    def read_file(self, path, asker, layer, depth=0):
        """A requirements.txt: requirements, and the options that uv takes on its command line."""
        if depth > 5:
            raise InstallError(f"{asker}: its requirements files include each other")
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            text = file.read().replace("\\\n", " ")
        for line in text.splitlines():
            line = re.sub(r"(^|\s)#.*$", "", line).strip()
            line = re.sub(r"\s--hash[= ]\S+", "", line).strip()
            included = re.match(r"(?:-r|--requirement)[ =]*(\S+)$", line)
            option = re.match(r"(-i|--index-url|--extra-index-url|-f|--find-links)[ =]*(\S+)$", line)
            if not line or line in ("--no-binary", "-e .", ".", "--editable ."):
                continue
            if included:
                inner = os.path.join(os.path.dirname(path), included.group(1))
                if not os.path.isfile(inner):
                    raise InstallError(f"{asker} includes {included.group(1)}, which is not there")
                self.read_file(inner, asker, layer, depth + 1)
            elif option:
                name = {"-i": "--default-index", "--index-url": "--default-index",
                        "--extra-index-url": "--index", "-f": "--find-links"}
                self.options += [name.get(option.group(1), option.group(1)), option.group(2)]
            elif line.startswith("-"):
                say(f"warning: {asker}: the option {line!r} is not used")
            else:
                self.add(line, asker, layer)


def site_folders():
    return [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]


def pins_of(runtime):
    return "".join(f"{name}=={found.version}\n"
                   for name, found in sorted(runtime.by_name.items())
                   if "+" not in found.version)


def stand_in(name, version, folder):
    """A wheel with a name and a version and nothing else, for the resolver's eyes only."""
    module = name.replace("-", "_")
    path = os.path.join(folder, f"{module}-{version}-py3-none-any.whl")
    info = f"{module}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{info}/METADATA",
                       f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL",
                       "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def resolve(needs, runtime, uv, scratch):
    """Exact requirements, none of the runtime's, that give the job what it lacks."""
    def write(name, text):
        path = os.path.join(scratch, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path
    other_names = [(alias, found) for name, found in sorted(runtime.by_name.items())
                   for alias in sorted(names_of(name)) if alias not in runtime.by_name]
    # tensorflow, where the runtime has tensorflow-cpu: an empty package of the same version.
    stand_ins = "".join(f"{alias} @ file://{stand_in(alias, found.version, scratch)}\n"
                        for alias, found in other_names)
    never = "".join(f'{alias} ; python_version < "0"\n' for alias, _ in other_names)
    wanted = write("wanted.in", "\n".join(needs.missing) + "\n")
    # Versions that get along with the runtime, if there are any; else the newest ones, as if
    # they asked for nothing that the runtime has.
    attempts = [("--constraints", write("constraints.txt", pins_of(runtime) + stand_ins)),
                ("--overrides", write("overrides.txt", pins_of(runtime) + never))]
    output = None
    for arguments in attempts:
        code, text, errors = uv.run(
            "pip", "compile", "--quiet", "--python", sys.executable, "--no-header",
            "--no-annotate", *arguments, *uv.sources, *needs.options, wanted)
        if code == 0:
            output = text
            break
        if "No solution found" not in errors:
            break  # no network, for instance: other versions would not help
    if output is None:
        raise InstallError(f"what {', '.join(sorted(set(needs.missing.values())))} needs cannot be "
                           f"had ({', '.join(sorted(needs.missing))}): {reason_of(errors)}")
    exact = []
    for line in output.splitlines():
        line = line.split("#")[0].strip()
        if line and not line.startswith("-") and runtime.get(re.split(r"[=@\[; ]", line)[0]) is None:
            exact.append(line)
    return exact


def fetch(needs, runtime, uv, scratch):
    say("fetching " + ", ".join(sorted(needs.missing)))
    exact = resolve(needs, runtime, uv, scratch)
    if not exact:
        return
    path = os.path.join(scratch, "exact.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(exact) + "\n")
    code, _, errors = uv.install(*uv.sources, *needs.options, "-r", path)
    if code != 0:
        raise InstallError(f"{', '.join(exact)} does not install: {reason_of(errors)}")
    say("installed " + ", ".join(exact))


def use_path_files(layer):
    """A folder in PYTHONPATH has its .pth files ignored; this makes Python read them."""
    if any(name.endswith(".pth") for name in os.listdir(layer)):
        with open(os.path.join(layer, "sitecustomize.py"), "w", encoding="utf-8") as file:
            file.write("import os\nimport site\n\nsite.addsitedir(os.path.dirname(__file__))\n")


def guard(layer, runtime):
    """A job's own package may carry the name of one of the runtime's; that is worth a warning."""
    for name, found in sorted(Distributions([layer]).by_name.items()):
        if runtime.get(name) is not None:
            say(f"warning: {name} {found.version} of the job hides the runtime's "
                f"{runtime.get(name).version}")


def install_all(options, uv, scratch):
    runtime = Distributions(site_folders())
    requirement_files = []
    for path in options.packages:
        start = time.time()
        found = install_package(path, uv, scratch)
        label = os.path.basename(path.rstrip("/"))
        if found:
            requirement_files.append((found, label))
        say(f"installed {label} in {time.time() - start:.1f}s")
    guard(uv.layer, runtime)
    layer = Distributions([uv.layer])
    needs = Needs(runtime)
    for name, found in sorted(layer.by_name.items()):
        for line in found.requires or []:
            needs.add(line, f"{name} {found.version}", layer)
    for path, label in requirement_files:
        needs.read_file(path, label, layer)
    if needs.missing:
        before = set(layer.by_name)
        fetch(needs, runtime, uv, scratch)
        fetched = Distributions([uv.layer])
        for name in sorted(set(fetched.by_name) - before):
            found = fetched.by_name[name]
            for line in found.requires or []:
                needs.add(line, f"{name} {found.version}", fetched)
    use_path_files(uv.layer)


def main():
    parser = argparse.ArgumentParser(description="Installs a job's packages into a layer.")
    parser.add_argument("--layer", required=True)
    parser.add_argument("--uv", default=os.environ.get("CLOUDML_UV") or shutil.which("uv"))
    parser.add_argument("packages", nargs="+")
    options = parser.parse_args()
    try:
        if not options.uv:
            return fail("the environment names no uv ($CLOUDML_UV)")
        os.makedirs(options.layer, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="install-") as scratch:
            install_all(options, Uv(options.uv, os.path.abspath(options.layer), scratch), scratch)
    except InstallError as error:
        return fail(" ".join(str(error).split()))
    except OSError as error:
        return fail(f"packages do not install: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
