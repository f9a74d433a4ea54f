"""Sources of rows: files, pipes, standard input, Arrow data, Kafka topics."""

from __future__ import annotations
