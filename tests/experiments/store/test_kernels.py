"""Versions of the kernels: trials of two versions are kept apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from carrousel.errors import SettingError
from carrousel.experiments.report.collect import collect, stored
from carrousel.experiments.report.table import footnotes, provenance
from carrousel.experiments.run import runner
from carrousel.experiments.run.lanes import Share, advance
from carrousel.experiments.run.runner import run
from carrousel.experiments.run.trial import TrialPlan
from carrousel.experiments.stopping import RecentTraining
from carrousel.experiments.store.packed import MergeResult, merge, pack, trials_in
from carrousel.experiments.store.settings import fingerprint
from carrousel.experiments.store.store import Store
from carrousel.experiments.study.study import find
from carrousel.experiments.study.table import notes
from carrousel.kernels import KERNEL_VERSION
from support.experiments import fakes
from support.experiments.scripted import ScriptedLearner, experiment

NOW, NEXT = KERNEL_VERSION, KERNEL_VERSION + 1
ROW = fakes.experiment()


def put(store: Store, numbers: range, kernel: int) -> None:
    for number in numbers:
        trial = fakes.trial(number, steps=kernel)
        assert store.append(trial, ROW, instruction_set="plain", kernel=kernel)


def counts(folder: Path) -> dict[int, int]:
    with Store(folder, read_only=True) as store:
        return {each.kernel: each.trials for each in store.holdings()}


# --- several versions in one store ----------------------------------------------------------------


def test_versions_are_kept_side_by_side(tmp_path):
    with Store(tmp_path) as store:
        put(store, range(3), NEXT)
        put(store, range(2), NOW)
        for kernel, number in ((NOW, 2), (NEXT, 3)):
            found = store.trials(ROW.name, 0, fingerprint(ROW), kernel)
            assert [trial.steps for trial in found] == [kernel] * number
        assert not store.append(fakes.trial(0), ROW, instruction_set="plain")
        assert [trial.steps for trial in store.trials(ROW.name)] == [NOW] * 2
        old = store.session(ROW, seed=0, trials=9, kernel=NEXT)
        store.add_seconds({old: 5.0})
        asked = {each.kernel: (each.trials, each.asked, each.seconds) for each in store.holdings()}
    assert asked == {NOW: (2, 2, 0.0), NEXT: (3, 9, 5.0)}


def test_a_run_does_not_use_trials_of_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "learner_named", lambda name: ScriptedLearner)
    row = experiment()
    with Store(tmp_path) as store:
        for number in range(3):
            wrong = fakes.trial(number, row.name, seed=5, sequences=1)
            store.append(wrong, row, instruction_set="plain", kernel=NEXT)
        found = run(row, trials=3, seed=5, store=store)
        assert all(trial.sequences > 1 for trial in found)
        assert store.trials(row.name, 5) == found
        assert [each.sequences for each in store.trials(row.name, 5, kernel=NEXT)] == [1] * 3
        entry = stored(store, row, 5, 3)
    assert (entry.kernel, dict(entry.others), len(entry.trials)) == (NOW, {NEXT: 3}, 3)
    assert entry.notes == [f"not counted: 3 trials that kernels of version {NEXT} ran"]
    assert entry.as_json()["trials_of_other_kernels"] == {str(NEXT): 3}


def test_a_paused_trial_of_another_version_is_not_continued():
    never = experiment(RecentTraining(window=50_000))
    share = Share({0: TrialPlan(never, ScriptedLearner, seed=1)}, pending=[(0, 0)])
    [paused] = advance(share, seconds=0.0).paused
    paused.kernel = NEXT
    with pytest.raises(SettingError, match=f"kernel is {NEXT}, expected {NOW}"):
        advance(Share(share.plans, [paused]), seconds=0.0)


@pytest.mark.parametrize("kernel", [NOW - 1, NOW])
def test_reports_and_studies_show_the_newest_version_and_count_the_others(tmp_path, kernel):
    """Trials of an earlier version are shown with a label until the present one has run."""
    with Store(tmp_path) as store:
        put(store, range(4), kernel - 1)
        put(store, range(3), kernel)
        store.session(ROW, seed=0, trials=7)  # has not ended a trial of the present version
        report, study = collect(store, {ROW.name: ROW}), find(store, ROW)
    [entry] = report.entries
    [variation] = study.variations
    for one in (entry, variation):
        assert (one.kernel, dict(one.others)) == (kernel, {kernel - 1: 4})
        assert [trial.steps for trial in one.trials] == [kernel] * 3
    assert variation.as_json()["kernel"] == kernel
    assert f"kernels of version {kernel}, " in provenance(report.entries)
    for lines in (footnotes(report), notes(study)):
        text = "\n".join(lines).lower()
        assert f"not counted: 4 trials that kernels of version {kernel - 1} ran" in text
        label = f"all trials were run by kernels of version {kernel}. trials of version"
        assert (label in text) == (kernel != NOW)


@pytest.mark.parametrize("packed", [False, True])
def test_merging_and_packing_keep_versions_apart(tmp_path, packed):
    target, source = tmp_path / "a", tmp_path / "b"
    with Store(target) as store:
        put(store, range(2), NOW)
    with Store(source) as store:
        put(store, range(1, 4), NEXT)
        put(store, range(1), NOW)
    if packed:
        pack(target)
    assert merge(target, source) == MergeResult(added=3, differing=0)
    pack(target)
    assert trials_in(target) == {NOW: 2, NEXT: 3}
