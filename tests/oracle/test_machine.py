# SPDX-License-Identifier: Apache-2.0
"""Section 1 of docs/objective.md: the core, the oracle and hwloc on one Machine."""

from __future__ import annotations

from typing import Any

from tests.oracle.machine import Machine

import topoalloc as ta
from topoalloc import hwloc

# hwloc puts the children of the Package in the order of their first PU: 0, the Group
# (in it 1, 5 and 3), 2, 4.
GROUPS = b"""<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
  <object type="Machine" os_index="0" cpuset="0x3f" complete_cpuset="0x3f"
      allowed_cpuset="0x3f" nodeset="0x1" complete_nodeset="0x1" allowed_nodeset="0x1"
      gp_index="1">
    <object type="NUMANode" os_index="0" cpuset="0x3f" complete_cpuset="0x3f"
        nodeset="0x1" complete_nodeset="0x1" gp_index="2" local_memory="1073741824">
      <page_type size="4096" count="262144"/>
    </object>
    <object type="Package" os_index="0" cpuset="0x3f" complete_cpuset="0x3f"
        nodeset="0x1" complete_nodeset="0x1" gp_index="3">
      <object type="PU" os_index="0" cpuset="0x1" complete_cpuset="0x1"
          nodeset="0x1" complete_nodeset="0x1" gp_index="10"/>
      <object type="Group" cpuset="0x2a" complete_cpuset="0x2a" nodeset="0x1"
          complete_nodeset="0x1" gp_index="4" kind="10" subkind="0">
        <object type="Group" cpuset="0x22" complete_cpuset="0x22" nodeset="0x1"
            complete_nodeset="0x1" gp_index="5" kind="10" subkind="1">
          <object type="PU" os_index="1" cpuset="0x2" complete_cpuset="0x2"
              nodeset="0x1" complete_nodeset="0x1" gp_index="11"/>
          <object type="PU" os_index="5" cpuset="0x20" complete_cpuset="0x20"
              nodeset="0x1" complete_nodeset="0x1" gp_index="15"/>
        </object>
        <object type="PU" os_index="3" cpuset="0x8" complete_cpuset="0x8"
            nodeset="0x1" complete_nodeset="0x1" gp_index="13"/>
      </object>
      <object type="PU" os_index="2" cpuset="0x4" complete_cpuset="0x4"
          nodeset="0x1" complete_nodeset="0x1" gp_index="12"/>
      <object type="PU" os_index="4" cpuset="0x10" complete_cpuset="0x10"
          nodeset="0x1" complete_nodeset="0x1" gp_index="14"/>
    </object>
  </object>
</topology>
"""
ORDER = [0, 1, 5, 3, 2, 4]


def order_of(document: dict[str, Any]) -> list[int]:
    """Return the PUs in logical order, on which core and oracle agree."""
    found = [pu.os_index for pu in ta.Machine.from_dict(document).pus]
    assert Machine(document).pus == found
    return found


def test_logical_order_is_that_of_hwloc_when_a_group_reorders() -> None:
    with hwloc.load(GROUPS) as topology:
        pus = [obj for obj in topology.objects if obj.type == "PU"]
        assert [pu.os_index for pu in pus] == ORDER
        assert [pu.logical_index for pu in pus] == [*range(6)]
    machine = ta.Machine.from_xml(GROUPS)
    assert [pu.os_index for pu in machine.pus] == ORDER

    document = machine.to_dict()
    document["pus"] = [{"os_index": index} for index in range(6)]
    assert order_of(document) == ORDER
    del document["groups"]
    assert order_of(document) == [*range(6)]
