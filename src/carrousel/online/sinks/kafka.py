"""A topic of Kafka as a place for predictions."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from carrousel.checks import check_choice
from carrousel.errors import ClusterFailedError, DataError, SettingError
from carrousel.online.closing import Closing
from carrousel.online.kafka import (
    PATIENCE,
    Address,
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
    """Write to a topic; see :func:`carrousel.online.sinks.open.open_sink`, which calls this.

    Every row is one message, a JSON object; its key, if it has one, also chooses its partition, by
    CRC-32 as librdkafka does. Rows without a key go to the first partition, in their order.

    Args:
        url: ``kafka://broker:port/topic``; ``partitions=`` names the only ones to write to.
        format: ``"jsonl"``, or None.
        start: the position of a checkpoint. Messages that lie behind it in the topic already are
            those that were written after it, if nobody else writes there; as many rows of each
            partition are taken as sent and not sent again.

    Raises:
        ClusterError: no broker answers.
        DataError: the topic ends before ``start``.
        SettingError, UnknownNameError: a wrong address, format or position; no such topic.
        MissingExtraError: confluent-kafka is not installed (extra ``kafka``).
    """
    address = Address.of(url)
    check_choice("format of a topic", format or "jsonl", ("jsonl",))
    if isinstance(start, int):
        raise SettingError(f"start is {start}, expected the offsets of the topic's partitions")
    client = consumer(address)
    try:
        partitions = partitions_of(address, client)
        known = {int(part): at for part, at in (start or {}).items()}
        if start is not None and sorted(known) != partitions:
            raise SettingError(f"start has partitions {sorted(known)}, {address.name} {partitions}")
        passed: dict[int, int] = {}
        for part in partitions:
            begin = known[part] if start is not None else bounds(address, client, part)[1]
            end = end_of(address, client, part, begin)
            if end is None:
                raise DataError(
                    f"{address.name}, partition {part} does not reach offset {begin}, where the "
                    "checkpoint was made; it is another topic, or was made anew"
                )
            passed[part] = end - begin if start is not None else 0
            known.setdefault(part, end)
    finally:
        client.close()
    return TopicSink(address, known, passed)


class TopicSink(Closing):
    """Rows as messages, acknowledged by all replicas in sync, each once and in order."""

    format = "jsonl"
    keyed = True

    def __init__(self, address: Address, ends: dict[int, int], passed: dict[int, int]) -> None:
        kafka = confluent()
        self.name = address.name
        self._address, self._ends, self._passed = address, ends, passed
        self._partitions = sorted(ends)
        self._names: tuple[str, ...] | None = None
        self._failure: str | None = None
        try:
            self._producer: Any = kafka.Producer(
                address.config(enable_idempotence=True, linger_ms=5)
            )
        except (kafka.KafkaException, ValueError) as error:
            raise SettingError(f"{self.name}: {error}") from error

    def write(self, columns: Columns, keys: Sequence[str | None] | None = None) -> None:
        """Send rows; all are acknowledged when this returns.

        Raises:
            ShapeError: columns have unequal lengths, or other names than before.
            ClusterFailedError: the brokers do not take them.
        """
        n_rows = check_columns(self.name, columns, self._names)
        self._names = tuple(columns)
        for row, value in enumerate(objects(columns)):
            key = None if keys is None or keys[row] is None else str(keys[row]).encode("utf-8")
            part = self._partitions[0 if key is None else zlib.crc32(key) % len(self._partitions)]
            if self._passed[part]:
                self._passed[part] -= 1
                self._ends[part] += 1
                continue
            self._send(part, key, value)
        left = self._producer.flush(PATIENCE) if n_rows else 0
        if left and self._failure is None:
            self._failure = f"{left} rows were not acknowledged within {PATIENCE:g} seconds"
        if self._failure is not None:
            raise ClusterFailedError(f"{self.name} cannot be written: {self._failure}")

    def _send(self, part: int, key: bytes | None, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(
                    self._address.topic, value, key, part, on_delivery=self._delivered
                )
            except BufferError:  # its queue is full
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
        """Partition -> the offset after its last row."""
        return {str(part): at for part, at in self._ends.items()}

    def close(self) -> None:
        """Send what is left."""
        self._producer.flush(PATIENCE)
