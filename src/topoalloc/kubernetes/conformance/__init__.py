# SPDX-License-Identifier: Apache-2.0
"""Cases that say what an allocator of ResourceClaims answers, and what runs them.

`docs/conformance.md` says how to point them at another allocator.

>>> from topoalloc.kubernetes import conformance
>>> case = conformance.load_cases()[0]
>>> question = conformance.question_of(case, "1.37")
>>> conformance.disagreement(case, conformance.answer_of_inventory(question))
''
"""

from __future__ import annotations

from topoalloc.kubernetes.conformance._answers import (
    answer_of_command,
    answer_of_inventory,
)
from topoalloc.kubernetes.conformance._cases import Case, load_cases, question_of
from topoalloc.kubernetes.conformance._compare import disagreement

__all__ = [
    "Case",
    "answer_of_command",
    "answer_of_inventory",
    "disagreement",
    "load_cases",
    "question_of",
]
