"""Options that torch's modules lack."""

from __future__ import annotations

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

from carrousel import nn  # noqa: E402
from support.case import case  # noqa: E402
from support.nn.modules import close, flat, torch_runs_in_bfloat16  # noqa: E402

f64 = torch.float64
LAYERS = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.RNN}
CELLS = ("lstm", "lstm97", "peephole", "coupled", "no_output_gate")


def x_of(T: int = 6, B: int = 2, width: int = 3) -> Any:
    torch.manual_seed(7)
    return torch.randn(T, B, width, dtype=f64)


def test_weights_do_not_depend_on_other_options():
    for cell in CELLS:
        with case(cell):
            check_weights(cell)


def check_weights(cell):
    torch.manual_seed(0)
    plain = nn.LSTM(3, 4, 2, bidirectional=True, cell=cell)
    torch.manual_seed(0)
    rich = nn.LSTM(3, 4, 2, bidirectional=True, cell=cell, layer_norm=True, initial_state="learned")
    for name, weight in plain.named_parameters():
        assert torch.equal(weight, rich.get_parameter(name)), name
    extra = sorted(set(rich.state_dict()) - set(plain.state_dict()))
    norms = ("norm_ih", "norm_hh", "norm_state", "initial_h", "initial_c")
    suffixes = ("_l0", "_l0_reverse", "_l1", "_l1_reverse")
    assert extra == sorted(name + suffix for name in norms for suffix in suffixes)


def test_parameters_of_blocks_of_1997():
    blocks = nn.LSTM(5, 6, cell="lstm97", block_size=3, gate_sources=True, layer_norm=True)
    shapes = {name: tuple(weight.shape) for name, weight in blocks.named_parameters()}
    assert shapes == {
        "weight_ih_l0": (10, 5),
        "weight_hh_l0": (10, 10),
        "bias_ih_l0": (10,),
        "bias_hh_l0": (10,),
        "norm_ih_l0": (10,),
        "norm_hh_l0": (10,),
        "norm_state_l0": (2, 6),
    }


def test_equations_of_blocks_of_1997():
    """Equations 3 to 9 of the paper for one block of two cells whose gates are fed back."""
    module: Any = nn.LSTM(3, 2, cell="lstm97", block_size=2, gate_sources=True, dtype=f64)
    x = x_of(4, 1)
    out, (h_n, c_n) = module(x)
    w, r = module.weight_ih_l0, module.weight_hh_l0
    bias = module.bias_ih_l0 + module.bias_hh_l0
    y, s = torch.zeros(4, dtype=f64), torch.zeros(2, dtype=f64)  # two cells, two gates
    for t in range(4):
        net = w @ x[t, 0] + r @ y + bias
        y_in, y_out = torch.sigmoid(net[0]), torch.sigmoid(net[3])
        s = s + y_in * (4 * torch.sigmoid(net[1:3]) - 2)
        y = torch.cat([y_out * (2 * torch.sigmoid(s) - 1), y_in[None], y_out[None]])
        close(out[t, 0], y[:2])
    close((h_n[0, 0], c_n[0, 0]), (y, s))


def test_forget_bias():
    for cell, rows, start in (
        ("lstm", slice(4, 8), 1.5),
        ("peephole", slice(4, 8), 1.5),
        ("no_output_gate", slice(4, 8), 1.5),
        ("coupled", slice(0, 4), -1.5),
    ):
        with case(cell):
            check_forget_bias(cell, rows, start)


def check_forget_bias(cell, rows, start):
    module = nn.LSTM(3, 4, 2, cell=cell, forget_bias=1.5, bidirectional=True)
    for layer in range(2):
        for direction in range(2):
            bias: Any = module.layer_weights(layer, direction).bias
            assert torch.equal(bias[rows], torch.full((4,), start))
            others = torch.ones(len(bias), dtype=torch.bool)
            others[rows] = False
            assert (bias[others].abs() <= 1).all()  # sums of two numbers within 0.5
    single: Any = nn.LSTMCell(3, 4, cell=cell, forget_bias=1.5)
    assert torch.equal(single.layer_weights().bias[rows], torch.full((4,), start))


@pytest.mark.parametrize("name", LAYERS)
def test_learned_initial_state(name):
    module = LAYERS[name](3, 4, 2, bidirectional=True, initial_state="learned", dtype=f64)
    x = x_of()
    starts = []
    for state in ("h", "c") if name == "LSTM" else ("h",):
        rows = [
            module.get_parameter(f"initial_{state}_l{k}{suffix}")
            for k in range(2)
            for suffix in ("", "_reverse")
        ]
        for row in rows:
            torch.nn.init.normal_(row)
        starts.append(torch.stack(rows).unsqueeze(1).expand(-1, 2, -1))
    out, last = module(x)
    close((out, last), module(x, tuple(starts) if name == "LSTM" else starts[0]))
    out.sum().backward()
    assert all((p.grad != 0).any() for p in module.parameters())


def test_states_and_gates_of_every_step():
    for cell in CELLS:
        with case(cell):
            check_states_and_gates(cell)


def check_states_and_gates(cell):
    module = nn.LSTM(3, 4, 2, bidirectional=True, cell=cell, dtype=f64)
    x = x_of()
    out, (_, c_n), steps = module(x, return_states=True)
    assert len(steps) == 4
    for index, one in enumerate(steps):
        last = 0 if index % 2 else -1
        assert torch.equal(one.states["c"][last], c_n[index])
        assert list(one.gates) == list(module.recurrence.kind.net_inputs)
        assert not any(gate.requires_grad for gate in one.gates.values())
    c, gates = steps[2].states["c"], steps[2].gates
    squashed = 2 * torch.sigmoid(c) - 1 if cell == "lstm97" else torch.tanh(c)
    close(gates.get("output", 1.0) * squashed, out[..., :4])
    cell_input = gates["cell"]
    before = torch.cat([torch.zeros_like(c[:1]), c[:-1]])
    forget = 1.0 if cell == "lstm97" else gates.get("forget", 1 - gates["input"])
    close(forget * before + gates["input"] * cell_input, c)


def test_states_have_the_layout_of_the_output():
    module = nn.LSTM(3, 4, batch_first=True)
    steps = module(torch.randn(2, 5, 3), return_states=True)[2]
    assert steps[0].states["c"].shape == (2, 5, 4)
    steps = module(torch.randn(5, 3), return_states=True)[2]
    assert steps[0].gates["forget"].shape == (5, 4)


def test_gradient_is_cut_at_the_right_steps():
    for gradient in ("tbptt:2", "truncated", "bptt"):
        with case(gradient):
            check_cuts(gradient)


def check_cuts(gradient):
    module = nn.LSTM(3, 4, gradient=gradient, dtype=f64)
    x = x_of().requires_grad_()
    out, _ = module(x)
    (grad,) = torch.autograd.grad(out[-1].sum(), x)
    reached = [bool(step.any()) for step in grad]
    assert reached == [gradient != "tbptt:2"] * 4 + [True] * 2
    if gradient == "truncated":
        # The truncated gradient is that of a net whose previous outputs are constants.
        h, c, terms = torch.zeros(2, 4, dtype=f64), torch.zeros(2, 4, dtype=f64), []
        for t in range(6):
            terms.append(torch.nn.functional.linear(x[t], module.weight_ih_l0))
            net = terms[-1] + h.detach() @ module.weight_hh_l0.T
            i, f, g, o = (net + module.bias_ih_l0 + module.bias_hh_l0).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        close(grad, torch.autograd.grad(h.sum(), x)[0])


def test_recompute_does_not_change_results():
    x = x_of()
    results = []
    for steps in (0, 1, 2, 4, 50, "auto"):
        torch.manual_seed(3)
        module = nn.LSTM(3, 4, 2, zoneout=0.3, recurrent_dropout=0.3, dtype=f64, recompute=steps)
        out, state = module(x, lengths=[6, 3])
        grads = torch.autograd.grad((out**2).sum(), list(module.parameters()))
        results.append((out, state, *grads))
        with case(steps):
            close(results[-1], results[0])


NOISE = {
    "zoneout": {"zoneout": 0.4},
    "recurrent_dropout": {"recurrent_dropout": 0.4},
    "both": {"zoneout": 0.2, "recurrent_dropout": 0.3, "dropout": 0.5},
}


@pytest.mark.parametrize("name", LAYERS)
def test_noise_is_reproducible_and_off_in_evaluation(name):
    for noise in NOISE:
        with case(noise):
            check_noise(name, noise)


def check_noise(name, noise):
    torch.manual_seed(0)
    module = LAYERS[name](3, 4, 2, dtype=f64, **NOISE[noise])
    x = x_of()
    outs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(module(x)[0])
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
    module.eval()
    before = torch.get_rng_state()
    close(module(x), module(x))
    assert torch.equal(before, torch.get_rng_state())
    if noise == "recurrent_dropout":
        plain = LAYERS[name](3, 4, 2, dtype=f64)
        plain.load_state_dict(module.state_dict())
        close(module(x), plain(x))


def test_zoneout_in_evaluation_is_its_mean():
    """Over many draws, the share of kept values is right within five standard errors."""
    torch.manual_seed(0)
    module, B, (zone_h, zone_c) = nn.LSTM(3, 4, zoneout=(0.2, 0.6), dtype=f64), 20_000, (0.2, 0.6)
    x = torch.randn(1, 1, 3, dtype=f64).expand(1, B, 3)
    h, c = (torch.randn(1, 1, 4, dtype=f64) for _ in range(2))
    _, drawn = module(x, (h.expand(1, B, 4), c.expand(1, B, 4)))
    _, mixed = module.eval()(x[:, :1], (h, c))
    plain = nn.LSTM(3, 4, dtype=f64)
    plain.load_state_dict(module.state_dict())
    _, new = plain(x[:, :1], (h, c))
    for share, old, fresh, draws, mean in zip(
        (zone_h, zone_c), (h, c), new, drawn, mixed, strict=True
    ):
        close(mean, share * old + (1 - share) * fresh)
        kept = draws == old
        assert torch.equal(kept | (draws - fresh).abs().lt(1e-12), torch.ones_like(kept))
        bound = 5 * math.sqrt(share * (1 - share) / (4 * B))
        assert abs(kept.double().mean().item() - share) < bound


def test_recurrent_dropout_uses_one_mask_for_all_steps():
    """Units that copy themselves are scaled by ``1 / (1 - p)`` at every step, or are zero."""
    T, B = 5, 64
    module: Any = nn.RNN(1, 8, nonlinearity="relu", recurrent_dropout=0.5, bias=False, dtype=f64)
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.eye(8))
    torch.manual_seed(0)
    x, one = torch.zeros(T, B, 1, dtype=f64), torch.ones(1, B, 8, dtype=f64)
    _, last = module(x, one)
    values = last.flatten().tolist()
    assert set(values) == {0.0, 2.0**T}
    # Half of 512 units, within five standard deviations.
    assert abs(values.count(0.0) - 256) < 5 * math.sqrt(512 / 4)


def test_cells_agree_with_layers():
    for cell in CELLS:
        with case(cell):
            check_steps(cell)


def check_steps(cell):
    torch.manual_seed(0)
    layer = nn.LSTM(3, 4, cell=cell, layer_norm=True, dtype=f64)
    single = nn.LSTMCell(3, 4, cell=cell, layer_norm=True, dtype=f64)
    single.load_state_dict({k.removesuffix("_l0"): w for k, w in layer.state_dict().items()})
    x, state = x_of(), None
    for step in x:
        state = single(step, state)
    close(state, tuple(one[0] for one in layer(x)[1]))


def test_zoneout_of_a_cell_is_reproducible():
    cell = nn.GRUCell(3, 4, zoneout=0.5, dtype=f64)
    x, h = x_of()[0], torch.ones(2, 4, dtype=f64)
    torch.manual_seed(1)
    first = cell(x, h)
    torch.manual_seed(1)
    assert torch.equal(first, cell(x, h))
    assert 0 < int((first == h).sum()) < 8
    cell.eval()
    plain = nn.GRUCell(3, 4, dtype=f64)
    plain.load_state_dict(cell.state_dict())
    close(cell(x, h), 0.5 * h + 0.5 * plain(x, h))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_computes_in_its_dtype(dtype):
    torch.manual_seed(0)
    module, x = nn.LSTM(3, 4, 2, bidirectional=True), torch.randn(5, 2, 3)
    exact = module(x)
    with torch.autocast("cpu", dtype=dtype):
        rough = module(x, tuple(torch.zeros(4, 2, 4) for _ in range(2)))
    assert all(one.dtype == dtype for one in flat(rough))
    error = max((a - b).abs().max().item() for a, b in zip(flat(rough), flat(exact), strict=True))
    assert 0 < error < 20 * torch.finfo(dtype).eps  # five steps of two layers, one rounding each
    flat(rough)[0].float().sum().backward()
    assert {w.grad.dtype for w in module.parameters() if w.grad is not None} == {torch.float32}


@pytest.mark.skipif(not torch_runs_in_bfloat16(), reason="torch's LSTM needs a newer processor")
def test_autocast_results_have_the_types_of_torch():
    x, lengths = torch.randn(5, 2, 3), [5, 3]
    for name in ("LSTM", "GRU", "RNN"):
        found = []
        for library in (torch.nn, nn):
            layer, cell = getattr(library, name)(3, 4), getattr(library, name + "Cell")(3, 4)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                packed, last = layer(pack_padded_sequence(x, lengths))
                results = [*flat(layer(x)), packed.data, *flat(last), *flat(cell(x[0]))]
                results += flat(cell(x[0], cell(x[0])))
            found.append([one.dtype for one in results])
        assert found[0] == found[1], name


def test_autocast_does_not_round_the_state():
    """A state that grows by 0.01 at each step; in bfloat16 it would stay at 4."""
    cell = nn.LSTMCell(1, 1)
    for weight in cell.parameters():
        torch.nn.init.zeros_(weight)
    with torch.no_grad():  # input gate, forget gate, cell input, output gate
        cell.bias_ih.copy_(torch.tensor([-4.6, 12.0, 5.0, 0.0]))
    state: Any = None
    exact = 0.0
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for _ in range(2000):
            state = cell(torch.zeros(1, 1), state)
    i, f = 1 / (1 + math.exp(4.6)), 1 / (1 + math.exp(-12))
    for _ in range(2000):
        exact = f * exact + i * math.tanh(5)
    assert float(state[1]) == pytest.approx(exact, rel=1e-4)


def test_user_defined_cell_without_states():
    pytest.importorskip("sympy")
    cell = nn.Equations("elman", net_inputs=("z",), equations="h = tanh(z)")
    torch.manual_seed(0)
    ours = nn.LSTM(3, 4, 2, bidirectional=True, cell=cell, dtype=f64)
    torch.manual_seed(0)
    theirs = torch.nn.RNN(3, 4, 2, bidirectional=True, dtype=f64)
    close(ours(x_of()), theirs(x_of()))
    close(
        ours(x_of(), torch.ones(4, 2, 4, dtype=f64)), theirs(x_of(), torch.ones(4, 2, 4).double())
    )


def test_user_defined_cell_with_parameters_and_a_forget_gate():
    pytest.importorskip("sympy")
    cell = nn.Equations(
        "leaky",
        net_inputs=("forget", "z"),
        states=("c", "slow"),
        unit_parameters=("p",),
        equations="""
            forget = sigmoid(forget)
            c = forget * c_prev + (1 - forget) * tanh(z)
            slow = slow_prev + p * c
            h = tanh(slow)
        """,
    )
    module = nn.LSTM(3, 4, cell=cell, forget_bias=2.0, initial_state="learned", zoneout=0.1)
    assert [name for name, _ in module.named_parameters()][4:] == [
        "weight_unit_l0",
        "initial_h_l0",
        "initial_c_l0",
        "initial_slow_l0",
    ]
    bias: Any = module.layer_weights(0, 0).bias
    assert torch.equal(bias[:4], torch.full((4,), 2.0))
    out, (h_n, s_n) = module(torch.randn(5, 2, 3), lengths=[5, 0])
    assert (out.shape, h_n.shape, s_n.shape) == ((5, 2, 4), (1, 2, 4), (1, 2, 8))
    out.sum().backward()
    single = nn.LSTMCell(3, 4, cell=cell)
    h, s = single(torch.randn(2, 3))
    assert (h.shape, s.shape) == ((2, 4), (2, 8))
