"""A topic of Kafka as a source of rows, and as a place for predictions.

Reading and writing are exact. A :class:`Position` holds the next offset of every partition, so a
source that is opened with it goes on with the very next message, whatever the broker remembers; the
group's committed offsets are moved by :meth:`TopicRows.commit` alone, for others to look at. A sink
that goes on from a checkpoint does not send again what already lies in the topic.

One process reads all partitions, unless the address names some: a model that learns from a stream
needs all of it, and a group that hands partitions around would tear it from its memory. Rows of one
partition come in their order; rows of several partitions come as the brokers deliver them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from carrousel.checks import check_choice
from carrousel.errors import CarrouselError, ClusterFailedError, DataError, SettingError
from carrousel.online.closing import Closing
from carrousel.online.kafka import (
    PATIENCE,
    Address,
    bounds,
    confluent,
    consumer,
    partitions_of,
)
from carrousel.online.sources.bytes import News, Patience
from carrousel.online.sources.records import Csv, Format, JsonLines, Records
from carrousel.online.sources.types import MAX_ROWS, Batch, Fault, Position, check_fields

_HOPELESS = 1000  # messages at the beginning that cannot be read


def open_topic(
    url: str,
    *,
    format: str | None,
    follow: bool,
    fields: Sequence[str] | None,
    start: Position | None,
    patience: Patience,
) -> TopicRows:
    """Read a topic; see :func:`carrousel.online.sources.open.open_rows`, which calls this.

    Args:
        url: ``kafka://broker:port/topic?group=G``, see :class:`Address`.
        format: of the messages' values: ``"jsonl"`` (one object; the default) or ``"csv"`` (one
            record; needs ``fields``).
        follow: go on for ever; else end where every partition ended for the first time.
        start: go on there; else where the group has committed, else at the address's ``offset``.

    Raises:
        ClusterError: no broker answers.
        DataError: offsets of ``start`` are gone from the topic; where the topic ends before them,
            the first read says so.
        SettingError, UnknownNameError: a wrong address or option; the topic does not exist.
        MissingExtraError: confluent-kafka is not installed (extra ``kafka``).
    """
    address = Address.of(url)
    format = check_choice("format of a topic", format or "jsonl", ("jsonl", "csv"))
    if format == "csv" and fields is None:
        raise SettingError(f"{address.name}: values of CSV have no header; name the fields")
    known = None if fields is None else check_fields(address.name, fields)
    client = consumer(address)
    try:
        return TopicRows(address, client, format, follow, known, start, patience)
    except CarrouselError:
        client.close()
        raise


class TopicRows(Closing):
    """Rows of a topic, a batch for each partition; the messages' keys are the rows' keys."""

    def __init__(
        self,
        address: Address,
        client: Any,
        format: str,
        follow: bool,
        fields: tuple[str, ...] | None,
        start: Position | None,
        patience: Patience,
    ) -> None:
        self.name, self.fields = address.name, fields
        self._address, self._client, self._patience = address, client, patience
        self._format: Format = Csv(",", header=False) if format == "csv" else JsonLines()
        self._follow = follow
        if start is not None and start.fields is not None:
            if fields not in (None, start.fields):
                raise SettingError(
                    f"fields are {fields}, but the place to go on from has {start.fields}"
                )
            self.fields = start.fields
        partitions = partitions_of(address, client)
        offsets = self._beginnings(partitions, start)
        self._open_ends = set(partitions)  # partitions whose end has not been met
        self._early: list[Any] = []  # messages from before the fields were known
        self._ready: list[Batch] = []
        self._closed = False
        row = 0 if start is None else start.row
        self.position = Position(line=row + 1, row=row, fields=self.fields, offsets=offsets)
        self._end = self.position  # of what lies ready
        place = confluent().TopicPartition
        client.assign([place(address.topic, int(part), at) for part, at in offsets.items()])

    def _beginnings(self, partitions: Sequence[int], start: Position | None) -> dict[str, int]:
        address, kafka = self._address, confluent()
        known: Mapping[str, int] = {} if start is None else start.offsets
        committed: dict[str, int] = {}
        if address.group is not None and start is None:
            places = [kafka.TopicPartition(address.topic, part) for part in partitions]
            for place in self._client.committed(places, timeout=PATIENCE):
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
                    f"{self.name}, partition {part}: rows from offset {at} on are gone; "
                    f"the oldest that is there is {oldest}"
                )
            offsets[str(part)] = at
        return offsets

    def commit(self, position: Position) -> None:
        """Commit the group's offsets; without a group there is nothing to commit.

        Raises:
            ClusterFailedError: the broker does not take them.
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
            raise ClusterFailedError(f"{self.name}: offsets are not committed: {error}") from error

    def close(self) -> None:
        if not self._closed:
            self._client.close()
        self._closed = True

    def __iter__(self) -> TopicRows:
        return self

    def __next__(self) -> Batch:
        while not self._ready:
            if self._closed or self._patience.stopped():
                raise StopIteration
            if not self._follow and not self._open_ends:
                self._name_fields(final=True)
                raise StopIteration
            limit = self._patience.slice()
            limit = 1.0 if limit is None else min(limit, 1.0)  # Ctrl-C is heard between waits
            began = time.monotonic()
            messages = self._come(limit)
            if messages:
                self._patience.news()
                self._take(messages)
                continue
            news = self._patience.after(time.monotonic() - began)
            if news is News.STOPPED:
                raise StopIteration
            if news is News.QUIET:
                columns = [() for _ in self.fields or ()]
                return Batch(range(0), self.fields or (), columns, (), self.position, self.name)
        batch = self._ready.pop(0)
        self.position = batch.end
        return batch

    def _come(self, limit: float) -> list[Any]:
        """Messages that are here, or the first to come within the limit."""
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
                self._open_ends.discard(message.partition())
            elif error.code() == kafka.KafkaError._AUTO_OFFSET_RESET:
                raise DataError(
                    f"{self.name}, partition {message.partition()} does not hold the row to go on "
                    f"at: {error.str()}; it was made anew, or cut before it was read"
                )
            elif error.fatal() or not error.retriable():
                raise ClusterFailedError(f"{self.name} cannot be read on: {error.str()}")
        return good

    def _take(self, messages: list[Any]) -> None:
        """Make a batch of every partition's messages."""
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
        if self.fields is None:
            for message in self._early:
                row, wrong = self._row(message.value())
                if wrong is None and row:
                    self.fields = check_fields(self.name, self._format.names(row))
                    return True
            if self._early and (final or len(self._early) >= _HOPELESS):
                first = self._early[0]
                wrong = self._row(first.value())[1] or ("", "it is empty")
                raise DataError(
                    f"{self.name}: none of its first {len(self._early)} messages can be read; "
                    f"partition {first.partition()}, offset {first.offset()}: {wrong[1]}"
                )
        return self.fields is not None

    def _row(self, value: bytes | None) -> tuple[Any, tuple[str, str] | None]:
        """One message's value taken apart, and what is wrong with it."""
        empty: Any = {} if isinstance(self._format, JsonLines) else []
        if value is None:
            return empty, ("no value", "the message has no value")
        if isinstance(self._format, JsonLines):
            value = value.replace(b"\n", b" ")  # laid out over lines; no string holds a bare one
        records = self._format.cut(value, final=True)
        if len(records.rows) != 1:
            n = len(records.rows)
            return empty, ("no value" if n == 0 else "not CSV", f"the message holds {n} records")
        return records.rows[0], records.bad.get(0)

    def _batch(self, part: int, messages: list[Any]) -> Batch:
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
