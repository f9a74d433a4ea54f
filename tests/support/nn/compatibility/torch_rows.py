"""Rows of the compatibility matrix: features of torch that every module should support."""

from __future__ import annotations

import contextlib
import copy
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from support.nn.compatibility.cases import (
    BATCH,
    INPUTS,
    STEPS,
    Case,
    Net,
    f32,
    same_gradients,
)
from support.nn.exported import differences, session
from support.nn.modules import close


def compiled(case: Case) -> None:
    """One forward and one backward graph, run operation by operation."""
    _compiled_by("aot_eager", case)


def compiled_to_code(case: Case) -> None:
    """The default backend, which generates code around our operations."""
    _compiled_by("inductor", case)


def _compiled_by(backend: str, case: Case) -> None:
    net = Net(case, case.module())
    torch.compiler.reset()
    try:
        no_pool: dict[str, Any] = {"compile_threads": 1}
        options = no_pool if backend == "inductor" else None
        fast = torch.compile(net, fullgraph=True, backend=backend, options=options)
        leaf = case.leaf().requires_grad_()
        found = []
        for call in (fast, net):  # compiled first, so that no cached state exists
            outputs = call(leaf)
            loss = torch.stack([(out**2).sum() for out in outputs]).sum()
            found.append((*outputs, *torch.autograd.grad(loss, [leaf, *net.parameters()])))
        close(*found)
    finally:
        torch.compiler.reset()


def exported(case: Case) -> None:
    """If all sequences are equally long, the exported graph accepts any batch size."""
    net = Net(case, case.module().eval())
    open_batch = case.mode.feed == "padded"
    shapes = {"leaf": {1: torch.export.Dim("batch", min=2, max=64)}} if open_batch else None
    program = torch.export.export(net, (case.leaf(),), dynamic_shapes=shapes)
    leaf = case.leaf(2, B=BATCH + 2 * open_batch)
    close(program.module()(leaf), net(leaf))


def exported_to_onnx(case: Case) -> None:
    """If all sequences are equally long, the file accepts any number of steps and sequences."""
    _exported_to_onnx(case, dynamo=True)


def traced_to_onnx(case: Case) -> None:
    """The exporter of TorchScript."""
    _exported_to_onnx(case, dynamo=False)


def _exported_to_onnx(case: Case, *, dynamo: bool) -> None:
    pytest.importorskip("onnxscript")
    net, leaf = Net(case, case.module(f32).eval()), case.leaf(dtype=f32)
    padded = case.mode.feed == "padded"
    names: Any = {"input_names": ["leaf"]}
    if padded and dynamo:
        names = {"dynamic_shapes": {"leaf": {0: "T", 1: "B"}}}
    elif padded:
        names["dynamic_axes"] = {"leaf": {0: "T", 1: "B"}}
    folder = tempfile.TemporaryDirectory()
    with folder, contextlib.chdir(folder.name), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path("net.onnx")
        try:
            torch.onnx.export(net, (leaf,), path, dynamo=dynamo, verbose=False, **names)
        except Exception as error:
            raise (
                error.__cause__ or error
            ) from None  # the exporter puts its own exception around it
        opened = session(path)
    for more in (0, 2) if padded else (0,):
        x = case.leaf(2, T=STEPS + more, B=BATCH + more, dtype=f32)
        assert max(differences(opened, net, (x,))) < 1e-5  # over 100 roundings


def vmapped(case: Case) -> None:
    module, leaves = case.module(), torch.stack([case.leaf(seed) for seed in range(3)])
    out = torch.func.vmap(lambda leaf: case.call(module, leaf)[0])(leaves)
    close(out, torch.stack([case.call(module, leaf)[0] for leaf in leaves]))


def sample_gradients(case: Case) -> None:
    net = Net(case, case.module())
    weights = {name: w.detach() for name, w in net.named_parameters()}

    def loss(weights: dict[str, Tensor], leaf: Tensor) -> Tensor:
        return (torch.func.functional_call(net, weights, (leaf,))[0] ** 2).sum()

    leaves = torch.stack([case.leaf(seed) for seed in range(3)])
    rows = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, leaves)
    for leaf, number in zip(leaves, range(3), strict=True):
        alone = torch.autograd.grad((net(leaf)[0] ** 2).sum(), list(net.parameters()))
        close([row[number] for row in rows.values()], alone)


def forward_mode(case: Case) -> None:
    """Compare with finite differences, whose error is about 1e-10."""
    net = Net(case, case.module())
    values = (case.leaf(), *(w.detach() for w in net.parameters()))
    torch.manual_seed(3)
    directions = tuple(torch.randn_like(value) for value in values)
    names = [name for name, _ in net.named_parameters()]

    def call(leaf: Tensor, *weights: Tensor) -> Any:
        named = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(net, named, (leaf,))[0]

    tangent = torch.func.jvp(call, values, directions)[1]
    with torch.no_grad():
        ahead, behind = (
            call(*(v + sign * 1e-6 * d for v, d in zip(values, directions, strict=True)))
            for sign in (1, -1)
        )
    close(tangent, (ahead - behind) / 2e-6)


def _checked(case: Case, check: Any, *, training: bool | None = None) -> None:
    module = case.module()
    net = Net(case, module if training is None else module.train(training))
    names = [name for name, _ in net.named_parameters()]
    leaves = [case.leaf(), *(w.detach().clone() for w in net.parameters())]

    def call(leaf: Tensor, *weights: Tensor) -> Any:
        return torch.func.functional_call(net, dict(zip(names, weights, strict=True)), (leaf,))

    assert check(call, [leaf.requires_grad_() for leaf in leaves], fast_mode=True)


def gradcheck(case: Case) -> None:
    _checked(case, torch.autograd.gradcheck)


def double_backward(case: Case) -> None:
    _checked(case, torch.autograd.gradgradcheck)


def backward_in_eval(case: Case) -> None:
    _checked(case, torch.autograd.gradcheck, training=False)


def deepcopied(case: Case) -> None:
    module = case.module()
    sum(out.sum() for out in case.call(module, case.leaf())).backward()  # type: ignore[union-attr]
    other = copy.deepcopy(module)
    mine = {w.data_ptr() for w in module.parameters()}
    assert not mine & {w.data_ptr() for w in other.parameters()}
    same_gradients(case, module, other)


def weights_exchanged(case: Case) -> None:
    """From this library to the other and back, with the same names and order."""
    other = Case("torch" if case.is_ours else "carrousel", case.mode)
    here, there, back = case.module(), other.module(), case.module()
    with torch.no_grad():
        for weight in [*there.parameters(), *back.parameters()]:
            weight.zero_()
    assert list(here.state_dict()) == list(there.state_dict())
    there.load_state_dict(here.state_dict())
    back.load_state_dict(there.state_dict())
    leaf = case.leaf()
    close(case.gradients(here, leaf), other.gradients(there, leaf))
    same_gradients(case, here, back)


def autocast(case: Case) -> None:
    """Values below one are rounded by at most 2**-9; the tolerance is eight such roundings."""
    module, leaf = case.module(f32), case.leaf(dtype=f32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = case.gradients(module, leaf)
    full = case.gradients(module, leaf)
    outputs = len(full) - 1 - len(list(module.parameters()))
    for one, other in zip(low[:outputs], full[:outputs], strict=True):
        torch.testing.assert_close(one.float(), other, rtol=0, atol=2**-6)
    for one, other in zip(low[outputs:], full[outputs:], strict=True):
        assert one.dtype == f32
        assert (one - other).norm() < 0.1 * other.norm()


def strided(case: Case) -> None:
    """Inputs and output gradients with gaps in memory or with zero strides."""
    module, leaf = case.module(), case.leaf()
    gaps = torch.stack([leaf, torch.full_like(leaf, torch.nan)], -1)[..., 0]
    assert not gaps.is_contiguous()
    close(case.gradients(module, gaps), case.gradients(module, leaf))
    flat = leaf[:1, ..., :1].expand(leaf.shape)
    close(case.gradients(module, flat), case.gradients(module, flat.contiguous()))
    leaf = leaf.requires_grad_()
    for weight in (torch.ones(()), torch.full((), 2.0)):
        out = case.call(module, leaf)[0]
        spread, dense = weight.to(out.dtype).expand(out.shape), torch.full_like(out, float(weight))
        once = torch.autograd.grad(out, leaf, spread, retain_graph=True)
        close(once, torch.autograd.grad(out, leaf, dense))


def long_sequence(case: Case) -> None:
    """70,000 steps. The net forgets within 300, so both ends must equal those of short runs."""
    module, short, edge = case.module(f32, hidden_size=2, **_narrow(case)), 300, 20
    leaf = case.leaf(T=70_000, B=1, dtype=f32).requires_grad_()
    out = case.call(module, leaf)[0]
    (slope,) = torch.autograd.grad((out[:edge] ** 2).sum() + (out[-edge:] ** 2).sum(), leaf)
    for piece, end in (
        (slice(0, short), slice(0, edge)),
        (slice(-short, None), slice(-edge, None)),
    ):
        x = leaf[piece].detach().requires_grad_()
        alone = case.call(module, x)[0]
        close(out[end], alone[end])
        (expected,) = torch.autograd.grad((alone[end] ** 2).sum(), x)
        close(slope[piece][end], expected[end])


def _narrow(case: Case) -> dict[str, int]:
    return {"proj_size": 1} if "proj_size" in case.mode.settings else {}


def empty_batch(case: Case) -> None:
    module = case.module()
    full, found = case.call(module, case.leaf()), case.gradients(module, case.leaf(B=0))
    for one, other in zip(found, full, strict=False):
        assert one.shape == (other.shape[0], 0, other.shape[2])
    for gradient in found[len(full) + 1 :]:
        assert not gradient.any()


def no_steps(case: Case) -> None:
    out, *_ = case.call(case.module(), case.leaf(T=0))
    assert out.shape[:2] == (0, BATCH)


def without_graph(case: Case) -> None:
    module, leaf = case.module(), case.leaf()
    expected = case.call(module, leaf)
    with torch.no_grad():
        found = case.call(module, leaf)
    assert not any(out.requires_grad for out in found)
    close(found, expected)
    with torch.inference_mode():
        found = case.call(module, leaf)
        assert all(out.is_inference() for out in found)
    close([out.clone() for out in found], expected)
    case.gradients(module, leaf)  # training still works


def two_threads(case: Case) -> None:
    """Twenty forward and backward passes of one module in each of two threads."""
    module, leaves = case.module(), [case.leaf(seed) for seed in range(2)]
    expected = [case.gradients(module, leaf) for leaf in leaves]
    found: list[list[Any]] = [[], []]

    def work(number: int) -> None:
        for _ in range(20):
            found[number].append(case.gradients(module, leaves[number]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for runs, one in zip(found, expected, strict=True):
        assert len(runs) == 20
        for run in runs:
            close(run, one)


def batched_gradients(case: Case) -> None:
    """``is_grads_batched`` and vectorised Jacobians, against one error at a time."""
    module, leaf = case.module(), case.leaf().requires_grad_()
    outputs = case.call(module, leaf)
    errors = [
        torch.stack([torch.full_like(out, n / (1 + at)) for n in range(3)])
        for at, out in enumerate(outputs)
    ]
    (many,) = torch.autograd.grad(outputs, leaf, errors, is_grads_batched=True, retain_graph=True)
    for place in range(3):
        each = [error[place] for error in errors]
        (one,) = torch.autograd.grad(outputs, leaf, each, retain_graph=True)
        close(many[place], one)
    jacobian = torch.autograd.functional.jacobian
    net = Net(case, module)
    close(jacobian(net, leaf, vectorize=True), jacobian(net, leaf))


def storage_resized(case: Case) -> None:
    """No call may leave a tensor of the caller in a storage that cannot be resized."""
    module, leaf = case.module(), case.leaf().requires_grad_()
    results = case.call(module, leaf)
    torch.stack([out.sum() for out in results]).sum().backward()
    with torch.no_grad():
        results += case.call(module, leaf)
    tensors = [leaf, leaf.grad, *results]
    tensors += [t for weight in module.parameters() for t in (weight, weight.grad)]
    for tensor in tensors:
        storage = tensor.detach().untyped_storage()
        storage.resize_(storage.nbytes() + 8)


def safetensors(case: Case) -> None:
    from safetensors.torch import load, save

    module, other = case.module(), case.module()
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    other.load_state_dict(load(save(module.state_dict())))
    same_gradients(case, module, other)


class _Calls(TorchDispatchMode):
    """Records the arguments of calls of our operations."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "carrousel":
            self.seen.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))


def opcheck(case: Case) -> None:
    """Run torch's checks of custom operations, with the arguments that the module passes."""
    with _Calls() as calls:
        case.gradients(case.module(), case.leaf())
    found = {func: (args, kwargs) for func, args, kwargs in calls.seen}
    assert len(found) == 2, "one forward and one backward operation"
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    for func, (args, kwargs) in found.items():
        torch.library.opcheck(func, args, kwargs, test_utils=tests)


assert STEPS >= 4 > INPUTS  # assumed by the rows above
