"""Typesetting of the paper."""

from __future__ import annotations

import sys

import pytest
from tools.typeset.__main__ import html, pdf

from carrousel.errors import MissingExtraError

PAPER = """# A title

An author

## A section

An equation, $s_c(t) = 0$:

$$
\\begin{aligned}
f'(x) &= \\frac{1}{2} \\qquad && \\text{(7)}
\\end{aligned}
$$

<div class="figure" typst:breakable="false">

![A picture](../a.svg)

</div>

| row | n |
| :-- | --: |
| 6a | 20 |
"""
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>s</text></svg>'


@pytest.fixture
def source(tmp_path):
    (tmp_path / "a.svg").write_text(PICTURE, encoding="utf-8")
    path = tmp_path / "paper" / "paper.md"
    path.parent.mkdir()
    path.write_text(PAPER, encoding="utf-8")
    return path


def test_the_same_paper_gives_the_same_files(source):
    for package in ("pypandoc", "typst", "ziamath", "fontTools"):
        pytest.importorskip(package, reason="needs the extra 'docs'")
    page = html(source)
    assert page == html(source)
    assert page.count("<math") == 2
    assert '<h1 class="title">A title</h1>' in page
    assert "<h1>A section</h1>" in page
    assert 'src="http' not in page
    assert 'src="../a.svg"' not in page
    printed = pdf(source)
    assert printed == pdf(source)
    assert printed.startswith(b"%PDF")
    assert b"CreationDate" not in printed


@pytest.mark.parametrize("package", ["pypandoc", "typst"])
def test_without_the_tools_the_error_names_the_extra(source, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    if package == "pypandoc":
        monkeypatch.setitem(sys.modules, "typst", object())
    with pytest.raises(MissingExtraError, match=r"pip install 'carrousel\[docs\]'"):
        pdf(source)
