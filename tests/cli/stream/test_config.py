"""Options of `carrousel stream`: everything is derived from the fields of StreamConfig."""

from __future__ import annotations

import inspect
from pathlib import Path

from carrousel.cli.flags.option import KEPT, flag_setting, flag_speller
from carrousel.cli.stream.command import stream
from carrousel.cli.stream.config import OPTIONS, StreamConfig
from carrousel.online import OnlineLSTM, evaluate, read_checkpoint
from carrousel.online.clean.cleaner import ON_ERROR
from carrousel.online.evaluation.plan import TASKS
from support.paths import TESTS

SAVED = TESTS / "online" / "evaluation" / "data" / "level.ckpt"


def test_the_command_takes_the_fields_of_the_configuration(call):
    parameters = inspect.signature(stream).parameters
    assert list(parameters) == list(OPTIONS)
    for name, parameter in parameters.items():
        assert parameter.default == getattr(StreamConfig(), name), name
    flags = [each.flag for each in OPTIONS.values()]
    assert len(set(flags)) == len(flags) == 47
    lines = call("stream", "--help").out.splitlines()
    shown = [line.split()[0] for line in lines if line.startswith(("  --", "  SOURCE"))]
    assert sorted(shown) == sorted(flags)


def test_help_is_not_cut_off(call, monkeypatch):
    for columns in ("80", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        text = call("stream", "--help").out
        assert max(map(len, text.splitlines())) <= int(columns)
        words = " ".join(text.split())
        for name, each in OPTIONS.items():
            assert " ".join(each.help.split()) in words, name


def test_checkpoints_of_an_earlier_version_hold_the_same_settings():
    saved = read_checkpoint(SAVED).settings
    config = StreamConfig(**saved)
    for name, value in config.settings().items():  # fewer than saved: more may change now
        assert saved.get(name, OPTIONS[name].before) in (value, KEPT), name
    assert (config.predict_next, config.streams, config.anomaly) == ("level", 2, True)


def test_defaults_and_choices_are_those_of_python():
    config = StreamConfig(target=["y"])
    assert OPTIONS["task"].choices == TASKS
    assert OPTIONS["on_error"].choices == ON_ERROR
    python = inspect.signature(evaluate).parameters
    for name, value in config.columns().items():
        if name != "target":
            assert value == python[name].default, name
    plain, ours = OnlineLSTM().get_params(), config.create_model("regression").get_params()
    differ = {name for name, value in ours.items() if value != plain[name]}
    assert differ == {"unseen", "random_state"}  # repeatable; accepts new categories


def test_arguments_are_spelled_as_options():
    spell = flag_speller(StreamConfig)
    names = ("learning_rate", "predict_next", "random_state", "sink", "as_json", "symbols")
    flags = ["--rate", "--predict-next", "--seed", "--out", "--json", "symbols"]
    assert [spell(name) for name in names] == flags
    assert flag_setting("--ignore", "it's") == "--ignore 'it'\"'\"'s'"


def test_the_model_is_created_as_asked():
    config = StreamConfig(
        source="-",
        key="k",
        streams=7,
        no_forget_gate=True,
        no_standardise=True,
        decay=0.0,
        rate=1.0,
    )
    params = config.create_model("binary").get_params()
    expected = {
        **{"task": "binary", "streams": 7, "forget_gate": False, "standardise": False},
        **{"decay": None, "learning_rate": 1.0, "unseen": "grow"},
    }
    assert expected.items() <= params.items()
    assert StreamConfig().create_model("next").streams == 1
    assert StreamConfig(key="k").create_model("next").streams == 1000
    assert StreamConfig(checkpoint=Path("c")).settings() == StreamConfig().settings()
