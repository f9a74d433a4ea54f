"""The compatibility matrix: features by modes, for our modules and for those of torch.

    PYTHONPATH=tests python -m support.nn.compatibility [FILE]

runs every cell of both libraries and writes the outcomes to
``benchmarks/results/compatibility.json``.
``python -m tools.pages`` generates ``docs/compatibility.md`` from that file. The cells are tests
too.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from support.nn.compatibility import parallel as in_parallel
from support.nn.compatibility import sequences as of_sequences
from support.nn.compatibility import tool_rows as of_tools
from support.nn.compatibility import torch_rows as of_torch
from support.nn.compatibility.cases import MODES, AbsentError, Case

ROOT = Path(__file__).parents[4]
MEASURED = ROOT / "benchmarks" / "results" / "compatibility.json"

WORKS, NOT_APPLICABLE, ABSENT, DIFFERS = "works", "not applicable", "absent", "differs"


@dataclass(frozen=True)
class Feature:
    """A row of the matrix: title, test function, and the modes to which it does not apply."""

    title: str
    run: Callable[[Case], None]
    not_applicable: tuple[str, ...] = ()
    ours_only: bool = False


RAGGED = ("packed", "lengths")
FEATURES = {
    "compile": Feature("`torch.compile(fullgraph=True)`, outputs and gradients", of_torch.compiled),
    "inductor": Feature(
        "`torch.compile` with its default backend",
        of_torch.compiled_to_code,
        tuple(name for name in MODES if name != "plain"),
    ),
    "export": Feature("`torch.export`, any batch size where padded", of_torch.exported),
    "onnx": Feature(
        "`torch.onnx.export(dynamo=True)`, any numbers of steps and sequences where padded",
        of_torch.exported_to_onnx,
    ),
    "tracer": Feature(
        "`torch.onnx.export(dynamo=False)`, the exporter of TorchScript", of_torch.traced_to_onnx
    ),
    "fx": Feature(
        "`torch.fx.symbolic_trace`: a layer is one node", of_tools.traced_by_fx, ("packed",)
    ),
    "quantize": Feature("`quantize_dynamic` to int8", of_tools.quantised, ("packed",)),
    "malformed": Feature(
        "a malformed `PackedSequence` is refused",
        of_tools.malformed_packed,
        tuple(name for name in MODES if name != "packed"),
    ),
    "vmap": Feature("`torch.func.vmap`", of_torch.vmapped),
    "samples": Feature("gradients of each sample (`vmap` of `grad`)", of_torch.sample_gradients),
    "jvp": Feature("forward mode (`torch.func.jvp`)", of_torch.forward_mode),
    "double": Feature("double backward (`gradgradcheck`)", of_torch.double_backward),
    "gradcheck": Feature("`gradcheck` in float64", of_torch.gradcheck),
    "batched": Feature(
        "`is_grads_batched`, `jacobian(vectorize=True)`", of_torch.batched_gradients
    ),
    "storage": Feature("storage that is resized after a call", of_torch.storage_resized),
    "eval": Feature("backward in eval mode", of_torch.backward_in_eval),
    "autocast": Feature("autocast to bfloat16", of_torch.autocast),
    "strides": Feature("inputs and gradients that are not contiguous", of_torch.strided),
    "long": Feature("70,000 steps, forward and backward", of_torch.long_sequence),
    "batch0": Feature("an empty batch", of_torch.empty_batch, ("packed",)),
    "steps0": Feature("sequences without steps", of_torch.no_steps, ("packed",)),
    "nograd": Feature("`no_grad`, `inference_mode`", of_torch.without_graph),
    "deepcopy": Feature("`copy.deepcopy` after a backward pass", of_torch.deepcopied),
    "threads": Feature("one module in two threads", of_torch.two_threads),
    "ddp": Feature("`DistributedDataParallel`, two processes", in_parallel.replicated),
    "fully_shard": Feature("`fully_shard` (FSDP2), two processes", in_parallel.sharded),
    "fsdp": Feature("`FullyShardedDataParallel` (FSDP1), two processes", in_parallel.flattened),
    "exchange": Feature(
        "`state_dict` to the other library and back",
        of_torch.weights_exchanged,
        ("lengths", "variant", "own"),
    ),
    "safetensors": Feature("`state_dict` through safetensors", of_torch.safetensors),
    "opcheck": Feature("`opcheck` of the custom operations", of_torch.opcheck, ours_only=True),
    "file": Feature("`save` and `load` without pickle", of_sequences.rebuilt_from_file),
    "lengths": Feature("lengths in any order, including zero", of_sequences.any_lengths, RAGGED),
    "left": Feature("padding on the left", of_sequences.left_padding, RAGGED),
    "resets": Feature("resets inside a sequence", of_sequences.resets),
    "states": Feature("states and gates of every step", of_sequences.states_and_gates),
    "truncated": Feature("the truncated gradient of 1997", of_sequences.truncated),
    "tbptt": Feature("gradients cut every k steps (truncated BPTT)", of_sequences.cut_every_k),
    "recompute": Feature("recomputation to save memory", of_sequences.recomputed),
    "dropout": Feature(
        "dropout between layers, reproducible with a seed",
        of_sequences.dropout_between,
        tuple(name for name in MODES if name != "stacked"),
    ),
    "inside": Feature(
        "recurrent dropout and zoneout, reproducible with a seed", of_sequences.dropout_inside
    ),
    "own": Feature("a user-defined cell", of_sequences.own_cell, ("variant", "own", "gru", "rnn")),
    "step": Feature(
        "one step per call (`nn.step`)", of_sequences.one_step_a_call, (*RAGGED, "stacked")
    ),
}

_PACKED = (
    "the size of a packed batch depends on values, and an exported graph must not; "
    "export a net that takes a padded tensor and lengths"
)
_TRACER = (
    "the tracer of TorchScript can record only calls that PyTorch's operators express; the message "
    "says so, and to use `dynamo=True`"
)
_OPERATORS = "this exporter cannot write such a call of PyTorch's operator; use `dynamo=True`"
_QUANTISER = (
    "PyTorch's quantised layers lack this; `nn.quantize` makes an int8 copy of any compiled layer"
)
KNOWN: dict[tuple[str, str], str] = {
    ("export", "packed"): _PACKED,
    ("onnx", "packed"): _PACKED,
    **{("tracer", mode): _TRACER for mode in ("lengths", "variant", "own")},
    **{
        ("quantize", mode): _QUANTISER
        for mode in ("lengths", "projection", "variant", "own", "rnn")
    },
    **{("tracer", mode): _OPERATORS for mode in ("packed", "projection")},
}
"""Cells of ours that do not work, with the reason."""


def applies(library: str, feature: str, mode: str) -> bool:
    """Whether a cell has a meaning for a library."""
    row, theirs = FEATURES[feature], library == "torch"
    return mode not in row.not_applicable and not (
        theirs and (row.ours_only or MODES[mode].ours_only)
    )


def outcome(library: str, feature: str, mode: str) -> str:
    """The outcome of a cell: a word, or the first line of an exception."""
    if not applies(library, feature, mode):
        return NOT_APPLICABLE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            FEATURES[feature].run(Case(library, MODES[mode]))
    except AssertionError:
        return DIFFERS
    except AbsentError:
        return ABSENT
    except Exception as error:
        message = str(error).strip().partition("\n")[0]
        if isinstance(error, TypeError) and "unexpected keyword argument" in message:
            return ABSENT
        return f"{type(error).__name__}: {message}"
    return WORKS


def matrix(library: str) -> dict[str, dict[str, str]]:
    """The outcomes of all cells of a library, by feature and mode."""
    return {
        feature: {mode: outcome(library, feature, mode) for mode in MODES} for feature in FEATURES
    }


def measure() -> dict[str, object]:
    """Everything that the page shows."""
    return {
        "torch": torch.__version__.partition("+")[0],
        "modes": {name: mode.title for name, mode in MODES.items()},
        "features": {name: feature.title for name, feature in FEATURES.items()},
        "known": {f"{feature} {mode}": why for (feature, mode), why in KNOWN.items()},
        "outcomes": {library: matrix(library) for library in ("carrousel", "torch")},
    }


if __name__ == "__main__":
    goal = Path(sys.argv[1]) if len(sys.argv) > 1 else MEASURED
    text = json.dumps(measure(), indent=1, ensure_ascii=False) + "\n"
    goal.write_text(text, encoding="utf-8")
