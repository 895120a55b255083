/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* dladdr */
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

static void copy_pci(const struct hwloc_pcidev_attr_s* pci,
                     struct topoalloc_hwloc_pci* out) {
    out->domain = pci->domain;
    out->bus = pci->bus;
    out->dev = pci->dev;
    out->func = pci->func;
    out->class_id = pci->class_id;
    out->vendor_id = pci->vendor_id;
    out->device_id = pci->device_id;
    out->subvendor_id = pci->subvendor_id;
    out->subdevice_id = pci->subdevice_id;
    out->revision = pci->revision;
    out->linkspeed = pci->linkspeed;
}

void topoalloc_hwloc_get_pci(hwloc_obj_t obj, struct topoalloc_hwloc_pci* out) {
    copy_pci(&obj->attr->pcidev, out);
}

void topoalloc_hwloc_get_bridge(hwloc_obj_t obj, struct topoalloc_hwloc_bridge* out) {
    const struct hwloc_bridge_attr_s* bridge = &obj->attr->bridge;
    out->has_upstream = bridge->upstream_type == HWLOC_OBJ_BRIDGE_PCI;
    out->has_downstream = bridge->downstream_type == HWLOC_OBJ_BRIDGE_PCI;
    copy_pci(&bridge->upstream.pci, &out->upstream);
    out->domain = bridge->downstream.pci.domain;
    out->secondary_bus = bridge->downstream.pci.secondary_bus;
    out->subordinate_bus = bridge->downstream.pci.subordinate_bus;
    out->depth = bridge->depth;
}

unsigned long topoalloc_hwloc_osdev_types(hwloc_obj_t obj) {
#if HWLOC_API_VERSION >= 0x00030000
    return obj->attr->osdev.types;
#else
    switch (obj->attr->osdev.type) {
        case HWLOC_OBJ_OSDEV_BLOCK:
            return TOPOALLOC_HWLOC_OSDEV_STORAGE;
        case HWLOC_OBJ_OSDEV_GPU:
            return TOPOALLOC_HWLOC_OSDEV_GPU;
        case HWLOC_OBJ_OSDEV_NETWORK:
            return TOPOALLOC_HWLOC_OSDEV_NETWORK;
        case HWLOC_OBJ_OSDEV_OPENFABRICS:
            return TOPOALLOC_HWLOC_OSDEV_OPENFABRICS;
        case HWLOC_OBJ_OSDEV_DMA:
            return TOPOALLOC_HWLOC_OSDEV_DMA;
        case HWLOC_OBJ_OSDEV_COPROC:
            return TOPOALLOC_HWLOC_OSDEV_COPROC;
    }
    return 0;
#endif
}

#if HWLOC_API_VERSION >= 0x00030000
unsigned topoalloc_hwloc_infos_count(hwloc_obj_t obj) {
    return obj->infos.count;
}

const char* topoalloc_hwloc_info_name(hwloc_obj_t obj, unsigned i) {
    return obj->infos.array[i].name;
}

const char* topoalloc_hwloc_info_value(hwloc_obj_t obj, unsigned i) {
    return obj->infos.array[i].value;
}

unsigned topoalloc_hwloc_topology_infos_count(hwloc_topology_t topology) {
    return hwloc_topology_get_infos(topology)->count;
}

const char* topoalloc_hwloc_topology_info_name(hwloc_topology_t topology, unsigned i) {
    return hwloc_topology_get_infos(topology)->array[i].name;
}

const char* topoalloc_hwloc_topology_info_value(hwloc_topology_t topology, unsigned i) {
    return hwloc_topology_get_infos(topology)->array[i].value;
}

unsigned topoalloc_hwloc_page_types_count(hwloc_obj_t obj) {
    (void)obj;
    return 0;
}

hwloc_uint64_t topoalloc_hwloc_page_size(hwloc_obj_t obj, unsigned i) {
    (void)obj;
    (void)i;
    return 0;
}

hwloc_uint64_t topoalloc_hwloc_page_count(hwloc_obj_t obj, unsigned i) {
    (void)obj;
    (void)i;
    return 0;
}
#else
unsigned topoalloc_hwloc_infos_count(hwloc_obj_t obj) {
    return obj->infos_count;
}

const char* topoalloc_hwloc_info_name(hwloc_obj_t obj, unsigned i) {
    return obj->infos[i].name;
}

const char* topoalloc_hwloc_info_value(hwloc_obj_t obj, unsigned i) {
    return obj->infos[i].value;
}

unsigned topoalloc_hwloc_topology_infos_count(hwloc_topology_t topology) {
    return topoalloc_hwloc_infos_count(hwloc_get_root_obj(topology));
}

const char* topoalloc_hwloc_topology_info_name(hwloc_topology_t topology, unsigned i) {
    return topoalloc_hwloc_info_name(hwloc_get_root_obj(topology), i);
}

const char* topoalloc_hwloc_topology_info_value(hwloc_topology_t topology, unsigned i) {
    return topoalloc_hwloc_info_value(hwloc_get_root_obj(topology), i);
}

unsigned topoalloc_hwloc_page_types_count(hwloc_obj_t obj) {
    return obj->attr->numanode.page_types_len;
}

hwloc_uint64_t topoalloc_hwloc_page_size(hwloc_obj_t obj, unsigned i) {
    return obj->attr->numanode.page_types[i].size;
}

hwloc_uint64_t topoalloc_hwloc_page_count(hwloc_obj_t obj, unsigned i) {
    return obj->attr->numanode.page_types[i].count;
}
#endif

int topoalloc_hwloc_export_xml(hwloc_topology_t topology,
                               int version,
                               char** buffer,
                               int* length) {
    unsigned long flags = 0;
    if (version != TOPOALLOC_HWLOC_XML_VERSION) {
#if HWLOC_API_VERSION >= 0x00030000
        const int older = 2;
        flags = HWLOC_TOPOLOGY_EXPORT_XML_FLAG_V2;
#else
        const int older = 1;
        flags = HWLOC_TOPOLOGY_EXPORT_XML_FLAG_V1;
#endif
        if (version != older) {
            errno = ENOTSUP;
            return -1;
        }
    }
    return hwloc_topology_export_xmlbuffer(topology, buffer, length, flags);
}

const char* topoalloc_hwloc_library_path(void) {
    Dl_info info;
    /* The address goes through an integer: ISO C has no cast from a function pointer
     * to void *. */
    if (dladdr((void*)(uintptr_t)&hwloc_get_api_version, &info) == 0) {
        return NULL;
    }
    return info.dli_fname;
}
