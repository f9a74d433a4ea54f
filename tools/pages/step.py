"""Writes how long one step at batch 1 takes, ours beside torch's and ONNX Runtime's."""

from __future__ import annotations

from typing import Any

OURS = ("carrousel.nn.step", "carrousel.nn.step, arrays", "carrousel.nn.step, prepared")
THEIRS = (
    "torch.nn.LSTMCell",
    "torch.nn.LSTM",
    "onnxruntime, exported",
    "onnxruntime, exported, bound",
    "onnxruntime, LSTM",
    "onnxruntime, LSTM, bound",
)

INTRODUCTION = """\
# One step at batch 1

Microseconds from an input to its output, float32, one thread: median, and the 99th percentile in
brackets. *step*: tensors in and out. *arrays*: the buffers of the stepper written and read as NumPy
arrays. *prepared*: `stepper.prepare()` multiplied the state by its weights before the input came,
which is not timed. Torch runs under `inference_mode`; *exported* is the model of `nn.export_onnx`,
*LSTM* one with ONNX's own operation, *bound* spares copies by bound buffers. Each contender's
outputs were verified first.
"""

CLOSING = """\
At 128 units the weights of one step are read from the second-level cache at its full rate, about 32
bytes a cycle: that, not arithmetic, is what a step costs there, and why ten times the speed of
`torch.nn.LSTMCell`, the aim at 128 units, is reached with few inputs and a prepared step alone.

`python -m benchmarks.step` measures again; `python -m tools.pages` makes this page.
"""


def step_page(measured: dict[str, Any]) -> str:
    """The page, from what ``benchmarks/step`` measured."""
    times = {(r["contender"], r["inputs"], r["units"]): r["us"] for r in measured["rows"]}
    sizes = list(dict.fromkeys((r["inputs"], r["units"]) for r in measured["rows"]))
    heads = [f"I = {i}, H = {h}" for i, h in sizes]
    rows = [
        [name, *(_cell(times.get((name, *size))) for size in sizes)] for name in (*OURS, *THEIRS)
    ]
    ratios = [
        [name, *(_ratio(times, name, "torch.nn.LSTMCell", size) for size in sizes)] for name in OURS
    ]
    fastest = [[name, *(_least(times, name, size) for size in sizes)] for name in OURS]
    found = measured["machine"]
    versions = {**found["versions"], **measured["runtimes"]}
    machine = ", ".join(
        (found["processor"], *(f"{name} {version}" for name, version in versions.items()))
    )
    parts = [
        INTRODUCTION,
        _table(["", *heads], rows),
        "\n## Times as fast as `torch.nn.LSTMCell`\n",
        _table(["", *heads], ratios),
        "\n## Times as fast as the fastest way in ONNX Runtime\n",
        _table(["", *heads], fastest),
        f"\nMeasured on: {machine}.\n",
        CLOSING,
    ]
    return "\n".join(parts)


def _cell(us: dict[str, float] | None) -> str:
    return "" if us is None else f"{us['median']:.2f} ({us['p99']:.2f})"


def _ratio(times: dict[Any, Any], ours: str, theirs: str, size: tuple[int, int]) -> str:
    return f"{times[theirs, *size]['median'] / times[ours, *size]['median']:.1f}"


def _least(times: dict[Any, Any], ours: str, size: tuple[int, int]) -> str:
    theirs = [name for name in THEIRS if name.startswith("onnxruntime")]
    return min((_ratio(times, ours, name, size) for name in theirs), key=float)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
