"""One virtual environment for each package, kept in ``build/foreign`` between runs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path

from foreign.registry import FOLDER, ROOT, Package

PINNED = ("torch", "onnx", "onnxruntime", "onnxscript")
"""Packages that have the version of ``constraints.txt``; the others are chosen by pip."""


class InstallError(Exception):
    """The package cannot be installed; the message is the last line of pip."""


def wheel() -> Path:
    """Build a wheel of this checkout, unless it has not changed since the last one."""
    folder, digest = FOLDER / "wheel", _digest(_sources())
    stamp = folder / "digest"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != digest:
        for old in folder.glob("*.whl"):
            old.unlink()
        arguments = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
        arguments += ["--config-settings", "build-dir=build/wheel", str(ROOT)]
        # The build tools are in the same environment as this Python.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        _pip(Path(sys.executable), arguments, path)
        stamp.write_text(digest, encoding="utf-8")
    (found,) = folder.glob("*.whl")
    return found


def environment(name: str, package: Package, ours: Path) -> Path:
    """Install a package and the wheel of this checkout; returns the environment's Python.

    Raises:
        InstallError: pip cannot install the package.
    """
    folder = FOLDER / name
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    wanted = ["torch", *package.requirements]
    pins = _pins()
    stamp, text = folder / "installed", "\n".join([*wanted, *pins])
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != text:
        constraints = FOLDER / "constraints.txt"
        constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
        _pip(python, ["install", "--constraint", str(constraints), *wanted])
        for pattern in package.removed:
            for file in folder.glob(f"lib/python*/site-packages/{pattern}"):
                file.unlink()
        stamp.write_text(text, encoding="utf-8")
    stamp, text = folder / "wheel", _digest([ours])
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != text:
        _pip(python, ["install", "--force-reinstall", "--no-deps", str(ours)])
        _pip(python, ["install", str(ours)])  # the requirements that are missing
        stamp.write_text(text, encoding="utf-8")
    return python


def _pins() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.partition("==")[0] in PINNED]


def _sources() -> list[Path]:
    folders = [path for name in ("src", "native") for path in (ROOT / name).rglob("*")]
    code = [path for path in folders if path.suffix in (".py", ".cc", ".h")]
    return [*sorted(code), ROOT / "CMakeLists.txt", ROOT / "pyproject.toml"]


def _digest(paths: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    for path in paths:
        whole.update(path.name.encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _pip(python: Path, arguments: list[str], path: str | None = None) -> None:
    command = [str(python), "-m", "pip", "--disable-pip-version-check"]
    variables = os.environ | ({"PATH": path} if path else {})
    done = subprocess.run(
        [*command, arguments[0], "--quiet", *arguments[1:]],
        capture_output=True, text=True, env=variables, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line]
        raise InstallError(lines[-1] if lines else done.stderr.strip()[-300:])
