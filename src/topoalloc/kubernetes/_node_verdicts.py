# SPDX-License-Identifier: Apache-2.0
"""NodeVerdicts: the answers of many nodes, each written out when it is looked at."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from topoalloc import _core
from topoalloc._errors import TopoallocError
from topoalloc._records import Status
from topoalloc.kubernetes._claim_question import ClaimQuestion, error_of
from topoalloc.kubernetes._claim_verdict import ClaimCost, ClaimVerdict
from topoalloc.kubernetes._objects import DeviceSlice

__all__ = ["Asked", "NodeVerdicts"]

_PLACED = frozenset({Status.OPTIMAL, Status.FEASIBLE})


@dataclass(frozen=True)
class Asked:
    """What was asked, and the slices at that time: all it takes to write an answer."""

    question: ClaimQuestion
    slices: Mapping[str, DeviceSlice]
    choose: str
    semantics: str
    max_steps: int

    def verdict(
        self, node: str, row: Sequence[Any], share_id: Callable[[], str] | None = None
    ) -> ClaimVerdict | TopoallocError:
        """Write the answer of a node, or the error.

        Parameters
        ----------
        node : str
            Its name.
        row : sequence
            What the core says of it.
        share_id : callable, optional
            Gives the id of a share; a random one by default.
        """
        _, status, steps, allocation, cost, fault, answer = row
        question = self.question
        if fault is not None:
            return error_of(question, fault, self.slices)
        return ClaimVerdict(
            status,
            node,
            question.names,
            tuple(
                writer.write(rows, self.slices, node, share_id or _random_id)
                for writer, rows in zip(question.writers, allocation, strict=False)
            ),
            None if cost is None else ClaimCost(*cost),
            self.choose,
            self.semantics,
            steps,
            self.max_steps,
            answer,
            question.asked,
        )


class NodeVerdicts(Mapping[str, ClaimVerdict | TopoallocError]):
    """Answers by node, as they were when `Inventory.check_nodes` was asked.

    A mapping from the name of each node to its ClaimVerdict, or to the error that
    `Inventory.check` would raise for that node alone. An answer is written when it is
    looked at: of a thousand nodes a scheduler looks at few.
    """

    def __init__(
        self, nodes: Sequence[str], asked: Asked, sweep: _core.ClaimSweep
    ) -> None:
        self._numbers = {node: number for number, node in enumerate(nodes)}
        self._asked = asked
        self._sweep = sweep
        self._written: dict[str, ClaimVerdict | TopoallocError] = {}

    @property
    def placed(self) -> tuple[str, ...]:
        """Nodes on which the claims have devices, in the order of the mapping."""
        statuses = self._sweep.statuses()
        return tuple(
            node
            for node, number in self._numbers.items()
            if statuses[number] in _PLACED
        )

    def __getitem__(self, node: str) -> ClaimVerdict | TopoallocError:
        """Return the answer of a node."""
        found = self._written.get(node)
        if found is None:
            # Two threads may both write it; the first one stays.
            row = self._sweep.row(self._numbers[node])
            found = self._written.setdefault(node, self._asked.verdict(node, row))
        return found

    def __iter__(self) -> Iterator[str]:
        """Go through the nodes."""
        return iter(self._numbers)

    def __len__(self) -> int:
        """Return how many nodes there are."""
        return len(self._numbers)

    def __repr__(self) -> str:
        """Return what is in it, by number."""
        return f"<NodeVerdicts: {len(self)} nodes, {len(self.placed)} placed>"


def _random_id() -> str:
    return str(uuid.uuid4())
