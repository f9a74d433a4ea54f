"""The modules under torch.compile, torch.export and torch.func."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from carrousel import nn  # noqa: E402
from support.case import case  # noqa: E402
from support.nn.modules import close, flat  # noqa: E402

f64 = torch.float64

# Together they use every option. T is small because the plain path unrolls the steps.
MODULES = {
    "lstm": lambda: nn.LSTM(2, 3, bidirectional=True, dtype=f64),
    "rich": lambda: nn.LSTM(
        2,
        3,
        cell="peephole",
        layer_norm=True,
        initial_state="learned",
        batch_first=True,
        proj_size=2,
        dtype=f64,
    ),
    "noisy": lambda: nn.GRU(2, 3, 2, dropout=0.2, zoneout=0.2, recurrent_dropout=0.2, dtype=f64),
    "rnn": lambda: nn.RNN(2, 3, nonlinearity="relu", gradient="tbptt:2", dtype=f64),
    "lstm97": lambda: nn.LSTM(2, 4, cell="lstm97", block_size=2, gate_sources=True, dtype=f64),
}


def made(name: str):
    torch.manual_seed(0)
    return MODULES[name]()


@pytest.fixture
def compiler():
    """``torch.compile`` with an empty cache."""
    torch.compiler.reset()
    yield torch.compile
    torch.compiler.reset()


@pytest.mark.parametrize("name", MODULES)
def test_compiles_into_one_graph(name, compiler):
    module = made(name).eval()
    compiled = compiler(module, backend="eager", fullgraph=True)
    x = torch.randn(3, 3, 2, dtype=f64)
    lengths, resets = torch.tensor([2, 0, 3]), torch.rand(3, 3) < 0.4
    close(compiled(x), module(x))
    for sides in ("right", "left"):
        close(
            compiled(x, lengths=lengths, resets=resets, padding=sides),
            module(x, lengths=lengths, resets=resets, padding=sides),
        )
    here = compiled(x, lengths=[3, 1, 2], return_states=True)[2][0]
    there = module(x, lengths=[3, 1, 2], return_states=True)[2][0]
    close(list(here.gates.values()), list(there.gates.values()))


@pytest.mark.parametrize("name", ["rich", "noisy"])
def test_compiled_training_gives_the_same_gradients(name, compiler):
    module = made(name)
    compiled = compiler(module, backend="aot_eager", fullgraph=True)
    x = torch.randn(3, 3, 2, dtype=f64, requires_grad=True)
    results = []
    for call in (module, compiled):
        torch.manual_seed(2)
        out, state = call(x, lengths=torch.tensor([2, 0, 3]))
        leaves = [x, *module.parameters()]
        results.append((out, state, *torch.autograd.grad((out**2).sum(), leaves)))
    close(*results)


def test_other_lengths_do_not_recompile(compiler):
    module, graphs = made("rich").eval(), []

    def backend(graph, _):
        graphs.append(graph)
        return graph.forward

    compiled = compiler(module, backend=backend, fullgraph=True, dynamic=False)
    x = torch.randn(3, 3, 2, dtype=f64)
    for lengths in ([1, 2, 3], [3, 3, 3], [0, 0, 0]):
        close(compiled(x, lengths=torch.tensor(lengths)), module(x, lengths=torch.tensor(lengths)))
    assert len(graphs) == 1


def test_cells_compile_into_one_graph(compiler):
    torch.manual_seed(0)
    for cell, state in (
        (nn.LSTMCell(2, 3, cell="coupled"), (torch.ones(2, 3), torch.ones(2, 3))),
        (nn.GRUCell(2, 3), torch.ones(2, 3)),
    ):
        x = torch.randn(2, 2)
        compiled = compiler(cell, backend="eager", fullgraph=True)
        close(compiled(x, state), cell(x, state))


def test_compiles_under_autocast(compiler):
    module = nn.LSTM(2, 3).eval()
    compiled = compiler(module, backend="eager", fullgraph=True)
    x = torch.randn(3, 2, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        close(compiled(x), module(x))


class Summing(torch.nn.Module):
    """A net with a layer, whose inputs are padded sequences and their lengths."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, lengths):
        out, _ = self.layer(x, lengths=lengths)
        return out.sum(0)


@pytest.mark.parametrize("name", ["lstm", "lstm97"])
def test_exported_net_accepts_any_batch_size(name, compiler):
    for strict in (True, False):
        with case(strict):
            check_export(name, strict)


def check_export(name, strict):
    net = Summing(made(name)).eval()
    x, lengths = torch.randn(3, 2, 2, dtype=f64), torch.tensor([3, 1])
    batch = torch.export.Dim("batch", min=2, max=64)
    program = torch.export.export(
        net, (x, lengths), dynamic_shapes={"x": {1: batch}, "lengths": {0: batch}}, strict=strict
    )
    more, others = torch.randn(3, 5, 2, dtype=f64), torch.tensor([0, 1, 2, 3, 3])
    close(program.module()(more, others), net(more, others))


@pytest.mark.parametrize("name", MODULES)
def test_gradients_of_each_sample(name):
    """``vmap`` of ``grad`` over sequences against one call for each sequence."""
    module = made(name).eval()
    weights = {key: w.detach() for key, w in module.named_parameters()}

    def loss(weights, x):
        out, _ = torch.func.functional_call(module, weights, (x,))
        return (out**2).sum()

    x = torch.randn(4, 3, 2, dtype=f64)
    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, x)
    for key, rows in each.items():
        close(rows, torch.stack([torch.func.grad(loss)(weights, one)[key] for one in x]))


@pytest.mark.parametrize("name", ["rich", "noisy"])
def test_masks_differ_between_mapped_samples(name):
    module = made(name)
    x = torch.randn(1, 3, 2, dtype=f64).expand(4, 3, 2)
    mapped = torch.func.vmap(lambda one: module(one)[0], randomness="different")
    torch.manual_seed(1)
    out = mapped(x)
    assert torch.equal(out[0], out[1]) == (name == "rich")


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # used by torch itself
@pytest.mark.parametrize("name", ["lstm", "rich"])
def test_forward_mode_agrees_with_reverse_mode(name):
    module = made(name).eval()
    x, direction = torch.randn(2, 3, 3, 2, dtype=f64)
    _, tangent = torch.func.jvp(lambda x: module(x)[0], (x,), (direction,))
    jacobian = torch.func.jacrev(lambda x: module(x)[0])(x)
    close(tangent, torch.einsum("abcijk,ijk->abc", jacobian, direction))


def test_ensemble_of_modules():
    """One call with the stacked weights of several modules."""
    torch.manual_seed(0)
    modules = [nn.LSTM(2, 3, dtype=f64) for _ in range(3)]
    weights, buffers = torch.func.stack_module_state(modules)
    x = torch.randn(4, 2, 2, dtype=f64)

    def call(weights, buffers):
        return torch.func.functional_call(modules[0], (weights, buffers), (x,))

    out, (h_n, c_n) = torch.func.vmap(call)(weights, buffers)
    expected = [flat(module(x)) for module in modules]
    close((out, h_n, c_n), [torch.stack(rows) for rows in zip(*expected, strict=True)])
