"""Checks of HTML pages: a strict parser, and a browser that may load nothing."""

from __future__ import annotations

import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)


class Tags(HTMLParser):
    """Parser that checks nesting, and collects addresses and the data of figures."""

    VOID = ("meta", "link", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.figures: dict[str, str] = {}
        self.ids: list[str] = []
        self._data = ""

    def handle_starttag(self, tag, attrs):
        found = {key: value or "" for key, value in attrs}
        self.addresses += [found[key] for key in ("src", "href", "action") if key in found]
        self.ids += [found["id"]] if "id" in found else []
        self._data = found.get("id", "") if found.get("type") == "application/json" else ""
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self._data = ""

    def handle_data(self, data):
        if self._data:
            self.figures[self._data] = data


def opened(page: str, folder: Path) -> tuple[str, list[str]]:
    """Open a page in a browser; return the document after its scripts ran, and console output."""
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    assert BROWSER is not None
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *("--enable-logging=stderr", "--virtual-time-budget=20000"),
            *(f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=400,  # the machine may be busy
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
