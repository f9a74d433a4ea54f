"""Images of reports, drawn by matplotlib."""

from __future__ import annotations

import io
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from carrousel.errors import MissingExtraError, UnknownNameError
from carrousel.inspection import Snapshots, compare
from carrousel.inspection.pictures.drawing import drawn
from support.inspection_reports import HOSTILE, made, odd_reports, of_net

image = pytest.importorskip("matplotlib.image", reason="needs the extra 'plot'")


def read(data: bytes) -> np.ndarray:
    return image.imread(io.BytesIO(data), format="png")


def test_images_of_odd_reports_open_and_show_something(tmp_path):
    file = tmp_path / "report.png"
    for name in ("a hostile name", "one step", "nothing measured"):
        odd_reports()[name].save_png(file)
        pixels = read(file.read_bytes())[..., :3]
        assert pixels.shape[1] == 1430, name
        assert (pixels < 0.5).all(-1).mean() > 0.0005, name  # dark text and lines
        has_colours = bool((pixels.max(-1) - pixels.min(-1) > 0.2).any())
        assert has_colours or name == "nothing measured"


def test_single_pictures_of_odd_reports_are_drawn():
    for name in ("zeros", "NaN", "infinities", "tiny", "one unit", "no cell state"):
        assert drawn([("", odd_reports()[name])], ("curves",)), name
    for name in ("NaN", "infinities"):
        assert drawn([("", odd_reports()[name])], ("errors", "traces")), name


def test_one_picture_is_smaller_than_all_and_others_are_refused(tmp_path):
    report, file = of_net(), tmp_path / "report.png"
    heights = []
    for picture in ("curves", None):
        report.save_png(file, picture)
        heights.append(read(file.read_bytes()).shape[0])
    assert max(heights[:-1]) < heights[-1]
    with pytest.raises(UnknownNameError, match="curves"):
        report.save_png(file, "curve")  # type: ignore[arg-type]


def test_snapshots_are_columns(tmp_path):
    file = tmp_path / "both.png"
    compare(made(), made()).save_png(file, "curves")
    assert read(file.read_bytes()).shape[1] == 2 * 1430
    Snapshots([(str(n), made(T=5)) for n in range(9)]).save_png(file, "curves")
    assert read(file.read_bytes()).shape[1] == 4 * 1430


def test_drawings_are_the_same_bytes_for_the_same_report_and_well_formed(tmp_path):
    report = made((HOSTILE,), T=5)
    found = []
    for _ in range(2):
        report.save_svg(tmp_path / "report.svg")
        found.append((tmp_path / "report.svg").read_bytes())
    assert found[0] == found[1]
    root = ElementTree.fromstring(found[0])
    assert root.tag.endswith("svg")
    assert b"<script" not in found[0]


def test_without_matplotlib_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'carrousel\[plot\]'"):
        made().save_png(tmp_path / "report.png")
    assert list(tmp_path.iterdir()) == []
