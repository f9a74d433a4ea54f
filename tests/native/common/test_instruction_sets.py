"""Detection of instruction sets, and objects that contain no code for another one."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from carrousel import _native

pytestmark = pytest.mark.native

ROOT = Path(__file__).parents[3]
BUILD = ROOT / "build"


def test_the_first_is_the_default_and_the_last_is_plain():
    names = _native.available_instruction_sets()
    assert _native.instruction_set() == names[0]
    assert names[-1] == "plain"
    assert len(set(names)) == len(names)


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no /proc/cpuinfo to compare with")
def test_instruction_sets_match_the_processor():
    flags = Path("/proc/cpuinfo").read_text().split()
    expected = ["plain"]
    if platform.machine() == "x86_64":
        if {"avx2", "fma"} <= set(flags):
            expected.insert(0, "avx2")
        if {"avx512f", "avx512vl", "avx512dq", "avx512bw", "avx2", "fma"} <= set(flags):
            expected.insert(0, "avx512")
    elif platform.machine() == "aarch64":
        expected.insert(0, "neon")
    found = _native.available_instruction_sets()
    sanitized = "CARROUSEL_SANITIZED" in os.environ  # usually plain alone
    assert found == expected or (sanitized and found == ["plain"])


def shared_functions(nm_output: str, isa: str) -> list[str]:
    """Weak functions of a kernel object that are not in the namespace of its instruction set.

    The linker keeps one of several equal weak functions. If an inline function of the standard
    library is compiled with AVX-512 here and without it elsewhere, the linker may keep the copy
    that older processors cannot run. ``nm`` marks weak functions with W. Weak data, marked V or u,
    are harmless.
    """
    found = []
    for line in nm_output.splitlines():
        _, kind, name = line.split(maxsplit=2) if line[:1] != " " else ("", *line.split(maxsplit=1))
        if kind == "W" and f"carrousel::{isa}::" not in name:
            found.append(name)
    return found


def test_shared_functions_are_found():
    listing = (
        "0000000000000000 W std::vector<int>::push_back(int)\n"
        "0000000000000000 W void carrousel::avx2::step<4>(float*)\n"
        "0000000000000010 T carrousel::avx2::run()\n"
        "0000000000000000 V DW.ref.__gxx_personality_v0\n"
        "                 U memcpy\n"
    )
    assert shared_functions(listing, "avx2") == ["std::vector<int>::push_back(int)"]


def test_kernel_objects_share_no_code_between_instruction_sets():
    nm = shutil.which("nm")
    build = BUILD / f"cp{sysconfig.get_config_var('py_version_nodot')}"
    objects = sorted(
        path
        for folder in BUILD.glob(f"{build.name}-*/CMakeFiles/carrousel_kernels_*.dir")
        if not folder.name.endswith("_plain.dir")
        for path in folder.rglob("*.o")
    )
    if nm is None or not objects:
        pytest.skip("no build folder with object files, or no nm")
    bad = {}
    for path in objects:
        isa = next(p.name for p in path.parents if p.suffix == ".dir")
        isa = isa.removeprefix("carrousel_kernels_").removesuffix(".dir")
        listing = subprocess.run(
            [nm, "--demangle", "--defined-only", str(path)],
            capture_output=True,
            text=True,
            check=True,
        )
        if found := shared_functions(listing.stdout, isa):
            bad[f"{isa}/{path.name}"] = found
    assert not bad
