# SPDX-License-Identifier: Apache-2.0
"""Allocator: a Machine, what is free on it now, and who owns the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from topoalloc import _core
from topoalloc._constraints import check_steps, check_text, device_names
from topoalloc._errors import (
    FormatError,
    InfeasibleError,
    InvalidRequestError,
    StateError,
    UndecidedError,
)
from topoalloc._machine import Device, Machine
from topoalloc._policy import Cost, Policy
from topoalloc._quantity import counted, parse_quantity, shown
from topoalloc._records import (
    BatchQuestion,
    BatchVerdict,
    Headroom,
    Placement,
    Status,
    Verdict,
)

if TYPE_CHECKING:
    from topoalloc._request import Request

__all__ = ["DEFAULT_MAX_STEPS", "Allocator"]

DEFAULT_MAX_STEPS = 2_000_000
"""Search nodes that a question may cost; work, not seconds, so answers repeat."""

_PU_PREFIX = "pu:"
_MOST_DIGITS = 20


class Allocator(_core.Allocator):
    """A Machine, what is free on it now, and who owns the rest.

    Every method does the whole of what it says or raises and changes nothing. Calls
    from many threads are safe and each is atomic.

    Parameters
    ----------
    machine : Machine
        Shared, never copied.
    reserved_pus : str or iterable of int, default ""
        PUs by os_index that are never handed out; a str is the kernel's list form.
    policy : str or Policy, default "pack"
        ``"pack"``, ``"spread"``, or an order of your own.

    Raises
    ------
    FormatError
        The list of PUs cannot be read.
    InvalidRequestError
        A PU is not on the Machine, or there is no such policy.

    Examples
    --------
    >>> import topoalloc as ta
    >>> machine = ta.Machine.from_synthetic("pack:2 numa:1 core:4 pu:2")
    >>> allocator = Allocator(machine, reserved_pus="0-1")
    >>> placement = allocator.allocate(ta.Request(cores=2), owner="pod-7")
    >>> placement.pus
    (2, 3, 4, 5)
    >>> allocator.release("pod-7")
    """

    __slots__ = ()

    def __init__(
        self,
        machine: Machine,
        reserved_pus: str | Iterable[int] = "",
        policy: str | Policy = "pack",
    ) -> None:
        if not isinstance(machine, Machine):
            raise InvalidRequestError(
                f"machine: {type(machine).__name__}, want a Machine"
            )
        super().__init__(
            machine, _cpuset("reserved_pus", reserved_pus), Policy.of(policy)._row
        )

    if TYPE_CHECKING:

        @property
        def machine(self) -> Machine:
            """The Machine."""

    @property
    def policy(self) -> Policy:
        """The order in which Placements are compared."""
        return Policy._of_row(self.policy_row)

    # --- questions ---

    def check_many(
        self, requests: Iterable[Request], *, max_steps: int = DEFAULT_MAX_STEPS
    ) -> list[Verdict]:
        """Answer several Requests, each by itself on the present state.

        Parameters
        ----------
        requests : iterable of Request
            Independent of each other: nothing is taken.
        max_steps : int, default 2_000_000
            For each.

        Returns
        -------
        list of Verdict
            In the order of the requests.

        Raises
        ------
        InvalidRequestError
            A Request names what the Machine lacks, or the requests are no list.
        """
        return self.check_all(
            _list("requests", requests, "Requests"), check_steps(max_steps)
        )

    def check_joint(
        self, requests: Mapping[str, Request], *, max_steps: int = DEFAULT_MAX_STEPS
    ) -> BatchVerdict:
        """Answer whether different Requests fit together, without taking.

        Parameters
        ----------
        requests : mapping of str to Request
            By owner.
        max_steps : int, default 2_000_000
            For all of them.

        Returns
        -------
        BatchVerdict
        """
        return self._joint(requests, max_steps, takes=False)

    def headroom(
        self, request: Request, *, max_steps: int = DEFAULT_MAX_STEPS
    ) -> Headroom:
        """Count the copies of a Request that fit at once.

        Parameters
        ----------
        request : Request
            One copy.
        max_steps : int, default 2_000_000
            For the whole count.

        Returns
        -------
        Headroom
            ``(n, upper)``: so many were placed, no more than that fit. ``complete`` is
            False where the limit came before a proof that the two are equal.

        Examples
        --------
        >>> import topoalloc as ta
        >>> allocator = Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
        >>> allocator.headroom(ta.Request(cores=2))
        Headroom(n=2, upper=2)
        """
        count, upper, _ = self.headroom_of(request, check_steps(max_steps))
        return Headroom(count, upper)

    # --- taking and giving back ---

    def allocate_many(
        self, requests: Mapping[str, Request], *, max_steps: int = DEFAULT_MAX_STEPS
    ) -> dict[str, Placement]:
        """Take for several owners jointly: all or nothing.

        Parameters
        ----------
        requests : mapping of str to Request
            By owner; none of them holds anything yet.
        max_steps : int, default 2_000_000
            For all of them.

        Returns
        -------
        dict of str to Placement
            The best for all together, in the order of the requests.

        Raises
        ------
        InfeasibleError, UndecidedError
            ``verdict`` is the BatchVerdict.
        StateError
            An owner holds something.
        """
        verdict = self._joint(requests, max_steps, takes=True)
        if verdict.status in (Status.INFEASIBLE, Status.UNKNOWN):
            is_proof = verdict.status is Status.INFEASIBLE
            error = InfeasibleError if is_proof else UndecidedError
            message = _core.not_placed_message(
                counted(len(requests), "owner"),
                verdict.status,
                verdict.reason,
                verdict.steps,
            )
            raise error(message, verdict)
        return dict(verdict.placements)

    def allocate_batch(
        self,
        request: Request,
        owners: Iterable[str],
        *,
        max_steps: int = DEFAULT_MAX_STEPS,
    ) -> list[Verdict]:
        """Take the same for many owners, one after the other, in one call.

        Each takes the best that is left; those for whom nothing is left get nothing.
        No other thread comes between two of them.

        Parameters
        ----------
        request : Request
            For each owner.
        owners : iterable of str
            In the order in which they take.
        max_steps : int, default 2_000_000
            For each.

        Returns
        -------
        list of Verdict
            In the order of the owners; those with a ``placement`` have taken. Each
            has its Decision record, on the state that those before it left.

        Raises
        ------
        StateError
            An owner holds another Request; nothing of the batch is taken.
        InvalidRequestError
            The owners are no list.
        """
        return self.allocate_each(
            request, _list("owners", owners, "names"), check_steps(max_steps)
        )

    def take(
        self,
        *,
        owner: str,
        pus: str | Iterable[int] = "",
        memory: Mapping[int, int | str] | None = None,
        hugepages: Mapping[int, Mapping[int | str, int | str]] | None = None,
        devices: Iterable[str | Device] | Mapping[str, Mapping[str, int | str]] = (),
    ) -> Placement:
        """Record a choice made elsewhere.

        Parameters
        ----------
        owner : str
            Holds nothing yet.
        pus : str or iterable of int, default ""
            By os_index; a str is the kernel's list form.
        memory : mapping of int to quantity, optional
            NUMANode os_index to bytes in base pages.
        hugepages : mapping of int to mapping of quantity to quantity, optional
            NUMANode os_index to page size to bytes.
        devices : iterable of str or Device, or mapping of str to mapping, optional
            Devices; a mapping gives for each the share taken, empty for the whole.

        Returns
        -------
        Placement
            With the cost derived; without pairs.

        Raises
        ------
        InvalidRequestError
            Something is not on the Machine, or bytes are of GPU memory.
        StateError
            Something is not free, or the owner holds something.

        Examples
        --------
        >>> import topoalloc as ta
        >>> allocator = Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
        >>> allocator.take(owner="system", pus="0-1").cpuset
        '0-1'
        """
        check_text("owner", owner)
        rows = _memory_rows(memory or {}) + _hugepage_rows(hugepages or {})
        return self.take_rows(owner, _cpuset("pus", pus), rows, _device_shares(devices))

    def cordon(self, what: str | int | Device) -> None:
        """Mark a device or PU as not to be chosen until `uncordon`.

        Who holds it keeps it until it is released or exchanged: a resize that has it
        among what ``keep`` names is refused as infeasible.

        Parameters
        ----------
        what : str, int or Device
            A device by name, PCI address, uuid or alias, or itself; a PU as ``"pu:7"``
            or by its os_index.

        Raises
        ------
        InvalidRequestError
            It is not on the Machine.
        """
        self._set_cordon(what, cordoned=True)

    def uncordon(self, what: str | int | Device) -> None:
        """Let a cordoned device or PU be chosen again.

        Parameters
        ----------
        what : str, int or Device
            As for `cordon`.

        Raises
        ------
        InvalidRequestError
            It is not on the Machine.
        """
        self._set_cordon(what, cordoned=False)

    # --- what is free and who holds the rest ---

    @property
    def free_memory(self) -> dict[int, int]:
        """NUMANode os_index to free bytes in base pages, of every NUMANode."""
        return {node: free for node, size, free in self.free_memory_rows() if not size}

    @property
    def free_hugepages(self) -> dict[int, dict[int, int]]:
        """NUMANode os_index to page size to free bytes, where there are any."""
        found: dict[int, dict[int, int]] = {}
        for node, size, free in self.free_memory_rows():
            if size:
                found.setdefault(node, {})[size] = free
        return found

    def owners_of(self, what: str | int | Device) -> tuple[str, ...]:
        """Name the owners of a device or PU.

        Parameters
        ----------
        what : str, int or Device
            As for `cordon`.

        Returns
        -------
        tuple of str
            Several where a device is shared; empty where nobody holds it.

        Raises
        ------
        InvalidRequestError
            It is not on the Machine.
        """
        pu = _pu_of(what)
        if pu is None:
            return tuple(self.owners_of_device(_device_name(what)))
        owner = self.owner_of_pu(pu)
        return () if owner is None else (owner,)

    def owner_of(self, what: str | int | Device) -> str | None:
        """Name the owner of a device or PU.

        Parameters
        ----------
        what : str, int or Device
            As for `cordon`.

        Returns
        -------
        str or None
            None where nobody holds it.

        Raises
        ------
        InvalidRequestError
            It is not on the Machine.
        StateError
            Several owners share it: `owners_of` names them.
        """
        owners = self.owners_of(what)
        if len(owners) > 1:
            raise StateError(
                f"{_device_name(what)}: {len(owners)} owners, want owners_of for a "
                "shared one"
            )
        return owners[0] if owners else None

    # --- copies ---

    def fork(self) -> Self:
        """Copy the Allocator, to ask "what if".

        Returns
        -------
        Allocator
            Independent of this one from now on.

        Examples
        --------
        >>> import topoalloc as ta
        >>> allocator = Allocator(ta.Machine.from_synthetic("pack:1 core:4 pu:2"))
        >>> what_if = allocator.fork()
        >>> what_if.take(owner="a", pus="0-5").owner
        'a'
        >>> allocator.free_pus, what_if.free_pus
        ('0-7', '6-7')
        """
        copy = type(self).__new__(type(self))
        _core.Allocator.__init__(copy, self)
        return copy

    def __copy__(self) -> Self:
        """Return a fork."""
        return self.fork()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return a fork: what it shares with this one cannot change."""
        return self.fork()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by way of the snapshot, which every later version reads."""
        return type(self).restore, (self.snapshot(),)

    def snapshot(self) -> bytes:
        """Write down the Machine, the policy and who holds what.

        Returns
        -------
        bytes
            One line with format version and checksum, then JSON.
        """
        from topoalloc import _snapshot  # noqa: PLC0415

        return _snapshot.encode(self.machine.to_dict(), self.policy, self.state_dict())

    @classmethod
    def restore(cls, snapshot: bytes) -> Self:
        """Make the Allocator that `snapshot` wrote down.

        Parameters
        ----------
        snapshot : bytes
            Of this or an older version of topoalloc.

        Returns
        -------
        Allocator
            It gives the answers that the first would have given.

        Raises
        ------
        FormatError
            The bytes are damaged, of a newer format, or contradict themselves.
        """
        from topoalloc import _snapshot  # noqa: PLC0415

        document = _snapshot.decode(snapshot)
        return _snapshot.build(cls, document, "snapshot")

    def __repr__(self) -> str:
        """Show the Machine and how much of it is held."""
        return (
            f"<Allocator {self.machine.name}: {len(self.placements)} owners, "
            f"free PUs {self.free_pus!r}, policy {self.policy.name}>"
        )

    # --- inside ---

    def _joint(
        self, requests: Mapping[str, Request], max_steps: int, *, takes: bool
    ) -> BatchVerdict:
        if not isinstance(requests, Mapping):
            raise InvalidRequestError(
                f"requests: {type(requests).__name__}, want owners and Requests"
            )
        status, reason, terms, steps, placements, rows = self.joint(
            dict(requests), check_steps(max_steps), takes
        )
        return BatchVerdict(
            status,
            reason,
            None if terms is None else Cost.from_terms(terms),
            steps,
            placements,
            BatchQuestion(
                "allocate_many" if takes else "check_joint",
                dict(requests),
                max_steps,
                self.machine,
                self.policy,
                rows,
            ),
        )

    def _set_cordon(self, what: str | int | Device, *, cordoned: bool) -> None:
        pu = _pu_of(what)
        if pu is None:
            self.cordon_device(_device_name(what), cordoned)
        else:
            self.cordon_pu(pu, cordoned)


def _index(name: str, index: object) -> int:
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < 2**32:
        raise InvalidRequestError(f"{name}: {shown(index)}, want an os_index")
    return index


def _cpuset(name: str, pus: object) -> str:
    if isinstance(pus, str):
        if not pus.isascii() or "\0" in pus:
            # A lone surrogate cannot cross into the core, and a null character would
            # end its message. It reads all the rest.
            raise FormatError(f"{name}: {shown(pus)}, want a list of PUs such as 0-3,8")
        return pus
    if isinstance(pus, bytes | bytearray) or not isinstance(pus, Iterable):
        # The members of bytes are character codes, which nobody means.
        raise InvalidRequestError(f"{name}: {shown(pus)}, want a list of PUs")
    return ",".join(str(_index(name, pu)) for pu in pus)


def _pu_of(what: object) -> int | None:
    """Return the os_index of a PU, or None for a device."""
    if isinstance(what, str) and what.startswith(_PU_PREFIX):
        digits = what.removeprefix(_PU_PREFIX)
        # More digits are no os_index, and int() does not read any number of them.
        if not (digits.isascii() and digits.isdigit()) or len(digits) > _MOST_DIGITS:
            raise InvalidRequestError(f"pu: {shown(what)}, want pu: and an os_index")
        return _index("pu", int(digits))
    if isinstance(what, int):
        return _index("pu", what)
    return None


def _list(name: str, values: object, want: str) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidRequestError(f"{name}: {shown(values)}, want a list of {want}")
    return [*values]


def _mapping(name: str, value: object) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequestError(f"{name}: {shown(value)}, want a mapping")
    return value


def _memory_rows(memory: object) -> list[tuple[int, int, int]]:
    return [
        (_index("memory", node), 0, parse_quantity(amount, name=f"memory[{node}]"))
        for node, amount in _mapping("memory", memory).items()
    ]


def _hugepage_rows(hugepages: object) -> list[tuple[int, int, int]]:
    rows = []
    for node, sizes in _mapping("hugepages", hugepages).items():
        name = f"hugepages[{_index('hugepages', node)}]"
        seen = set()
        for size, amount in _mapping(name, sizes).items():
            page_size = parse_quantity(size, name=f"{name}: page size")
            if page_size in seen:
                raise InvalidRequestError(
                    f"{name}: {shown(size)} twice, want each size once"
                )
            seen.add(page_size)
            total = parse_quantity(amount, name=f"{name}[{shown(size)}]")
            rows.append((node, page_size, total))
    return rows


def _device_name(what: object) -> str:
    names = device_names("device", what)
    if len(names) != 1:
        raise InvalidRequestError(f"device: {shown(what)}, want one device")
    return names[0]


def _device_shares(devices: object) -> list[tuple[str, dict[str, int]]]:
    if not isinstance(devices, Mapping):
        return [(name, {}) for name in device_names("devices", devices)]
    rows = []
    for device, share in devices.items():
        name = _device_name(device)
        if not isinstance(share, Mapping):
            raise InvalidRequestError(
                f"devices[{name!r}]: {shown(share)}, want a mapping"
            )
        amounts = {
            check_text("share", capacity): parse_quantity(
                amount, name=f"share[{capacity!r}]"
            )
            for capacity, amount in share.items()
        }
        rows.append((name, amounts))
    return rows
