"""Small training packages, built in a temporary folder as `setup.py sdist` lays them out."""
import io
import tarfile

SETUP = """from setuptools import setup
setup(name={name!r}, version={version!r}, packages=["trainer"])
"""


def write_package(folder, task, name="trainer", version="1.0"):
    """A source folder: setup.py and trainer/task.py with the given text. Returns `folder`."""
    package = folder / "trainer"
    package.mkdir(parents=True, exist_ok=True)
    (folder / "setup.py").write_text(SETUP.format(name=name, version=version))
    (package / "__init__.py").write_text("")
    (package / "task.py").write_text(task)
    return folder


def sdist(folder, task, name="trainer", version="1.0"):
    """A source distribution `<name>-<version>.tar.gz` in `folder`; returns its path."""
    top = f"{name}-{version}"
    archive = folder / f"{top}.tar.gz"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "setup.py": SETUP.format(name=name, version=version),
        "trainer/__init__.py": "",
        "trainer/task.py": task,
    }
    with tarfile.open(archive, "w:gz") as out:
        for path, text in files.items():
            raw = text.encode()
            entry = tarfile.TarInfo(f"{top}/{path}")
            entry.size = len(raw)
            entry.mode = 0o644
            out.addfile(entry, io.BytesIO(raw))
    return archive
