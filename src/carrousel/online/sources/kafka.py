"""Kafka topics as sources of rows.

A :class:`Position` holds the next offset of every partition. A source that is opened with it
resumes with the very next message, independent of the offsets that the broker stores. Only
:meth:`TopicSource.commit` changes the committed offsets of the group, as information for others.

One process reads all partitions, unless the address names some. A model that learns a stream needs
all of it, so partitions are not balanced over a group. Rows of one partition are in order. Rows of
several partitions arrive as the brokers deliver them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from carrousel.checks import check_choice
from carrousel.errors import CarrouselError, ClusterFailedError, DataError, SettingError
from carrousel.online.closing import Closing
from carrousel.online.kafka import (
    BROKER_TIMEOUT,
    TopicAddress,
    bounds,
    confluent,
    consumer,
    partitions_of,
)
from carrousel.online.sources.bytes import SourceEvent, WaitPolicy
from carrousel.online.sources.records import CsvFormat, JsonLinesFormat, RecordFormat, Records
from carrousel.online.sources.types import (
    MAX_ROWS,
    Batch,
    Fault,
    Position,
    check_fields,
    check_same_fields,
)

_MOST_BROKEN = 1000  # messages at the beginning without a valid one, after which reading fails


def open_topic(
    url: str,
    *,
    format: str | None,
    follow: bool,
    fields: Sequence[str] | None,
    start: Position | None,
    wait: WaitPolicy,
) -> TopicSource:
    """Open a topic; see :func:`carrousel.online.sources.open.open_rows`, which calls this.

    Args:
        url: ``kafka://broker:port/topic?group=G``, see :class:`TopicAddress`.
        format: of the messages' values: ``"jsonl"`` (one object; the default) or ``"csv"`` (one
            record; needs ``fields``).
        follow: continue forever; else stop where every partition ended for the first time.
        fields: names of the fields; None: the keys of the first object.
        start: where to start; None: at the committed offsets of the group, else at the address's
            ``offset``.
        wait: limits of waiting.

    Raises:
        ClusterError: no broker responds.
        DataError: offsets of ``start`` have been deleted from the topic. If the topic ends before
            them, the first read raises this error.
        SettingError, UnknownNameError: a wrong address or option; the topic does not exist.
        MissingExtraError: confluent-kafka is not installed (extra ``kafka``).
    """
    address = TopicAddress.of(url)
    format = check_choice("format of a topic", format or "jsonl", ("jsonl", "csv"))
    if format == "csv" and fields is None:
        raise SettingError(
            "CSV in messages has no header",
            source=address.name,
            argument="fields",
            got=fields,
            fix="name the {fields}",
        )
    known = None if fields is None else check_fields(address.name, fields)
    client = consumer(address)
    try:
        return TopicSource(address, client, format, follow, known, start, wait)
    except CarrouselError:
        client.close()
        raise


class TopicSource(Closing):
    """Rows of a topic, with batches of one partition each; keys of messages are keys of rows."""

    def __init__(
        self,
        address: TopicAddress,
        client: Any,
        format: str,
        follow: bool,
        fields: tuple[str, ...] | None,
        start: Position | None,
        wait: WaitPolicy,
    ) -> None:
        self.name, self.fields = address.name, check_same_fields(fields, start)
        self._address, self._client, self._wait = address, client, wait
        csv = format == "csv"
        self._format: RecordFormat = CsvFormat(",", header=False) if csv else JsonLinesFormat()
        self._follow = follow
        partitions = partitions_of(address, client)
        offsets = self._start_offsets(partitions, start)
        self._unfinished = set(partitions)  # partitions whose end was not reached yet
        self._early: list[Any] = []  # messages received before the fields were known
        self._ready: list[Batch] = []
        self._closed = False
        row = 0 if start is None else start.row
        self.position = Position(line=row + 1, row=row, fields=self.fields, offsets=offsets)
        self._end = self.position  # position after the batches in _ready
        place = confluent().TopicPartition
        client.assign([place(address.topic, int(part), at) for part, at in offsets.items()])

    def _start_offsets(self, partitions: Sequence[int], start: Position | None) -> dict[str, int]:
        """Return partition -> offset of the first message to read."""
        address, kafka = self._address, confluent()
        known: Mapping[str, int] = {} if start is None else start.offsets
        committed: dict[str, int] = {}
        if address.group is not None and start is None:
            places = [kafka.TopicPartition(address.topic, part) for part in partitions]
            for place in self._client.committed(places, timeout=BROKER_TIMEOUT):
                if place.offset >= 0:
                    committed[str(place.partition)] = place.offset
        offsets: dict[str, int] = {}
        for part in partitions:
            oldest, newest = bounds(address, self._client, part)
            at = known.get(str(part), committed.get(str(part)))
            if at is None:
                at = oldest if address.offset == "earliest" or start is not None else newest
            if at < oldest:
                raise DataError(
                    f"rows from offset {at} have been deleted; the oldest offset is {oldest}",
                    source=f"{self.name}, partition {part}",
                )
            offsets[str(part)] = at
        return offsets

    def commit(self, position: Position) -> None:
        """Commit the offsets of the group; no-op without a group.

        Raises:
            ClusterFailedError: the broker rejects them.
        """
        if self._address.group is None:
            return
        kafka = confluent()
        places = [
            kafka.TopicPartition(self._address.topic, int(part), at)
            for part, at in position.offsets.items()
        ]
        try:
            self._client.commit(offsets=places, asynchronous=False)
        except kafka.KafkaException as error:
            problem = f"offsets were not committed: {error}"
            raise ClusterFailedError(problem, source=self.name) from error

    def close(self) -> None:
        if not self._closed:
            self._client.close()
        self._closed = True

    def __iter__(self) -> TopicSource:
        return self

    def __next__(self) -> Batch:
        while not self._ready:
            if self._closed or self._wait.stop_requested():
                raise StopIteration
            if not self._follow and not self._unfinished:
                self._name_fields(final=True)
                raise StopIteration
            limit = self._wait.timeout()
            limit = 1.0 if limit is None else min(limit, 1.0)  # Ctrl-C is handled between waits
            began = time.monotonic()
            messages = self._poll(limit)
            if messages:
                self._wait.reset()
                self._add(messages)
                continue
            event = self._wait.waited(time.monotonic() - began)
            if event is SourceEvent.STOPPED:
                raise StopIteration
            if event is SourceEvent.TICK:
                columns = [() for _ in self.fields or ()]
                return Batch(range(0), self.fields or (), columns, (), self.position, self.name)
        batch = self._ready.pop(0)
        self.position = batch.end
        return batch

    def _poll(self, limit: float) -> list[Any]:
        """Return the available messages, or wait for the first up to a limit in seconds."""
        kafka = confluent()
        first = self._client.poll(limit)
        if first is None:
            return []
        messages = [first, *self._client.consume(MAX_ROWS - 1, timeout=0)]
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.code() == kafka.KafkaError._PARTITION_EOF:
                self._unfinished.discard(message.partition())
            elif error.code() == kafka.KafkaError._AUTO_OFFSET_RESET:
                raise DataError(
                    f"the row to resume from does not exist: {error.str()}",
                    source=f"{self.name}, partition {message.partition()}",
                    fix="check whether the topic was created again or truncated",
                )
            elif error.fatal() or not error.retriable():
                raise ClusterFailedError(f"reading failed: {error.str()}", source=self.name)
        return good

    def _add(self, messages: list[Any]) -> None:
        """Convert messages to batches, one or more for each partition."""
        self._early += messages
        if not self._name_fields(final=False):
            return
        messages, self._early = self._early, []
        parts: dict[int, list[Any]] = {}
        for message in messages:
            parts.setdefault(message.partition(), []).append(message)
        for part, some in parts.items():
            for first in range(0, len(some), MAX_ROWS):
                self._ready.append(self._batch(part, some[first : first + MAX_ROWS]))

    def _name_fields(self, *, final: bool) -> bool:
        """Find the names of the fields; return whether they are known."""
        if self.fields is None:
            for message in self._early:
                row, wrong = self._row(message.value())
                if wrong is None and row:
                    self.fields = check_fields(self.name, self._format.names(row))
                    return True
            if self._early and (final or len(self._early) >= _MOST_BROKEN):
                first = self._early[0]
                wrong = self._row(first.value())[1] or ("", "it is empty")
                raise DataError(
                    f"none of the first {len(self._early)} messages can be read; "
                    f"partition {first.partition()}, offset {first.offset()}: {wrong[1]}",
                    source=self.name,
                )
        return self.fields is not None

    def _row(self, value: bytes | None) -> tuple[Any, tuple[str, str] | None]:
        """Parse the value of a message; also return the kind and reason if it is broken."""
        empty: Any = {} if isinstance(self._format, JsonLinesFormat) else []
        if value is None:
            return empty, ("no value", "the message has no value")
        if isinstance(self._format, JsonLinesFormat):
            value = value.replace(b"\n", b" ")  # JSON over several lines; strings escape line ends
        records = self._format.split(value, final=True)
        if len(records.rows) != 1:
            n = len(records.rows)
            return empty, ("no value" if n == 0 else "not CSV", f"the message holds {n} records")
        return records.rows[0], records.bad.get(0)

    def _batch(self, part: int, messages: list[Any]) -> Batch:
        """Convert messages of one partition to a batch."""
        assert self.fields is not None
        rows, bad = [], {}
        for index, message in enumerate(messages):
            row, wrong = self._row(message.value())
            rows.append(row)
            if wrong is not None:
                bad[index] = wrong
        keys: list[str | None] = []
        for index, message in enumerate(messages):
            try:
                keys.append(None if message.key() is None else message.key().decode("utf-8"))
            except UnicodeDecodeError:
                keys.append(None)
                bad.setdefault(index, ("not UTF-8", "the message's key is not UTF-8"))
        records = Records(rows, range(len(rows)), bad)
        columns, faults = self._format.columns(records, self.fields)
        offsets = [message.offset() for message in messages]
        self._end = Position(
            line=self._end.line + len(rows),
            row=self._end.row + len(rows),
            fields=self.fields,
            offsets={**self._end.offsets, str(part): offsets[-1] + 1},
        )
        unit = f"partition {part}, offset"
        found: tuple[Fault, ...] = tuple(faults)
        return Batch(offsets, self.fields, columns, found, self._end, self.name, unit, keys)
