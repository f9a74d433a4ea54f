"""Ordinary calls, which go straight to the compiled kernel, against the general way."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from carrousel.nn import cells, recurrent  # noqa: E402
from support.case import case  # noqa: E402
from support.nn.modules import close, flat  # noqa: E402

f64 = torch.float64
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
    {"bias": False, "gradient": "truncated"},
    {"layer_norm": True, "gradient": "tbptt:2"},
    {"zoneout": 0.2, "num_layers": 2},
)
KINDS: tuple[tuple[Any, dict[str, Any]], ...] = (
    *((nn.LSTM, {"cell": cell}) for cell in ("lstm", "peephole", "coupled", "no_output_gate")),
    (nn.LSTM, {"proj_size": 2}),
    (nn.LSTM, {"cell": "lstm97", "block_size": 2, "gate_sources": True}),
    (nn.GRU, {}),
    (nn.RNN, {"nonlinearity": "relu"}),
)

STEPS: tuple[tuple[Any, dict[str, Any]], ...] = (
    *((nn.LSTMCell, {"cell": cell}) for cell in ("lstm", "peephole", "lstm97")),
    (nn.GRUCell, {}),
    (nn.GRUCell, {"bias": False}),
    (nn.RNNCell, {}),
)


@pytest.fixture
def general(monkeypatch):
    """Let every call take the general way."""

    def switch() -> None:
        monkeypatch.setattr(recurrent, "run_eagerly", lambda *_: None)
        monkeypatch.setattr(cells, "step_eagerly", lambda *_: None)

    return switch


def results(module, x, hx) -> list[Any]:
    """Outputs, and gradients of a function of them all by inputs, states and parameters."""
    found = flat(module(x, hx))
    loss = sum(
        (one * torch.linspace(-1, 1, one.numel(), dtype=f64).view_as(one)).sum() for one in found
    )
    wanted = [one for one in (x, *flat(hx), *module.parameters()) if one.requires_grad]
    return [*found, *torch.autograd.grad(loss, wanted)]


def states(module, B: int) -> Any:
    R, rows = module.recurrence, module.num_layers * module.num_directions
    h = torch.randn(rows, B, R.n_sources, dtype=f64, requires_grad=True)
    s = torch.randn(rows, B, R.n_states, dtype=f64, requires_grad=True)
    return (h, s) if R.n_states else h


def test_ordinary_calls_agree_with_the_general_way(general):
    torch.manual_seed(3)
    calls = []
    for kind, own in KINDS:
        for options in OPTIONS:
            if kind is not nn.LSTM or own.get("cell") != "lstm97" or "layer_norm" not in options:
                module = kind(3, 4, **own, **options, dtype=f64).eval()
                for T, B in ((1, 1), (1, 9), (5, 2)):
                    first = module.batch_first
                    x = torch.randn(*((B, T) if first else (T, B)), 3, dtype=f64)
                    calls.append((module, x.requires_grad_(), states(module, B)))
    quick = [results(*call) for call in calls]
    nodes = {type(one.grad_fn).__name__ for one in flat(calls[0][0](calls[0][1]))}
    assert nodes == {"_UnmaskedBackward"}
    general()
    for call, found in zip(calls, quick, strict=True):
        with case(call[0], call[1].shape):
            close(found, results(*call))


def test_steps_of_cells_agree_with_the_general_way(general):
    torch.manual_seed(4)
    calls = []
    for kind, options in STEPS:
        module = kind(3, 4, **options, dtype=f64)
        for B in (1, 3, 40):
            x, h, s = (torch.randn(B, n, dtype=f64, requires_grad=True) for n in (3, 4, 4))
            calls.append((module, x, (h, s) if module.recurrence.n_states else h))
    quick = [results(*call) for call in calls]
    general()
    for call, found in zip(calls, quick, strict=True):
        with case(call[0], call[1].shape):
            close(found, results(*call))


def test_gradients_of_many_errors_at_once():
    """``is_grads_batched`` and vectorised Jacobians."""
    for kind in (torch.nn.LSTM, nn.LSTM):
        torch.manual_seed(5)
        layer, x = kind(3, 2).double(), torch.randn(4, 2, 3, dtype=f64, requires_grad=True)
        output = layer(x)[0]
        errors = torch.randn(3, *output.shape, dtype=f64)
        (many,) = torch.autograd.grad(output, x, errors, is_grads_batched=True, retain_graph=True)
        alone = [torch.autograd.grad(output, x, e, retain_graph=True)[0] for e in errors]
        close(many, torch.stack(alone))
        net = torch.nn.Sequential(layer, First())
        jacobian = torch.autograd.functional.jacobian
        close(jacobian(net, x, vectorize=True), jacobian(net, x))


class First(torch.nn.Module):
    """The output of a layer alone."""

    def forward(self, results):
        return results[0]


def test_results_of_one_step_may_be_changed_in_place():
    """As those of torch's cells: a mask between two steps, for example."""
    for name in ("LSTMCell", "GRUCell", "RNNCell"):
        found = []
        for library in (torch.nn, nn):
            torch.manual_seed(6)
            cell = getattr(library, name)(3, 4, dtype=f64)
            x, state = torch.randn(5, 2, 3, dtype=f64), None
            for row in x:
                state = cell(row, state)
                for one in flat(state):
                    if library is nn or name != "RNNCell":  # torch's RNNCell needs its result
                        one.mul_(0.5)
                    else:
                        state = one * 0.5
            loss = torch.stack([one.sum() for one in flat(state)]).sum()
            found.append(torch.autograd.grad(loss, list(cell.parameters())))
        close(found[1], found[0])


def test_dropout_draws_once_where_a_later_parameter_is_not_contiguous():
    found = []
    for turned in (False, True):
        torch.manual_seed(8)
        layer: Any = nn.GRU(2, 3, num_layers=3, dropout=0.5)
        x = torch.randn(4, 2, 2)
        if turned:
            weight = layer.weight_hh_l2.detach()
            layer.weight_hh_l2 = torch.nn.Parameter(weight.T.contiguous().T)
        torch.manual_seed(9)
        found.append(layer(x)[0])
    close(found[1], found[0])


def test_the_callers_storage_may_still_be_resized(tmp_path):
    layer, cell, x = nn.LSTM(3, 4), nn.LSTMCell(3, 4), torch.randn(5, 2, 3)
    state = tuple(torch.randn(1, 2, 4) for _ in range(2))
    ragged = nn.LSTM(3, 4, layer_norm=True)
    with torch.no_grad():
        quiet = [*flat(layer(x, state)), *flat(cell(x[0].clone(), tuple(s[0] for s in state)))]
    learned = flat(layer(x.requires_grad_(), state)) + flat(ragged(x, lengths=[5, 2]))
    torch.stack([one.sum() for one in learned]).sum().backward()
    stepper = nn.step(layer.eval())
    stepper(torch.randn(3))
    nn.save(layer, tmp_path / "layer.safetensors")
    if find_spec("onnx"):
        nn.export_onnx(layer, tmp_path / "layer.onnx")
    every = [x, *state, *quiet, *learned, x.grad]
    every += [t for m in (layer, cell, ragged) for p in m.parameters() for t in (p, p.grad)]
    for tensor in every:
        if tensor is not None:
            storage = tensor.detach().untyped_storage()
            storage.resize_(storage.nbytes() + 64)


def test_inputs_that_torch_negates_later():
    """The memory of a lazy negative holds the other sign."""
    layer, x = nn.LSTM(3, 4), torch.randn(5, 2, 3)
    negative = torch.complex(torch.zeros_like(x), -x).conj().imag
    assert negative.is_neg()
    close(layer(negative)[0], layer(x)[0])
    with torch.no_grad():
        close(layer(x, resets=torch.zeros(5, 2, dtype=torch.bool))[0], layer(negative)[0])


def test_parameters_that_torch_negates_later():
    layer, cell, x = nn.LSTM(3, 4), nn.GRUCell(3, 4), torch.randn(5, 2, 3)
    expected = [*flat(layer(x)), cell(x[0])]
    for module in (layer, cell):
        for name, parameter in list(module.named_parameters()):
            negative = torch.nn.Parameter(torch._neg_view(-parameter.detach()))
            assert negative.is_neg()
            setattr(module, name, negative)
    close([*flat(layer(x)), *flat(cell(x[0]))], expected)


def test_saved_tensors_that_hooks_return_in_another_layout():
    """A hook may return any view with the values of the saved tensor."""
    x = torch.randn(5, 2, 3, dtype=f64)
    hooks = torch.autograd.graph.saved_tensors_hooks
    for module, given in ((nn.LSTM(3, 4, dtype=f64), x), (nn.GRUCell(3, 4, dtype=f64), x[0])):
        found = []
        for unpack in (
            lambda one: one,
            lambda one: torch._neg_view(-one),
            lambda one: torch.stack((one, one), dim=-1)[..., 0],
        ):
            with hooks(lambda one: one, unpack):
                loss = sum((one**2).sum() for one in flat(module(given)))
            found.append(torch.autograd.grad(loss, list(module.parameters())))
        close(found[1], found[0])
        close(found[2], found[0])


def test_zeros_that_have_no_memory():
    """Torch represents some gradients and tangents of zero without memory."""
    layer, x = nn.LSTM(3, 4), torch.randn(5, 2, 3, requires_grad=True)
    none, zero = torch._efficientzerotensor((5, 2, 3)), torch.zeros(5, 2, 3)
    state = (torch._efficientzerotensor((1, 2, 4)),) * 2
    close(layer(none, state)[0], layer(zero)[0])
    output = layer(x)[0]
    close(torch.autograd.grad(output, x, torch._efficientzerotensor(output.shape))[0], zero)


def test_tensors_with_freed_memory_are_refused():
    layer, x = nn.LSTM(3, 4), torch.randn(5, 2, 3)
    x.untyped_storage().resize_(0)
    with pytest.raises(ValueError, match="x has no memory"):
        layer(x)
