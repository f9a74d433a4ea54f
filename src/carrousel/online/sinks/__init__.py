"""Sinks of predictions: files, standard output, Kafka topics."""

from __future__ import annotations
