"""Runs the items named on the command line, prints what they found and writes results.json."""
import argparse
import importlib
import json
import os
import platform
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.process import BUILD, DATA  # noqa: E402

ITEMS = ["get", "verification", "submit", "first_line", "trivial_jobs", "million", "usage", "idle", "size", "build"]


@dataclass
class Options:
    """What an item is told: how much to measure."""
    short: bool

    def pick(self, full, short):
        return short if self.short else full


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), platform.machine())
    return {"cpus": os.cpu_count(), "cpu": model, "kernel": platform.release()}


def main():
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("items", nargs="*", help=", ".join(ITEMS))
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    if given.list:
        for name in ITEMS:
            print(f"{name:<14}{importlib.import_module('items.' + name).__doc__.splitlines()[0]}")
        return 0
    unknown = [name for name in given.items if name not in ITEMS]
    if unknown:
        print(f"error: there is no item {unknown[0]}; there are {', '.join(ITEMS)}", file=sys.stderr)
        return 2
    DATA.mkdir(parents=True, exist_ok=True)
    results = {"machine": machine(), "short": given.short, "items": {}}
    failed = reached = goals = 0
    for name in given.items or ITEMS:
        before = os.getloadavg()
        began = time.monotonic()
        print(f"\n── {name}  (load average before: {before[0]:.1f})", flush=True)
        try:
            measures = importlib.import_module("items." + name).measure(Options(given.short))
        except Exception:  # one item that cannot run does not take the others with it
            traceback.print_exc()
            failed += 1
            results["items"][name] = {"failed": traceback.format_exc()}
            continue
        for m in measures:
            print(m.text(), flush=True)
            goals += len(m.goals)
            reached += sum(g.reached for g in m.goals)
        results["items"][name] = {"load_average_before": before, "load_average_after": os.getloadavg(),
                                  "seconds": round(time.monotonic() - began, 1),
                                  "measures": [m.as_json() for m in measures]}
    (BUILD / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(f"\n{reached} of {goals} goals reached"
          + (f", {failed} items could not be measured" if failed else "")
          + "; build/bench/results.json")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
