"""Other packages with our layers and with torch's: the same numbers after the same training.

    PYTHONPATH=tests python -m foreign [--only NAME ...] [--no-speed] [--save FILE]

For each package, installs it from PyPI with torch and a wheel of this checkout into a virtual
environment in ``build/foreign``, which is kept for the next run. There, the check of the package in
``foreign/packages`` trains briefly, once with torch's layers and once with ours, and the results
are compared. It also times the whole of ``learn`` of sb3-contrib's RecurrentPPO. Outcomes are saved
to ``benchmarks/results/foreign.json``, from which ``python -m tools.pages`` makes
``docs/foreign.md``; with ``--only``, the others keep their saved outcomes.

The exit code is 0 if all packages agree, 1 if results differ or a check fails, and 2 if packages
could not be installed and the others agree.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common import machine
from benchmarks.common.results import load, save

from foreign.environment import InstallError, environment, wheel
from foreign.registry import PACKAGES, RESULTS, TESTS, Package

LIMIT = 1200
"""Seconds that the check of one package may take."""
AGREES, DIFFERS, FAILS, MISSING = "equal", "differs", "error", "not installed"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    results = load(options.save)
    outcomes: dict[str, Any] = results.get("packages", {})
    print("building a wheel of this checkout", flush=True)
    ours = wheel()
    chosen = options.only or [*PACKAGES]
    for place, name in enumerate(chosen, 1):
        start = time.monotonic()
        print(f"[{place}/{len(chosen)}] {name}: ", end="", flush=True)
        outcomes[name] = outcome(name, PACKAGES[name], ours)
        print(f"{line(outcomes[name])} ({time.monotonic() - start:.0f} s)", flush=True)
        results["packages"] = {known: outcomes[known] for known in PACKAGES if known in outcomes}
        save(options.save, results)
    if "sb3-contrib" in chosen and not options.no_speed:
        print("learn() of RecurrentPPO: ", end="", flush=True)
        results["learn"] = speed("sb3-contrib", ours)
        save(options.save, results)
        print(json.dumps(results["learn"].get("rows", results["learn"])))
    return exit_code([outcomes[name]["status"] for name in chosen])


def outcome(name: str, package: Package, ours: Path) -> dict[str, Any]:
    """Install a package and run its check; returns its status, and what the check reports."""
    try:
        python = environment(name, package, ours)
    except InstallError as error:
        return {"status": MISSING, "reason": str(error)}
    versions = _versions(python, (name, *package.versions, "torch"))
    try:
        found = json.loads(_last_line(python, ["foreign.check", package.module]))
    except CheckError as error:
        return {"status": FAILS, "reason": str(error), "versions": versions}
    return {"status": AGREES if found.pop("holds") else DIFFERS, "versions": versions, **found}


def speed(name: str, ours: Path) -> dict[str, Any]:
    """Time RecurrentPPO; returns ``reason`` alone if it fails."""
    try:
        python = environment(name, PACKAGES[name], ours)
        found = json.loads(_last_line(python, [f"foreign.packages.{PACKAGES[name].module}"]))
    except (CheckError, InstallError) as error:
        return {"reason": str(error)}
    return {"machine": machine.describe(), **found}


def line(found: dict[str, Any]) -> str:
    """Describe an outcome in one line, with all differences above their tolerance."""
    parts = [found["status"]]
    if "reason" in found:
        parts.append(found["reason"])
    for row in found.get("rows", ()):
        if row["difference"] > row["tolerance"]:
            parts.append(f"{row['value']}: {row['difference']:.1e} > {row['tolerance']:.1e}")
    return "; ".join(parts)


def exit_code(statuses: list[str]) -> int:
    """Return 0, 1 or 2, as in the text at the top."""
    if any(status in (DIFFERS, FAILS) for status in statuses):
        return 1
    return 2 if MISSING in statuses else 0


class CheckError(Exception):
    """A check raised an exception; the message is its last line."""


def _last_line(python: Path, arguments: list[str]) -> str:
    """Run a module of this folder in an environment; returns the last line of its output."""
    variables = os.environ | {"PYTHONPATH": str(TESTS)} | dict.fromkeys(machine.THREADS, "1")
    try:
        done = subprocess.run(
            [str(python), "-m", *arguments],
            capture_output=True, text=True, env=variables, timeout=LIMIT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise CheckError(f"not finished after {LIMIT} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise CheckError(lines[-1] if lines else f"exit code {done.returncode}")
    return done.stdout.strip().splitlines()[-1]


def _versions(python: Path, names: tuple[str, ...]) -> dict[str, str]:
    code = (
        "import importlib.metadata as m, json, sys;"
        "print(json.dumps({name: m.version(name) for name in sys.argv[1:]}))"
    )
    done = subprocess.run(
        [str(python), "-c", code, *names], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m foreign", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--only", metavar="NAME", nargs="+", choices=[*PACKAGES], help="some packages"
    )
    parser.add_argument("--no-speed", action="store_true", help="do not time RecurrentPPO")
    parser.add_argument("--save", metavar="FILE", type=Path, default=RESULTS, help="another file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
