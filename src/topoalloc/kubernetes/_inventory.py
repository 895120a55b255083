# SPDX-License-Identifier: Apache-2.0
"""Inventory: the devices of a cluster as its drivers publish them, and its claims."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from topoalloc import _core
from topoalloc._constraints import check_steps
from topoalloc._errors import (
    InfeasibleError,
    InvalidRequestError,
    StateError,
    TopoallocError,
    UndecidedError,
)
from topoalloc._records import Status
from topoalloc.kubernetes._cel import (
    SEMANTICS,
    SelectorError,
    SelectorRuntimeError,
)
from topoalloc.kubernetes._claim_question import (
    AskedClaim,
    ClaimQuestion,
    QuestionMaker,
    refuse_consumable_capacity,
)
from topoalloc.kubernetes._claim_verdict import ClaimVerdict
from topoalloc.kubernetes._device_view import device_view
from topoalloc.kubernetes._features import features_of
from topoalloc.kubernetes._node_verdicts import Asked, NodeVerdicts
from topoalloc.kubernetes._objects import (
    ClusterNode,
    DeviceClass,
    DeviceId,
    DeviceSlice,
    DeviceTaintRule,
    ResourceClaim,
)
from topoalloc.kubernetes._objects_read import KubernetesObject, plain, read_document
from topoalloc.kubernetes._objects_values import ObjectError, fail, mapping, shown
from topoalloc.kubernetes._pool_view import InventoryContents

__all__ = ["DEFAULT_MAX_STEPS", "Inventory"]

DEFAULT_MAX_STEPS: Final = 2_000_000
"""Search nodes that a question may cost; work, not seconds, so answers repeat."""

# Since then invalid pools are passed over, and are an error where nothing is found.
_STOPS_AT_INVALID: Final = "1.34"
_CHOICES = ("optimal", "first_fit")
_LIST = "List"


class Inventory:
    """The devices that drivers publish in a cluster, and who holds them.

    It is kept up to date object by object, as a watch delivers them, and asked about
    claims node by node. `docs/claim-objective.md` is the exact meaning. Safe from many
    threads.

    Parameters
    ----------
    semantics : str, default "1.37"
        The version of Kubernetes: 1.34, 1.35, 1.36 or 1.37.
    features : collection of str, optional
        Options of that version that are on: ``taints``, ``counters``,
        ``consumable_capacity`` and ``binding_conditions`` before 1.36, ``lists`` since
        1.36, ``compatibility_groups`` since 1.37.

    Raises
    ------
    InvalidRequestError
        The version is not known, or a feature is no option of it.

    Examples
    --------
    >>> from topoalloc import kubernetes as tk
    >>> inventory = tk.Inventory()
    >>> inventory.update({
    ...     "apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice",
    ...     "metadata": {"name": "n1-gpus"},
    ...     "spec": {"driver": "gpu.example.com", "nodeName": "n1",
    ...              "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1},
    ...              "devices": [{"name": "gpu-0"}, {"name": "gpu-1"}]}})
    >>> inventory.update({
    ...     "apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass",
    ...     "metadata": {"name": "gpu"}, "spec": {}})
    >>> claim = {
    ...     "apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim",
    ...     "metadata": {"namespace": "ml", "name": "worker-0"},
    ...     "spec": {"devices": {"requests": [
    ...         {"name": "gpu", "exactly": {"deviceClassName": "gpu"}}]}}}
    >>> bool(inventory.check([claim], node="n1"))
    True
    >>> (allocated,) = inventory.allocate([claim], node="n1")
    >>> allocated["status"]["allocation"]["devices"]["results"]
    [{'request': 'gpu', 'driver': 'gpu.example.com', 'pool': 'n1', 'device': 'gpu-0'}]
    """

    def __init__(
        self, semantics: str = "1.37", *, features: Collection[str] = ()
    ) -> None:
        if semantics not in SEMANTICS:
            message = (
                f"semantics: {semantics!r:.80}, want one of {', '.join(SEMANTICS)}"
            )
            raise InvalidRequestError(message)
        self._semantics = semantics
        self._features = features_of(semantics, features)
        self._core = _core.DeviceInventory(
            {**self._features, "skips_invalid_pools": semantics != _STOPS_AT_INVALID}
        )
        self._lock = threading.RLock()
        self._slices: dict[str, DeviceSlice] = {}
        self._are_slices_lent = False
        self._classes: dict[str, DeviceClass] = {}
        self._claims: dict[str, AskedClaim] = {}
        self._rules: dict[str, DeviceTaintRule] = {}
        self._nodes: dict[str, ClusterNode] = {}
        self._maker = QuestionMaker()
        self._questions: dict[tuple[str, ...], ClaimQuestion] = {}

    @property
    def semantics(self) -> str:
        """The version of Kubernetes whose meaning objects have."""
        return self._semantics

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that are on."""
        return tuple(name for name, is_on in self._features.items() if is_on)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Nodes that are known: Nodes, and those that slices name; ascending."""
        return tuple(self._core.node_names())

    def __repr__(self) -> str:
        """Return what is in it, by number."""
        return (
            f"<Inventory {self._semantics}: {len(self._slices)} slices, "
            f"{len(self._classes)} classes, {len(self._claims)} claims, "
            f"{len(self.nodes)} nodes>"
        )

    def update(self, obj: object) -> None:
        """Add an object, or put it in the place of the one of its name.

        Parameters
        ----------
        obj : mapping, str, bytes or object
            A ResourceSlice, DeviceClass, ResourceClaim, DeviceTaintRule or Node, or a
            list of them as the API gives it: a dict, JSON or YAML text, or a model of
            a client. A claim with `status.allocation` holds its devices.

        Raises
        ------
        ObjectError
            It breaks a rule of its API; of a list nothing is taken then.
        SelectorError
            A selector of it is none; the message begins with the path.
        """
        documents = _documents(obj)
        found = [(self._read(document, path), document) for document, path in documents]
        with self._lock:
            for item, document in found:
                self._put(item, document)

    def remove(self, obj: object) -> bool:
        """Take an object out again.

        Parameters
        ----------
        obj : mapping, str, bytes or object
            As for `update`; its kind, name and namespace alone are looked at.

        Returns
        -------
        bool
            False when it was not there.
        """
        document = mapping(plain(obj), "")
        kind = document.get("kind")
        metadata = mapping(document.get("metadata"), "metadata")
        name = metadata.get("name")
        if not isinstance(name, str):
            raise fail("metadata.name", f"{shown(name)}, want text")
        with self._lock:
            if kind == "ResourceSlice":
                self._own_slices().pop(name, None)
                return self._core.remove_slice(name)
            if kind == "Node":
                self._nodes.pop(name, None)
                return self._core.remove_node(name)
            self._questions.clear()
            if kind == "DeviceClass":
                return self._classes.pop(name, None) is not None
            if kind == "ResourceClaim":
                key = f"{metadata.get('namespace', 'default')}/{name}"
                self._core.set_taken(key, ())
                return self._claims.pop(key, None) is not None
            if kind == "DeviceTaintRule":
                rule = self._rules.pop(name, None)
                self._taint_anew(rule)
                return rule is not None
        raise fail("kind", f"{shown(kind)}, want a kind that update() takes")

    def is_allocated(self, name: str) -> bool:
        """Tell whether a claim holds devices.

        Parameters
        ----------
        name : str
            ``namespace/name`` of a claim that is in the inventory.

        Returns
        -------
        bool
            It has `status.allocation`.

        Raises
        ------
        ObjectError
            There is no such claim.
        """
        with self._lock:
            found = self._claims.get(name)
        if found is None:
            wants = "want namespace/name of a claim that is here"
            raise fail("name", f"{shown(name)}, {wants}")
        return found.claim.allocated is not None

    def check(
        self,
        claims: Sequence[object],
        *,
        node: str,
        choose: str = "optimal",
        max_steps: int | None = None,
    ) -> ClaimVerdict:
        """Ask whether claims have devices on a node, and which; nothing is taken.

        Parameters
        ----------
        claims : sequence of str, mapping, bytes or object
            The claims of a pod, all together: ``namespace/name`` of one that is in the
            inventory, which is quickest, or the object itself. A single claim is a
            sequence of one.
        node : str
            Name of the node.
        choose : str, default "optimal"
            ``"optimal"``: the allocation of least cost. ``"first_fit"``: the one that
            the structured allocator's documented order comes to first.
        max_steps : int, optional
            Search nodes, 0 to 2^64 - 1; `DEFAULT_MAX_STEPS` by default.

        Returns
        -------
        ClaimVerdict

        Raises
        ------
        ObjectError
            A claim breaks a rule, names a class that is not there, or the answer
            depends on a pool that is invalid.
        SelectorError
            A selector of a claim is none.
        SelectorRuntimeError
            A selector fails on a device that the answer depends on.
        StateError
            A claim is allocated already.
        InvalidRequestError
            An argument is none of those above.
        """
        limit = self._limit(choose, max_steps)
        question = self._question(claims)
        return self._ask(question, node, choose, limit)

    def check_nodes(
        self,
        claims: Sequence[object],
        *,
        nodes: Collection[str] | None = None,
        choose: str = "optimal",
        max_steps: int | None = None,
    ) -> NodeVerdicts:
        """Ask about many nodes, each by itself.

        Nodes that the claims can not tell apart are answered together.

        Parameters
        ----------
        claims, choose, max_steps
            As for `check`.
        nodes : collection of str, optional
            Names; all that are known by default.

        Returns
        -------
        NodeVerdicts
            By node its ClaimVerdict, or the error that `check` would raise for that
            node alone.

        Raises
        ------
        ObjectError, StateError, InvalidRequestError
            As for `check`, of the claims.
        """
        limit = self._limit(choose, max_steps)
        question = self._question(claims)
        names = self.nodes if nodes is None else _node_names(nodes)
        optimal = choose == "optimal"
        with self._lock:
            while True:
                gaps, sweep = self._core.ask_nodes(
                    names, question.prepared, optimal, limit
                )
                if not gaps:
                    break
                self._fill(question, gaps)
            asked = self._asked(question, choose, limit)
        return NodeVerdicts(names, asked, sweep)

    def allocate(
        self,
        claims: Sequence[object],
        *,
        node: str,
        choose: str = "optimal",
        max_steps: int | None = None,
        share_id: Callable[[], str] | None = None,
        time: str | None = None,
    ) -> list[dict[str, Any]]:
        """Give claims their devices, all of them or none.

        Parameters
        ----------
        claims, node, choose, max_steps
            As for `check`.
        share_id : callable, optional
            Gives the id of each share of a device: a UUID in small letters. A random
            one by default.
        time : str, optional
            `allocationTimestamp`, as RFC 3339 writes it; left out by default.

        Returns
        -------
        list of dict
            The claims with `status.allocation`; they are in the inventory now, and hold
            their devices until they are removed or updated.

        Raises
        ------
        InfeasibleError
            Proved: they have no devices there. Its `verdict` is a ClaimVerdict.
        UndecidedError
            The step limit came first.
        ObjectError, SelectorRuntimeError, StateError, InvalidRequestError
            As for `check`.
        """
        limit = self._limit(choose, max_steps)
        with self._lock:
            question = self._question(claims)
            verdict = self._ask(question, node, choose, limit, share_id)
            if not _is_placed(verdict):
                kind = (
                    InfeasibleError
                    if verdict.status == Status.INFEASIBLE
                    else UndecidedError
                )
                message = f"{', '.join(verdict.claims)}: no devices on node {node}"
                raise kind(message, verdict)
            written = []
            for item, allocation in zip(
                question.claims, verdict.allocations, strict=True
            ):
                document = copy.deepcopy(dict(item.document))
                if time is not None:
                    allocation["allocationTimestamp"] = time
                document["status"] = {
                    **(document.get("status") or {}),
                    "allocation": allocation,
                }
                written.append(document)
            found = [self._read(document, "") for document in written]
            for claim, document in zip(found, written, strict=True):
                self._put(claim, document)
        return copy.deepcopy(written)

    def _contents(self) -> tuple[InventoryContents, dict[str, AskedClaim]]:
        """Return what is in it now, and the claims."""
        with self._lock:
            slices = {name: self._tainted(item) for name, item in self._slices.items()}
            nodes = {
                name: self._nodes.get(name, ClusterNode(name)) for name in self.nodes
            }
            contents = InventoryContents(
                slices, dict(self._classes), nodes, self._features
            )
            return contents, dict(self._claims)

    def _read(self, document: Mapping[str, Any], path: str) -> KubernetesObject:
        try:
            return read_document(document, self._semantics)
        except (ObjectError, SelectorError) as error:
            if not path:
                raise
            message = f"{path}.{error}"
            raise type(error)(message) from None

    def _put(self, item: KubernetesObject, document: Mapping[str, Any]) -> None:
        if isinstance(item, DeviceSlice):
            self._own_slices()[item.name] = item
            self._core.set_slice(self._tainted(item))
        elif isinstance(item, ClusterNode):
            self._nodes[item.name] = item
            self._core.set_node(item.name, dict(item.labels))
        elif isinstance(item, DeviceTaintRule):
            before = self._rules.get(item.name)
            self._rules[item.name] = item
            self._taint_anew(before, item)
        else:
            self._questions.clear()
            if isinstance(item, DeviceClass):
                self._classes[item.name] = item
            else:
                claim = AskedClaim(item, copy.deepcopy(dict(document)))
                self._claims[claim.key] = claim
                self._core.set_taken(claim.key, item.allocated or ())

    def _tainted(self, item: DeviceSlice) -> DeviceSlice:
        """Return a slice with the taints that rules add to its devices."""
        if not self._rules:
            return item
        devices = []
        for device in item.devices:
            own = DeviceId(item.driver, item.pool, device.name)
            taints = tuple(
                rule.taint for rule in self._rules.values() if rule.is_for(own)
            )
            devices.append(
                replace(device, taints=device.taints + taints) if taints else device
            )
        return replace(item, devices=tuple(devices))

    def _taint_anew(self, *rules: DeviceTaintRule | None) -> None:
        for item in self._slices.values():
            if any(
                rule.is_for(DeviceId(item.driver, item.pool, device.name))
                for device in item.devices
                for rule in rules
                if rule is not None
            ):
                self._core.set_slice(self._tainted(item))

    def _limit(self, choose: str, max_steps: int | None) -> int:
        if choose not in _CHOICES:
            message = f"choose: {choose!r:.80}, want one of {', '.join(_CHOICES)}"
            raise InvalidRequestError(message)
        return DEFAULT_MAX_STEPS if max_steps is None else check_steps(max_steps)

    def _question(self, claims: Sequence[object]) -> ClaimQuestion:
        if isinstance(claims, (str, bytes, Mapping)) or not isinstance(
            claims, Sequence
        ):
            message = f"claims: {shown(claims)}, want a sequence of claims"
            raise InvalidRequestError(message)
        with self._lock:
            names = tuple(item for item in claims if isinstance(item, str))
            by_name = len(names) == len(claims) and all("{" not in n for n in names)
            if by_name and names in self._questions:
                return self._questions[names]
            items = tuple(
                self._claim(item, f"claims[{index}]")
                for index, item in enumerate(claims)
            )
            _refuse_repeated(items)
            question = self._maker.make(items, self._classes)
            if self._maker.is_full:
                self._maker.forget()
                self._questions.clear()
                self._core.forget_outcomes()
            if by_name:
                self._questions[names] = question
            return question

    def _claim(self, source: object, path: str) -> AskedClaim:
        if isinstance(source, str) and "\n" not in source and "{" not in source:
            found = self._claims.get(source)
            if found is None:
                message = (
                    f"{shown(source)}, want namespace/name of a claim that is here"
                )
                raise fail(path, message)
        else:
            document = mapping(plain(source), path)
            item = self._read(document, path)
            if not isinstance(item, ResourceClaim):
                raise fail(f"{path}.kind", "want a ResourceClaim")
            found = AskedClaim(item, document)
        if not self._features["consumable_capacity"]:
            wants = f"none: Kubernetes {self._semantics} without consumable_capacity"
            refuse_consumable_capacity(found.claim, path, wants)
        held = self._claims.get(found.key)
        if found.claim.allocated is not None or (
            held is not None and held.claim.allocated is not None
        ):
            message = f"{path}: {found.key} is allocated, want a claim that is not"
            raise StateError(message)
        return found

    def _ask(
        self,
        question: ClaimQuestion,
        node: str,
        choose: str,
        max_steps: int,
        share_id: Callable[[], str] | None = None,
    ) -> ClaimVerdict:
        if not isinstance(node, str):
            message = f"node: {shown(node)}, want the name of a node"
            raise InvalidRequestError(message)
        with self._lock:
            while True:
                row = self._core.ask(
                    node, question.prepared, choose == "optimal", max_steps
                )
                if not row[0]:
                    break
                self._fill(question, row[0])
            asked = self._asked(question, choose, max_steps, lend=False)
            found = asked.verdict(node, row, share_id)
        if isinstance(found, TopoallocError):
            raise found
        return found

    def _asked(
        self, question: ClaimQuestion, choose: str, max_steps: int, *, lend: bool = True
    ) -> Asked:
        """Return what was asked; `lend`: the slices stay as they are in it."""
        self._are_slices_lent |= lend
        return Asked(question, self._slices, choose, self._semantics, max_steps)

    def _own_slices(self) -> dict[str, DeviceSlice]:
        """Return the slices, to be changed."""
        if self._are_slices_lent:
            self._slices = dict(self._slices)
            self._are_slices_lent = False
        return self._slices

    def _fill(
        self, question: ClaimQuestion, gaps: Sequence[tuple[int, str, int]]
    ) -> None:
        """Ask selectors about devices that they were not asked about yet."""
        for number, name, index in gaps:
            found = self._slices[name]
            outcome: bool | None = None
            with contextlib.suppress(SelectorRuntimeError):
                view = device_view(found, found.devices[index])
                outcome = question.selectors[number].matches(view)
            self._core.set_outcome(number, name, index, outcome)


def _node_names(nodes: Collection[str]) -> tuple[str, ...]:
    if isinstance(nodes, str) or not isinstance(nodes, Collection):
        message = f"nodes: {shown(nodes)}, want names of nodes"
        raise InvalidRequestError(message)
    for node in nodes:
        if not isinstance(node, str):
            message = f"nodes: {shown(node)} among them, want the name of a node"
            raise InvalidRequestError(message)
    return tuple(dict.fromkeys(nodes))


def _documents(obj: object) -> list[tuple[Mapping[str, Any], str]]:
    """Return an object, or the items of a list, each with its path."""
    document = mapping(plain(obj), "")
    kind = document.get("kind")
    if not isinstance(kind, str) or not kind.endswith(_LIST):
        return [(document, "")]
    items = document.get("items")
    if not isinstance(items, Sequence) or isinstance(items, (str, bytes)):
        raise fail("items", f"{shown(items)}, want a list")
    found: list[tuple[Mapping[str, Any], str]] = []
    for index, item in enumerate(items):
        inner = dict(mapping(item, f"items[{index}]"))
        # The API leaves both out where the list has them.
        if kind != _LIST:
            inner.setdefault("kind", kind.removesuffix(_LIST))
            inner.setdefault("apiVersion", document.get("apiVersion"))
        found.append((inner, f"items[{index}]"))
    return found


def _refuse_repeated(items: Sequence[AskedClaim]) -> None:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.key in seen:
            raise fail(f"claims[{index}]", f"{item.key} is given twice")
        seen.add(item.key)


def _is_placed(verdict: ClaimVerdict) -> bool:
    return verdict.status in {Status.OPTIMAL, Status.FEASIBLE}
