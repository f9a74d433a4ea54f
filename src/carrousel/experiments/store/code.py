"""Hash of the code that an experiment uses and that is not part of this package.

Settings are values of fields. A class that a user wrote, such as a learner, a task or a stop rule,
also decides how trials end by its code. So each stored trial has a hash of that code, and a run
does not take over trials of other code.

The package's own classes are not hashed, and the hash of an experiment that uses no others is the
empty string. Their behaviour is versioned by ``KERNEL_VERSION``: frozen digests in
``tests/kernels/native/test_frozen.py`` fail when results of the kernels change, and the trials of a
version are kept apart.

The hash covers, for each class that the experiment holds and for its learner:

- the class and its bases, except those of this package, NumPy and the standard library;
- functions, classes, constants and imports at the top level of the same module that this code
  names, directly or through others named there. Code in other modules is not followed, apart from
  bases; a version number as a field of the class makes a change there visible;
- plain values that functions take from an enclosing function.

It is computed from the syntax tree, without docstrings, so that comments and layout do not matter,
and independent of the module's name and place. Functions without a source file, such as those of an
interactive session, are hashed by their bytecode, which depends on the version of Python.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import fields, is_dataclass
from functools import partial
from types import CodeType, FunctionType, ModuleType
from typing import Any

from carrousel.contracts import Experiment
from carrousel.errors import SettingError
from carrousel.experiments.store.settings import WORDS, canonical, describe, is_own, kind_of
from carrousel.learners import LEARNERS

DIGITS = 16
"""Hexadecimal digits of a hash."""
_NOT_FOLLOWED = {"carrousel", "numpy", *sys.stdlib_module_names}
_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_GENERATED = {
    *("__init__", "__repr__", "__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__"),
    *("__setattr__", "__delattr__"),
}
"""Methods that ``dataclass`` may generate."""
_PLAIN = (int, float, complex, str, bytes, bool, type(None))
_warned = set[str]()


def code_of(experiment: Experiment) -> str:
    """Return the hash of an experiment's code from outside of the package; ``""`` without such.

    >>> from carrousel.experiments import EXPERIMENTS
    >>> code_of(EXPERIMENTS["4-1"])
    ''
    """
    held = {type(each) for name in _settings(experiment) for each in _objects(name)}
    texts = {text for kind in held for text in _texts(kind)} | set(_learner(experiment.learner))
    if not texts:
        return ""
    return hashlib.sha256("\0".join(sorted(texts)).encode()).hexdigest()[:DIGITS]


def _settings(experiment: Experiment) -> list[Any]:
    return [getattr(experiment, each.name) for each in fields(experiment) if each.name not in WORDS]


def _objects(thing: Any) -> Iterator[Any]:
    """Dataclasses in a setting, at any depth."""
    if is_dataclass(thing):
        yield thing
        inside: Any = [getattr(thing, each.name) for each in fields(thing)]
    elif isinstance(thing, Mapping):
        inside = thing.values()
    else:
        inside = thing if isinstance(thing, tuple | list) else ()
    for each in inside:
        yield from _objects(each)


def _learner(name: str) -> Iterator[str]:
    """Texts of a learner; names with parameters, such as ``bptt:20``, are the package's own."""
    factory = LEARNERS.get(name)
    if isinstance(factory, partial):
        if is_own(factory.func) and factory.keywords == {"gradient": name} and not factory.args:
            return
        for key, value in (*enumerate(factory.args), *sorted(factory.keywords.items())):
            yield f"{key}={_value(value)}"
            yield from _texts(value if isinstance(value, type | FunctionType) else type(value))
        factory = factory.func
    if factory is not None:
        is_object = not isinstance(factory, type | FunctionType)
        yield from _texts(type(factory) if is_object else factory)


def _value(value: Any) -> str:
    """A value as text that is the same in every process."""
    if isinstance(value, type | FunctionType):
        return value.__qualname__
    try:
        return canonical(describe(value))
    except SettingError:  # its class is hashed, but not its state
        return type(value).__qualname__


def _texts(thing: Any) -> Iterator[str]:
    """Texts of the source of a class and its bases, or of a function, and of what they name."""
    for each in thing.__mro__ if isinstance(thing, type) else (thing,):
        if str(each.__module__).partition(".")[0] in _NOT_FOLLOWED:
            continue
        nodes = _nodes(each)
        if nodes is None:
            _warn(each)
            yield repr(_compiled(each))
        else:
            yield from _with_named(nodes, sys.modules[each.__module__])
        yield from _captured(each)


def _warn(thing: Any) -> None:
    name = kind_of(thing) if isinstance(thing, type) else thing.__qualname__
    if name not in _warned:
        _warned.add(name)
        warnings.warn(
            f"the source of {name} cannot be read, so trials are identified by its bytecode, which "
            "depends on the version of Python; define it in a file",
            stacklevel=2,
        )


# --- source --------------------------------------------------------------------------------------


def _tree(module: ModuleType | None) -> ast.Module | None:
    """Syntax tree of a module's source file; None without one."""
    try:
        return None if module is None else ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return None


def _nodes(thing: Any) -> list[ast.stmt] | None:
    """Definitions of a class or function in its module's source; None if that is not its source.

    A definition inside of a function stands for the whole function at the top level.
    """
    module = sys.modules.get(thing.__module__)
    tree = _tree(module)
    if tree is None:
        return None
    path = [part for part in thing.__qualname__.split(".") if part != "<locals>"]
    found: list[ast.stmt] = list(tree.body)
    tops: list[ast.stmt] = []
    for depth, name in enumerate(path):
        inner = (
            found if depth == 0 else [one for each in found for one in ast.iter_child_nodes(each)]
        )
        found = [each for each in _scopes(inner) if each.name == name]
        tops = tops or found
    if not found or not all(_is_source_of(found, module, each) for each in _functions(thing)):
        return None
    return tops if "<locals>" in thing.__qualname__ else found


def _scopes(nodes: Any) -> Iterator[_Scope]:
    """Definitions among statements, also inside of ``if``, ``try`` and the like."""
    for node in nodes:
        if isinstance(node, _Scope):
            yield node
        else:
            yield from _scopes(ast.iter_child_nodes(node))


def _functions(thing: Any) -> list[FunctionType]:
    """A function, or those in the body of a class; without those that ``dataclass`` generates."""
    if not isinstance(thing, type):
        return [thing]
    found = []
    for name, each in vars(thing).items():
        inner = each.fget if isinstance(each, property) else getattr(each, "__func__", each)
        if isinstance(inner, FunctionType):
            inner = inspect.unwrap(inner)
            generated = inner.__code__.co_filename == "<string>" and name in _GENERATED
            if not (generated and is_dataclass(thing)):
                found.append(inner)
    return found


def _is_source_of(nodes: list[Any], module: Any, function: Any) -> bool:
    """Whether a function was compiled from one of these definitions of a module.

    Otherwise it was put into the class later, or comes from another module.
    """
    code: CodeType = function.__code__
    if code.co_filename == "<string>":  # generated by a decorator or a base
        return True
    try:
        same = inspect.getsourcefile(module) == inspect.getsourcefile(code)
    except TypeError:
        return False
    first = min(each.lineno for node in nodes for each in (node, *node.decorator_list))
    return same and first <= code.co_firstlineno <= max(node.end_lineno for node in nodes)


def _with_named(nodes: list[ast.stmt], module: ModuleType) -> Iterator[str]:
    """Texts of definitions, and of those at the top level of the module that they name."""
    tree = _tree(module)
    known: dict[str, list[ast.stmt]] = {}
    for node in _statements(tree.body if tree else ()):
        for name in _defined(node):
            known.setdefault(name, []).append(node)
    waiting, texts = list(nodes), set[str]()
    while waiting:
        node = waiting.pop()
        texts.add(ast.unparse(_WithoutDocstrings().visit(deepcopy(node))))
        for name in {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}:
            waiting += known.pop(name, [])
    yield from sorted(texts)


def _statements(nodes: Any) -> Iterator[ast.stmt]:
    """Statements at the top level of a module, also inside of ``if``, ``try`` and the like."""
    for node in nodes:
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, _Scope):
            yield from _statements(ast.iter_child_nodes(node))


def _defined(node: ast.stmt) -> Iterator[str]:
    """Names that a statement defines."""
    if isinstance(node, _Scope):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (each.asname or each.name.partition(".")[0] for each in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For | ast.With):
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                yield each.id


class _WithoutDocstrings(ast.NodeTransformer):
    """Removes docstrings from a definition."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [each for each in body if not _is_text(each)]  # pyright: ignore
        return node


def _is_text(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


# --- without source ------------------------------------------------------------------------------


def _compiled(thing: Any, seen: set[Any] | None = None) -> Any:
    """Bytecode of a function, or of the functions of a class with its plain attributes.

    Functions, classes and plain values of the same module that it names are included.
    """
    seen = {thing} if seen is None else seen | {thing}
    functions = sorted(_functions(thing), key=lambda each: each.__name__)
    found = [(each.__name__, _of_code(each.__code__, each.__doc__)) for each in functions]
    plain = [(name, repr(value)) for name, value in _plain(vars(thing))]
    named = []
    for each in functions:
        inside = {name: each.__globals__.get(name) for name in _names(each.__code__)}
        defaults = dict(enumerate(each.__defaults__ or ())) | (each.__kwdefaults__ or {})
        inside |= {f"{each.__name__} {key}": value for key, value in defaults.items()}
        plain += [(name, repr(value)) for name, value in _plain(inside)]
        named += [
            (name, _compiled(value, seen))
            for name, value in inside.items()
            if isinstance(value, type | FunctionType)
            and value.__module__ == thing.__module__
            and value not in seen
        ]
    return found, sorted(set(plain)), sorted(named, key=repr)


def _plain(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        (name, value)
        for name, value in values.items()
        if isinstance(value, _PLAIN) and value is not None and not name.startswith("__")
    ]


def _names(code: CodeType) -> set[str]:
    inner = [_names(each) for each in code.co_consts if isinstance(each, CodeType)]
    return {*code.co_names}.union(*inner)


def _of_code(code: CodeType, doc: str | None) -> Any:
    constants = [_constant(each) for each in code.co_consts if doc is None or each != doc]
    return code.co_code, constants, code.co_names


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return _of_code(value, None)
    if isinstance(value, tuple):
        return tuple(map(_constant, value))
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


def _captured(thing: Any) -> Iterator[str]:
    """Plain values that functions take from an enclosing function."""
    for function in _functions(thing):
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            try:
                value = cell.cell_contents
            except ValueError:  # not assigned yet
                continue
            if isinstance(value, _PLAIN):
                yield f"{function.__name__} {name}={value!r}"
