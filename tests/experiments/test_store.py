"""A store loses no trial and doubles none, and says in one sentence what stands in its way."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fakes
from carrousel.contracts import Init, Published, Trial
from carrousel.experiments.settings import canonical, differences, fingerprint, settings_of
from carrousel.experiments.store import FILE_NAME, Store
from carrousel.shapes import SettingError, StoreError


def put(store: Store, *trials: Trial, **changes: Any) -> list[bool]:
    return [
        store.append(each, fakes.experiment(each.experiment, **changes), instruction_set="plain")
        for each in trials
    ]


# --- what goes in comes out -----------------------------------------------------------------------

numbers = st.floats(allow_nan=False)
trials = st.builds(
    Trial,
    experiment=st.just("4-1"),
    index=st.integers(0, 2**31),
    seed=st.integers(0, 2**63 - 1),
    ending=st.sampled_from(["solved", "budget", "diverged"]),
    sequences=st.integers(0, 2**62),
    steps=st.integers(0, 2**62),
    seconds=st.floats(0, 1e9),
    measures=st.dictionaries(st.text(max_size=12), numbers, max_size=4),
    curve=st.lists(st.tuples(st.integers(0, 2**62), numbers), max_size=6).map(tuple),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trial=trials)
def test_a_trial_comes_back_as_it_was(tmp_path_factory, trial):
    with Store(tmp_path_factory.mktemp("store")) as store:
        put(store, trial)
        assert store.trials("4-1") == [trial]


def test_figures_that_are_no_numbers_come_back(tmp_path):
    curve = ((1, math.nan), (2, math.inf))
    with Store(tmp_path) as store:
        put(store, fakes.trial(0, ending="diverged", measures={"error": math.nan}, curve=curve))
        (back,) = store.trials("4-1")
    np.testing.assert_equal(back.measures["error"], math.nan)
    np.testing.assert_equal(np.array(back.curve), np.array(curve))


def test_numpy_scalars_are_stored_as_numbers(tmp_path):
    odd = fakes.trial(
        0,
        sequences=np.int64(7),
        steps=np.int32(70),
        seconds=np.float64(0.5),
        measures={"wrong": np.float32(0.25)},
        curve=((np.int64(7), np.float32(0.5)),),
    )
    with Store(tmp_path) as store:
        put(store, odd)
        (back,) = store.trials("4-1")
    assert back == odd
    assert type(back.sequences) is int
    assert type(back.measures["wrong"]) is float


def test_trials_come_in_order_of_seed_and_index(tmp_path):
    with Store(tmp_path) as store:
        put(store, *(fakes.trial(i, seed=seed) for i in (2, 0, 1) for seed in (5, 3)))
        put(store, fakes.trial(0, "6a"))
        assert [(t.seed, t.index) for t in store.trials("4-1")] == [
            *((3, 0), (3, 1), (3, 2)),
            *((5, 0), (5, 1), (5, 2)),
        ]
        assert [t.index for t in store.trials("4-1", seed=5)] == [0, 1, 2]
        assert store.trials("4-1", seed=4) == store.trials("4-2") == []


def test_the_same_trial_twice_stays_as_it_first_was(tmp_path):
    with Store(tmp_path) as store:
        first = fakes.trial(0)
        assert put(store, first, dataclasses.replace(first, sequences=1)) == [True, False]
        assert store.trials("4-1") == [first]


def test_a_trial_of_another_experiment_is_refused(tmp_path):
    with Store(tmp_path) as store:
        with pytest.raises(SettingError, match="'6a' is not one of '4-1'"):
            store.append(fakes.trial(0, "6a"), fakes.experiment("4-1"), instruction_set="plain")
        assert store.holdings() == []


# --- settings -------------------------------------------------------------------------------------


def test_words_about_an_experiment_leave_its_fingerprint_alone():
    reworded = fakes.experiment(
        title="sums", readings=(), published=Published("Table 8", None, None, None, 3)
    )
    assert fingerprint(reworded) == fingerprint(fakes.experiment())


NETWORK = fakes.experiment().network
CHANGES = {
    "task": fakes.FakeTask(length=101),
    "network": dataclasses.replace(NETWORK, init=Init(range=0.2)),
    "learner": "rtrl",
    "training": dataclasses.replace(fakes.experiment().training, update="step"),
    "stop": fakes.FakeStop(bounds={"error": 0.02}),
    "budget": 999_999,
}


@pytest.mark.parametrize("field", CHANGES)
def test_every_setting_changes_the_fingerprint(field):
    before, now = fakes.experiment(), fakes.experiment(**{field: CHANGES[field]})
    assert fingerprint(before) != fingerprint(now)
    (told,) = differences(settings_of(before), settings_of(now))
    assert told.startswith(field)


def test_whole_floats_and_integers_are_one_setting():
    one, same = (fakes.experiment(training=fakes.Training(rate=rate)) for rate in (1, 1.0))
    assert fingerprint(one) == fingerprint(same)


def test_what_cannot_be_written_down_is_refused():
    with pytest.raises(SettingError, match="expected a dataclass of numbers"):
        fingerprint(fakes.experiment(task=object()))


def test_different_settings_are_never_mixed(tmp_path):
    old, now = fakes.experiment(budget=5), fakes.experiment()
    with Store(tmp_path) as store:
        put(store, fakes.trial(0), fakes.trial(1), budget=5)
        put(store, fakes.trial(0))
        with pytest.raises(StoreError, match="2 different settings"):
            store.trials("4-1")
        assert len(store.trials("4-1", fingerprint=fingerprint(old))) == 2
        assert store.trials("4-1", 0, fingerprint(now)) == [fakes.trial(0)]
        held = {each.fingerprint: each.trials for each in store.holdings()}
        assert held == {fingerprint(old): 2, fingerprint(now): 1}
        assert store.settings(fingerprint(old)) == settings_of(old)
        with pytest.raises(StoreError, match="no settings with fingerprint"):
            store.settings("0" * 64)


def test_settings_survive_json():
    written = canonical(settings_of(fakes.experiment()))
    assert canonical(json.loads(written)) == written


# --- sessions -------------------------------------------------------------------------------------


def test_sessions_add_up(tmp_path, monkeypatch):
    now = iter([100.0, 103.0, 104.0, 200.0, 202.0])
    monkeypatch.setattr("carrousel.experiments.store.time.monotonic", lambda: next(now))
    experiment = fakes.experiment()
    with Store(tmp_path) as store:
        with store.session(experiment, seed=0, trials=10):
            assert [(h.trials, h.asked, h.seconds) for h in store.holdings()] == [(0, 10, 0.0)]
            put(store, fakes.trial(0))
            assert store.holdings()[0].seconds == 3.0
        with store.session(experiment, seed=0, trials=5):
            pass
        (held,) = store.holdings()
    assert (held.trials, held.asked, held.seconds) == (1, 10, 6.0)
    assert held.instruction_sets == ("plain",)
    assert len(held.versions) == 1


def test_a_session_keeps_its_time_when_it_breaks_off(tmp_path, monkeypatch):
    now = iter([100.0, 103.0])
    monkeypatch.setattr("carrousel.experiments.store.time.monotonic", lambda: next(now))
    with Store(tmp_path) as store:
        with (
            pytest.raises(KeyboardInterrupt),
            store.session(fakes.experiment(), seed=0, trials=1),
        ):
            raise KeyboardInterrupt
        assert store.holdings()[0].seconds == 3.0


# --- what stands in the way -----------------------------------------------------------------------


def refused(folder: Path, **how: Any) -> str:
    with pytest.raises(StoreError) as caught:
        Store(folder, **how).close()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_no_store(tmp_path):
    (tmp_path / FILE_NAME).write_text("name,trials\n" * 100)
    assert "not a store of trials" in refused(tmp_path)
    assert "not a store of trials" in refused(tmp_path, read_only=True)


def test_another_programs_database(tmp_path):
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("CREATE TABLE bookmarks (url)")
    db.close()
    assert "another program's database" in refused(tmp_path)
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]
    db.close()


def test_a_store_of_another_version(tmp_path):
    with Store(tmp_path) as store:
        put(store, fakes.trial(0))
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    assert "another version of carrousel (schema 2, this one has 1)" in refused(tmp_path)


@pytest.mark.parametrize("damage", ["middle", "cut"])
def test_a_damaged_file(tmp_path, damage):
    with Store(tmp_path) as store:
        put(store, *(fakes.trial(i) for i in range(40)))
    file = tmp_path / FILE_NAME
    content = bytearray(file.read_bytes())
    if damage == "middle":
        content[5000:20000] = np.random.default_rng(0).bytes(15000)
    else:
        del content[len(content) // 2 :]
    file.write_bytes(content)
    assert "damaged" in refused(tmp_path)
    assert "damaged" in refused(tmp_path, read_only=True)


def test_a_row_that_makes_no_sense(tmp_path):
    with Store(tmp_path) as store:
        put(store, fakes.trial(0))
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("UPDATE trials SET curve = '[[1'")
    db.close()
    with Store(tmp_path) as store, pytest.raises(StoreError, match="damaged"):
        store.trials("4-1")


def test_nothing_there_to_read(tmp_path):
    assert "holds no trials" in refused(tmp_path / "absent", read_only=True)
    assert not (tmp_path / "absent").exists()
    (tmp_path / FILE_NAME).touch()
    assert "holds no trials yet" in refused(tmp_path, read_only=True)
    Store(tmp_path).close()  # killed before it wrote anything, a store can still be used


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    assert "File exists" in refused(tmp_path / "file")


def test_a_full_disk(tmp_path):
    with Store(tmp_path) as store:
        put(store, fakes.trial(0))
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages + 2}")  # SQLite's own "disk is full"
        with pytest.raises(StoreError, match="no room is left on the disk"):
            put(store, *(fakes.trial(i) for i in range(1, 100)))
        kept = store.trials("4-1")
        assert kept == [fakes.trial(i) for i in range(len(kept))]
        assert 1 < len(kept) < 100
        store._db.execute("PRAGMA max_page_count = 100000")
        assert put(store, fakes.trial(len(kept))) == [True]  # room was made: it goes on


@contextmanager
def nobody() -> Iterator[None]:
    """Root may write anywhere, so it steps down to a user who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(tmp_path):
    """A folder that any user can reach."""
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    return tmp_path


def test_a_write_protected_folder(open_folder):
    folder = open_folder / "store"
    with Store(folder) as store:
        put(store, fakes.trial(0))
    folder.chmod(0o555)
    for mode in (0o444, 0o666):  # the folder alone is protected, or the file too
        (folder / FILE_NAME).chmod(mode)
        with nobody():
            assert "folder you may write to" in refused(folder)
            assert "folder you may write to" in refused(folder / "inside")
            with Store(folder, read_only=True) as store:
                assert store.trials("4-1") == [fakes.trial(0)]
                with pytest.raises(StoreError, match="cannot be written"):
                    put(store, fakes.trial(1))
    folder.chmod(0o755)


# --- several processes ----------------------------------------------------------------------------


def test_a_writer_waits_for_another(tmp_path):
    with Store(tmp_path) as mine, Store(tmp_path, patience=0.1) as hasty, Store(tmp_path) as other:
        mine._db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process keeps it locked"):
            put(hasty, fakes.trial(0))
        waiting = threading.Thread(target=put, args=(other, fakes.trial(1)))
        waiting.start()
        assert [t.index for t in mine.trials("4-1")] == []
        mine._db.execute("COMMIT")
        waiting.join()
        assert [t.index for t in hasty.trials("4-1")] == [1]


def script(text: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python of its own that knows the fakes."""
    head = f"import sys; sys.path.insert(0, {str(Path(fakes.__file__).parent)!r})\n"
    head += "import fakes\nfrom carrousel.experiments.store import Store\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(text), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_many_processes_make_and_fill_one_store(tmp_path):
    fill = """
        experiment = fakes.experiment()
        with Store(sys.argv[1]) as store:
            for index in range(25):
                if store.append(fakes.trial(index), experiment, instruction_set="plain"):
                    print(index)
    """
    writers = [script(fill, tmp_path) for _ in range(4)]
    added = [int(line) for each in writers for line in each.communicate()[0].split()]
    assert [each.returncode for each in writers] == [0] * 4
    assert sorted(added) == list(range(25))  # each trial was added by one of them
    with Store(tmp_path) as store:
        assert store.trials("4-1") == [fakes.trial(i) for i in range(25)]


KILLS = 60


def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(tmp_path):
    # One interpreter forks a writer after the other and kills it with SIGKILL wherever it happens
    # to be: making the store, writing, syncing, undoing the journal of the one before it.
    work = """
        import os, random, signal, time
        folder, kills = sys.argv[1], int(sys.argv[2])
        experiment, rng = fakes.experiment(), random.Random(7)
        for turn in range(kills):
            writer = os.fork()
            if writer == 0:
                with Store(folder) as store, store.session(experiment, seed=0, trials=10**6):
                    have = store.trials("4-1")
                    for index in range(len(have), 10**6):
                        added = store.append(fakes.trial(index), experiment, instruction_set="x")
                        os.write(1, f"{index if added else 'twice'}\\n".encode())
            time.sleep(rng.uniform(0.0, 0.06))
            os.kill(writer, signal.SIGKILL)
            os.write(1, f"killed {os.waitpid(writer, 0)[1]}\\n".encode())
    """
    writer = script(work, tmp_path, KILLS)
    lines = writer.communicate()[0].splitlines()
    assert writer.returncode == 0
    assert lines.count(f"killed {int(signal.SIGKILL)}") == KILLS
    acknowledged = [int(line) for line in lines if not line.startswith("killed")]
    with Store(tmp_path) as store:
        kept = store.trials("4-1")
    # In order and without gaps; a trial may have been stored and its acknowledgement killed.
    assert acknowledged == sorted(set(acknowledged))
    assert set(acknowledged) <= {trial.index for trial in kept}
    assert kept == [fakes.trial(i) for i in range(len(kept))]
    assert len(acknowledged) >= KILLS // 4
    unacknowledged = len(kept) - len(acknowledged)
    assert 0 <= unacknowledged <= KILLS


def test_an_interrupted_write_is_undone_by_whoever_may(open_folder):
    folder = open_folder / "store"
    with Store(folder) as store:
        put(store, fakes.trial(0))
    hot = """
        import os, signal
        store = Store(sys.argv[1])
        store._db.execute("PRAGMA cache_size = 1")  # changed pages spill into the file at once
        store._db.execute("BEGIN IMMEDIATE")
        for index in range(1, 50):
            store._db.execute("INSERT INTO trials SELECT experiment, fingerprint, seed, ?, ending, "
                "sequences, steps, seconds, measures, curve, version, instruction_set, ended "
                "FROM trials WHERE number = 0", (index,))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    script(hot, folder).communicate()
    assert (folder / f"{FILE_NAME}-journal").stat().st_size > 0
    protected = open_folder / "protected"
    shutil.copytree(folder, protected)
    protected.chmod(0o555)
    with nobody():
        assert "an interrupted write must be undone" in refused(protected, read_only=True)
    with Store(folder, read_only=True) as store:
        assert store.trials("4-1") == [fakes.trial(0)]
    protected.chmod(0o755)
