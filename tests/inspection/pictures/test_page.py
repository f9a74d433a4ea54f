"""Pages on inspections: well-formed, escaped, small, and that they load nothing."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

import pytest

from carrousel.inspection import Snapshots, compare
from carrousel.inspection.pictures.page import page
from carrousel.inspection.verdicts.sentence import used_steps
from support.inspection_reports import HOSTILE, made, odd_reports, of_net
from support.pages import BROWSER, opened

pytest.importorskip("jinja2", reason="needs the extra 'report'")

LARGEST = 1_500_000
VOID = ("meta", "link", "br", "img", "input", "path", "circle")


class Elements(HTMLParser):
    """Parser that checks nesting and collects ids and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.scripts = 0
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = {key: value or "" for key, value in attrs}
        self.addresses += [found[key] for key in ("src", "href", "action") if key in found]
        self.ids += [found["id"]] if "id" in found else []
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def single(report) -> str:
    return page([("", report)], "one")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Pages of all kinds, the odd reports among them."""
    odd = odd_reports()
    found = {name: single(report) for name, report in odd.items()}
    found["bidirectional"] = single(of_net("LSTM", num_layers=2, bidirectional=True))
    found["beside"] = compare(odd["a hostile name"], odd["one step"], (HOSTILE, "b")).html()
    found["slider"] = Snapshots([(f"{n} {HOSTILE}", r) for n, r in enumerate(odd.values())]).html()
    found["alone"] = Snapshots([("only", of_net())]).html()
    return found


def test_pages_are_well_formed_small_and_load_nothing(pages):
    for name, text in pages.items():
        found = Elements(text)
        assert len(found.ids) == len(set(found.ids)), name
        inside = [one[1:] for one in found.addresses if one.startswith("#")]
        assert set(inside) <= set(found.ids)
        outside = [one for one in found.addresses if not one.startswith(("#", "data:"))]
        assert outside == []
        assert "url(" not in text
        assert found.scripts == 1
        assert len(text.encode()) < LARGEST, name
        assert not re.search(r'(style|d|data-\w+)="[^"]*\b(nan|inf)\b', text), name


def test_text_from_data_is_escaped(pages):
    for name in ("a hostile name", "beside", "slider"):
        assert "<script>console" not in pages[name]
        assert "\x1b" not in pages[name]
        assert "&lt;script&gt;console" in pages[name]
    fragment = odd_reports()["a hostile name"]._repr_html_()
    assert "<script" not in fragment
    assert "\x1b" not in fragment
    Elements(fragment)


def test_a_page_has_its_parts_in_order(pages):
    sections = {
        "bidirectional": ["faults", "curves", "errors", "cells", "traces", "tables"],
        "beside": ["faults", "curves", "errors", "cells", "traces", "tables"],
        "slider": ["course", "curves", "errors", "cells", "faults", "tables"],
        "nothing measured": ["faults", "curves", "tables"],
    }
    for name, expected in sections.items():
        assert re.findall(r'<section class="card" id="(\w+)"', pages[name]) == expected


def test_a_page_defines_its_curves_and_names_the_lag(pages):
    text = pages["bidirectional"]
    for name in ("Trainable reach", "through the carrousel", "memory", "Used memory"):
        assert f"{name}</dt><dd>" in text
    assert "lag asked: 8" in text
    assert "<h1>" in text[: text.index('id="faults"')]
    assert "lag asked:" not in pages["three parts"]


def test_a_single_page_says_above_the_verdict_what_was_inspected():
    text = page([("", of_net())], "one", "a net of <mine>")
    place = text.index('<p class="soft">a net of &lt;mine&gt;</p>')
    assert place < text.index("<h1>")


def test_used_memory_is_measured_at_the_lag_and_stated_as_in_the_verdict():
    report = of_net()
    assert report.used is not None
    assert {7, 8} <= set(report.used.lags.tolist())
    steps, is_all = used_steps(report.used) or (0, False)
    least = "more than" if is_all else "about"
    assert f"{least} the last {steps} steps" in report.sentence()
    assert f"{'&gt; ' if is_all else ''}{steps} steps</b>" in page([("", report)], "one")


def test_faults_are_shown_with_evidence_and_remedy(pages):
    text = pages["a hostile name"]
    assert "What to do:</b> Change it." in text
    assert 'class="sound"' not in text
    assert 'class="sound"' in pages["zeros"]


def test_two_states_share_their_axes():
    before, after = of_net("RNN"), of_net("LSTM")
    text = compare(before, after).html()
    curves = text[text.index('id="curves"') : text.index('id="errors"')]
    assert len(set(re.findall(r'data-ylow="[^"]+" data-yhigh="[^"]+"', curves))) == 1
    assert curves.count('class="variant"') == 2


ASK = """<script>
const area = document.querySelector("#curves .area"), box = area.getBoundingClientRect();
area.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + box.width / 2}));
document.documentElement.dataset.readout = area.querySelector(".readout")?.textContent;
const moment = document.getElementById("moment");
if (moment) {
  moment.value = 1;
  moment.dispatchEvent(new Event("input"));
  const variants = [...document.querySelectorAll("#curves .variant")].slice(0, 3);
  document.documentElement.dataset.shown = variants.map((one) => one.offsetParent !== null).join();
}
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="needs the program chromium")
@pytest.mark.parametrize("name", ["bidirectional", "a hostile name", "beside", "slider"])
def test_a_browser_shows_the_page(pages, tmp_path, name):
    document, console = opened(pages[name].replace("</body>", ASK), tmp_path)
    assert console == []
    root = document[: document.index("<head>")]
    assert 'data-ready="yes"' in root
    assert re.search(r'data-readout="lag \d+trainable reach: ', root)
    if name == "slider":
        assert 'data-shown="false,true,false"' in root


@pytest.mark.skipif(BROWSER is None, reason="needs the program chromium")
def test_pages_fit_phones_and_screens(pages, tmp_path):
    """A frame of each width shows a page; whole pages do not scroll sideways, only tables do."""
    widths, names = (390, 800, 1280), ("a hostile name", "bidirectional", "beside", "slider")
    frames = "".join(
        f'<iframe srcdoc="{escape(pages[name])}" style="width:{width}px;border:0"></iframe>'
        for name in names
        for width in widths
    )
    script = """<script>
    addEventListener("load", () => {
      const found = [...document.querySelectorAll("iframe")].map((frame) => {
        const all = frame.contentDocument.documentElement;
        const wide = Math.max(all.scrollWidth, frame.contentDocument.body.scrollWidth);
        frame.remove();
        return wide;
      });
      document.documentElement.dataset.widths = found.join();
    });
    </script>"""
    page = f"<!doctype html><html><head></head><body>{frames}{script}</body></html>"
    document, console = opened(page, tmp_path)
    assert console == []
    measured = re.search(r'data-widths="([\d,]+)"', document)
    assert measured
    found = [int(width) for width in measured[1].split(",")]
    assert [wide <= width for wide, width in zip(found, widths * len(names), strict=True)] == [
        True
    ] * len(found)


def test_the_notebook_has_no_script_and_snapshots_are_in_a_frame():
    fragment = of_net()._repr_html_()
    assert "<script" not in fragment
    assert "Trainable reach" in fragment
    shown = Snapshots([("a", made()), ("b", made()), ("c", made())])._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert "<script" not in shown
