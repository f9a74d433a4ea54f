"""Gradients of each sample for opacus, which adds noise to clipped gradients.

opacus calls a *grad sampler* for each module with the gradient of its first output. A recurrent
module has several outputs, so the hooks here pass the gradients of all of them to the sampler.
They are installed when opacus registers its own hook, so ``PrivacyEngine`` takes our modules as
they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from carrousel.errors import InputError, SettingError

STATE = "_privacy"
"""Attribute of a module that holds its :class:`Samples`."""

RANDOM = ("dropout", "zoneout", "recurrent_dropout")
"""Options that draw masks while training."""


def is_opacus(hook: Any) -> bool:
    """Whether opacus registers this backward hook to compute gradients of each sample."""
    function = getattr(hook, "func", hook)
    return getattr(function, "__name__", "") == "capture_backprops_hook" and str(
        getattr(function, "__module__", "")
    ).startswith("opacus.")


def attach(module: Any, hook: Any, handle: Any) -> Any:
    """Prepare a module for opacus; return a handle that also removes what this adds.

    Raises:
        SettingError: opacus must compute all gradients with functorch.
    """
    owner = _owner(hook)
    if getattr(owner, "force_functorch", False):
        raise SettingError(
            f"opacus cannot compute gradients of a {type(module).__name__} with functorch, because "
            "it returns several tensors",
            argument="force_functorch",
            got=True,
            fix="use grad_sample_mode='hooks' or 'ghost'",
        )
    from opacus.grad_sample import register_grad_sampler  # pyright: ignore[reportMissingImports]

    register_grad_sampler(type(module))(sample_gradients)
    if STATE in vars(module):  # a second wrapper replaces the hooks of the first
        vars(module)[STATE].remove()
    samples = Samples(hook)
    samples.handles = [
        module.register_forward_pre_hook(samples.before, with_kwargs=True),
        module.register_forward_hook(samples.after, with_kwargs=True),
        module.register_full_backward_pre_hook(samples.backward),
    ]
    vars(module)[STATE] = samples
    return _Handles([handle, samples])


def _owner(hook: Any) -> Any:
    """Return the object of opacus that a hook belongs to."""
    return getattr(getattr(hook, "func", hook), "__self__", None)


class _Handles:
    def __init__(self, handles: list[Any]) -> None:
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


class _Call(NamedTuple):
    """One call of a module: its input, keyword arguments and first output, without graph."""

    x: Tensor
    options: dict[str, Any]
    output: Tensor


class _Joined(tuple[Any, ...]):
    """Outputs ``(output, h_n, c_n)`` of a layer, all of which get a backward hook of torch.

    torch applies backward hooks to the elements of a tuple, not to tuples inside it. Then it builds
    the result by calling the type of the tuple, which here returns ``(output, (h_n, c_n))``.
    """

    def __new__(cls, output: Tensor, h: Tensor, c: Tensor) -> Any:
        return output, (h, c)


class Samples:
    """Hooks of one module, and its calls whose gradients are not computed yet.

    Args:
        hook: the backward hook of opacus.
    """

    def __init__(self, hook: Any) -> None:
        settings = getattr(hook, "keywords", {})
        self.is_mean = settings.get("loss_reduction", "mean") == "mean"
        self.owner = _owner(hook)
        self.calls: list[_Call] = []
        self.ready: list[tuple[_Call, tuple[Tensor | None, ...]]] = []
        self.handles: list[Any] = []

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def is_learning(self, module: Any) -> bool:
        """Whether opacus records calls of a module now."""
        return (
            module.training
            and torch.is_grad_enabled()
            and getattr(self.owner, "hooks_enabled", True)
            and any(weight.requires_grad for weight in module.parameters())
        )

    def before(self, module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Check a call, and leave the input as its only positional argument, as opacus expects.

        Raises:
            InputError: the input is packed or has no batch.
            SettingError: the call draws random masks, or returns all states.
        """
        if not self.is_learning(module):
            return None
        given = dict(zip(("input", "hx"), args, strict=False)) | kwargs
        x, name = given.pop("input"), type(module).__name__
        batched = 3 if isinstance(module, torch.nn.RNNBase) else 2
        if not isinstance(x, Tensor) or x.dim() != batched:
            raise InputError(
                f"{name}: opacus needs a padded batch of {batched} dimensions to compute the "
                f"gradient of each sample, got a {type(x).__name__}"
                + (f" of {x.dim()} dimensions" if isinstance(x, Tensor) else ""),
                argument="input",
                fix="pass a padded tensor and {lengths}",
            )
        random = [part for part in RANDOM if _is_on(module, part)]
        if random:
            raise SettingError(
                f"{name} has {random[0]}={getattr(module, random[0])}, expected 0: the gradients "
                "of each sample would be computed with other random masks",
                argument=random[0],
                fix="set it to 0 and put a torch.nn.Dropout before or after the layer",
            )
        if given.get("return_states"):
            raise SettingError(
                f"{name}: return_states is True, but opacus needs the output and the final state "
                "alone",
                argument="return_states",
                fix="leave {return_states} out while training",
            )
        return (x,), given

    def after(self, module: Any, args: Any, kwargs: dict[str, Any], result: Any) -> Any:
        """Keep the arguments of a call, and join its outputs for the hooks of torch."""
        if not self.is_learning(module):
            return None
        x = args[0].detach()
        options = {name: _detached(value) for name, value in kwargs.items()}
        output = result if isinstance(result, Tensor) else result[0]
        self.calls.append(_Call(x, options, output.detach()))
        n = x.shape[_batch_axis(module)]
        module.max_batch_len = max(n, getattr(module, "max_batch_len", 0))
        if isinstance(result, tuple) and isinstance(result[1], tuple):
            return tuple.__new__(_Joined, (result[0], *result[1]))
        return None

    def backward(self, module: Any, errors: tuple[Tensor | None, ...]) -> Any:
        """Keep the gradients of the outputs of the last call; torch calls this before opacus.

        Returns:
            The gradients, with zeros for the first if it is missing: opacus needs a tensor.
        """
        if not getattr(self.owner, "hooks_enabled", True) or not self.calls:
            return None
        call = self.calls.pop()
        self.ready.append((call, errors))
        return errors if errors[0] is not None else (torch.zeros_like(call.output), *errors[1:])


def sample_gradients(module: Any, activations: Any, backprops: Any) -> dict[Tensor, Tensor]:
    """Return the gradient of each parameter for each sample ``[B, *shape]``: a grad sampler.

    Args:
        module: a recurrent module.
        activations, backprops: what opacus recorded, which lacks the gradients of the last states.
    """
    samples: Samples = vars(module)[STATE]
    call, errors = samples.ready.pop()
    scale = module.max_batch_len if samples.is_mean else 1
    weights = {
        name: weight.detach()
        for name, weight in module.named_parameters(recurse=False)
        if weight.requires_grad
    }
    twin, axis = _without_hooks(module), _batch_axis(module)
    n = call.x.shape[axis]
    if n == 0:
        return {getattr(module, name): w.new_zeros(0, *w.shape) for name, w in weights.items()}
    batch = {
        name: (value, _axis_of(name, axis, call.x.dim()))
        for name, value in {"input": call.x, **call.options}.items()
        if value is not None
    }
    axes = (axis, *(1 if call.x.dim() == 3 else 0,) * (len(errors) - 1))
    outputs = {
        str(which): (error * scale, axes[which])
        for which, error in enumerate(errors)
        if error is not None
    }

    def loss(weights: Any, given: dict[str, Any], errors: dict[str, Tensor]) -> Tensor:
        arguments = {name: _unsqueezed(value, batch[name][1]) for name, value in given.items()}
        results = _flat(torch.func.functional_call(twin, weights, (), arguments))
        total = call.x.new_zeros(())
        for which, error in errors.items():
            total = total + (results[int(which)].squeeze(axes[int(which)]) * error).sum()
        return total

    gradients = torch.func.vmap(
        torch.func.grad(loss),
        in_dims=(None, {k: v[1] for k, v in batch.items()}, {k: v[1] for k, v in outputs.items()}),
    )(weights, {k: v[0] for k, v in batch.items()}, {k: v[0] for k, v in outputs.items()})
    return {getattr(module, name): gradient.detach() for name, gradient in gradients.items()}


def _is_on(module: Any, name: str) -> bool:
    value = getattr(module, name, 0.0)
    if name == "dropout" and getattr(module, "num_layers", 1) == 1:
        return False
    return any(value) if isinstance(value, tuple) else value > 0


def _batch_axis(module: Any) -> int:
    return 1 if isinstance(module, torch.nn.RNNBase) and not module.batch_first else 0


def _axis_of(name: str, axis: int, dims: int) -> int | None:
    """Return the axis of samples of an argument of a call; None: it is the same for all."""
    if name == "hx":
        return 1 if dims == 3 else 0
    return {"input": axis, "resets": axis, "lengths": 0}.get(name)


def _unsqueezed(value: Any, axis: int | None) -> Any:
    if axis is None:
        return value
    if isinstance(value, Tensor):
        return value.unsqueeze(axis)
    return tuple(one.unsqueeze(axis) for one in value)


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, tuple | list):
        return tuple(map(_detached, value))
    return value


def _flat(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    return [tensor for part in result for tensor in _flat(part)]


def _without_hooks(module: Any) -> Any:
    """Return a copy of a module with the same parameters and no hooks."""
    twin = object.__new__(type(module))
    twin.__dict__.update(vars(module))
    for name, value in vars(module).items():
        if name.endswith("_hooks") and isinstance(value, dict):
            twin.__dict__[name] = type(value)()
    twin._parameters = dict(module._parameters)
    return twin
