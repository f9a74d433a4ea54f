"""Checks of a configuration, before anything is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carrousel.cli.flags.option import KEPT
from carrousel.cli.stream.config import OPTIONS, StreamConfig
from carrousel.errors import SettingError
from carrousel.files import check_distinct


def check(config: StreamConfig) -> None:
    """Raise SettingError or UnknownNameError if options are out of range or contradict others."""
    for name, each in OPTIONS.items():
        each.check(getattr(config, name))
    _check_pairs(config)
    _check_delimiter(config)
    _check_files(config)


def _check_pairs(config: StreamConfig) -> None:
    """Check options that need, or exclude, another one."""
    for option, value, other, there in (
        ("--idle", config.idle, "--follow", config.follow),
        ("--streams", config.streams, "--key COLUMN", config.key),
        ("--evict-after", config.evict_after, "--key COLUMN", config.key),
        ("--scale-by-key", config.scale_by_key or None, "--key COLUMN", config.key),
        ("--resume", config.resume or None, "--checkpoint FILE", config.checkpoint),
    ):
        if value is not None and not there:
            raise SettingError(f"{option} needs {other}")
    if config.quiet and config.out is not None:
        raise SettingError(f"--quiet and --out {config.out} contradict each other; drop one")
    if config.no_calendar and config.time is None:
        raise SettingError("--no-calendar needs --time COLUMN")
    if config.metrics == "-" and (config.writes_to_stdout or config.as_json):
        raise SettingError(
            "--metrics - writes to standard output, as predictions or --json do; name a file, or "
            "give --quiet without --json"
        )
    if config.as_json and config.writes_to_stdout:
        raise SettingError(
            "with --json, standard output holds JSON only; write predictions to a file with --out "
            "FILE, or none with --quiet"
        )


def _check_delimiter(config: StreamConfig) -> None:
    separator = config.separator
    if separator is None:
        return
    if len(separator) != 1 or separator in '"\r\n':
        raise SettingError(
            f"--delimiter is {config.delimiter!r}, expected one character, not a quote or line end"
        )
    if config.format not in (None, "csv") or config.source.startswith("kafka://"):
        raise SettingError("--delimiter applies to CSV files and pipes only; drop it")


def _check_files(config: StreamConfig) -> None:
    named = {"--out": config.out, "--metrics": config.metrics, "--checkpoint": config.checkpoint}
    written = [(option, None if str(name) == "-" else name) for option, name in named.items()]
    check_distinct([("SOURCE", config.source), *written])
    check_distinct([("--start-from", config.start_from), *written])
    path = config.checkpoint
    if path is None:
        return
    if not path.absolute().parent.is_dir():
        raise SettingError(f"--checkpoint {path}: folder {path.parent} does not exist")
    if path.exists() and not config.resume:
        raise SettingError(
            f"--checkpoint {path} exists; continue it with --resume, remove it, or name another"
        )


def check_same(config: StreamConfig, saved: Mapping[str, Any]) -> None:
    """Raise SettingError if a checkpoint was written with other options."""
    before = {name: saved.get(name, OPTIONS[name].before) for name in config.settings()}
    differ = [
        f"{OPTIONS[name].flag} {shown(before[name])}, not {shown(value)}"
        for name, value in config.settings().items()
        if before[name] not in (value, KEPT)
    ]
    if differ:
        raise SettingError(
            f"{config.checkpoint} was written with {', and '.join(differ)}; resume with the same "
            "options, or name another --checkpoint"
        )


def shown(value: object, off: object = None) -> str:
    """Spell the value of an option for a message; ``off`` takes the place of None."""
    value = off if value is None else value
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.9g}"
    return "unset" if value is None else str(value)
