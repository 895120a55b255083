/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of hwloc that its versions write differently, behind functions that read
 * the same for all of them: PCI domains (16 or 32 bits), infos (moved into a struct in
 * 3.0), types of OS devices (an enum, bits from 3.0 on), page types (none in 3.0),
 * names of distance kinds, and the versions of XML that can be written.
 *
 * Every function reads a loaded topology and no other state. Strings belong to it.
 */
#ifndef TOPOALLOC_HWLOC_SHIM_H
#define TOPOALLOC_HWLOC_SHIM_H

#include <hwloc.h>

#if HWLOC_API_VERSION < 0x00020800
#error "hwloc: its API is older than 2.8 (hwloc 2.9 says 2.8), want 2.9 to 3.x"
#endif

#include <hwloc/distances.h>
#include <hwloc/export.h>

/* The bits of hwloc 3; the enum of hwloc 2 is translated to them. */
#define TOPOALLOC_HWLOC_OSDEV_STORAGE (1UL << 0)
#define TOPOALLOC_HWLOC_OSDEV_MEMORY (1UL << 1)
#define TOPOALLOC_HWLOC_OSDEV_GPU (1UL << 2)
#define TOPOALLOC_HWLOC_OSDEV_COPROC (1UL << 3)
#define TOPOALLOC_HWLOC_OSDEV_NETWORK (1UL << 4)
#define TOPOALLOC_HWLOC_OSDEV_OPENFABRICS (1UL << 5)
#define TOPOALLOC_HWLOC_OSDEV_DMA (1UL << 6)

#if HWLOC_API_VERSION >= 0x00030000
#define TOPOALLOC_HWLOC_DISTANCES_LATENCY HWLOC_DISTANCES_KIND_VALUE_LATENCY
#define TOPOALLOC_HWLOC_DISTANCES_BANDWIDTH HWLOC_DISTANCES_KIND_VALUE_BANDWIDTH
#define TOPOALLOC_HWLOC_DISTANCES_HOPS HWLOC_DISTANCES_KIND_VALUE_HOPS
#define TOPOALLOC_HWLOC_XML_VERSION 3
#else
#define TOPOALLOC_HWLOC_DISTANCES_LATENCY HWLOC_DISTANCES_KIND_MEANS_LATENCY
#define TOPOALLOC_HWLOC_DISTANCES_BANDWIDTH HWLOC_DISTANCES_KIND_MEANS_BANDWIDTH
#define TOPOALLOC_HWLOC_DISTANCES_HOPS 0UL
#define TOPOALLOC_HWLOC_XML_VERSION 2
#endif

struct topoalloc_hwloc_pci {
    unsigned domain, bus, dev, func;
    unsigned class_id, vendor_id, device_id, subvendor_id, subdevice_id, revision;
    float linkspeed; /* GB/s; 0 where unknown */
};

struct topoalloc_hwloc_bridge {
    int has_upstream;   /* 0 for a host bridge: `upstream` means nothing */
    int has_downstream; /* 0: the bus numbers mean nothing */
    struct topoalloc_hwloc_pci upstream;
    unsigned domain, secondary_bus, subordinate_bus;
    unsigned depth;
};

/* obj: a PCI device, a bridge and an OS device respectively. */
void topoalloc_hwloc_get_pci(hwloc_obj_t obj, struct topoalloc_hwloc_pci* out);
void topoalloc_hwloc_get_bridge(hwloc_obj_t obj, struct topoalloc_hwloc_bridge* out);
unsigned long topoalloc_hwloc_osdev_types(hwloc_obj_t obj);

unsigned topoalloc_hwloc_infos_count(hwloc_obj_t obj);
const char* topoalloc_hwloc_info_name(hwloc_obj_t obj, unsigned i);
const char* topoalloc_hwloc_info_value(hwloc_obj_t obj, unsigned i);

/* The infos of the topology; before hwloc 3 these are the infos of its root. */
unsigned topoalloc_hwloc_topology_infos_count(hwloc_topology_t topology);
const char* topoalloc_hwloc_topology_info_name(hwloc_topology_t topology, unsigned i);
const char* topoalloc_hwloc_topology_info_value(hwloc_topology_t topology, unsigned i);

/* obj: a NUMANode. hwloc 3 keeps no page types: the count is 0. */
unsigned topoalloc_hwloc_page_types_count(hwloc_obj_t obj);
hwloc_uint64_t topoalloc_hwloc_page_size(hwloc_obj_t obj, unsigned i);
hwloc_uint64_t topoalloc_hwloc_page_count(hwloc_obj_t obj, unsigned i);

/* Returns 0, or -1 with errno: ENOTSUP where this hwloc does not write `version`. */
int topoalloc_hwloc_export_xml(hwloc_topology_t topology,
                               int version,
                               char** buffer,
                               int* length);

/* The file that hwloc's functions come from, NULL where the loader does not say. */
const char* topoalloc_hwloc_library_path(void);

#endif
