"""Topics as sources and sinks, on the mock cluster of librdkafka and on a real broker.

A real broker is used if available, see brokers.py. ``CARROUSEL_TEST_KAFKA=host:port`` names one.
"""

from __future__ import annotations

import json
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from carrousel.errors import (
    ClusterError,
    DataError,
    MissingExtraError,
    SettingError,
    UnknownNameError,
)
from carrousel.online.clean.cleaner import Schema, Table
from carrousel.online.kafka import TopicAddress
from carrousel.online.sinks.open import open_sink
from carrousel.online.sources.open import open_rows
from carrousel.online.sources.types import Batch, Position, RowSource
from support.online import brokers

kafka = pytest.importorskip("confluent_kafka")


@dataclass
class Broker:
    """A broker, and a function that creates a topic with a number of partitions."""

    servers: str
    make: Callable[[str, int], None]
    real: bool = False

    def topic(self, partitions: int = 4) -> str:
        name = f"t-{uuid.uuid4().hex[:12]}"
        self.make(name, partitions)
        return f"kafka://{self.servers}/{name}"

    def put(self, url: str, *messages: tuple[int, str | None, bytes | str | None]) -> None:
        # Nothing is sent before flush(), so that messages of one call arrive together.
        producer = kafka.Producer({"bootstrap.servers": self.servers, "linger.ms": 10_000})
        for part, key, value in messages:
            producer.produce(TopicAddress.of(url).topic, value, key, part)
        assert producer.flush(10) == 0


@pytest.fixture(scope="module", params=["mock", *(["real"] if brokers.THERE else [])])
def broker(request, tmp_path_factory) -> Iterator[Broker]:
    if request.param == "mock":
        host = kafka.Producer({"test.mock.num.brokers": 1, "log_level": 0})
        servers = ",".join(f"{b.host}:{b.port}" for b in host.list_topics().brokers.values())

        def make(name: str, partitions: int) -> None:
            assert partitions <= 4
            host.list_topics(name)  # creates it, with four partitions

        yield Broker(servers, make)
        del host
        return
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    with brokers.real_broker(tmp_path_factory.mktemp("broker")) as servers:
        client = AdminClient({"bootstrap.servers": servers})

        def make_real(name: str, partitions: int) -> None:
            client.create_topics([NewTopic(name, partitions, 1)])[name].result(10)

        yield Broker(servers, make_real, real=True)


def obj(**values: object) -> bytes:
    return json.dumps(values).encode()


def read(url: str, **settings) -> list[Batch]:
    with open_rows(url, **settings) as rows:
        return list(rows)


def flat(batches: list[Batch]) -> list[tuple[object, ...]]:
    """Return unit, offset, key and values of each row."""
    return [
        (batch.unit, line, key, *row)
        for batch in batches
        for line, key, row in zip(
            batch.lines, batch.keys or (), zip(*batch.columns, strict=True), strict=True
        )
    ]


def test_messages_are_read_in_order_with_their_keys(broker):
    url = broker.topic()
    sent = [(i % 2, f"k{i % 3}", obj(x=i, y=i / 2)) for i in range(50)]
    broker.put(url, *sent)
    rows = flat(read(url))
    for part in (0, 1):
        mine = [row for row in rows if row[0] == f"partition {part}, offset"]
        numbers = [i for i in range(50) if i % 2 == part]
        assert mine == [
            (f"partition {part}, offset", at, f"k{i % 3}", i, i / 2) for at, i in enumerate(numbers)
        ]
    assert len(rows) == 50


def test_a_topic_is_resumed_from_every_position(broker):
    url = broker.topic() + "?partitions=0"
    seen: list[tuple[object, ...]] = []
    positions: list[Position] = []
    for first in range(0, 40, 8):
        broker.put(url, *((0, None, obj(x=i)) for i in range(first, first + 8)))
        start = Position.of(json.loads(json.dumps(positions[-1].as_dict()))) if positions else None
        batches = read(url, start=start)
        seen += flat(batches)
        positions.append(batches[-1].end)
        assert batches[-1].end.row == first + 8
    assert [row[1] for row in seen] == list(range(40))
    assert [row[3] for row in seen] == list(range(40))
    for number, position in enumerate(positions):
        assert flat(read(url, start=position)) == seen[8 * (number + 1) :]


def test_a_new_partition_is_read_from_its_beginning(broker):
    url = broker.topic()
    broker.put(url, (0, None, obj(x=0)), (1, None, obj(x=1)), (0, None, obj(x=2)))
    start = Position(offsets={"0": 1})
    rows = flat(read(url + "?offset=latest", start=start))
    assert {row[3] for row in rows} == {1, 2}
    assert len(rows) == 2


def test_offsets_are_committed_on_request_only(broker):
    url = broker.topic() + "?partitions=0&group=g-" + uuid.uuid4().hex[:8]
    broker.put(url, *((0, None, obj(x=i)) for i in range(5)))
    assert len(flat(read(url))) == 5
    with open_rows(url) as rows:  # nothing was committed: all rows again
        assert len(flat(list(rows))) == 5
        rows.commit(rows.position)
    broker.put(url, (0, None, obj(x=5)))
    again = flat(read(url))
    assert [row[3] for row in again] == [5]
    with open_rows(url) as rows:
        rows.commit(Position(offsets={"0": 2}))
    assert [row[3] for row in flat(read(url))] == [2, 3, 4, 5]
    plain = url.split("&")[0]
    with open_rows(plain) as rows:
        rows.commit(rows.position)  # no-op without a group
    assert len(flat(read(plain))) == 6
    assert not read(plain + "&offset=latest")


def test_following_returns_rows_as_they_arrive(broker):
    url = broker.topic() + "?partitions=0"
    stop = threading.Event()
    with open_rows(url, follow=True, stop=stop, tick=0.2, fields=["x"]) as rows:
        assert len(next(rows)) == 0  # a tick
        for i in range(3):
            broker.put(url, (0, None, obj(x=i)))
            batch = next(each for each in rows if len(each))
            assert flat([batch]) == [("partition 0, offset", i, None, i)]
        stop.set()
        assert not list(rows)
    assert not read(url, follow=True, idle=0.1, start=rows.position)


def test_broken_messages_are_listed_by_kind(broker):
    url = broker.topic() + "?partitions=0"
    values: list[bytes | str | None] = [
        b"{",
        obj(x=1, y="a"),
        None,
        b"[1]",
        b"\xff",
        b"",
        b'{\n "x":\n 2}',
        b"7 8",
    ]
    broker.put(url, *((0, None, value) for value in values))
    (batch,) = read(url)
    assert batch.fields == ("x", "y")
    assert {fault.row: fault.kind for fault in batch.faults} == {
        0: "not JSON",
        2: "no value",
        3: "not an object",
        4: "not JSON",
        5: "no value",
        7: "not JSON",
    }
    assert [row[3:] for row in flat([batch])][1::5] == [(1, "a"), (2, None)]
    taken = Table(Schema.of(batch, target="y")).take(batch)
    assert taken.failure is not None
    assert taken.failure.at(batch.name).startswith(
        f"{batch.name}: partition 0, offset 0: it is not"
    )


def test_values_may_be_csv(broker):
    url = broker.topic() + "?partitions=0"
    broker.put(url, (0, "k", '1,"a\nb"'), (0, "k", "2"), (0, "k", "3,c\n4,d"))
    (batch,) = read(url, format="csv", fields=["x", "y"])
    assert flat([batch])[0][3:] == ("1", "a\nb")
    assert {f.row: f.why for f in batch.faults} == {
        1: "has 1 field, expected 2",
        2: "the message holds 2 records",
    }
    with pytest.raises(SettingError, match="name the fields"):
        open_rows(url, format="csv")


def run(rows: RowSource, url: str, start: dict[str, int] | None, limit: int) -> dict[str, Any]:
    """Predict the running sum of each key; return the checkpoint after ``limit`` batches."""
    table: Table | None = None
    sums: dict[str | None, float] = {}
    checkpoint: dict[str, Any] = {}
    with open_sink(url, start=start) as sink:
        for number, batch in enumerate(rows):
            table = table or Table(Schema.of(batch))
            taken = table.take(batch)
            out = []
            for key, x in zip(taken.keys or (), taken.columns["x"], strict=True):
                sums[key] = sums.get(key, 0.0) + float(x)
                out.append(sums[key])
            sink.write({"offset": taken.lines, "sum": out}, keys=taken.keys)
            if number < limit:
                checkpoint = {
                    "rows": batch.end.as_dict(),
                    "sink": sink.position(),
                    "sums": {**sums},
                }
    return checkpoint


@pytest.mark.parametrize("parts", ["?partitions=0", ""])
def test_a_resumed_run_sends_every_row_once(broker, monkeypatch, parts):
    monkeypatch.setattr("carrousel.online.sources.kafka.MAX_ROWS", 7)
    source = broker.topic() + "?partitions=0"
    broker.put(source, *((0, f"k{i % 5}", obj(x=i)) for i in range(60)))
    sink = broker.topic() + parts
    checkpoint = run(open_rows(source), sink, None, limit=3)  # and writes further batches
    start = Position.of(checkpoint["rows"])
    assert start.offsets == {"0": 21}
    found = flat(read(sink))
    assert len(found) == 60
    rest = open_rows(source, start=start)
    sums = dict(checkpoint["sums"])
    with open_sink(sink, start=checkpoint["sink"]) as again:
        for batch in rest:
            out = []
            for key, x in zip(batch.keys or (), batch.columns[0], strict=True):
                sums[key] += x
                out.append(sums[key])
            again.write({"offset": batch.lines, "sum": out}, keys=batch.keys)
        broker.put(source, (0, "k0", obj(x=100)))
        again.write({"offset": [60], "sum": [sums["k0"] + 100]}, keys=["k0"])
    rows = flat(read(sink))
    assert len(rows) == 61
    by_offset = {row[3]: (row[2], row[4]) for row in rows}
    expected: dict[str, float] = {}
    for i in range(61):
        key, x = f"k{i % 5}", 100 if i == 60 else i
        expected[key] = expected.get(key, 0) + x
        assert by_offset[i] == (key, expected[key])
    if not parts:
        pairs = {(row[2], row[0]) for row in rows}
        assert len(pairs) == 5  # each key has one partition
        assert len({part for _, part in pairs}) > 1
    monkeypatch.setattr("carrousel.online.kafka.BROKER_TIMEOUT", 2.0)
    with pytest.raises(DataError, match="does not reach offset 999"):
        open_sink(sink, start=dict.fromkeys(checkpoint["sink"], 999))


def test_topics_that_cannot_be_read_are_refused(broker, monkeypatch):
    url = broker.topic()
    broker.put(url, (0, None, b"{"), (1, None, b"[]"))
    with pytest.raises(DataError, match="none of the first 2 messages can be read"):
        read(url)
    behind = Position(offsets={"0": 9})
    if not broker.real:  # Tansu does not respond
        with pytest.raises(DataError, match=r"partition 0: the row to resume from does not exist"):
            read(url, start=behind)
    with pytest.raises(SettingError, match=r"no partition 7, expected some of \[0, 1, 2, 3\]"):
        open_rows(url + "?partitions=7")
    with pytest.raises(SettingError, match="fields are"):
        open_rows(url, fields=["a"], start=Position(fields=("b",)))
    with pytest.raises(UnknownNameError, match="did you mean 'offset'"):
        open_rows(url + "?ofset=1")
    with pytest.raises(SettingError, match="expected numbers"):
        open_rows(url + "?partitions=a")
    with pytest.raises(SettingError, match=r"no\.such"):
        open_rows(url + "?no.such=1")
    for wrong in ("kafka://", "kafka://a:1", "kafka://a:1/b/c"):
        with pytest.raises(SettingError, match="is not the address of a topic"):
            open_rows(wrong)
    with pytest.raises(SettingError, match="offsets of the topic's partitions"):
        open_sink(url, start=5)
    with pytest.raises(SettingError, match=r"start has partitions \[0\]"):
        open_sink(url, start={"0": 1})
    with pytest.raises(UnknownNameError, match="format of a topic"):
        open_sink(url, "arrow")
    monkeypatch.setattr("carrousel.online.kafka.BROKER_TIMEOUT", 0.3)
    with pytest.raises(ClusterError, match="does not respond like a Kafka broker"):
        open_rows("kafka://127.0.0.1:1/t")
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(MissingExtraError, match=r"carrousel\[kafka\]"):
        open_rows(url)


def test_an_unknown_topic_is_refused_with_a_suggestion():
    """The mock cluster creates each topic on request, so this uses a mock client."""
    from carrousel.online.kafka import partitions_of

    class Client:
        def list_topics(self, timeout):
            return type("About", (), {"topics": {"rides": None, "fares": None}})

    with pytest.raises(UnknownNameError, match=r"'ride' does not exist; did you mean 'rides'"):
        partitions_of(TopicAddress.of("kafka://a:1/ride"), Client())
