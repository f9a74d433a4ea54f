"""The benchmark of estimators: data, conditions, contenders that are honest, and the runner."""

from __future__ import annotations

import io
import json
from importlib import import_module
from typing import Any

import numpy as np
import pytest

bench = import_module("benchmarks.estimators.__main__")
conditions = import_module("benchmarks.estimators.conditions")
lineup = import_module("benchmarks.estimators.contenders.lineup")
measure = import_module("benchmarks.estimators.measure")
mnist1d = import_module("benchmarks.estimators.sets.mnist1d")
packages = import_module("benchmarks.streams.real.packages")
plain = import_module("benchmarks.estimators.contenders.plain")
problem = import_module("benchmarks.estimators.sets.problem")
rockets = import_module("benchmarks.estimators.contenders.rockets")
ts_files = import_module("benchmarks.estimators.sets.ts_files")
watch = import_module("benchmarks.estimators.sets.watch")

TS = """#A comment
@problemName Example
@timeStamps false
@classLabel true a b
@data
1,2,?:4,5,6:b
7,8:9,10:a
"""


class Nearest:
    """A classifier by the mean of a series, which counts what it is asked."""

    def __init__(self, seed: int) -> None:
        self.fits = 0

    def fit(self, series: Any, y: Any) -> None:
        self.fits += 1
        self.means = np.array([np.nanmean(one) for one in series])
        self.y = y

    def predict(self, series: Any, share: float = 1.0) -> np.ndarray:
        found = np.array([np.nan_to_num(np.nanmean(one)) for one in series])
        return self.y[np.abs(found[:, None] - self.means).argmin(1)]

    def next_answer(self, series: Any) -> Any:
        return lambda: self.predict([series])

    def nbytes(self) -> int:
        return self.means.nbytes


def example(n: int = 16, channels: int = 2, seed: int = 0) -> Any:
    """Two classes of noisy series of unequal length with other means."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    series = [
        (rng.normal(size=(int(rng.integers(10, 15)), channels)) + 3 * k).astype(np.float32)
        for k in y
    ]
    half = n // 2
    return problem.Split(series[:half], y[:half], series[half:], y[half:])


def test_a_ts_file_is_read_with_missing_values_and_labels():
    series, labels = ts_files.read_ts(io.StringIO(TS))
    np.testing.assert_array_equal(series[0], np.array([[1, 4], [2, 5], [np.nan, 6]], np.float32))
    np.testing.assert_array_equal(series[1], [[7, 9], [8, 10]])
    assert labels.tolist() == ["b", "a"]
    with pytest.raises(ValueError, match="has times"):
        ts_files.read_ts(io.StringIO(TS.replace("Stamps false", "Stamps true")))


def test_the_reader_agrees_with_that_of_the_package():
    datasets = pytest.importorskip("aeon.datasets", reason="needs the extra 'data'")
    ours = ts_files.archive_split("JapaneseVowels")
    for part, series, y in (
        ("train", ours.learned, ours.y),
        ("test", ours.tested, ours.wanted),
    ):
        theirs, labels = datasets.load_japanese_vowels(split=part)[:2]
        assert [one.T.shape for one in theirs] == [one.shape for one in series]
        for mine, other in zip(series, theirs, strict=True):
            np.testing.assert_array_equal(mine, other.T.astype(np.float32))
        np.testing.assert_array_equal(y + 1, labels.astype(int))


def test_templates_are_read_from_source_without_running_it():
    row = [0.0, 1.0, 3.0, 2.0, 5.0, 4.0, 1.0, 7.0, 2.0, 2.0, 1.0, 0.5]
    source = "raise SystemExit\n" + "\n".join(f"d{n} = np.asarray({row})" for n in range(10))
    found = mnist1d.templates(source)
    assert found.shape == (10, 12)
    np.testing.assert_array_equal(found[:, 0], 0.0)  # outlines start at 0
    np.testing.assert_allclose(found.std(axis=1), 1 / 6, rtol=1e-12)


def test_the_generator_repeats_the_series_of_the_package():
    """Figures of the arrays that mnist1d 0.0.2.post1 makes by its own code."""
    pytest.importorskip("scipy", reason="the generator smooths noise")
    if not (packages.cache() / f"mnist1d-{packages.VERSIONS['mnist1d']}").is_dir():
        pytest.skip("the package has not been downloaded")
    x, y = mnist1d.generated()
    corners = [
        [-0.33200567, 1.59348802, -0.89016639],
        [0.66191922, -0.11521478, 0.95662112],
        [-0.51932871, 1.39492833, 1.19315184],
    ]
    np.testing.assert_allclose(x[[0, 2500, 4999]][:, [0, 20, 39]], corners, rtol=1e-7)
    np.testing.assert_allclose((x**4).mean(), 4.401644977383625, rtol=1e-12)
    assert int((y * np.arange(5000)).sum()) == 56565641


def test_windows_overlap_by_half_and_are_whole():
    series = np.arange(260.0)[:, None]
    found = watch.windows(series)
    assert [int(one[0, 0]) for one in found] == [0, 50, 100, 150]
    assert {one.shape for one in found} == {(100, 1)}


def test_prefixes_have_at_least_a_step_and_end_with_the_whole():
    for length in range(1, 40):
        series = np.arange(float(length))[:, None]
        sizes = [len(conditions.prefix(series, share)) for share in conditions.CUTS]
        assert sizes == [-(-length * quarter // 4) for quarter in (1, 2, 3, 4)]
        np.testing.assert_array_equal(conditions.prefix(series, 0.5), series[: sizes[1]])


def test_gaps_have_their_share_and_leave_other_values():
    series = [np.ones((4000, 2), np.float32)]
    (found,) = conditions.with_gaps(series, 0.2, np.random.default_rng(0))
    share = np.isnan(found).mean()
    # Four standard deviations of a mean of 8,000 draws.
    assert abs(share - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 8000)
    assert found.dtype == np.float32
    assert np.nansum(found) == np.isfinite(found).sum()


def test_filling_interpolates_and_keeps_what_is_present():
    nan = np.nan
    series = np.array([[nan, nan], [1.0, nan], [nan, nan], [3.0, nan], [nan, nan]])
    found = conditions.filled(series, np.array([9.0, 7.0]))
    np.testing.assert_array_equal(found, [[1, 7], [1, 7], [2, 7], [3, 7], [3, 7]])
    rng = np.random.default_rng(1)
    whole = rng.normal(size=(30, 3))
    assert conditions.filled(whole, np.zeros(3)) is whole
    lost = np.where(rng.random(whole.shape) < 0.5, nan, whole)
    seen = np.isfinite(lost)
    np.testing.assert_array_equal(conditions.filled(lost, np.zeros(3))[seen], lost[seen])


def test_padding_is_zero_after_the_end_and_cuts_longer_series():
    found = conditions.padded([np.ones((2, 3), np.float32), np.ones((9, 3), np.float32)], 4)
    np.testing.assert_array_equal(found.sum(axis=(1, 2)), [6, 12])
    assert not found[0, :, 2:].any()


class Recorder:
    """Stands for a classifier of aeon and records its arguments."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = x, y

    def predict(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        return np.zeros(len(x), int)


def test_classifiers_of_one_length_get_prefixes_and_nothing_later():
    """Values after a cut do not change the model's input."""
    data = example()
    for kind in (rockets.Whole, rockets.OnePerCut, rockets.OnPrefixes):
        model = kind(0, Recorder)
        model.fit(data.learned, data.y)
        for share in conditions.CUTS:
            seen = [conditions.prefix(one, share) for one in data.tested]
            model.predict(seen, share)
            used = model.models[share].model if kind is rockets.OnePerCut else model.model
            assert np.isfinite(used.x).all()
            for row, one in zip(used.x, seen, strict=True):
                assert not row[:, len(one) :].any()


def test_prefixes_extend_the_training_set_with_their_classes_up_to_a_limit(monkeypatch):
    data = example()
    n = len(data.learned)
    model = rockets.OnPrefixes(0, Recorder)
    model.fit(data.learned, data.y)
    assert len(model.model.x) == 4 * n
    for row, label in zip(model.model.x, model.model.y, strict=True):
        whole = [conditions.padded([one], row.shape[1])[0] for one in data.learned]
        # The first step of a prefix is that of its series.
        origin = [k for k, one in enumerate(whole) if np.array_equal(one[:, 0], row[:, 0])]
        assert [data.y[k] for k in origin] == [label]
    monkeypatch.setattr(rockets, "MOST", n + 3)
    model = rockets.OnPrefixes(0, Recorder, gaps=0.6)
    model.fit(data.learned, data.y)
    assert len(model.model.x) == n + 3
    assert np.isfinite(model.model.x).all()


def test_plain_lstm_learns_and_continues_from_its_state(monkeypatch):
    pytest.importorskip("torch", reason="needs the extra 'torch'")
    assert plain.updates([np.zeros((9, 2))] * 50) > 0
    monkeypatch.setattr(plain, "updates", lambda series: 60)
    data = example(32)
    model = plain.PlainLSTM(0)
    model.fit(data.learned, data.y)
    assert (model.predict(data.tested) == data.wanted).mean() > 0.9
    for one in data.tested[:4]:  # the last row, and then the same row at each live step
        step = model.next_answer(one)
        for n in range(2, 6):
            assert step() == model.predict([np.repeat(one[-1:], n, axis=0)])[0]


def test_figures_hold_every_condition():
    found = measure.figures(Nearest, example(), 0)
    assert [*found["cuts"]] == ["25", "50", "75", "100"]
    assert [*found["gaps"]] == ["20", "50"]
    assert found["cuts"]["100"] == 1.0
    assert min(found[name] for name in ("step_us", "answer_us", "kilobytes", "steps")) > 0


@pytest.fixture
def small(monkeypatch) -> None:
    one = problem.Problem("small", "Small", "a test", "seeds", lambda seed: example(seed=seed))
    monkeypatch.setattr(bench, "PROBLEMS", {"small": one})
    contenders = {name: lineup.Contender(Nearest) for name in (bench.OURS, "nearest")} | {
        "absent": lineup.Contender(Nearest, ("no.such.module",))
    }
    monkeypatch.setattr(bench, "CONTENDERS", contenders)
    monkeypatch.setattr(measure, "SECONDS", 0.0)


def test_runs_resume_and_skip_what_is_not_installed(small, tmp_path, capsys):
    path = tmp_path / "found.json"
    assert bench.main(["--seeds", "1", "--json", str(path)]) == 0
    assert "without absent: no.such.module is not installed" in capsys.readouterr().err
    first = json.loads(path.read_text())
    assert {n: [*seeds] for n, seeds in first["sets"]["small"]["rows"].items()} == {
        bench.OURS: ["0"],
        "nearest": ["0"],
    }
    assert bench.main(["--seeds", "2", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("seed 1") == 2
    assert "seed 0" not in printed
    assert bench.main(["--again", "nearest", "--seeds", "1", "--json", str(path)]) == 0
    assert capsys.readouterr().out.count("seed 0") == 1


def test_figures_of_other_data_are_dropped(small, tmp_path, monkeypatch):
    path = tmp_path / "found.json"
    bench.main(["--seeds", "2", "--json", str(path)])
    other = problem.Problem("small", "Small", "a test", "seeds", lambda seed: example(seed=9))
    monkeypatch.setattr(bench, "PROBLEMS", {"small": other})
    bench.main(["--seeds", "1", "--contender", "nearest", "--json", str(path)])
    assert json.loads(path.read_text())["sets"]["small"]["rows"].keys() == {"nearest"}


def test_unknown_names_are_refused(small, tmp_path, capsys):
    for wrong in (["--only", "none"], ["--contender", "none"], ["--again", "none"]):
        assert bench.main([*wrong, "--json", str(tmp_path / "found.json")]) == 2
        assert "unknown name 'none'; known are" in capsys.readouterr().err


def test_the_page_shows_what_is_higher_and_what_is_missing(small, tmp_path):
    pytest.importorskip("jinja2", reason="needs the extra 'report'")
    pytest.importorskip("matplotlib", reason="needs the extra 'plot'")
    pages = import_module("tools.pages.estimators")
    path = tmp_path / "found.json"
    bench.main(["--seeds", "2", "--json", str(path)])
    measured = json.loads(path.read_text())
    rows = measured["sets"]["small"]["rows"]
    del rows["nearest"]["1"]
    rows["nearest"]["0"]["cuts"]["25"] = -1.0  # below any accuracy
    found = pages.estimators_page(measured, ())
    page = found["estimators_results.md"]
    assert "| 25 % of the steps | 1 | 0 | 0 |" in page
    assert "- nearest on small: 1 of 2 seeds" in page
    assert found[pages.PICTURE].lstrip().startswith("<?xml")
    del rows[bench.OURS]
    measured["sets"]["other"] = measured["sets"]["small"] | {"rows": {}}
    assert [*pages.estimators_page(measured, ())] == [
        "estimators_results.md"
    ]  # no curve is complete
    assert (
        "has not been measured yet" in pages.estimators_page(measured, ())["estimators_results.md"]
    )


def test_verdicts_need_a_difference_outside_its_interval():
    pages = import_module("tools.pages.estimators")
    assert pages.verdict((90.0, 3.0), (86.0, 4.0)) == "equal"
    assert pages.verdict((92.0, 3.0), (86.0, 4.0)) == "higher"
    assert pages.verdict((86.0, 0.0), (87.0, 0.0)) == "lower"
    assert pages.verdict((86.0, 0.0), (86.0, 0.0)) == "equal"
