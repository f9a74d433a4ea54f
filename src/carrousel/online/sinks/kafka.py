"""Kafka topics as sinks of predictions."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from carrousel.checks import check_choice
from carrousel.errors import ClusterFailedError, DataError, SettingError
from carrousel.online.closing import Closing
from carrousel.online.kafka import (
    BROKER_TIMEOUT,
    TopicAddress,
    bounds,
    confluent,
    consumer,
    end_of,
    partitions_of,
)
from carrousel.online.sinks.forms import Columns, check_columns, objects


def open_topic_sink(
    url: str, *, format: str | None = None, start: int | Mapping[str, int] | None = None
) -> TopicSink:
    """Open a topic; see :func:`carrousel.online.sinks.open.open_sink`, which calls this.

    Every row is one message, a JSON object. The CRC-32 of its key chooses the partition, as in
    librdkafka. Rows without a key go to the first partition.

    Args:
        url: ``kafka://broker:port/topic``; ``partitions=`` names the partitions to write to.
        format: ``"jsonl"``, or None.
        start: the position of a checkpoint. Messages after it in the topic were written after the
            checkpoint, if there is no other writer. As many rows of each partition are not sent
            again.

    Raises:
        ClusterError: no broker responds.
        DataError: the topic ends before ``start``.
        SettingError, UnknownNameError: a wrong address, format or position; no such topic.
        MissingExtraError: confluent-kafka is not installed (extra ``kafka``).
    """
    address = TopicAddress.of(url)
    check_choice("format of a topic", format or "jsonl", ("jsonl",))
    if isinstance(start, int):
        expected = "the offsets of the topic's partitions"
        raise SettingError(argument="start", got=start, expected=expected)
    client = consumer(address)
    try:
        partitions = partitions_of(address, client)
        known = {int(part): at for part, at in (start or {}).items()}
        if start is not None and sorted(known) != partitions:
            expected = f"partitions {partitions}"
            raise SettingError(
                f"start has partitions {sorted(known)}, expected {partitions}",
                source=address.name,
                argument="start",
                got=start,
                expected=expected,
            )
        sent: dict[int, int] = {}
        for part in partitions:
            begin = known[part] if start is not None else bounds(address, client, part)[1]
            end = end_of(address, client, part, begin)
            if end is None:
                raise DataError(
                    f"the partition does not reach offset {begin} of the checkpoint",
                    source=f"{address.name}, partition {part}",
                    fix="check whether this is another topic, or it was created again",
                )
            sent[part] = end - begin if start is not None else 0
            known.setdefault(part, end)
    finally:
        client.close()
    return TopicSink(address, known, sent)


class TopicSink(Closing):
    """Rows as messages, each sent once, in order, and acknowledged by all replicas in sync.

    Args:
        address: the topic.
        ends: partition -> offset of the next message.
        sent: partition -> number of the next rows that are in the topic already.
    """

    format = "jsonl"
    keyed = True

    def __init__(self, address: TopicAddress, ends: dict[int, int], sent: dict[int, int]) -> None:
        kafka = confluent()
        self.name = address.name
        self._address, self._ends, self._sent = address, ends, sent
        self._partitions = sorted(ends)
        self._names: tuple[str, ...] | None = None
        self._failure: str | None = None
        try:
            self._producer: Any = kafka.Producer(
                address.config(enable_idempotence=True, linger_ms=5)
            )
        except (kafka.KafkaException, ValueError) as error:
            raise SettingError(str(error), source=self.name) from error

    def write(self, columns: Columns, keys: Sequence[str | None] | None = None) -> None:
        """Send rows; all are acknowledged when this returns.

        Raises:
            ShapeError: columns have unequal lengths, or other names than before.
            ClusterFailedError: the brokers do not accept them.
        """
        n_rows = check_columns(self.name, columns, self._names)
        self._names = tuple(columns)
        for row, value in enumerate(objects(columns)):
            key = None if keys is None or keys[row] is None else str(keys[row]).encode("utf-8")
            part = self._partitions[0 if key is None else zlib.crc32(key) % len(self._partitions)]
            if self._sent[part]:
                self._sent[part] -= 1
                self._ends[part] += 1
                continue
            self._send(part, key, value)
        left = self._producer.flush(BROKER_TIMEOUT) if n_rows else 0
        if left and self._failure is None:
            self._failure = f"{left} rows were not acknowledged within {BROKER_TIMEOUT:g} seconds"
        if self._failure is not None:
            raise ClusterFailedError(f"writing failed: {self._failure}", source=self.name)

    def _send(self, part: int, key: bytes | None, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(
                    self._address.topic, value, key, part, on_delivery=self._delivered
                )
            except BufferError:  # the queue of librdkafka is full
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._failure = self._failure or error.str()
        else:
            self._ends[message.partition()] = message.offset() + 1

    def position(self) -> dict[str, int]:
        """Return partition -> offset after its last row."""
        return {str(part): at for part, at in self._ends.items()}

    def close(self) -> None:
        """Send the remaining rows."""
        self._producer.flush(BROKER_TIMEOUT)
