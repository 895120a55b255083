# SPDX-License-Identifier: Apache-2.0
import enum
from typing import Any, overload

# --- machine ---
class ObjectKind(enum.Enum):
    PACKAGE = 0
    DIE = 1
    L3 = 2
    CORE = 3
    PU = 4
    GROUP = 5

class MemoryKind(enum.Enum):
    DRAM = 0
    HBM = 1
    GPU = 2
    CXL = 3
    NVM = 4

class ObjectSpec:
    kind: ObjectKind
    os_index: int | None
    cpuset: str
    def __init__(self) -> None: ...

class NumaNodeSpec:
    os_index: int
    cpuset: str
    parent_cpuset: str
    kind: MemoryKind
    base_bytes: int
    hugepages: dict[int, int]
    def __init__(self) -> None: ...

class DistanceSpec:
    numa_nodes: list[int]
    values: list[int]
    def __init__(self) -> None: ...

class BridgeSpec:
    is_host: bool
    parent: int | None
    address: str | None
    name: str
    def __init__(self) -> None: ...

class DeviceSpec:
    device_class: str
    name: str
    pci_address: str | None
    bridge: int | None
    numa_nodes: list[int]
    attributes: dict[str, Any]
    capacities: dict[str, int]
    counters: dict[str, int]
    parent: int | None
    partition: str
    draws: dict[str, int]
    aliases: list[str]
    uuid: str
    def __init__(self) -> None: ...

class LinkSpec:
    from_device: int
    to_device: int
    mb_s: int
    def __init__(self) -> None: ...

class LevelOverrideSpec:
    a: int
    b: int
    level: int
    def __init__(self) -> None: ...

class MachineSpec:
    name: str
    source: str
    objects: list[ObjectSpec]
    numa_nodes: list[NumaNodeSpec]
    allowed_pus: str | None
    bridges: list[BridgeSpec]
    devices: list[DeviceSpec]
    distances: DistanceSpec | None
    links: list[LinkSpec]
    level_overrides: list[LevelOverrideSpec]
    info: dict[str, str]
    def __init__(self) -> None: ...

class Machine:
    @overload
    def __init__(self, spec: MachineSpec) -> None: ...
    @overload
    def __init__(self, other: Machine) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def levels_are_ultrametric(self) -> bool: ...
    def check_consistency(self) -> None: ...
    @property
    def _spec(self) -> MachineSpec: ...
    def _pu_rows(self) -> list[tuple[int, int, int, int, int, int]]: ...
    def _core_rows(self) -> list[tuple[int | None, list[int], list[int]]]: ...
    def _l3_rows(self) -> list[tuple[int | None, list[int], list[int]]]: ...
    def _die_rows(self) -> list[tuple[int | None, list[int], list[int]]]: ...
    def _package_rows(self) -> list[tuple[int | None, list[int], list[int]]]: ...
    def _numa_node_rows(
        self,
    ) -> list[tuple[int, MemoryKind, list[int], list[int], list[int]]]: ...
    def _locality_rows(
        self,
    ) -> list[tuple[list[int], list[int], list[int], list[int]]]: ...
    def _device_rows(self) -> list[dict[str, Any]]: ...
    def _page_sizes(self) -> list[int]: ...
    def _allowed_pus(self) -> list[int]: ...
    def _find_device(self, key: str) -> int | None: ...
    def _level_of(self, device_a: int, device_b: int) -> int: ...
    def _link_of(self, device_a: int, device_b: int) -> int: ...
    def _locality_distance(self, locality_a: int, locality_b: int) -> int: ...

def cpuset_members(text: str) -> list[int]: ...
def normalize_cpuset(text: str) -> str: ...
def normalize_pci_address(text: str) -> str | None: ...
def parse_level(text: str) -> int | None: ...
def read_hwloc_xml(text: str | bytes, source: str) -> MachineSpec: ...
def read_synthetic(text: str) -> MachineSpec: ...

# --- end machine ---
