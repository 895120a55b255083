# SPDX-License-Identifier: Apache-2.0
"""Integer programmes: expressions, rows, and HiGHS through scipy.optimize.milp."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

_LARGEST_COEFFICIENT = 10**6
_HIGHS_OPTIMAL = 0
_HIGHS_INFEASIBLE = 2


class NotCovered(Exception):  # noqa: N818
    """The instance is outside of what the integer programme models."""


class Undecided(Exception):  # noqa: N818
    """HiGHS gave neither an optimum nor a proof."""


class Lin:
    """A linear expression with integer coefficients."""

    __slots__ = ("constant", "terms")

    def __init__(self, terms: dict[int, int] | None = None, constant: int = 0) -> None:
        self.terms = terms or {}
        self.constant = constant

    @staticmethod
    def of(value: Lin | int) -> Lin:
        """Return the expression, or the constant as one."""
        return value if isinstance(value, Lin) else Lin(constant=value)

    @staticmethod
    def sum(parts: Iterable[Lin | int]) -> Lin:
        """Add expressions up."""
        terms: dict[int, int] = {}
        constant = 0
        for part in map(Lin.of, parts):
            constant += part.constant
            for variable, factor in part.terms.items():
                terms[variable] = terms.get(variable, 0) + factor
        return Lin(terms, constant)

    def __add__(self, other: Lin | int) -> Lin:
        return Lin.sum((self, other))

    __radd__ = __add__

    def __neg__(self) -> Lin:
        return self * -1

    def __sub__(self, other: Lin | int) -> Lin:
        return Lin.sum((self, -Lin.of(other)))

    def __rsub__(self, other: int) -> Lin:
        return Lin.of(other) - self

    def __mul__(self, factor: int) -> Lin:
        terms = {variable: n * factor for variable, n in self.terms.items()}
        return Lin(terms, self.constant * factor)

    __rmul__ = __mul__

    def value(self, solution: list[int]) -> int:
        """Evaluate at a point."""
        chosen = (n * solution[variable] for variable, n in self.terms.items())
        return self.constant + sum(chosen)


class Programme:
    """Variables that are whole numbers in a range, and rows ``expression <= 0``."""

    def __init__(self) -> None:
        self._lower: list[int] = []
        self._upper: list[int] = []
        self._rows: list[Lin] = []
        self._is_impossible = False

    def variable(self, upper: int = 1, lower: int = 0) -> Lin:
        """Add a variable."""
        self._lower.append(lower)
        self._upper.append(upper)
        return Lin({len(self._lower) - 1: 1})

    def greatest(self, expression: Lin) -> int:
        """Bound an expression from above by the ranges of its variables."""
        return -self.least(-expression)

    def least(self, expression: Lin) -> int:
        """Bound an expression from below by the ranges of its variables."""
        ends = (
            n * (self._lower[variable] if n > 0 else self._upper[variable])
            for variable, n in expression.terms.items()
        )
        return expression.constant + sum(ends)

    def at_most(self, left: Lin | int, right: Lin | int) -> None:
        """Require left <= right."""
        row = Lin.of(left) - right
        row = Lin({v: n for v, n in row.terms.items() if n}, row.constant)
        if self.greatest(row) <= 0:
            return
        if not row.terms:
            self._is_impossible = True
            return
        divisor = math.gcd(*row.terms.values())
        # Rounding the constant up after division loses no whole-numbered point.
        constant = -((-row.constant) // divisor)
        row = Lin({v: n // divisor for v, n in row.terms.items()}, constant)
        if max(map(abs, row.terms.values())) > _LARGEST_COEFFICIENT:
            raise NotCovered("coefficients too far apart")
        self._rows.append(row)

    def equal(self, left: Lin | int, right: Lin | int) -> None:
        """Require left == right."""
        self.at_most(left, right)
        self.at_most(right, left)

    def minimise(self, objective: Lin, time_limit: float) -> list[int] | None:
        """Return a point of least objective, or None where there is no point at all.

        The presolve of HiGHS 1.12 (in SciPy 1.17) has cut off the best points of some
        programmes and called the rest OPTIMAL, with coefficients of at most 12. So each
        programme is solved with presolve and without: points are held to the rows here,
        hence the better one is right, and so is a point where the other saw none.
        """
        if self._is_impossible:
            return None
        count = len(self._lower)
        if count == 0:
            return []
        divisor = math.gcd(*objective.terms.values()) or 1
        costs = np.zeros(count)
        for variable, n in objective.terms.items():
            costs[variable] = n // divisor
        solutions = [
            solution
            for has_presolve in (True, False)
            if (solution := self._solve(costs, time_limit, has_presolve)) is not None
        ]
        return min(solutions, key=objective.value, default=None)

    def _solve(
        self, costs: npt.NDArray[np.float64], time_limit: float, has_presolve: bool
    ) -> list[int] | None:
        found = milp(
            costs,
            integrality=np.ones(len(costs)),
            bounds=Bounds(self._lower, self._upper),
            constraints=self._matrix(),
            options={
                "mip_rel_gap": 0.0,
                "time_limit": time_limit,
                "presolve": has_presolve,
            },
        )
        if found.status == _HIGHS_INFEASIBLE:
            return None
        if found.status != _HIGHS_OPTIMAL:
            raise Undecided(found.message)
        # The answer is held to every row in whole numbers, not within tolerances.
        solution = [round(x) for x in found.x]
        if any(row.value(solution) > 0 for row in self._rows):
            raise Undecided("a rounded solution breaks a row")
        return solution

    def _matrix(self) -> LinearConstraint | tuple[()]:
        if not self._rows:
            return ()
        starts = [0]
        columns: list[int] = []
        values: list[int] = []
        for row in self._rows:
            columns.extend(row.terms)
            values.extend(row.terms.values())
            starts.append(len(columns))
        matrix = csr_array(
            (np.array(values, dtype=np.float64), np.array(columns), np.array(starts)),
            shape=(len(self._rows), len(self._lower)),
        )
        upper = np.array([-row.constant for row in self._rows], dtype=np.float64)
        return LinearConstraint(matrix, -np.inf, upper)
