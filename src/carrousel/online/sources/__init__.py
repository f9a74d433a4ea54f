"""Where rows are read from: files, pipes, Arrow data, Kafka topics."""

from __future__ import annotations
