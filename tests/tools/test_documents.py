"""Documents written by hand: their examples run, and what they name exists."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
        *(ROOT / "docs").rglob("*.md"),
    ]
)
PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
DOCUMENT = re.compile(r"[\w-]+\.(?:md|toml|cff)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
MODULE = re.compile(r"python -m ((?:benchmarks|tools|carrousel)[\w.]*)")


def test_examples_run():
    for page, least in [
        (ROOT / "README.md", 10),
        *((page, 3) for page in sorted((ROOT / "docs" / "derivations").glob("*.md"))),
    ]:
        found = doctest.testfile(str(page), module_relative=False)
        assert found.attempted > least, page.name
        assert found.failed == 0, page.name


def test_paths_in_backticks_exist():
    wrong = [
        f"{page.relative_to(ROOT)}: {path}"
        for page in PAGES
        for path in paths_in(page)
        if not any(any(root.glob(path.rstrip("/"))) for root in roots(page))
    ]
    assert not wrong


def test_folders_of_the_tree_exist():
    """The tree in CONTRIBUTING.md indents a folder's contents by two spaces."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (tree,) = re.findall(r"```\n(native/.*?)```", text, flags=re.DOTALL)
    top = ROOT
    for line in tree.splitlines():
        names = line[:24].split()
        if not line.startswith(" "):
            top = ROOT / names[0]
        folder = ROOT if not line.startswith(" ") else top
        assert names, line
        for name in names:
            assert (folder / name).exists(), line


def test_links_lead_somewhere():
    wrong = []
    for page in PAGES:
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" in link:
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                wrong.append(f"{page.relative_to(ROOT)}: {link}")
    assert not wrong


def test_modules_in_commands_exist():
    wrong = []
    for page in PAGES:
        for name in MODULE.findall(page.read_text(encoding="utf-8")):
            if find_spec(name.rstrip(".")) is None:
                wrong.append(f"{page.relative_to(ROOT)}: {name}")
    assert not wrong


def roots(page: Path) -> list[Path]:
    """Folders to which a path on a page may be relative."""
    return [ROOT, page.parent, ROOT / "src" / "carrousel"]


def paths_in(page: Path) -> Iterator[str]:
    """Find paths of the repository in the inline code of a page.

    A name with a slash is one if its first part is a folder here; row names such as ``1/elman`` and
    a user's own files are not.
    """
    for code in re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8")):
        first = code.partition("/")[0]
        known = "/" in code and any((root / first).is_dir() for root in roots(page))
        if (known and PATH.fullmatch(code)) or DOCUMENT.fullmatch(code):
            yield code


def anchors(page: Path) -> set[str]:
    """Find the anchors of a page: its headings, as GitHub names them, and explicit ones."""
    text = page.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    return slugs | set(re.findall(r'<a id="([^"]+)"', text))
