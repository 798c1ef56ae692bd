#!/usr/bin/env python3
"""Fails when a source file includes a module that tools/layers.txt does not allow, or has outgrown
its room.

layers.txt has one line per module: `name: module module …`. A seam (store, backends, objectstore)
may be included at its root by the modules that list it; its sub-folders belong to themselves and to
`app`. Test support (`testing/`) is for tests only.
"""
import pathlib
import re
import sys

SEAMS = {"store", "backends", "objectstore"}
MOST_LINES = 800
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def read_layers(path):
    layers = {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            module, _, deps = line.partition(":")
            layers[module.strip()] = set(deps.split())
    return layers


def fault(relative, target_parts, layers):
    """The sentence that says what is wrong with one include, or None."""
    module = relative.parts[0]
    for_tests = relative.stem.endswith("_test") or "testing" in relative.parts
    if len(target_parts) < 2:
        return "include from the source root"
    target = target_parts[0]
    inner = len(target_parts) > 2
    if "testing" in target_parts:
        return None if for_tests else "production code includes test support"
    if target == module:
        strangers = inner and module in SEAMS and target_parts[1] != relative.parts[1]
        return f"{module}/{relative.parts[1]} must not know a sibling" if strangers else None
    if target not in layers.get(module, set()):
        return f"{module} must not include {target}"
    if inner and target in SEAMS and module != "app":
        return f"only app may include {target}/{target_parts[1]}"
    return None


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    layers = read_layers(root / "tools/layers.txt")
    bad = []
    for path in sorted((root / "src").rglob("*.[hc]*")):
        relative = path.relative_to(root / "src")
        lines = path.read_text().splitlines()
        if len(lines) > MOST_LINES:
            bad.append(f"{relative}: {len(lines)} lines; split it (at most {MOST_LINES})")
        for number, line in enumerate(lines, 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            what = fault(relative, found[1].split("/"), layers)
            if what:
                bad.append(f'{relative}:{number}: {what}: "{found[1]}"')
    print("\n".join(bad) or "layers: every include is allowed")
    return bool(bad)


sys.exit(main())
