# SPDX-License-Identifier: Apache-2.0
"""Google's CEL for C++, loaded by the first selector, with Kubernetes' functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, Protocol

from topoalloc._errors import TopoallocError
from topoalloc.kubernetes._cel_rewrite import ALLOW, ATTRIBUTES, CAPACITY, DRIVER
from topoalloc.kubernetes._cel_types import FUNCTIONS, QUANTITY, SEMVER, Function

__all__ = ["Compiled", "MissingExtraError", "checker", "runner"]


class MissingExtraError(TopoallocError, ImportError):
    """A package of the extra `kubernetes` is not installed."""


class _Value(Protocol):
    def plain_value(self) -> object: ...
    def type(self) -> Any: ...  # noqa: ANN401


class Compiled(Protocol):
    def eval(self, *, data: Mapping[str, Any]) -> _Value: ...
    def serialize(self) -> bytes: ...


class _Environment(Protocol):
    def compile(self, expression: str) -> Compiled: ...
    def deserialize(self, serialized: bytes) -> Compiled: ...


# The kinds that a value can have where its type is not known before it runs.
_KINDS = (
    "bool", "int", "uint", "double", "string", "bytes", "list", "map", "null",
    "timestamp", "duration",
)  # fmt: skip


def _library() -> tuple[Any, list[Any], Any]:
    try:
        # Loaded by the first selector: 50 MB that nothing else needs.
        from cel_expr_python import cel  # noqa: PLC0415
        from cel_expr_python.ext import (  # noqa: PLC0415
            ext_bindings,
            ext_optional,
            ext_strings,
        )
    except ImportError as error:
        message = (
            "cel_expr_python: not installed, want `pip install topoalloc[kubernetes]`"
        )
        raise MissingExtraError(message) from error
    return (
        cel,
        [
            ext_bindings.ExtBindings(),
            ext_optional.ExtOptional(),
        ],
        ext_strings.ExtStrings(),
    )


def _cel_type(cel: Any, name: str) -> Any:  # noqa: ANN401
    if name in {SEMVER, QUANTITY}:
        return cel.Type.AbstractType(name)
    if name.startswith("list("):
        return cel.Type.List(_cel_type(cel, name[5:-1]))
    return getattr(cel.Type, name.upper())


@functools.cache
def checker(*, lists: bool) -> _Environment:
    """Return the environment whose types are Kubernetes'."""
    cel, extensions, _ = _library()
    named: dict[str, list[Any]] = {}
    for function in FUNCTIONS:
        if not function.name.startswith("@") and (function.name != "includes" or lists):
            named.setdefault(function.name, []).append(
                cel.Overload(
                    function.overload,
                    return_type=_cel_type(cel, function.result),
                    parameters=[_cel_type(cel, kind) for kind in function.parameters],
                    is_member=function.is_member,
                )
            )
    of_domain = functools.partial(cel.Type.Map, cel.Type.STRING)
    environment: _Environment = cel.NewEnv(
        variables={
            DRIVER: cel.Type.STRING,
            ATTRIBUTES: of_domain(of_domain(cel.Type.DYN)),
            CAPACITY: of_domain(of_domain(_cel_type(cel, QUANTITY))),
            ALLOW: cel.Type.BOOL,
        },
        extensions=extensions,
        functions=[cel.FunctionDecl(name, made) for name, made in named.items()],
    )
    return environment


def _runtime_kinds(function: Function) -> list[tuple[str, ...]]:
    """Return the kinds to register: an unknown type is none of them at run time."""
    choices: list[tuple[str, ...]] = []
    for kind in function.parameters:
        if kind == "dyn":
            choices.append(_KINDS)
        elif kind in {SEMVER, QUANTITY}:
            choices.append(("bytes",))
        else:
            choices.append((kind.partition("(")[0],))
    return list(product(*choices))


@functools.cache
def runner() -> _Environment:
    """Return the environment that runs expressions, by kinds instead of types."""
    cel, extensions, strings = _library()
    calls: dict[tuple[str, bool, tuple[str, ...]], Callable[..., Any] | None] = {}
    for function in FUNCTIONS:
        for kinds in _runtime_kinds(function) if function.call else ():
            calls.setdefault((function.name, function.is_member, kinds), function.call)
    named: dict[str, list[Any]] = {}
    for (name, is_member, kinds), call in calls.items():
        named.setdefault(name, []).append(
            cel.Overload(
                f"{name}({','.join(kinds)})",
                return_type=cel.Type.DYN,
                parameters=[getattr(cel.Type, kind.upper()) for kind in kinds],
                is_member=is_member,
                impl=call,
            )
        )
    environment: _Environment = cel.NewEnv(
        variables=dict.fromkeys((DRIVER, ATTRIBUTES, CAPACITY, ALLOW), cel.Type.DYN),
        extensions=[*extensions, strings],
        functions=[cel.FunctionDecl(name, made) for name, made in named.items()],
    )
    return environment
