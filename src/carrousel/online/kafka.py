"""Addresses of Kafka topics, and functions that sources and sinks share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from carrousel.checks import check_choice, suggestion
from carrousel.errors import (
    ClusterError,
    MissingExtraError,
    SettingError,
    UnknownNameError,
    escaped,
)

BROKER_TIMEOUT = 10.0
"""Seconds to wait for the response of a broker."""

_OPTIONS = ("group", "offset", "partitions")


@dataclass(frozen=True)
class TopicAddress:
    """Address of a topic: ``kafka://broker:port,broker:port/topic?option=value&...``

    Attributes:
        servers: bootstrap brokers, ``host:port``, joined by commas.
        topic: name of the topic.
        group: consumer group whose offsets are read and committed; None: none.
        offset: where to start without a position or a committed offset: ``"earliest"`` or
            ``"latest"``.
        partitions: the partitions to use; None: all.
        settings: options of librdkafka: all with a dot in their name, such as
            ``security.protocol`` and ``sasl.username``.

    >>> TopicAddress.of("kafka://a:9092/rides?group=g&partitions=0,2&client.id=x").partitions
    (0, 2)
    """

    servers: str
    topic: str
    group: str | None = None
    offset: str = "earliest"
    partitions: tuple[int, ...] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(url: str) -> TopicAddress:
        """Parse an address.

        Raises:
            SettingError: the text is not an address.
            UnknownNameError: an option or its value does not exist.
        """
        parts = urlsplit(url)
        topic = unquote(parts.path.strip("/"))
        if parts.scheme != "kafka" or not parts.netloc or not topic or "/" in topic:
            expected = "kafka://broker:port/topic"
            problem = f"{url!r} is not the address of a topic, expected {expected}"
            raise SettingError(problem, got=url, expected=expected)
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        settings = {name: given.pop(name) for name in list(given) if "." in name}
        for name in given:
            check_choice("option of a topic", name, _OPTIONS)
        some = given.get("partitions")
        try:
            partitions = None if some is None else tuple(int(each) for each in some.split(","))
        except ValueError:
            expected = "numbers such as 0,2"
            raise SettingError(argument="partitions", got=some, expected=expected) from None
        offset = check_choice("offset", given.get("offset", "earliest"), ("earliest", "latest"))
        group = given.get("group")
        return TopicAddress(parts.netloc, topic, group, offset, partitions, settings)

    @property
    def name(self) -> str:
        """Name of the topic for messages."""
        return f"topic {self.topic}"

    def config(self, **settings: Any) -> dict[str, Any]:
        """Return the configuration of a client; names of settings have underscores for dots."""
        own = {name.replace("_", "."): value for name, value in settings.items()}
        return {"bootstrap.servers": self.servers, **own, **self.settings}


def confluent() -> Any:
    """Return the package ``confluent_kafka``.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        import confluent_kafka
    except ImportError as error:
        fix = "install it with: pip install 'carrousel[kafka]'"
        raise MissingExtraError("topics need confluent-kafka", fix=fix) from error
    return confluent_kafka


def consumer(address: TopicAddress) -> Any:
    """Create a client that never commits by itself and reports the ends of partitions.

    Raises:
        SettingError: librdkafka rejects a setting.
    """
    kafka = confluent()
    config = address.config(
        group_id=address.group or "carrousel",  # librdkafka requires one
        enable_auto_commit=False,
        enable_auto_offset_store=False,
        enable_partition_eof=True,
        auto_offset_reset="error",
        fetch_wait_max_ms=100,  # also delays the report of the end of a partition
        logger=_silent_logger(),
    )
    try:
        return kafka.Consumer(config)
    except (kafka.KafkaException, ValueError) as error:
        raise SettingError(_message(error), source=address.name) from error


def partitions_of(address: TopicAddress, client: Any) -> list[int]:
    """Return the numbers of the partitions to use.

    Raises:
        ClusterError: no broker responds.
        UnknownNameError: the topic does not exist.
        SettingError: one of the partitions does not exist.
    """
    kafka = confluent()
    try:
        topics = client.list_topics(timeout=BROKER_TIMEOUT).topics
    except kafka.KafkaException as error:
        raise ClusterError(
            f"{address.servers} does not respond like a Kafka broker: {_message(error)}"
        ) from error
    if address.topic not in topics or topics[address.topic].error is not None:
        near = suggestion(address.topic, list(topics)) if topics else "the broker has no topics"
        problem = f"topic {address.topic!r} does not exist"
        raise UnknownNameError(problem, got=address.topic, fix=escaped(near))
    existing = sorted(topics[address.topic].partitions)
    for each in address.partitions or ():
        if each not in existing:
            raise SettingError(
                f"there is no partition {each}, expected some of {existing}",
                source=address.name,
                argument="partitions",
                got=each,
                expected=f"some of {existing}",
            )
    return existing if address.partitions is None else sorted(set(address.partitions))


def bounds(address: TopicAddress, client: Any, partition: int) -> tuple[int, int]:
    """Return the oldest offset of a partition, and the one after its newest message.

    The second may be too low: some brokers (Tansu 0.6) count a batch of messages as one.
    :func:`end_of` finds it by reading.

    Raises:
        ClusterError: the broker does not respond.
    """
    kafka = confluent()
    place = kafka.TopicPartition(address.topic, partition)
    try:
        found = client.get_watermark_offsets(place, timeout=BROKER_TIMEOUT)
    except kafka.KafkaException as error:
        raise _partition_error(address, partition, _message(error)) from error
    if found is None:
        raise _partition_error(address, partition, "the broker does not respond")
    return found


def end_of(address: TopicAddress, client: Any, partition: int, start: int) -> int | None:
    """Return the offset after the last message of a partition, found by reading from ``start``.

    Returns:
        The offset, or None if the partition ends before ``start`` or begins after it.

    Raises:
        ClusterError: the broker does not respond.
    """
    kafka = confluent()
    client.assign([kafka.TopicPartition(address.topic, partition, start)])
    try:
        while True:
            message = client.poll(BROKER_TIMEOUT)
            if message is None:
                if bounds(address, client, partition)[1] < start:
                    return None  # Tansu does not respond; Kafka reports an offset out of range
                problem = "the broker does not report the end of the partition"
                raise _partition_error(address, partition, problem)
            error = message.error()
            if error is not None and error.code() == kafka.KafkaError._PARTITION_EOF:
                return message.offset()
            if error is not None and error.code() == kafka.KafkaError._AUTO_OFFSET_RESET:
                return None
            if error is not None:
                raise _partition_error(address, partition, error.str())
    finally:
        client.unassign()


def _partition_error(address: TopicAddress, partition: int, problem: str) -> ClusterError:
    return ClusterError(problem, source=f"{address.name}, partition {partition}")


def _message(error: Exception) -> str:
    """Return the message of librdkafka."""
    inner: Any = error.args[0] if error.args else error
    return inner.str() if isinstance(inner, confluent().KafkaError) else str(inner)


def _silent_logger() -> Any:
    """Return a logger that discards what librdkafka would print to standard error."""
    import logging

    logger = logging.getLogger("carrousel.kafka")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    return logger
