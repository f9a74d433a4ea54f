"""Registry of nets with one planted fault each."""

from __future__ import annotations

from collections.abc import Callable

from inspection.verdicts.nets import Given

Build = Callable[[], Given]
FAULTY: dict[str, Build] = {}
"""Builders by ``"verdict: variant"``. Seed torch before a call."""


def plant(verdict: str) -> Callable[[Build], Build]:
    """Return a decorator that registers a builder under the verdict that it should get."""

    def add(build: Build) -> Build:
        variant = build.__name__.lstrip("_").replace("_", " ")
        FAULTY[f"{verdict}: {variant}"] = build
        return build

    return add
