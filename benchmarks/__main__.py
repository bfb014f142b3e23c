"""`python -m benchmarks [NAME …] [--json] [--quick]`: all benchmarks, or those named, one after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
NAMES = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))


def main(arguments: list[str]) -> int:
    named = [one for one in arguments if not one.startswith("-")]
    if unknown := set(named) - set(NAMES):
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}.")
        return 2
    options = [one for one in arguments if one.startswith("-")]
    failed = [name for name in named or NAMES if not succeeds(name, options)]
    if failed:
        print(f"Failed: {', '.join(failed)}")
    return 1 if failed else 0


def succeeds(name: str, options: list[str]) -> bool:
    print(f"== {name}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    return subprocess.run(command, cwd=FOLDER.parent, check=False).returncode == 0  # noqa: S603 -- our own commands


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
