# SPDX-License-Identifier: Apache-2.0
"""validate: everything that is wrong with what an allocator has written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from topoalloc._errors import InvalidRequestError
from topoalloc.kubernetes._cel import SelectorError
from topoalloc.kubernetes._claim_question import AskedClaim
from topoalloc.kubernetes._inventory import Inventory
from topoalloc.kubernetes._objects import ResourceClaim
from topoalloc.kubernetes._objects_read import plain, read_document
from topoalloc.kubernetes._objects_values import ObjectError, fail, mapping, shown
from topoalloc.kubernetes._validate_claim import ClaimCheck
from topoalloc.kubernetes._validate_place import NodeViews
from topoalloc.kubernetes._validate_shared import Holdings
from topoalloc.kubernetes._violation import Violation, ViolationRule

__all__ = ["validate"]


def validate(claims: Sequence[object], inventory: Inventory) -> list[Violation]:
    """Find what allocations do that they may not, whoever wrote them.

    Every rule of `docs/claim-objective.md` is looked at: that the devices are there,
    match, suit and are tolerated, are as many as asked, keep the constraints, are given
    once, share no more than they have; that results repeat what they must, and that the
    node selector and the configuration are right. Which of several good allocations
    was chosen is not. It shares no code with the search.

    Parameters
    ----------
    claims : sequence of str, mapping, bytes or object
        ResourceClaims: ``namespace/name`` of those in the inventory, or objects. Those
        without `status.allocation` are passed over.
    inventory : Inventory
        The devices, classes and nodes. Its other allocated claims hold what they hold;
        one with the name of a claim that is given counts no more.

    Returns
    -------
    list of Violation
        By claim; nothing when all is right. A device that two claims got is said of the
        later one.

    Raises
    ------
    InvalidRequestError
        `claims` is no sequence.

    Examples
    --------
    >>> from topoalloc import kubernetes as tk
    >>> claim = {
    ...     "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
    ...     "metadata": {"namespace": "ml", "name": "worker-0"},
    ...     "spec": {"devices": {"requests": [
    ...         {"name": "gpu", "exactly": {"deviceClassName": "gpu"}}]}},
    ...     "status": {"allocation": {"devices": {}}}}
    >>> inventory = tk.Inventory()
    >>> inventory.update({
    ...     "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
    >>> inventory.update({
    ...     "apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass",
    ...     "metadata": {"name": "gpu"}, "spec": {}})
    >>> for violation in tk.validate([claim], inventory):
    ...     print(violation)
    claims[0].spec.devices.requests[0].exactly: 0 devices for gpu, want 1
    """
    if isinstance(claims, (str, bytes, Mapping)) or not isinstance(claims, Sequence):
        message = f"claims: {shown(claims)}, want a sequence of claims"
        raise InvalidRequestError(message)
    contents, known = inventory._contents()
    found: list[Violation] = []
    given: list[tuple[AskedClaim, str]] = []
    for index, source in enumerate(claims):
        path = f"claims[{index}]"
        try:
            item = _read(source, path, known, inventory.semantics)
        except ObjectError as error:
            at, _, text = str(error).partition(": ")
            found.append(Violation(at, "", ViolationRule.OBJECT, text))
            continue
        if any(item.key == other.key for other, _ in given):
            text = f"{item.key} is given twice, want it once"
            found.append(Violation(path, item.key, ViolationRule.OBJECT, text))
        elif item.claim.allocated is not None:
            given.append((item, path))
    keys = {item.key for item, _ in given}
    holdings = Holdings(contents.features)
    for key, other in known.items():
        if key not in keys and other.claim.allocated is not None:
            holdings.take(key, other.claim.allocated)
    views = NodeViews(contents)
    for item, path in given:
        held = ClaimCheck(item, path, views, found).run()
        found.extend(holdings.check(held))
    return found


def _read(
    source: object, path: str, known: Mapping[str, AskedClaim], semantics: str
) -> AskedClaim:
    if isinstance(source, str) and "\n" not in source and "{" not in source:
        item = known.get(source)
        if item is None:
            wants = "want namespace/name of a claim that is here"
            raise fail(path, f"{shown(source)}, {wants}")
        return item
    try:
        document = mapping(plain(source), "")
        read = read_document(document, semantics)
    except (ObjectError, SelectorError) as error:
        text = str(error).removeprefix("object")
        raise ObjectError(
            f"{path}{text if text.startswith(':') else '.' + text}"
        ) from None
    if not isinstance(read, ResourceClaim):
        raise fail(f"{path}.kind", "want a ResourceClaim")
    return AskedClaim(read, document)
