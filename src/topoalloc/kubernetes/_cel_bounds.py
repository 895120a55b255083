# SPDX-License-Identifier: Apache-2.0
"""Bound the memory and the time of a selector, where Kubernetes' cost does not.

That cost takes one for joining two lists or comparing two lists of lists, however long,
and little for a regular expression, which the library compiles at each evaluation. So
two bounds of ours stand beside it: the characters and elements of the largest value,
and the work of one evaluation in units of ten to twenty nanoseconds. Both bound what
the expression itself makes; what a device gives counts as one item.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from topoalloc.kubernetes._cel_cost import MANY, SCALARS, Costs, is_bind
from topoalloc.kubernetes._cel_types import FUNCTIONS
from topoalloc.kubernetes._cel_wire import Checked, Kind, Node

__all__ = ["MAX_ITEMS", "MAX_WORK", "measure"]

MAX_ITEMS = 100_000
"""How many characters and elements a value may come to."""

MAX_WORK = 100_000_000
"""How much one evaluation may take, less than two seconds."""

# Measured: an operation of the library, a call from it into
# Python with each item that is converted, two items compared there.
_OPERATION, _PYTHON, _ITEM, _PAIR = 10, 500, 50, 30
# A state of a pattern when it is compiled, at most this many of them when it runs, and
# the most that the library lets one pattern take.
_STATE, _STATES, _REGEX = 100, 5_000, 20_000_000
# The library refuses more repetitions within each other; a class of Unicode has some
# hundred ranges.
_REPETITIONS, _UNICODE = 1_000, 30
_REPEATED = re.compile(r"\{([0-9]{1,9})(?:,([0-9]{0,9}))?\}")
_CLASS = re.compile(r"\\[pP]")

_IN_PYTHON = {function.name for function in FUNCTIONS if function.call is not None}


@dataclass
class _Bounder:
    checked: Checked
    costs: Costs
    scopes: dict[str, list[int]] = field(default_factory=dict)
    largest: int = 0

    def visit(self, node: Node) -> tuple[int, int]:
        """Return the items of a node's value, and the work of the node."""
        if node.kind == Kind.COMPREHENSION:
            items, work = self.comprehension(node)
        else:
            below = [self.visit(child) for child in node.children]
            items = self.items(node, [count for count, _ in below])
            work = self.work(node, [count for count, _ in below])
            work += sum(inner for _, inner in below)
        if self.checked.types.get(node.id) in SCALARS:
            items = 1
        self.largest = max(self.largest, items)
        return min(items, MANY), min(work, MANY)

    def items(self, node: Node, below: list[int]) -> int:
        if node.kind == Kind.IDENT and self.scopes.get(node.name):
            return self.scopes[node.name][-1]
        if node.kind == Kind.CONST:
            return max(len(node.const) if isinstance(node.const, bytes) else 1, 1)
        items = max(sum(below), 1)
        if node.name in {"replace", "strings.quote"}:
            items = max(items, self.costs.sizes.get(node.id, (0, MANY))[1])
        return items

    def work(self, node: Node, below: list[int]) -> int:
        if node.kind != Kind.CALL:
            return _OPERATION
        own = _OPERATION + sum(below)
        if node.name == "matches":
            return own + _regex_work(node, below)
        if node.name in _IN_PYTHON:
            own += _PYTHON + _ITEM * sum(below)
        if node.name.startswith("sets."):
            own += _PAIR * below[0] * below[1] * 2
        return own

    def comprehension(self, node: Node) -> tuple[int, int]:
        span, start, condition, step, result = node.children
        span_items, span_work = self.visit(span)
        start_items, start_work = self.visit(start)
        self.scopes.setdefault(node.accu_var, []).append(start_items)
        times = 0 if is_bind(node) else self.costs.spans.get(node.id, MANY)
        self.scopes.setdefault(node.iter_var, []).append(span_items)
        step_items = each = 0
        if times:
            each = self.visit(condition)[1]
            step_items, step_work = self.visit(step)
            each += step_work
        self.scopes[node.iter_var].pop()
        result_items, result_work = self.visit(result)
        self.scopes[node.accu_var].pop()
        if times:
            result_items = start_items + times * step_items
        work = _OPERATION + span_work + start_work + times * each + result_work
        return max(result_items, 1), work


def _regex_work(node: Node, below: list[int]) -> int:
    text, length = below[0], below[-1]
    pattern = node.children[-1].text
    states = length * _REPETITIONS * _UNICODE
    if pattern is not None:
        repetitions = 1
        for least, most in _REPEATED.findall(pattern):
            repetitions *= max(int(least), int(most or 0), 1)
        states = length * min(repetitions, _REPETITIONS)
        states *= _UNICODE if _CLASS.search(pattern) else 1
    return min(_STATE * states + text * min(states, _STATES), _REGEX)


def measure(checked: Checked, costs: Costs) -> tuple[int, int]:
    """Return the items of the largest value, and the work of one evaluation."""
    bounder = _Bounder(checked, costs)
    work = bounder.visit(checked.root)[1]
    return min(bounder.largest, MANY), work
