# SPDX-License-Identifier: Apache-2.0
"""Gang: pods that start together or not at all, as immutable data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeAlias

from topoalloc import _core
from topoalloc._constraints import Not, OneOf
from topoalloc._errors import FormatError, InvalidRequestError
from topoalloc._quantity import shown
from topoalloc._request import API_VERSION, Request, check_header

__all__ = [
    "Balanced",
    "Gang",
    "GangConstraint",
    "Group",
    "PodSet",
    "Rails",
    "Slice",
    "Spread",
    "Taint",
    "Toleration",
    "Within",
]

LabelCondition: TypeAlias = str | Not | OneOf
"""What ``where`` asks of one label; a text asks for equality."""

_EFFECTS = ("NoSchedule", "NoExecute")
_MAX_COUNT = 2**32 - 1
_PRIORITIES = range(-(2**31), 2**31)
_MAX_SLICES = 3
_MAX_PREFER = 8


# --- what arguments must be ---


def plain_text(name: str, value: object) -> str:
    """Return a str, the empty one too, that the core can read and print."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name}: {type(value).__name__}, want a str")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequestError(
            f"{name}: {shown(value)}, want text without lone surrogates"
        ) from None
    if "\0" in value:
        # It would end a message of the core that names the value.
        raise InvalidRequestError(
            f"{name}: {shown(value)}, want text without null characters"
        )
    return str(value)


def name_text(name: str, value: object) -> str:
    """Return a str that is not empty."""
    text = plain_text(name, value)
    if not text:
        raise InvalidRequestError(f"{name}: '', want a name")
    return text


def items_of(name: str, values: object, want: str) -> tuple[Any, ...]:
    """Return the items of an iterable that is neither text nor a mapping nor a set."""
    if isinstance(
        values, str | bytes | bytearray | Mapping | set | frozenset
    ) or not isinstance(values, Iterable):
        raise InvalidRequestError(f"{name}: {type(values).__name__}, want {want}")
    return tuple(values)


def _owner_part(name: str, value: object) -> str:
    # An owner is spelled gang/podset/index, and must be read in one way alone.
    text = name_text(name, value)
    if "/" in text:
        raise InvalidRequestError(f"{name}: {shown(text)}, want a text without '/'")
    return text


def _count(name: str, value: object, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequestError(f"{name}: {type(value).__name__}, want an int")
    if not least <= value <= _MAX_COUNT:
        raise InvalidRequestError(
            f"{name}: {shown(value)}, want {least} to {_MAX_COUNT}"
        )
    return int(value)


def _instances(name: str, values: object, classes: tuple[type, ...]) -> tuple[Any, ...]:
    want = " or ".join(cls.__name__ for cls in classes)
    if isinstance(values, classes):
        return (values,)
    found = items_of(name, values, f"a list of {want}")
    for i, value in enumerate(found):
        if not isinstance(value, classes):
            raise InvalidRequestError(
                f"{name}[{i}]: {type(value).__name__}, want {want}"
            )
    return found


def _effect(name: str, value: object) -> str:
    text = plain_text(name, value)
    if text not in _EFFECTS:
        raise InvalidRequestError(
            f"{name}: {shown(text)}, want {' or '.join(_EFFECTS)}"
        )
    return text


def _set(instance: object, **values: object) -> None:
    """Set fields of a frozen dataclass: for its ``__post_init__`` alone."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


# --- nodes: taints and what tolerates them ---


@dataclass(frozen=True, slots=True)
class Taint:
    """Keeps a node from PodSets that do not tolerate it.

    Parameters
    ----------
    key : str
        Not empty.
    value : str, default ""
        Compared as text.
    effect : str, default "NoSchedule"
        Or ``"NoExecute"``. Both keep new pods away; neither removes what runs.

    Raises
    ------
    InvalidRequestError
        A field is of another form.

    Examples
    --------
    >>> Taint("maintenance", effect="NoExecute")
    Taint(key='maintenance', value='', effect='NoExecute')
    """

    key: str
    value: str = ""
    effect: str = "NoSchedule"

    def __post_init__(self) -> None:
        """Check the fields."""
        name_text("Taint.key", self.key)
        plain_text("Taint.value", self.value)
        _effect("Taint.effect", self.effect)

    @property
    def row(self) -> tuple[str, str, str]:
        """The form that the core reads."""
        return (self.key, self.value, self.effect)


@dataclass(frozen=True, slots=True)
class Toleration:
    """Tolerates every `Taint` of its key, value and effect.

    Parameters
    ----------
    key, value, effect : str, optional
        None stands for any.

    Raises
    ------
    InvalidRequestError
        A field is of another form.

    Examples
    --------
    >>> Toleration("maintenance")
    Toleration(key='maintenance', value=None, effect=None)
    """

    key: str | None = None
    value: str | None = None
    effect: str | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.key is not None:
            name_text("Toleration.key", self.key)
        if self.value is not None:
            plain_text("Toleration.value", self.value)
        if self.effect is not None:
            _effect("Toleration.effect", self.effect)

    @property
    def row(self) -> tuple[str | None, str | None, str | None]:
        """The form that the core reads."""
        return (self.key, self.value, self.effect)


# --- constraints ---


@dataclass(frozen=True, slots=True)
class Within:
    """All pods lie in one Domain of a level.

    Parameters
    ----------
    level : str
        Of the Cluster, or ``"node"``.

    Raises
    ------
    InvalidRequestError
        It is no name.

    Examples
    --------
    >>> Within("rack")
    Within(level='rack')
    """

    level: str

    def __post_init__(self) -> None:
        """Check the field."""
        name_text("Within.level", self.level)

    @property
    def row(self) -> tuple[str, str, int]:
        """The form that the core reads."""
        return ("Within", self.level, 0)


@dataclass(frozen=True, slots=True)
class Spread:
    """A Domain of a level holds at most so many of the pods.

    No pod lies in a node without a Domain of the level.

    Parameters
    ----------
    level : str
        Of the Cluster, or ``"node"``.
    at_most : int, default 1
        From 1 to 2^32 - 1.

    Raises
    ------
    InvalidRequestError
        A field is of another form.

    Examples
    --------
    >>> Spread("rack", at_most=2)
    Spread(level='rack', at_most=2)
    """

    level: str
    at_most: int = 1

    def __post_init__(self) -> None:
        """Check the fields."""
        name_text("Spread.level", self.level)
        _count("Spread.at_most", self.at_most)

    @property
    def row(self) -> tuple[str, str, int]:
        """The form that the core reads."""
        return ("Spread", self.level, self.at_most)


@dataclass(frozen=True, slots=True)
class Balanced:
    """The Domains of a level that hold pods hold equally many, give or take one.

    No pod lies in a node without a Domain of the level.

    Parameters
    ----------
    level : str
        Of the Cluster, or ``"node"``.

    Raises
    ------
    InvalidRequestError
        It is no name.

    Examples
    --------
    >>> Balanced("block")
    Balanced(level='block')
    """

    level: str

    def __post_init__(self) -> None:
        """Check the field."""
        name_text("Balanced.level", self.level)

    @property
    def row(self) -> tuple[str, str, int]:
        """The form that the core reads."""
        return ("Balanced", self.level, 0)


@dataclass(frozen=True, slots=True)
class Rails:
    """The j-th pod on every node holds the same indices of devices of a class.

    There is one list of sets of indices (``Device.index``), the same for all nodes, and
    the j-th pod of the PodSet on each node holds the devices of the j-th set. The plan
    shows the list; a Gang keeps it for as long as it runs.

    Parameters
    ----------
    device_class : str
        Of which the Request asks for whole devices or shares of them.

    Raises
    ------
    InvalidRequestError
        It is no name.

    Examples
    --------
    >>> Rails("nic")
    Rails(device_class='nic')
    """

    device_class: str

    def __post_init__(self) -> None:
        """Check the field."""
        name_text("Rails.device_class", self.device_class)

    @property
    def row(self) -> tuple[str, str, int]:
        """The form that the core reads."""
        return ("Rails", self.device_class, 0)


@dataclass(frozen=True, slots=True)
class Slice:
    """Each Domain of a level holds a multiple of so many of the pods.

    No pod lies in a node without a Domain of the level.

    Parameters
    ----------
    level : str
        Of the Cluster, or ``"node"``.
    size : int
        From 1 to 2^32 - 1; divides the size of the slice before it, of the first one
        the count of the PodSet.

    Raises
    ------
    InvalidRequestError
        A field is of another form.

    Examples
    --------
    >>> Slice("rack", 16)
    Slice(level='rack', size=16)
    """

    level: str
    size: int

    def __post_init__(self) -> None:
        """Check the fields."""
        name_text("Slice.level", self.level)
        _count("Slice.size", self.size)

    @property
    def row(self) -> tuple[str, int]:
        """The form that the core reads."""
        return (self.level, self.size)


GangConstraint: TypeAlias = Within | Spread | Balanced | Rails
"""An entry of ``require`` of a `PodSet`; all but `Rails` may be preferred, too."""

_CONSTRAINTS: dict[str, type[GangConstraint]] = {
    "within": Within,
    "spread": Spread,
    "balanced": Balanced,
    "rails": Rails,
}


# --- labels ---


class _Where(Mapping[str, LabelCondition]):
    """Conditions by label, sorted; a mapping that does not change and has a hash."""

    __slots__ = ("_conditions",)
    _conditions: dict[str, LabelCondition]

    def __init__(self, conditions: Mapping[str, LabelCondition]) -> None:
        self._conditions = dict(sorted(conditions.items()))

    def __getitem__(self, label: str) -> LabelCondition:
        """Return what is asked of a label."""
        return self._conditions[label]

    def __iter__(self) -> Iterator[str]:
        """Walk over the labels."""
        return iter(self._conditions)

    def __len__(self) -> int:
        """Count the labels."""
        return len(self._conditions)

    def __hash__(self) -> int:
        """Return a hash of the value."""
        return hash(tuple(self._conditions.items()))

    def __repr__(self) -> str:
        """Show it as the dict that makes it."""
        texts = (
            f"OneOf({', '.join(map(repr, condition.values))})"
            if isinstance(condition, OneOf)
            else repr(condition)
            for condition in self._conditions.values()
        )
        pairs = zip(self._conditions, texts, strict=True)
        return f"{{{', '.join(f'{label!r}: {text}' for label, text in pairs)}}}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by value."""
        return (_Where, (self._conditions,))


def _where(name: str, where: object) -> _Where:
    if not isinstance(where, Mapping):
        raise InvalidRequestError(f"{name}: {type(where).__name__}, want a mapping")
    for label, condition in where.items():
        path = f"{name}[{shown(name_text(name, label))}]"
        match condition:
            case Not(value):
                plain_text(path, value)
            case OneOf(values):
                for value in values:
                    plain_text(path, value)
            case str():
                plain_text(path, condition)
            case _:
                raise InvalidRequestError(
                    f"{path}: {type(condition).__name__}, want a str, Not or OneOf of "
                    "str: labels are texts"
                )
    return _Where(where)


def _where_row(label: str, condition: LabelCondition) -> tuple[str, str, list[str]]:
    match condition:
        case Not(value):
            return (label, "not_equal", [str(value)])
        case OneOf(values):
            return (label, "one_of", [str(value) for value in values])
        case _:
            return (label, "equal", [condition])


def _condition(op: str, values: list[str]) -> LabelCondition:
    match op:
        case "not_equal":
            return Not(values[0])
        case "one_of":
            return OneOf(*values)
        case _:
            return values[0]


# --- PodSets, Groups, Gangs ---


class _Compact:
    """A repr that leaves defaults out, and evaluates to an equal object."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Show the arguments."""
        document = self._arguments()  # type: ignore[attr-defined]
        parts = (f"{name}={value!r}" for name, value in document.items())
        return f"{type(self).__name__}({', '.join(parts)})"


def _changed(instance: Any, needed: tuple[str, ...]) -> dict[str, Any]:  # noqa: ANN401
    """Return the arguments: those needed, and what is not empty of the rest."""
    found = {f.name: getattr(instance, f.name) for f in fields(instance) if f.init}
    return {
        name: [*value] if isinstance(value, tuple) else value
        for name, value in found.items()
        if name in needed or value
    }


@dataclass(frozen=True, slots=True, repr=False)
class PodSet(_Compact):
    """So many pods of one `Request`, and where they may lie.

    Parameters
    ----------
    name : str
        Without ``/``; different from those of the other PodSets and Groups.
    request : Request
        Of each pod.
    count : int
        Pods wanted, 1 to 2^32 - 1.
    min_count : int, optional
        Pods without which the Gang does not start, 0 to `count`; by default `count`.
    require : sequence of Within, Spread, Balanced or Rails, optional
        All must hold; `Rails` at most once for a class.
    prefer : sequence of Within, Spread or Balanced, optional
        At most 8, the most wanted first.
    slices : sequence of Slice, optional
        At most 3, from coarse to fine; each size divides the one before it.
    where : mapping of str to str, Not or OneOf, optional
        What labels of a node must be; a node without the label fails.
    tolerations : sequence of Toleration, optional
        A node with a `Taint` that none of them tolerates takes none of the pods.

    Raises
    ------
    InvalidRequestError
        The PodSet has no meaning on any Cluster; the message names the part.

    Examples
    --------
    >>> import topoalloc as ta
    >>> workers = PodSet("worker", ta.Request(devices={"gpu": 8}), 512, min_count=480,
    ...                  require=[Within("block")], slices=[Slice("rack", 16)])
    >>> workers.count, workers.min_count
    (512, 480)
    """

    name: str
    request: Request
    count: int
    min_count: int | None = None
    require: Sequence[GangConstraint] = ()
    prefer: Sequence[Within | Spread | Balanced] = ()
    slices: Sequence[Slice] = ()
    where: Mapping[str, LabelCondition] = field(default_factory=dict)
    tolerations: Sequence[Toleration] = ()

    def __post_init__(self) -> None:
        """Check the fields and bring them to one form."""
        _owner_part("PodSet.name", self.name)
        if not isinstance(self.request, Request):
            raise InvalidRequestError(
                f"PodSet.request: {type(self.request).__name__}, want a Request"
            )
        count = _count("PodSet.count", self.count)
        least = self.min_count
        least = count if least is None else _count("PodSet.min_count", least, 0)
        if least > count:
            raise InvalidRequestError(
                f"PodSet.min_count: {least}, want at most the count, {count}"
            )
        prefer = _instances("PodSet.prefer", self.prefer, (Within, Spread, Balanced))
        if len(prefer) > _MAX_PREFER:
            raise InvalidRequestError(
                f"PodSet.prefer: {len(prefer)} entries, want at most {_MAX_PREFER}"
            )
        _set(
            self,
            min_count=least,
            require=_require("PodSet.require", self.require, self.request),
            prefer=prefer,
            slices=_slices("PodSet.slices", self.slices, count),
            where=_where("PodSet.where", self.where),
            tolerations=_instances(
                "PodSet.tolerations", self.tolerations, (Toleration,)
            ),
        )

    @property
    def row(self) -> tuple[Any, ...]:
        """The form that the core reads."""
        return (
            self.name,
            self.request,
            self.count,
            self.min_count,
            [entry.row for entry in self.slices],
            [entry.row for entry in self.require],
            [entry.row for entry in self.prefer],
            [_where_row(*item) for item in self.where.items()],
            [entry.row for entry in self.tolerations],
        )

    @classmethod
    def _of_row(cls, row: Sequence[Any]) -> Self:
        name, request, count, least, slices, require, prefer, where, tolerations = row
        return cls(
            name,
            request,
            count,
            least,
            [_constraint_of_row(*entry) for entry in require],
            [_preference_of_row(*entry) for entry in prefer],
            [Slice(*entry) for entry in slices],
            {label: _condition(op, values) for label, op, values in where},
            [Toleration(*entry) for entry in tolerations],
        )

    def _arguments(self) -> dict[str, Any]:
        found = _changed(self, ("name", "request", "count", "min_count"))
        if self.min_count == self.count:
            del found["min_count"]
        return found


def _slices(name: str, slices: object, count: int) -> tuple[Slice, ...]:
    found = _instances(name, slices, (Slice,))
    if len(found) > _MAX_SLICES:
        raise InvalidRequestError(
            f"{name}: {len(found)} slices, want at most {_MAX_SLICES}"
        )
    whole = count
    for i, entry in enumerate(found):
        if whole % entry.size != 0:
            raise InvalidRequestError(
                f"{name}[{i}].size: {entry.size}, want a divisor of {whole}"
            )
        whole = entry.size
    return found


def _require(
    name: str, require: object, request: Request
) -> tuple[GangConstraint, ...]:
    found = _instances(name, require, (Within, Spread, Balanced, Rails))
    railed = set()
    for i, entry in enumerate(found):
        if not isinstance(entry, Rails):
            continue
        path = f"{name}[{i}].device_class: {shown(entry.device_class)}"
        wanted = request.devices.get(entry.device_class)
        if wanted is None:
            raise InvalidRequestError(
                f"{path}, want a class of which the request asks for devices"
            )
        if wanted.partition is not None:
            raise InvalidRequestError(
                f"{path} in partitions, want whole devices or shares of them"
            )
        if entry.device_class in railed:
            raise InvalidRequestError(f"{path} twice, want each class once")
        railed.add(entry.device_class)
    return found


def _constraint_of_row(kind: str, name: str, at_most: int) -> GangConstraint:
    if kind == "Rails":
        return Rails(name)
    return _preference_of_row(kind, name, at_most)


def _preference_of_row(
    kind: str, level: str, at_most: int
) -> Within | Spread | Balanced:
    match kind:
        case "Within":
            return Within(level)
        case "Spread":
            return Spread(level, at_most)
        case _:
            return Balanced(level)


@dataclass(frozen=True, slots=True, repr=False)
class Group(_Compact):
    """PodSets, and Groups declared before it, whose pods share a Domain.

    Parameters
    ----------
    name : str
        Without ``/``; different from those of the PodSets and the other Groups.
    members : sequence of str
        Names, each once, at least one.
    require : sequence of Within, optional
        All must hold, of the pods of all members together.
    prefer : sequence of Within, optional
        At most 8, the most wanted first.

    Raises
    ------
    InvalidRequestError
        A field is of another form.

    Examples
    --------
    >>> Group("replica", ["leader", "worker"], require=[Within("rack")])
    Group(name='replica', members=['leader', 'worker'], require=[Within(level='rack')])
    """

    name: str
    members: Sequence[str]
    require: Sequence[Within] = ()
    prefer: Sequence[Within] = ()

    def __post_init__(self) -> None:
        """Check the fields and bring them to one form."""
        _owner_part("Group.name", self.name)
        members = items_of("Group.members", self.members, "a list of names")
        if not members:
            raise InvalidRequestError("Group.members: none, want at least one name")
        names = tuple(
            name_text(f"Group.members[{i}]", member) for i, member in enumerate(members)
        )
        if len(set(names)) != len(names):
            raise InvalidRequestError(
                f"Group.members: {shown(names)}, want each name once"
            )
        prefer = _instances("Group.prefer", self.prefer, (Within,))
        if len(prefer) > _MAX_PREFER:
            raise InvalidRequestError(
                f"Group.prefer: {len(prefer)} entries, want at most {_MAX_PREFER}"
            )
        _set(
            self,
            members=names,
            require=_instances("Group.require", self.require, (Within,)),
            prefer=prefer,
        )

    @property
    def row(self) -> tuple[str, list[str], list[str], list[str]]:
        """The form that the core reads."""
        return (
            self.name,
            [*self.members],
            [entry.level for entry in self.require],
            [entry.level for entry in self.prefer],
        )

    @classmethod
    def _of_row(cls, row: Sequence[Any]) -> Self:
        name, members, require, prefer = row
        return cls(
            name,
            members,
            [Within(level) for level in require],
            [Within(level) for level in prefer],
        )

    def _arguments(self) -> dict[str, Any]:
        return _changed(self, ("name", "members"))


@dataclass(frozen=True, slots=True, repr=False)
class Gang(_Compact):
    """Pods that start together or not at all.

    Immutable, hashable, equal by value, picklable. ``docs/cluster-objective.md`` is its
    exact meaning.

    Parameters
    ----------
    name : str
        Not empty, without ``/``. One Gang of a name runs on a Cluster at a time.
    podsets : sequence of PodSet
        1 to 16, by different names; the order is that of the cost.
    groups : sequence of Group, optional
        At most 16.
    priority : int, default 0
        From -2^31 to 2^31 - 1; the larger one matters more.
    queue : str, default ""
        Whose it is: kept, and given back.

    Raises
    ------
    InvalidRequestError
        The Gang has no meaning on any Cluster; the message names the part.

    Examples
    --------
    >>> import topoalloc as ta
    >>> gang = Gang("train-3", [PodSet("worker", ta.Request(cores=2), 4)], priority=100)
    >>> gang
    Gang(name='train-3', podsets=[PodSet(name='worker', request=Request(cores=2),
    count=4)], priority=100)
    >>> gang == Gang.from_dict(gang.to_dict())
    True
    """

    name: str
    podsets: Sequence[PodSet]
    groups: Sequence[Group] = ()
    priority: int = 0
    queue: str = ""
    _compiled: _core.Gang = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Check the fields and bring them to one form."""
        _owner_part("Gang.name", self.name)
        podsets = _instances("Gang.podsets", self.podsets, (PodSet,))
        groups = _instances("Gang.groups", self.groups, (Group,))
        priority = self.priority
        if isinstance(priority, bool) or not isinstance(priority, int):
            raise InvalidRequestError(
                f"Gang.priority: {type(priority).__name__}, want an int"
            )
        if priority not in _PRIORITIES:
            raise InvalidRequestError(
                f"Gang.priority: {shown(priority)}, want {_PRIORITIES.start} to "
                f"{_PRIORITIES.stop - 1}"
            )
        plain_text("Gang.queue", self.queue)
        compiled = _core.Gang(
            self.name,
            [podset.row for podset in podsets],
            [group.row for group in groups],
            priority,
            self.queue,
        )
        _set(self, podsets=podsets, groups=groups, _compiled=compiled)

    @classmethod
    def _of(cls, compiled: _core.Gang) -> Self:
        name, podsets, groups, priority, queue = compiled.fields()
        return cls(
            name,
            [PodSet._of_row(row) for row in podsets],
            [Group._of_row(row) for row in groups],
            priority,
            queue,
        )

    def _arguments(self) -> dict[str, Any]:
        return _changed(self, ("name", "podsets"))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by value."""
        return (
            type(self),
            (self.name, self.podsets, self.groups, self.priority, self.queue),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, which `from_dict` reads.

        Returns
        -------
        dict
            Plain values; keys that say the default are left out.
            ``schemas/gang.json`` describes it.
        """
        document: dict[str, Any] = {
            "apiVersion": API_VERSION,
            "kind": "Gang",
            "name": self.name,
            "podsets": [_podset_to_dict(podset) for podset in self.podsets],
        }
        if self.groups:
            document["groups"] = [_group_to_dict(group) for group in self.groups]
        if self.priority:
            document["priority"] = self.priority
        if self.queue:
            document["queue"] = self.queue
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form that `to_dict` writes.

        Parameters
        ----------
        document : mapping
            With ``apiVersion`` and ``kind``.

        Returns
        -------
        Gang

        Raises
        ------
        FormatError
            The document is no Gang; the message begins with the path.
        """
        check_header(document, "Gang")
        try:
            gang: Self = _read(
                "Gang", document, cls, _GANG_READERS, ("apiVersion", "kind")
            )
        except InvalidRequestError as error:
            raise FormatError(str(error)) from None
        return gang


# --- JSON ---


def _constraint_to_dict(constraint: GangConstraint) -> dict[str, Any]:
    if isinstance(constraint, Rails):
        return {"rails": {"class": constraint.device_class}}
    body: dict[str, Any] = {"level": constraint.level}
    if isinstance(constraint, Spread):
        body["at_most"] = constraint.at_most
    return {type(constraint).__name__.lower(): body}


def _condition_to_dict(condition: LabelCondition) -> dict[str, Any]:
    match condition:
        case Not(value):
            return {"not": value}
        case OneOf(values):
            return {"one_of": [*values]}
        case _:
            return {"equal": condition}


def _podset_to_dict(podset: PodSet) -> dict[str, Any]:
    document = podset._arguments()
    document["request"] = podset.request.to_dict()
    for key in ("require", "prefer"):
        if key in document:
            document[key] = [_constraint_to_dict(entry) for entry in document[key]]
    if podset.slices:
        document["slices"] = [
            {"level": entry.level, "size": entry.size} for entry in podset.slices
        ]
    if podset.where:
        document["where"] = {
            label: _condition_to_dict(condition)
            for label, condition in podset.where.items()
        }
    if podset.tolerations:
        document["tolerations"] = [_changed(t, ()) for t in podset.tolerations]
        for entry, toleration in zip(
            document["tolerations"], podset.tolerations, strict=True
        ):
            # An empty value is one value, no value is any.
            if toleration.value is not None:
                entry["value"] = toleration.value
    return document


def _group_to_dict(group: Group) -> dict[str, Any]:
    document = group._arguments()
    for key in ("require", "prefer"):
        if key in document:
            document[key] = [_constraint_to_dict(entry) for entry in document[key]]
    return document


def _read(
    path: str,
    document: object,
    cls: Any,  # noqa: ANN401
    readers: Mapping[str, Any],
    aside: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401
    """Make an object of the keys of a JSON object; errors begin with the path."""
    if not isinstance(document, Mapping):
        raise InvalidRequestError(f"{path}: {type(document).__name__}, want an object")
    arguments = {}
    for key, value in document.items():
        if key in aside:
            continue
        if key not in readers:
            raise InvalidRequestError(
                f"{path}: {shown(key)}, want one of {', '.join(readers)}"
            )
        arguments[key] = readers[key](f"{path}.{key}", value)
    try:
        return cls(**arguments)
    except TypeError:
        missing = [
            f.name
            for f in fields(cls)
            if f.init
            and f.name not in arguments
            and f.default is f.default_factory  # Both say that there is none.
        ]
        raise InvalidRequestError(
            f"{path}.{missing[0]}: absent, want it given"
        ) from None
    except InvalidRequestError as error:
        # It begins with the class, as "PodSet.count: 0"; the path says where.
        _, dot, rest = str(error).partition(".")
        raise InvalidRequestError(f"{path}.{rest}" if dot else str(error)) from None


def _as_is(_path: str, value: object) -> object:
    return value


def _list_of(path: str, value: object, read: Any) -> list[Any]:  # noqa: ANN401
    if not isinstance(value, list | tuple):
        raise InvalidRequestError(f"{path}: {type(value).__name__}, want a list")
    return [read(f"{path}[{i}]", entry) for i, entry in enumerate(value)]


def _read_constraint(path: str, document: object) -> GangConstraint:
    if not isinstance(document, Mapping) or len(document) != 1:
        raise InvalidRequestError(
            f"{path}: not an object of one key, want a constraint"
        )
    ((kind, body),) = document.items()
    cls = _CONSTRAINTS.get(kind)
    if cls is None:
        raise InvalidRequestError(
            f"{path}: {shown(kind)}, want one of {', '.join(_CONSTRAINTS)}"
        )
    at = f"{path}.{kind}"
    if cls is Rails:
        return _read_rails(at, body)
    names = dict.fromkeys((f.name for f in fields(cls)), _as_is)
    constraint: GangConstraint = _read(at, body, cls, names)
    return constraint


def _read_rails(path: str, body: object) -> Rails:
    if not isinstance(body, Mapping):
        raise InvalidRequestError(f"{path}: {type(body).__name__}, want an object")
    for key in body:
        if key != "class":
            raise InvalidRequestError(f"{path}: {shown(key)}, want class")
    if "class" not in body:
        raise InvalidRequestError(f"{path}.class: absent, want it given")
    return Rails(name_text(f"{path}.class", body["class"]))


def _read_constraints(path: str, value: object) -> list[GangConstraint]:
    return _list_of(path, value, _read_constraint)


def _read_slices(path: str, value: object) -> list[Slice]:
    names = {"level": _as_is, "size": _as_is}
    return _list_of(path, value, lambda at, entry: _read(at, entry, Slice, names))


def _read_tolerations(path: str, value: object) -> list[Toleration]:
    names = {"key": _as_is, "value": _as_is, "effect": _as_is}
    return _list_of(path, value, lambda at, entry: _read(at, entry, Toleration, names))


def _read_where(path: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequestError(f"{path}: {type(value).__name__}, want an object")
    return {
        label: _read_condition(f"{path}.{shown(label)}", condition)
        for label, condition in value.items()
    }


def _read_condition(path: str, document: object) -> object:
    if not isinstance(document, Mapping):
        return document
    if len(document) != 1:
        raise InvalidRequestError(f"{path}: not an object of one key, want a condition")
    ((op, value),) = document.items()
    match op:
        case "equal":
            return value
        case "not":
            return Not(plain_text(f"{path}.not", value))
        case "one_of":
            texts = _list_of(f"{path}.one_of", value, plain_text)
            if not texts:
                raise InvalidRequestError(f"{path}.one_of: [], want at least one text")
            return OneOf(*texts)
        case _:
            raise InvalidRequestError(f"{path}: {shown(op)}, want equal, not or one_of")


def _read_request(path: str, document: object) -> Request:
    try:
        return Request.from_dict(document)  # type: ignore[arg-type]
    except FormatError as error:
        raise InvalidRequestError(f"{path}: {error}") from None


_PODSET_READERS: dict[str, Any] = {
    "name": _as_is,
    "request": _read_request,
    "count": _as_is,
    "min_count": _as_is,
    "require": _read_constraints,
    "prefer": _read_constraints,
    "slices": _read_slices,
    "where": _read_where,
    "tolerations": _read_tolerations,
}
_GROUP_READERS: dict[str, Any] = {
    "name": _as_is,
    "members": _as_is,
    "require": _read_constraints,
    "prefer": _read_constraints,
}


def _read_podsets(path: str, value: object) -> list[PodSet]:
    return _list_of(
        path, value, lambda at, entry: _read(at, entry, PodSet, _PODSET_READERS)
    )


def _read_groups(path: str, value: object) -> list[Group]:
    return _list_of(
        path, value, lambda at, entry: _read(at, entry, Group, _GROUP_READERS)
    )


_GANG_READERS: dict[str, Any] = {
    "name": _as_is,
    "podsets": _read_podsets,
    "groups": _read_groups,
    "priority": _as_is,
    "queue": _as_is,
}
