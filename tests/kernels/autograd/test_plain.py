"""Plain and compiled torch layers equal the reference, and torch's own layers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrousel.contracts import CELLS, CellKind, Recurrence
from carrousel.contracts.recurrence import ACTIVE
from carrousel.kernels.described import DescribedCell, describe
from carrousel.kernels.reference.sequence import backward, forward
from support.case import each
from support.kernels.recurrent_cases import Case, all_recurrences, cases, make_case, replaced

pytest.importorskip("torch")

import torch

from carrousel.kernels.autograd.layer import LayerInputs, LayerOptions
from carrousel.kernels.autograd.plain import STEPS
from support.kernels.recurrent_tensors import PATHS, assert_same, gradients, present, run, tensors

EVERYTHING = frozenset({"bias", "unit", "norms", "fresh", "drop", "lengths", "resets", "masks"})


every_path = pytest.mark.parametrize("path", PATHS)


def check_against_reference(case: Case, path: str) -> None:
    expected, tape = forward(case.arrays, case.recurrence, case.options)
    result, found = gradients(case, path)
    active = case.arrays.get("flags", np.full(expected.out.shape[:2], ACTIVE)) & ACTIVE != 0
    for name in ("out", "h", "s", "states"):
        ours = getattr(result, name).detach().numpy()
        assert_same(ours, getattr(expected, name), name)
    gates = present(result.gates).numpy()
    assert_same(gates[active], expected.gates[active], "gates")
    assert np.isfinite(gates).all()
    derivatives = backward(tape, *case.errors)
    assert set(found) == set(derivatives)
    for name, gradient in derivatives.items():
        assert_same(found[name], gradient, name)


def ours_too(x, r, states, h, unit):
    """A user's peephole LSTM without the peephole of the input gate."""
    i, f, g, o = (of_inputs + of_sources for of_inputs, of_sources in zip(x, r, strict=True))
    i, f, g = i.sigmoid(), (f + unit[0] * states[0]).sigmoid(), g.tanh()
    c = f * states[0] + i * g
    o = (o + unit[1] * c).sigmoid()
    return (c,), o * c.tanh(), (i, f, g, o)


@settings(max_examples=15)
@given(st.sampled_from(["bptt", "tbptt:2"]), st.integers(0, 2), st.booleans())
def test_user_cells_equal_built_in_ones(gradient, recompute, reverse):
    kind = CELLS["peephole"]
    kind = CellKind(kind.net_inputs, kind.states, ("p_f", "p_o"))
    describe(DescribedCell("user:two_peepholes", kind, ours_too, 0, {}, {}))
    settings = {"gradient": gradient, "recompute": recompute, "reverse": reverse}
    theirs = make_case(Recurrence("user:two_peepholes", 3), EVERYTHING, T=4, **settings)
    unit = np.concatenate([np.zeros((1, 3)), theirs.arrays["unit"]])
    ours = replaced(theirs, unit=unit)._replace(recurrence=Recurrence("peephole", 3))
    (expected, wanted), (result, found) = (gradients(each, "plain") for each in (ours, theirs))
    for one, other in zip(result, expected, strict=True):
        assert torch.equal(present(one), present(other))
    for name, gradient in found.items():
        assert_same(gradient, wanted[name][1:] if name == "unit" else wanted[name], name)


def test_every_cell_has_a_step():
    assert set(STEPS) == set(CELLS)


@every_path
@pytest.mark.parametrize("gradient", ["bptt", "truncated", "tbptt:2"])
@each("recurrence", all_recurrences())
def test_values_and_gradients_equal_the_reference(path, recurrence, gradient):
    case = make_case(recurrence, EVERYTHING, T=5, B=3, I=3, seed=5, gradient=gradient)
    check_against_reference(case, path)


@every_path
@settings(max_examples=120)
@given(cases())
def test_any_call_equals_the_reference(path, case):
    check_against_reference(case, path)


@every_path
@settings(max_examples=25)
@given(cases(features={"lengths"}))
def test_padding_is_never_read(path, case):
    inactive = (case.arrays["flags"] & ACTIVE) == 0
    poisoned = replaced(case, x=np.where(inactive[:, :, None], np.nan, case.arrays["x"]))
    (ours, gradient), (theirs, poisoned_gradient) = gradients(case, path), gradients(poisoned, path)
    for clean, other in zip(ours, theirs, strict=True):
        assert torch.equal(present(clean), present(other))
    for name in gradient:
        np.testing.assert_array_equal(poisoned_gradient[name], gradient[name], err_msg=name)


@every_path
@settings(max_examples=30)
@given(cases(), st.integers(1, 9))
def test_recomputing_does_not_change_results(path, case, steps):
    kept = case._replace(options=case.options._replace(recompute=0))
    recomputed = case._replace(options=case.options._replace(recompute=steps))
    (ours, gradient), (theirs, again) = gradients(kept, path), gradients(recomputed, path)
    for one, other in zip(ours, theirs, strict=True):
        assert_same(present(one).detach().numpy(), present(other).detach().numpy())
    for name in gradient:
        assert_same(again[name], gradient[name], name)


def test_recomputing_stores_less():
    """The tape has a few tensors per segment, not many per step."""
    kept = []
    for recompute in (0, 8):
        held: list[torch.Tensor] = []
        case = make_case(Recurrence("lstm", 4), T=32, recompute=recompute)
        inputs = tensors(case)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, held=held: held.append(t) or t, lambda t: t
        ):
            run(case, inputs, "plain")
        kept.append(len(held))
    assert kept[1] < kept[0] / 4


TORCH_LAYERS = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN", "rnn_relu": "RNN"}


@every_path
@pytest.mark.parametrize("cell", TORCH_LAYERS)
@each("projection", [0, 2])
@each("reverse", [False, True])
def test_layers_equal_those_of_torch(path, cell, projection, reverse):
    if projection and not CELLS[cell].projects:
        projection = 0
    torch.manual_seed(3)
    T, B, C = 6, 3, 5
    more = {"nonlinearity": cell[4:]} if cell.startswith("rnn") else {}
    more |= {"proj_size": projection} if projection else {}
    theirs = getattr(torch.nn, TORCH_LAYERS[cell])(2, C, dtype=torch.float64, **more)
    x = torch.randn(T, B, 2, dtype=torch.float64)
    h0 = torch.randn(B, projection or C, dtype=torch.float64)
    s0 = torch.randn(B, C if cell == "lstm" else 0, dtype=torch.float64)
    bias, unit = theirs.bias_ih_l0 + theirs.bias_hh_l0, None
    if cell == "gru":
        inside = torch.arange(3 * C) >= 2 * C
        bias = theirs.bias_ih_l0 + torch.where(inside, 0.0, theirs.bias_hh_l0)
        unit = theirs.bias_hh_l0[None, 2 * C :]
    inputs = LayerInputs(x, theirs.weight_ih_l0, theirs.weight_hh_l0, h0, s0, bias, unit)
    inputs = inputs._replace(w_hr=theirs.weight_hr_l0 if projection else None)
    ours = PATHS[path](inputs, Recurrence(cell, C, projection), LayerOptions(reverse=reverse))
    state = (h0[None], s0[None]) if cell == "lstm" else h0[None]
    out, last = theirs(x.flip(0) if reverse else x, state)
    out = out.flip(0) if reverse else out
    last_h = last[0] if cell == "lstm" else last
    assert_same(ours.out.detach().numpy(), out.detach().numpy())
    assert_same(ours.h.detach().numpy(), last_h[0].detach().numpy())
    d = torch.randn_like(out)
    weights = list(theirs.parameters())
    found = torch.autograd.grad((ours.out * d).sum(), weights)
    expected = torch.autograd.grad((out * d).sum(), weights)
    for one, other in zip(found, expected, strict=True):
        assert_same(one.numpy(), other.numpy())


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own forward mode
@every_path
@each("cell", CELLS)
@each("gradient", ["bptt", "truncated", "tbptt:2"])
def test_forward_mode_agrees_with_backward_mode(path, cell, gradient):
    case = make_case(Recurrence(cell, 3, layer_norm=True), EVERYTHING, T=3, gradient=gradient)
    inputs = tensors(case)

    def out(w_ih: torch.Tensor, w_hh: torch.Tensor, h0: torch.Tensor) -> torch.Tensor:
        return run(case, inputs._replace(w_ih=w_ih, w_hh=w_hh, h0=h0), path).out

    where = (inputs.w_ih, inputs.w_hh, inputs.h0)
    torch.manual_seed(1)
    along = tuple(torch.randn_like(w) for w in where)
    value, tangent = torch.func.jvp(out, tuple(w.detach() for w in where), along)[:2]
    d = torch.randn_like(value)
    back = torch.autograd.grad((out(*where) * d).sum(), where)
    ours = sum(float((b * v).sum()) for b, v in zip(back, along, strict=True))
    assert_same((tangent * d).sum().detach().numpy(), np.array(ours))


@every_path
@pytest.mark.parametrize("recompute", [0, 2])
@each("cell", CELLS)
def test_per_sequence_gradients_by_vmap(path, cell, recompute):
    """Mapped over the batch, flags and masks included; vmap disables recomputing."""
    features = EVERYTHING - {"drop"}
    case = make_case(Recurrence(cell, 3), features, T=4, B=3, recompute=recompute)
    given = tensors(case)._asdict().items()
    inputs = LayerInputs(**{name: t.detach() for name, t in given if t is not None})

    def loss(w_hh, x, h0, s0, flags, keep_h, keep_s):
        alone = inputs._replace(
            w_hh=w_hh,
            x=x[:, None],
            h0=h0[None],
            s0=s0[None],
            flags=flags[:, None],
            keep_h=keep_h[:, None],
            keep_s=keep_s[:, None],
        )
        return run(case, alone, path).out.square().sum()

    of_sequences = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1, 0, 0, 1, 1, 1))
    found = of_sequences(
        *(inputs.w_hh, inputs.x, inputs.h0, inputs.s0),
        *(inputs.flags, inputs.keep_h, inputs.keep_s),
    )
    w_hh = inputs.w_hh.clone().requires_grad_()
    losses = run(case, inputs._replace(w_hh=w_hh), path).out.square().sum((0, 2))
    for one, whole in zip(found, losses, strict=True):
        (expected,) = torch.autograd.grad(whole, w_hh, retain_graph=True)
        assert_same(one.numpy(), expected.numpy())


@every_path
@each("recurrence", all_recurrences(2))
def test_second_derivatives(path, recurrence):
    case = make_case(recurrence, EVERYTHING - {"masks"}, T=2, seed=3)
    inputs = tensors(case)

    def out(x: torch.Tensor, w_hh: torch.Tensor) -> torch.Tensor:
        return run(case, inputs._replace(x=x, w_hh=w_hh), path).out

    assert torch.autograd.gradgradcheck(out, (inputs.x, inputs.w_hh), fast_mode=True, atol=1e-4)


@every_path
@each("dtype", [torch.float32, torch.bfloat16])
@each("recurrence", all_recurrences())
def test_results_have_the_dtype_of_the_inputs(path, recurrence, dtype):
    """Each of 3 steps rounds some 10 times by half an ulp, here of numbers up to about 4."""
    case = make_case(recurrence, {"bias", "unit", "lengths", "resets"}, seed=4)
    result, expected = run(case, tensors(case, dtype), path), run(case, None, path)
    assert {present(tensor).dtype for tensor in result} == {dtype}
    assert torch.isfinite(result.out).all()
    if not recurrence.layer_norm:  # which amplifies roundings without a useful bound
        atol = 3 * 10 * 4 * torch.finfo(dtype).eps / 2
        np.testing.assert_allclose(
            result.out.detach().double(), expected.out.detach(), rtol=0, atol=atol
        )


@every_path
@each("cell", CELLS)
@each("T, B", [(0, 2), (3, 0), (0, 0)])
def test_no_steps_and_no_sequences(path, cell, T, B):
    case = make_case(Recurrence(cell, 3, layer_norm=True), EVERYTHING, T=T, B=B)
    result, found = gradients(case, path)
    recurrence = case.recurrence
    widths = (recurrence.n_sources, recurrence.n_states, recurrence.n_net_inputs)
    for tensor, width in zip((result.out, result.states, result.gates), widths, strict=True):
        assert present(tensor).shape == (T, B, width)
    np.testing.assert_array_equal(found["w_hh"], 0)
    if T == 0:
        assert torch.equal(result.h, torch.tensor(case.arrays["h0"]))


@pytest.mark.parametrize("recompute", [0, 1])
def test_compiles_without_graph_breaks(recompute):
    recurrence = Recurrence("lstm97", 4, block_size=2, gate_sources=True)
    case = make_case(recurrence, EVERYTHING, T=2, recompute=recompute, gradient="tbptt:1")
    inputs = tensors(case)
    compiled = torch.compile(
        lambda i: run(case, i, "plain").out, fullgraph=True, backend="aot_eager"
    )
    out, expected = compiled(inputs), run(case, inputs, "plain").out
    assert_same(out.detach().numpy(), expected.detach().numpy())
    (found,) = torch.autograd.grad(out.square().sum(), inputs.w_hh)
    (wanted,) = torch.autograd.grad(expected.square().sum(), inputs.w_hh)
    assert_same(found.numpy(), wanted.numpy())
