"""Addresses of topics, and what their readers and writers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from carrousel.checks import check_choice, suggestion
from carrousel.errors import ClusterError, MissingExtraError, SettingError, UnknownNameError

PATIENCE = 10.0
"""Seconds a broker is given to answer."""

_OPTIONS = ("group", "offset", "partitions")


@dataclass(frozen=True)
class Address:
    """``kafka://broker:port,broker:port/topic?option=value&...``

    Attributes:
        servers: brokers to begin with, ``host:port``, joined by commas.
        topic: its name.
        group: the consumer group whose offsets are read and committed; None: none.
        offset: where to begin without a position or a committed offset: ``"earliest"`` or
            ``"latest"``.
        partitions: the only ones to read; None: all.
        settings: every option with a point in its name is librdkafka's, such as
            ``security.protocol`` and ``sasl.username``.

    >>> Address.of("kafka://a:9092/rides?group=g&partitions=0,2&client.id=x").partitions
    (0, 2)
    """

    servers: str
    topic: str
    group: str | None = None
    offset: str = "earliest"
    partitions: tuple[int, ...] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(url: str) -> Address:
        """Read an address.

        Raises:
            SettingError: it is none.
            UnknownNameError: an option or its value does not exist.
        """
        parts = urlsplit(url)
        topic = unquote(parts.path.strip("/"))
        if parts.scheme != "kafka" or not parts.netloc or not topic or "/" in topic:
            raise SettingError(f"{url!r} is no topic; expected kafka://broker:port/topic")
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        settings = {name: given.pop(name) for name in list(given) if "." in name}
        for name in given:
            check_choice("option of a topic", name, _OPTIONS)
        some = given.get("partitions")
        try:
            partitions = None if some is None else tuple(int(each) for each in some.split(","))
        except ValueError:
            raise SettingError(f"partitions is {some!r}, expected numbers as in 0,2") from None
        offset = check_choice("offset", given.get("offset", "earliest"), ("earliest", "latest"))
        group = given.get("group")
        return Address(parts.netloc, topic, group, offset, partitions, settings)

    @property
    def name(self) -> str:
        return f"topic {self.topic}"

    def config(self, **settings: Any) -> dict[str, Any]:
        """Settings of a client; names are written with underscores."""
        own = {name.replace("_", "."): value for name, value in settings.items()}
        return {"bootstrap.servers": self.servers, **own, **self.settings}


def confluent() -> Any:
    """The package ``confluent_kafka``.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import confluent_kafka
    except ImportError as error:
        raise MissingExtraError(
            "topics need confluent-kafka; install it with: pip install 'carrousel[kafka]'"
        ) from error
    return confluent_kafka


def consumer(address: Address) -> Any:
    """A client that reads, commits nothing by itself, and tells the ends of partitions.

    Raises:
        SettingError: librdkafka does not know a setting.
    """
    kafka = confluent()
    config = address.config(
        group_id=address.group or "carrousel",  # librdkafka wants one; it is used if named
        enable_auto_commit=False,
        enable_auto_offset_store=False,
        enable_partition_eof=True,
        auto_offset_reset="error",
        fetch_wait_max_ms=100,  # so long a broker with nothing new says nothing, not even "the end"
        logger=_silent(),
    )
    try:
        return kafka.Consumer(config)
    except (kafka.KafkaException, ValueError) as error:
        raise SettingError(f"{address.name}: {_said(error)}") from error


def partitions_of(address: Address, client: Any) -> list[int]:
    """The numbers of the topic's partitions.

    Raises:
        ClusterError: no broker answers.
        UnknownNameError: the topic does not exist.
        SettingError: one of the partitions asked for does not.
    """
    kafka = confluent()
    try:
        about = client.list_topics(timeout=PATIENCE).topics
    except kafka.KafkaException as error:
        raise ClusterError(
            f"{address.servers} does not answer as a Kafka broker: {_said(error)}"
        ) from error
    if address.topic not in about or about[address.topic].error is not None:
        near = suggestion(address.topic, list(about)) if about else "the broker has none yet"
        raise UnknownNameError(f"topic {address.topic!r} does not exist; {near}")
    there = sorted(about[address.topic].partitions)
    for each in address.partitions or ():
        if each not in there:
            raise SettingError(f"{address.name} has partitions {there}, not {each}")
    return there if address.partitions is None else sorted(set(address.partitions))


def bounds(address: Address, client: Any, partition: int) -> tuple[int, int]:
    """The oldest offset of a partition, and the one after its newest message.

    The second is taken as a hint: some brokers (Tansu 0.6) count a batch of messages as one there.
    :func:`end_of` finds it by reading.

    Raises:
        ClusterError: the broker does not tell.
    """
    kafka = confluent()
    place = kafka.TopicPartition(address.topic, partition)
    try:
        found = client.get_watermark_offsets(place, timeout=PATIENCE)
    except kafka.KafkaException as error:
        raise ClusterError(f"{address.name}, partition {partition}: {_said(error)}") from error
    if found is None:
        raise ClusterError(f"{address.name}, partition {partition}: its broker does not answer")
    return found


def end_of(address: Address, client: Any, partition: int, start: int) -> int | None:
    """The offset the next message of a partition will get, found by reading from ``start`` on.

    Returns:
        None if the partition ends before ``start``, or begins behind it.

    Raises:
        ClusterError: the broker does not tell.
    """
    kafka = confluent()
    client.assign([kafka.TopicPartition(address.topic, partition, start)])
    try:
        while True:
            message = client.poll(PATIENCE)
            if message is None:
                if bounds(address, client, partition)[1] < start:
                    return None  # Tansu says nothing behind the end; Kafka says it is out of range
                where = f"{address.name}, partition {partition}"
                raise ClusterError(f"{where}: its broker does not tell where it ends")
            error = message.error()
            if error is not None and error.code() == kafka.KafkaError._PARTITION_EOF:
                return message.offset()
            if error is not None and error.code() == kafka.KafkaError._AUTO_OFFSET_RESET:
                return None
            if error is not None:
                raise ClusterError(f"{address.name}, partition {partition}: {error.str()}")
    finally:
        client.unassign()


def _said(error: Exception) -> str:
    """librdkafka's own words."""
    inner: Any = error.args[0] if error.args else error
    return inner.str() if isinstance(inner, confluent().KafkaError) else str(inner)


def _silent() -> Any:
    """A logger for what librdkafka would print to standard error; errors come back by calls."""
    import logging

    logger = logging.getLogger("carrousel.kafka")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    return logger
