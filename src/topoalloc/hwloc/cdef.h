/* SPDX-License-Identifier: Apache-2.0
 *
 * What topoalloc uses of hwloc, for cffi in API mode: `...` leaves layouts, enum
 * values and constants to the C compiler, so that one text serves hwloc 2.9 to 3.x,
 * whose layouts and numbers differ. What cannot be written once is in shim.h.
 */
// `...` is not C.
// clang-format off
#define HWLOC_API_VERSION ...

typedef uint64_t hwloc_uint64_t;
typedef struct hwloc_topology *hwloc_topology_t;
typedef struct hwloc_bitmap_s *hwloc_bitmap_t;
typedef const struct hwloc_bitmap_s *hwloc_const_bitmap_t;
typedef int hwloc_pid_t;

unsigned hwloc_get_api_version(void);

/* Bitmaps. */
hwloc_bitmap_t hwloc_bitmap_alloc(void);
void hwloc_bitmap_free(hwloc_bitmap_t bitmap);
int hwloc_bitmap_from_ulongs(hwloc_bitmap_t bitmap, unsigned nr,
                             const unsigned long *masks);
int hwloc_bitmap_to_ulongs(hwloc_const_bitmap_t bitmap, unsigned nr,
                           unsigned long *masks);
int hwloc_bitmap_set_range(hwloc_bitmap_t bitmap, unsigned begin, int end);
int hwloc_bitmap_weight(hwloc_const_bitmap_t bitmap);
int hwloc_bitmap_last(hwloc_const_bitmap_t bitmap);
int hwloc_bitmap_last_unset(hwloc_const_bitmap_t bitmap);
int hwloc_bitmap_snprintf(char *buffer, size_t length, hwloc_const_bitmap_t bitmap);
int hwloc_bitmap_list_snprintf(char *buffer, size_t length,
                               hwloc_const_bitmap_t bitmap);
int hwloc_bitmap_taskset_snprintf(char *buffer, size_t length,
                                  hwloc_const_bitmap_t bitmap);
int hwloc_bitmap_sscanf(hwloc_bitmap_t bitmap, const char *string);
int hwloc_bitmap_list_sscanf(hwloc_bitmap_t bitmap, const char *string);
int hwloc_bitmap_taskset_sscanf(hwloc_bitmap_t bitmap, const char *string);

/* Objects. */
typedef enum {
    HWLOC_OBJ_MACHINE, HWLOC_OBJ_PACKAGE, HWLOC_OBJ_DIE, HWLOC_OBJ_CORE, HWLOC_OBJ_PU,
    HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L4CACHE,
    HWLOC_OBJ_L5CACHE, HWLOC_OBJ_L1ICACHE, HWLOC_OBJ_L2ICACHE, HWLOC_OBJ_L3ICACHE,
    HWLOC_OBJ_GROUP, HWLOC_OBJ_NUMANODE, HWLOC_OBJ_MEMCACHE, HWLOC_OBJ_BRIDGE,
    HWLOC_OBJ_PCI_DEVICE, HWLOC_OBJ_OS_DEVICE, HWLOC_OBJ_MISC, ...
} hwloc_obj_type_t;

typedef enum {
    HWLOC_OBJ_CACHE_UNIFIED, HWLOC_OBJ_CACHE_DATA, HWLOC_OBJ_CACHE_INSTRUCTION, ...
} hwloc_obj_cache_type_t;

struct hwloc_numanode_attr_s {
    hwloc_uint64_t local_memory; /* bytes */
    ...;
};

struct hwloc_cache_attr_s {
    hwloc_uint64_t size; /* bytes */
    unsigned depth;
    unsigned linesize; /* bytes */
    int associativity;
    hwloc_obj_cache_type_t type;
    ...;
};

struct hwloc_group_attr_s {
    unsigned depth;
    unsigned kind;
    unsigned subkind;
    ...;
};

union hwloc_obj_attr_u {
    struct hwloc_numanode_attr_s numanode;
    struct hwloc_cache_attr_s cache;
    struct hwloc_group_attr_s group;
    ...;
};

typedef struct hwloc_obj *hwloc_obj_t;
struct hwloc_obj {
    hwloc_obj_type_t type;
    char *subtype;
    unsigned os_index;
    char *name;
    hwloc_uint64_t total_memory; /* bytes */
    union hwloc_obj_attr_u *attr;
    int depth;
    unsigned logical_index;
    struct hwloc_obj *parent;
    struct hwloc_obj *next_sibling;
    struct hwloc_obj *first_child;
    struct hwloc_obj *memory_first_child;
    struct hwloc_obj *io_first_child;
    struct hwloc_obj *misc_first_child;
    hwloc_bitmap_t cpuset;
    hwloc_bitmap_t complete_cpuset;
    hwloc_bitmap_t nodeset;
    hwloc_bitmap_t complete_nodeset;
    hwloc_uint64_t gp_index;
    ...;
};

#define HWLOC_UNKNOWN_INDEX ...

const char *hwloc_obj_type_string(hwloc_obj_type_t type);

/* Topologies. */
enum hwloc_topology_flags_e {
    HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED, HWLOC_TOPOLOGY_FLAG_NO_DISTANCES,
    HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS, HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS, ...
};
enum hwloc_type_filter_e {
    HWLOC_TYPE_FILTER_KEEP_ALL, HWLOC_TYPE_FILTER_KEEP_NONE, ...
};

int hwloc_topology_init(hwloc_topology_t *topologyp);
int hwloc_topology_set_flags(hwloc_topology_t topology, unsigned long flags);
int hwloc_topology_set_io_types_filter(hwloc_topology_t topology,
                                       enum hwloc_type_filter_e filter);
int hwloc_topology_set_xmlbuffer(hwloc_topology_t topology, const char *buffer,
                                 int size);
int hwloc_topology_load(hwloc_topology_t topology);
void hwloc_topology_destroy(hwloc_topology_t topology);
int hwloc_topology_is_thissystem(hwloc_topology_t topology);
hwloc_obj_t hwloc_get_obj_by_depth(hwloc_topology_t topology, int depth,
                                   unsigned idx);
hwloc_const_bitmap_t hwloc_topology_get_allowed_cpuset(hwloc_topology_t topology);
hwloc_const_bitmap_t hwloc_topology_get_allowed_nodeset(hwloc_topology_t topology);
void hwloc_free_xmlbuffer(hwloc_topology_t topology, char *xmlbuffer);

/* Distances. */
struct hwloc_distances_s {
    unsigned nbobjs;
    hwloc_obj_t *objs;
    unsigned long kind;
    hwloc_uint64_t *values;
    ...;
};
enum hwloc_distances_kind_e {
    HWLOC_DISTANCES_KIND_FROM_OS, HWLOC_DISTANCES_KIND_FROM_USER,
    HWLOC_DISTANCES_KIND_HETEROGENEOUS_TYPES, ...
};
enum hwloc_distances_transform_e {
    HWLOC_DISTANCES_TRANSFORM_REMOVE_NULL, HWLOC_DISTANCES_TRANSFORM_LINKS,
    HWLOC_DISTANCES_TRANSFORM_MERGE_SWITCH_PORTS,
    HWLOC_DISTANCES_TRANSFORM_TRANSITIVE_CLOSURE, ...
};

int hwloc_distances_get(hwloc_topology_t topology, unsigned *nr,
                        struct hwloc_distances_s **distances, unsigned long kind,
                        unsigned long flags);
int hwloc_distances_get_by_name(hwloc_topology_t topology, const char *name,
                                unsigned *nr, struct hwloc_distances_s **distances,
                                unsigned long flags);
const char *hwloc_distances_get_name(hwloc_topology_t topology,
                                     struct hwloc_distances_s *distances);
int hwloc_distances_transform(hwloc_topology_t topology,
                              struct hwloc_distances_s *distances,
                              enum hwloc_distances_transform_e transform,
                              void *transform_attr, unsigned long flags);
void hwloc_distances_release(hwloc_topology_t topology,
                             struct hwloc_distances_s *distances);

/* Binding. */
typedef enum {
    HWLOC_CPUBIND_PROCESS, HWLOC_CPUBIND_THREAD, HWLOC_CPUBIND_STRICT, ...
} hwloc_cpubind_flags_t;
typedef enum {
    HWLOC_MEMBIND_DEFAULT, HWLOC_MEMBIND_FIRSTTOUCH, HWLOC_MEMBIND_BIND,
    HWLOC_MEMBIND_INTERLEAVE, HWLOC_MEMBIND_NEXTTOUCH, HWLOC_MEMBIND_MIXED, ...
} hwloc_membind_policy_t;
typedef enum {
    HWLOC_MEMBIND_THREAD, HWLOC_MEMBIND_STRICT, HWLOC_MEMBIND_MIGRATE,
    HWLOC_MEMBIND_BYNODESET, ...
} hwloc_membind_flags_t;

int hwloc_set_cpubind(hwloc_topology_t topology, hwloc_const_bitmap_t set, int flags);
int hwloc_get_cpubind(hwloc_topology_t topology, hwloc_bitmap_t set, int flags);
int hwloc_set_proc_cpubind(hwloc_topology_t topology, hwloc_pid_t pid,
                           hwloc_const_bitmap_t set, int flags);
int hwloc_get_proc_cpubind(hwloc_topology_t topology, hwloc_pid_t pid,
                           hwloc_bitmap_t set, int flags);
int hwloc_get_last_cpu_location(hwloc_topology_t topology, hwloc_bitmap_t set,
                                int flags);
int hwloc_get_proc_last_cpu_location(hwloc_topology_t topology, hwloc_pid_t pid,
                                     hwloc_bitmap_t set, int flags);
int hwloc_set_membind(hwloc_topology_t topology, hwloc_const_bitmap_t set,
                      hwloc_membind_policy_t policy, int flags);
int hwloc_get_membind(hwloc_topology_t topology, hwloc_bitmap_t set,
                      hwloc_membind_policy_t *policy, int flags);

/* shim.h */
struct topoalloc_hwloc_pci {
    unsigned domain, bus, dev, func;
    unsigned class_id, vendor_id, device_id, subvendor_id, subdevice_id, revision;
    float linkspeed; /* GB/s */
};
struct topoalloc_hwloc_bridge {
    int has_upstream;
    int has_downstream;
    struct topoalloc_hwloc_pci upstream;
    unsigned domain, secondary_bus, subordinate_bus;
    unsigned depth;
};
#define TOPOALLOC_HWLOC_OSDEV_STORAGE ...
#define TOPOALLOC_HWLOC_OSDEV_MEMORY ...
#define TOPOALLOC_HWLOC_OSDEV_GPU ...
#define TOPOALLOC_HWLOC_OSDEV_COPROC ...
#define TOPOALLOC_HWLOC_OSDEV_NETWORK ...
#define TOPOALLOC_HWLOC_OSDEV_OPENFABRICS ...
#define TOPOALLOC_HWLOC_OSDEV_DMA ...
#define TOPOALLOC_HWLOC_DISTANCES_LATENCY ...
#define TOPOALLOC_HWLOC_DISTANCES_BANDWIDTH ...
#define TOPOALLOC_HWLOC_DISTANCES_HOPS ...
#define TOPOALLOC_HWLOC_XML_VERSION ...

void topoalloc_hwloc_get_pci(hwloc_obj_t obj, struct topoalloc_hwloc_pci *out);
void topoalloc_hwloc_get_bridge(hwloc_obj_t obj, struct topoalloc_hwloc_bridge *out);
unsigned long topoalloc_hwloc_osdev_types(hwloc_obj_t obj);
unsigned topoalloc_hwloc_infos_count(hwloc_obj_t obj);
const char *topoalloc_hwloc_info_name(hwloc_obj_t obj, unsigned i);
const char *topoalloc_hwloc_info_value(hwloc_obj_t obj, unsigned i);
unsigned topoalloc_hwloc_topology_infos_count(hwloc_topology_t topology);
const char *topoalloc_hwloc_topology_info_name(hwloc_topology_t topology, unsigned i);
const char *topoalloc_hwloc_topology_info_value(hwloc_topology_t topology, unsigned i);
unsigned topoalloc_hwloc_page_types_count(hwloc_obj_t obj);
hwloc_uint64_t topoalloc_hwloc_page_size(hwloc_obj_t obj, unsigned i);
hwloc_uint64_t topoalloc_hwloc_page_count(hwloc_obj_t obj, unsigned i);
int topoalloc_hwloc_export_xml(hwloc_topology_t topology, int version, char **buffer,
                               int *length);
const char *topoalloc_hwloc_library_path(void);
