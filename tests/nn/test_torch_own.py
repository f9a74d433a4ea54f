"""The inputs with which PyTorch tests its recurrent modules, and its generic tests of modules.

The inputs are those of ``torch.testing._internal.common_modules.module_db``.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="torch's test tools need it")

from torch import Tensor  # noqa: E402
from torch.testing._internal.common_modules import module_db  # noqa: E402

from carrousel import nn  # noqa: E402
from carrousel.errors import CarrouselError  # noqa: E402
from support.case import case  # noqa: E402
from support.nn.modules import close, flat  # noqa: E402

NAMES = ("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell")
INFOS = {
    info.module_cls.__name__: info
    for info in module_db
    if info.module_cls in [getattr(torch.nn, name) for name in NAMES]
}
f64 = torch.float64


def samples(
    name: str, training: bool, *, requires_grad: bool = False, errors: bool = False
) -> list[Any]:
    """The inputs with which torch tests a module."""
    torch.manual_seed(0)
    info = INFOS[name]
    function = info.module_error_inputs_func if errors else info.module_inputs_func
    assert function is not None
    return list(
        function(info, device="cpu", dtype=f64, requires_grad=requires_grad, training=training)
    )


def made(name: str, sample: Any, training: bool = True, **factory: Any) -> Any:
    given = sample.constructor_input
    torch.manual_seed(1)
    module = getattr(nn, name)(*given.args, **{**given.kwargs, **factory})
    return module.to(f64).train(training) if not factory else module.train(training)


def each(name: str, *, every: bool = False, **more: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Our module, the arguments of a call, and the sample, in training and in evaluation mode.

    Unless ``every`` is set, training mode gets half of the samples and evaluation mode the rest.
    """
    step = 1 if every else 2
    for training in (True, False):
        for sample in samples(name, training, **more)[(step - 1) * training :: step]:
            call = sample.forward_input
            yield made(name, sample, training), call.args, call.kwargs, sample


def for_samples(*, every: bool = False, **more: Any) -> Callable[[Any], Callable[[str], None]]:
    """Turn a check of one sample into a test of all samples, see :func:`each`."""

    def decorate(check: Any) -> Callable[[str], None]:
        def test(name: str) -> None:
            for module, args, kwargs, sample in each(name, every=every, **more):
                with case(sample.desc, "training" if module.training else "evaluation"):
                    check(module, args, kwargs, sample)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


pytestmark = pytest.mark.parametrize("name", NAMES)


def test_torch_has_inputs(name):
    for training in (True, False):
        assert len(samples(name, training)) >= 2
        assert len(samples(name, training, errors=True)) >= 4


@for_samples(every=True)
def test_forward_and_reference(module, args, kwargs, sample):
    ours = module(*args, **kwargs)
    given = sample.constructor_input
    theirs = getattr(torch.nn, type(module).__name__)(*given.args, **given.kwargs).to(f64)
    theirs.train(module.training)
    theirs.load_state_dict(module.state_dict())
    close(ours, theirs(*args, **kwargs))
    if sample.reference_fn is not None:
        close(ours, sample.reference_fn(module, *args, **kwargs))


@for_samples()
def test_repr_rebuilds_the_module(module, args, kwargs, sample):
    text = repr(module)
    again = eval(text.replace("=relu", "='relu'"), dict(vars(nn)))
    assert repr(again) == text
    assert str(module) == text


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_factory_arguments(name, device):
    for dtype in (torch.float32, f64, torch.bfloat16):
        for training in (True, False):
            for sample in samples(name, training):
                module = made(name, sample, training, device=device, dtype=dtype)
                assert {p.dtype for p in module.parameters()} == {dtype}
                assert {p.device.type for p in module.parameters()} == {device}


@for_samples(requires_grad=True)
def test_grad(module, args, kwargs, sample):
    check_gradients(torch.autograd.gradcheck, module, args, kwargs)


def test_gradgrad(name):
    """The last sample of each mode has the most options; all samples would take minutes."""
    every = list(each(name, requires_grad=True))
    for training in (True, False):
        module, args, kwargs, _ = [one for one in every if one[0].training == training][-1]
        with case("training" if training else "evaluation"):
            check_gradients(torch.autograd.gradgradcheck, module, args, kwargs)


def check_gradients(check: Any, module: Any, args: Any, kwargs: Any) -> None:
    """Check gradients by inputs and parameters in torch's fast mode, with random projections."""
    inputs, weights = flat(args), dict(module.named_parameters())

    def call(*leaves: Tensor) -> tuple[Tensor, ...]:
        given = iter(leaves)
        refilled = refill(args, given)
        named = dict(zip(weights, given, strict=True))
        return tuple(flat(torch.func.functional_call(module, named, refilled, kwargs)))

    assert check(call, (*inputs, *weights.values()), fast_mode=True)


def refill(nest: Any, leaves: Iterator[Tensor]) -> Any:
    """A nest of tuples with the same structure and other tensors."""
    if isinstance(nest, torch.Tensor):
        return next(leaves)
    return tuple(refill(one, leaves) for one in nest)


@for_samples()
def test_non_contiguous_tensors(module, args, kwargs, sample):
    results = []
    for spread in (False, True):
        leaves = [scattered(t) if spread else t.clone() for t in flat(args)]
        for leaf in leaves:
            leaf.requires_grad_()
        outputs = flat(module(*refill(args, iter(leaves)), **kwargs))
        seeds = [torch.ones_like(out) for out in outputs]
        if spread:
            seeds = [scattered(seed) for seed in seeds]
        wanted = [*leaves, *module.parameters()]
        results.append((outputs, torch.autograd.grad(outputs, wanted, seeds)))
    close(*results)


def scattered(tensor: Tensor) -> Tensor:
    """The same values with gaps between them in memory."""
    spread = torch.stack([tensor, torch.full_like(tensor, torch.nan)], dim=-1)[..., 0]
    assert tensor.numel() < 2 or not spread.is_contiguous()
    return spread.detach()


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "torch.save": lambda module: through_file(module, weights_only=False),
}


@for_samples()
def test_copies_compute_the_same(module, args, kwargs, sample):
    for kind, copied in COPIES.items():
        with case(kind):
            other = copied(module)
            assert other.training == module.training
            assert repr(other) == repr(module)
            close(module(*args, **kwargs), other(*args, **kwargs))
            assert not set(map(id, module.parameters())) & set(map(id, other.parameters()))


@for_samples()
def test_state_dictionaries_in_files(module, args, kwargs, sample):
    other = made(type(module).__name__, sample, module.training)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    other.load_state_dict(through_file(module.state_dict(), weights_only=True))
    close(module(*args, **kwargs), other(*args, **kwargs))


def through_file(what: Any, *, weights_only: bool) -> Any:
    file = io.BytesIO()
    torch.save(what, file)
    file.seek(0)
    return torch.load(file, weights_only=weights_only)


@for_samples()
def test_memory_format_has_no_effect(module, args, kwargs, sample):
    before = module(*args, **kwargs)
    module.to(memory_format=torch.preserve_format)
    close(before, module(*args, **kwargs))


@for_samples()
def test_training_and_evaluation_agree_without_dropout(module, args, kwargs, sample):
    before = module(*args, **kwargs)
    close(before, module.train(not module.training)(*args, **kwargs))


@for_samples()
def test_conversions(module, args, kwargs, sample):
    before = module(*args, **kwargs)
    there = copy.deepcopy(module).to("meta")
    assert {p.device.type for p in there.parameters()} == {"meta"}
    out = there(*refill(args, (t.to("meta") for t in flat(args))), **kwargs)
    assert [o.shape for o in flat(out)] == [o.shape for o in flat(before)]
    back = there.to_empty(device="cpu")
    back.load_state_dict(module.state_dict())
    close(before, back(*args, **kwargs))
    small = module.float()(*refill(args, (t.float() for t in flat(args))), **kwargs)
    torch.testing.assert_close(flat(small), [o.float() for o in flat(before)])


def test_errors_have_torchs_types_and_messages(name):
    """Our cells also check that ``bias`` is a bool, which torch's do not."""
    for training in (True, False):
        for wrong in samples(name, training, errors=True):
            sample = wrong.module_error_input
            if name.endswith("Cell") and isinstance(sample.constructor_input.args[-1], str):
                with pytest.raises(TypeError, match="bias should be of type bool"):
                    made(name, sample, training)
                continue
            with pytest.raises(wrong.error_type, match=wrong.error_regex) as caught:
                build_and_call(name, sample, training)
            assert isinstance(caught.value, CarrouselError)


def build_and_call(name: str, sample: Any, training: bool) -> None:
    module, call = made(name, sample, training, dtype=f64), sample.forward_input
    if call is not None:
        module(*call.args, **call.kwargs)
