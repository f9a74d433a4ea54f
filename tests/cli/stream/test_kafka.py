"""`carrousel stream` from a topic to a topic, on the test cluster of librdkafka."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import pytest

from carrousel.online.sources.open import open_rows

kafka = pytest.importorskip("confluent_kafka")


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    host = kafka.Producer({"test.mock.num.brokers": 1, "log_level": 0})
    for topic in ("rows", "predictions"):
        host.list_topics(topic)  # creates it
    yield ",".join(f"{b.host}:{b.port}" for b in host.list_topics().brokers.values())
    del host


def put(servers: str, start: int, stop: int) -> None:
    producer = kafka.Producer({"bootstrap.servers": servers})
    for n in range(start, stop):
        row = {"host": "ab"[n % 2], "load": round(math.sin(0.3 * n), 4)}
        producer.produce("rows", json.dumps(row), partition=0)
    assert producer.flush(10) == 0


def predictions(servers: str) -> dict[tuple[str, int], dict[str, object]]:
    """Return the rows of the output topic by key and line."""
    found: dict[tuple[str, int], dict[str, object]] = {}
    with open_rows(f"kafka://{servers}/predictions") as rows:
        for batch in rows:
            for row in zip(*batch.columns, strict=True):
                given = dict(zip(batch.fields, row, strict=True))
                place = (given["key"], given["line"])
                assert place not in found  # once
                found[place] = given
    return found


def test_a_topic_is_evaluated_and_resumed(call, servers):
    words = ("stream", f"kafka://{servers}/rows", "--predict-next", "load", "--key", "host")
    words = (*words, "--cells", 4, "--json")
    saving = ("--out", f"kafka://{servers}/predictions", "--checkpoint", "c")
    put(servers, 0, 200)
    first = call(*words, *saving)
    assert (first.code, json.loads(first.out)["rows"]) == (0, 200)
    put(servers, 200, 300)
    second = call(*words, *saving, "--resume")
    assert (second.code, json.loads(second.out)["rows"]) == (0, 300)
    whole = call(*words, "--out", "whole.jsonl")
    assert json.loads(whole.out)["errors"] == json.loads(second.out)["errors"]
    with open("whole.jsonl") as file:
        expected = {(row["key"], row["line"]): row for row in map(json.loads, file)}
    assert len(expected) == 300
    assert predictions(servers) == expected
