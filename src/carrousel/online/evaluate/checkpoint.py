"""The checkpoint of a stream: the model, and where source, rows, output and errors stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carrousel.errors import SettingError

if TYPE_CHECKING:
    import numpy as np

    from carrousel.online.evaluate.prequential import Learner
    from carrousel.online.evaluate.settings import Wish
    from carrousel.online.model.model import OnlineLSTM

FORMAT = 1


@dataclass(frozen=True)
class Place:
    """Where a stream stands, all of which JSON can hold.

    Args:
        source: position of the batch that is read next.
        passed: rows of it that were taken already.
        table: what was remembered of rows before that batch.
        sink: position behind the last row written; None: none are written.
        counts: rows taken, those without a target, values held.
        skipped: rows left out, by why.
        seconds: of work so far.
    """

    source: Mapping[str, Any]
    passed: int
    table: Mapping[str, Any]
    sink: Any
    counts: Counter[str]
    skipped: Counter[str]
    seconds: float


@dataclass(frozen=True)
class Kept:
    """What a checkpoint holds."""

    place: Place
    task: str
    model: OnlineLSTM
    arrays: Mapping[str, np.ndarray]
    learner: Mapping[str, Any]


def keep(path: Path, wish: Wish, learner: Learner, place: Place) -> None:
    """Write a checkpoint, as a whole or not at all.

    ``OnlineLSTM.load`` reads the model in it.

    Raises:
        DivergedError: the model is no longer finite; the checkpoint before stays.
        UnwritableError: there is no room, or no right to write there.
    """
    arrays, plain = learner.state()
    told = {
        "format": FORMAT,
        "wish": wish.kept(),
        "task": learner.task,
        "place": {**vars(place)},
        "learner": plain,
    }
    learner.model.save(path, extra=(arrays, told))


def found(wish: Wish) -> Kept | None:
    """The checkpoint to go on from; None: there is none yet.

    Raises:
        CheckpointError: the file is damaged, or something else.
        SettingError: it is a model without a stream, or was made with other settings.
    """
    path = wish.checkpoint
    if path is None or not wish.resume or not path.exists():
        return None
    from carrousel.errors import CheckpointError
    from carrousel.online.model.checkpoint import read_extra
    from carrousel.online.model.model import OnlineLSTM

    try:
        extra = read_extra(path)
    except CheckpointError as error:
        if " was not written by " not in str(error):
            raise  # damaged, or of a newer version, and it says so
        raise CheckpointError(
            f"{path} was not written by carrousel stream; name another --checkpoint"
        ) from error
    if extra is None or extra[1].get("format") != FORMAT:
        raise SettingError(
            f"{path} was not written by this version of carrousel stream; name another --checkpoint"
        )
    arrays, told = extra
    wish.check_same(told["wish"])
    place = {**told["place"]}
    place |= {name: Counter(place[name]) for name in ("counts", "skipped")}
    model = OnlineLSTM.load(path)
    model.set_params(learning_rate=wish.rate)
    return Kept(Place(**place), told["task"], model, arrays, told["learner"])
