# SPDX-License-Identifier: Apache-2.0
"""Exceptions of topoalloc, each a kind of what Python users already catch."""

from __future__ import annotations

from typing import Any

__all__ = [
    "FormatError",
    "InfeasibleError",
    "InternalError",
    "InvalidRequestError",
    "NotPlacedError",
    "StaleError",
    "StateError",
    "TopoallocError",
    "TopologyError",
    "UndecidedError",
]


class TopoallocError(Exception):
    """Base of every error that topoalloc raises on purpose."""


class InvalidRequestError(TopoallocError, ValueError):
    """An argument cannot be right, whatever the state of the machine."""


class FormatError(TopoallocError, ValueError):
    """A file, spec, snapshot or object is damaged: the message names the place."""


class TopologyError(TopoallocError, OSError):
    """The live host, or the hwloc that reads it, refused: `errno` and the call."""


class StateError(TopoallocError, RuntimeError):
    """The object is not in a state that allows the call."""


class StaleError(StateError):
    """What the plan was made for has changed since."""


class NotPlacedError(TopoallocError):
    """No Placement came out; `verdict` holds the answer with its reason.

    It is pickled without the verdict, which is None in another process.

    Parameters
    ----------
    message : str
        Owner, status and reason in one line.
    verdict : object
        The Verdict that the solver gave.
    """

    verdict: Any

    def __init__(self, message: str, verdict: object = None) -> None:
        super().__init__(message)
        self.verdict = verdict

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the Verdict, so that the error reaches another process."""
        return type(self), (str(self),)


class InfeasibleError(NotPlacedError):
    """It is proved that no Placement exists in this state."""


class UndecidedError(NotPlacedError):
    """The step limit came before an answer."""


class InternalError(TopoallocError):
    """topoalloc broke one of its own rules: please report it."""
