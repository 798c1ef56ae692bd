#!/usr/bin/env python3
"""Adds up JUnit results: count_tests.py FOLDER [FAILED STEP…].

Names what failed or was skipped, then closes with "N passed, N failed". Exit status 1 when anything
failed, when a step broke, or when no test ran at all.
"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

folder, broken = pathlib.Path(sys.argv[1]), sys.argv[2:]
passed, failed, skipped = 0, [], []
for path in sorted(folder.glob("*.xml")):
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{path.stem}: {case.get('classname', '')} {case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None or \
                case.get("status") == "fail":
            failed.append(name)
        elif case.find("skipped") is not None or case.get("status") in ("disabled", "notrun"):
            reason = case.find("skipped")
            skipped.append(f"{name}: {reason.get('message', '') if reason is not None else 'not run'}")
        else:
            passed += 1
for name in skipped:
    print(f"skipped  {name}")
for name in failed:
    print(f"FAILED   {name}")
for name in broken:
    print(f"FAILED   step {name}")
count = max(len(failed), 1 if broken else 0)
print(f"{passed} passed, {count} failed" + (f", {len(skipped)} skipped" if skipped else ""))
sys.exit(bool(count) or passed == 0)
