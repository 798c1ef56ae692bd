"""The one function of setuptools' pkg_resources that the published client calls.

The real module has left setuptools (82), and where it is still there it refuses to start the client:
the client asks for cloud-ml-common >= 0.2.2, of which only 0.0.2 was ever published.
"""
from importlib import metadata


class _Distribution:
    def __init__(self, name):
        self.project_name = name
        self.version = metadata.version(name)


def require(*names):
    return [_Distribution(name) for name in names]
