"""Stores that are damaged, full, locked or write-protected, and processes that are killed."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carrousel.errors import StoreError
from carrousel.experiments.store import schema
from carrousel.experiments.store import store as store_module
from carrousel.experiments.store.store import FILE_NAME, Store
from support.experiments import fakes
from support.experiments.fakes import put
from support.paths import TESTS

# --- errors ---------------------------------------------------------------------------------------


def refused(folder: Path, **how: Any) -> str:
    with pytest.raises(StoreError) as caught:
        Store(folder, **how).close()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_that_is_not_a_store(tmp_path):
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
        db.execute("PRAGMA user_version = 7")
    db.close()
    message = refused(tmp_path)
    assert "another version of carrousel (its schema is 7, expected 1 to 6)" in message


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


def test_a_row_that_cannot_be_parsed(tmp_path):
    with Store(tmp_path) as store:
        put(store, fakes.trial(0))
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute("UPDATE trials SET curve = '[[1'")
    db.close()
    with Store(tmp_path) as store, pytest.raises(StoreError, match="damaged"):
        store.trials("4-1")


def test_reading_a_missing_or_empty_store(tmp_path):
    assert "holds no trials" in refused(tmp_path / "absent", read_only=True)
    assert not (tmp_path / "absent").exists()
    (tmp_path / FILE_NAME).touch()
    assert "holds no trials yet" in refused(tmp_path, read_only=True)
    Store(tmp_path).close()  # an empty file, as after a kill, can become a store


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    assert "File exists" in refused(tmp_path / "file")


def test_a_full_disk(tmp_path):
    with Store(tmp_path) as store:
        put(store, fakes.trial(0))
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages + 2}")  # SQLite's own "disk is full"
        with pytest.raises(StoreError, match="the disk is full"):
            put(store, *(fakes.trial(i) for i in range(1, 100)))
        kept = store.trials("4-1")
        assert kept == [fakes.trial(i) for i in range(len(kept))]
        assert 1 < len(kept) < 100
        store._db.execute("PRAGMA max_page_count = 100000")
        assert put(store, fakes.trial(len(kept))) == [True]  # after space was freed


@contextmanager
def unprivileged() -> Iterator[None]:
    """Run as another user if the user is root, who may write anywhere."""
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
    """A folder that any user can enter."""
    made = [f for f in tmp_path.parents if "pytest-of-" in str(f)]  # those above are not pytest's
    for folder in (tmp_path, *made):
        folder.chmod(0o755)
    return tmp_path


def test_a_write_protected_folder(open_folder):
    folder = open_folder / "store"
    with Store(folder) as store:
        put(store, fakes.trial(0))
    folder.chmod(0o555)
    for mode in (0o444, 0o666):  # the folder and the file, or the folder alone
        (folder / FILE_NAME).chmod(mode)
        with unprivileged():
            assert "choose a writable folder" in refused(folder)
            assert "choose a writable folder" in refused(folder / "inside")
            with Store(folder, read_only=True) as store:
                assert store.trials("4-1") == [fakes.trial(0)]
                with pytest.raises(StoreError, match="cannot be written"):
                    put(store, fakes.trial(1))
    folder.chmod(0o755)


# --- several processes ----------------------------------------------------------------------------


def test_a_writer_waits_for_another(tmp_path):
    with Store(tmp_path) as mine, Store(tmp_path, timeout=0.1) as hasty, Store(tmp_path) as other:
        mine._db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process keeps it locked"):
            put(hasty, fakes.trial(0))
        waiting = threading.Thread(target=put, args=(other, fakes.trial(1)))
        waiting.start()
        assert [t.index for t in mine.trials("4-1")] == []
        mine._db.execute("COMMIT")
        waiting.join()
        assert [t.index for t in hasty.trials("4-1")] == [1]


def test_two_processes_that_create_a_store_at_once(tmp_path):
    # The first holds the lock of an empty file; the second has seen that it is empty and waits.
    first = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    first.execute("BEGIN IMMEDIATE")
    failures = []

    def second() -> None:
        try:
            with Store(tmp_path) as store:
                put(store, fakes.trial(0))
        except StoreError as error:
            failures.append(error)

    waiting = threading.Thread(target=second)
    waiting.start()
    time.sleep(0.3)
    for statement in (*schema.PLAIN_TABLES, *PRAGMAS):
        first.execute(statement)
    first.execute("COMMIT")
    first.close()
    waiting.join()
    assert failures == []
    with Store(tmp_path) as store:
        assert store.trials("4-1") == [fakes.trial(0)]


PRAGMAS = (
    f"PRAGMA application_id = {store_module._APPLICATION_ID}",
    f"PRAGMA user_version = {schema.PLAIN}",
)


def script(text: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a Python process that can import the fakes."""
    head = f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
    head += "from support.experiments import fakes\n"
    head += "from carrousel.experiments.store.store import Store\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(text), *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_many_processes_create_and_fill_one_store(tmp_path):
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
    assert sorted(added) == list(range(25))  # each trial was added once
    with Store(tmp_path) as store:
        assert store.trials("4-1") == [fakes.trial(i) for i in range(25)]


KILLS = 40


def test_no_acknowledged_trial_is_lost_when_the_writer_is_killed(tmp_path):
    # A process forks one writer after the other. It waits for some acknowledgements and a random
    # time, and kills the writer with SIGKILL, which may be creating the store, writing, syncing, or
    # rolling back the journal of the writer before.
    work = """
        import os, random, signal, time
        folder, kills = sys.argv[1], int(sys.argv[2])
        experiment, rng = fakes.experiment(), random.Random(7)
        for turn in range(kills):
            reading, writing = os.pipe()
            writer = os.fork()
            if writer == 0:
                with Store(folder) as store:
                    store.session(experiment, seed=0, trials=10**6)
                    for index in range(len(store.trials("4-1")), 10**6):
                        added = store.append(fakes.trial(index), experiment, instruction_set="x")
                        os.write(writing, f"{index if added else 'twice'}\\n".encode())
            os.close(writing)
            output = open(reading)
            for _ in range(rng.randrange(4)):
                print(output.readline(), end="")
            time.sleep(rng.uniform(0.0, 0.03))
            os.kill(writer, signal.SIGKILL)
            status = os.waitpid(writer, 0)[1]
            print(output.read(), end="")
            print("killed", status)
    """
    writer = script(work, tmp_path, KILLS)
    lines = writer.communicate()[0].splitlines()
    assert writer.returncode == 0
    assert lines.count(f"killed {int(signal.SIGKILL)}") == KILLS
    acknowledged = [int(line) for line in lines if not line.startswith("killed")]
    with Store(tmp_path) as store:
        kept = store.trials("4-1")
    # In order and without gaps. The writer may be killed between storing and acknowledging a trial.
    assert acknowledged == sorted(set(acknowledged))
    assert set(acknowledged) <= {trial.index for trial in kept}
    assert kept == [fakes.trial(i) for i in range(len(kept))]
    assert len(acknowledged) >= KILLS  # it waits for 1.5 on average
    assert 0 <= len(kept) - len(acknowledged) <= KILLS


def test_an_interrupted_write_is_rolled_back_in_a_writable_folder(open_folder):
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
                "sequences, steps, seconds, measures, curve, version, instruction_set, ended, "
                "kernel, code FROM trials WHERE number = 0", (index,))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    script(hot, folder).communicate()
    assert (folder / f"{FILE_NAME}-journal").stat().st_size > 0
    protected = open_folder / "protected"
    shutil.copytree(folder, protected)
    protected.chmod(0o555)
    with unprivileged():
        assert "an interrupted write must be rolled back" in refused(protected, read_only=True)
    with Store(folder, read_only=True) as store:
        assert store.trials("4-1") == [fakes.trial(0)]
    protected.chmod(0o755)


def test_a_store_with_foreign_views_or_triggers_is_refused(tmp_path):
    """A trigger could delete trials, and a view could be endless, as soon as the file is used."""
    foreign = (
        "CREATE TRIGGER gone AFTER INSERT ON trials BEGIN DELETE FROM trials; END",
        "CREATE VIEW endless AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n)"
        " SELECT x FROM n",
    )
    for number, statement in enumerate(foreign):
        folder = tmp_path / str(number)
        with Store(folder):
            pass
        with sqlite3.connect(folder / FILE_NAME) as db:
            db.execute(statement)
        db.close()
        for read_only in (True, False):
            with pytest.raises(StoreError, match="which no store has"):
                Store(folder, read_only=read_only)


def test_rows_of_other_types_are_damage(tmp_path):
    for change in (
        "sequences = 'many'",
        "seconds = 'long'",
        "curve = '[' || hex(zeroblob(9000000))",
    ):
        folder = tmp_path / change[:4]
        with Store(folder) as store:
            put(store, fakes.trial(0))
        with sqlite3.connect(folder / FILE_NAME) as db:
            db.execute(f"UPDATE trials SET {change}")
        db.close()
        with Store(folder) as store, pytest.raises(StoreError, match="damaged"):
            store.trials("4-1")
