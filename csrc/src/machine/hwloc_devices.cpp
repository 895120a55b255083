// SPDX-License-Identifier: Apache-2.0
#include "machine/hwloc_devices.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>

namespace topoalloc::hwloc {

namespace {

/// Who reported an OS device. Order: whose name a GPU is best known by.
enum class Backend : std::uint8_t { nvml, rsmi, level_zero, cuda, opencl, other };

struct BackendName {
    std::string_view subtype;  ///< as hwloc writes it
    std::string_view prefix;   ///< of the names of its OS devices
    Backend backend;
    std::string_view index_attribute;
};
constexpr std::array<BackendName, 5> backend_names = {{
    {"NVML", "nvml", Backend::nvml, "nvml_index"},
    {"RSMI", "rsmi", Backend::rsmi, "rsmi_index"},
    {"LevelZero", "ze", Backend::level_zero, "level_zero_index"},
    {"CUDA", "cuda", Backend::cuda, "cuda_index"},
    {"OpenCL", "opencl", Backend::opencl, ""},
}};

struct OsDevice {
    std::uint32_t object = 0;
    bool is_block = false;
    bool is_net = false;
    bool is_openfabrics = false;
    Backend backend = Backend::other;
};

/// What pci_type says: "0302 [10de:1db8] [10de:131d] a1", with one number more in
/// version 3.
struct PciIds {
    std::uint32_t class_id = 0;
    std::uint32_t vendor = 0;
    std::uint32_t device = 0;
    std::uint32_t subvendor = 0;
    std::uint32_t subdevice = 0;
    std::uint32_t revision = 0;
};

struct DeviceId {
    std::uint32_t vendor;
    std::uint32_t device;
};

// Virtual functions by device id, where "Virtual Function" may be missing from the name
// (the recording had no pci.ids). From the public PCI ID list.
constexpr std::array<DeviceId, 21> virtual_functions = {{
    {0x1137, 0x0071}, {0x1137, 0x00cf},  // Cisco VIC
    {0x15b3, 0x1002}, {0x15b3, 0x1004}, {0x15b3, 0x1012}, {0x15b3, 0x1014},  // ConnectX
    {0x15b3, 0x1016}, {0x15b3, 0x1018}, {0x15b3, 0x101a}, {0x15b3, 0x101c},
    {0x15b3, 0x101e}, {0x8086, 0x10ca}, {0x8086, 0x10ed}, {0x8086, 0x1515},
    {0x8086, 0x1520},  // Intel
    {0x8086, 0x154c}, {0x8086, 0x1565}, {0x8086, 0x1889}, {0x8086, 0x37cd},
    {0x14e4, 0x16dc}, {0x14e4, 0x1806},  // Broadcom
}};

std::string hex_id(std::uint32_t value, int digits) {
    std::array<char, 16> text{};
    const int length = std::snprintf(text.data(), text.size(), "0x%0*x", digits, value);
    return {text.data(), static_cast<std::size_t>(length)};
}

AttributeValue one(Scalar value) {
    return {{std::move(value)}, false};
}

// Reads "%x" fields out of text by a pattern of 'x' (a field) and literal characters.
// Returns the number of fields read before the first mismatch.
std::size_t scan_hex(std::string_view text,
                     std::string_view pattern,
                     std::span<std::uint32_t> fields) {
    std::size_t count = 0;
    for (const char expected : pattern) {
        if (expected != 'x') {
            if (text.empty() || text.front() != expected) {
                return count;
            }
            text.remove_prefix(1);
            continue;
        }
        const auto [last, error] =
            std::from_chars(text.data(), text.data() + text.size(), fields[count], 16);
        if (error != std::errc{}) {
            return count;
        }
        text.remove_prefix(static_cast<std::size_t>(last - text.data()));
        ++count;
    }
    return text.empty() ? count : count + fields.size();  // more than was asked for
}

// The number at the end of "nvml12" for the prefix "nvml".
std::optional<std::int64_t> index_in_name(std::string_view name,
                                          std::string_view prefix) {
    if (!name.starts_with(prefix)) {
        return std::nullopt;
    }
    const std::string_view digits = name.substr(prefix.size());
    std::uint32_t value = 0;
    const char* const end = digits.data() + digits.size();
    const auto [last, error] = std::from_chars(digits.data(), end, value);
    return error == std::errc{} && last == end ? std::optional<std::int64_t>(value)
                                               : std::nullopt;
}

bool is_zero_text(std::string_view text) {
    return text.find_first_not_of("0:-. ") == std::string_view::npos;
}

// A board management controller's display is no GPU, whatever its class.
bool is_management_display(const PciIds& ids) {
    constexpr std::uint32_t matrox = 0x102b;
    constexpr std::uint32_t aspeed = 0x1a03;
    constexpr std::uint32_t ati = 0x1002;
    return ids.vendor == matrox || (ids.vendor == aspeed && ids.device == 0x2000) ||
           (ids.vendor == ati && ids.device == 0x515e);
}

bool is_known_virtual_function(const PciIds& ids, std::string_view model) {
    return model.find("Virtual Function") != std::string_view::npos ||
           std::any_of(
               virtual_functions.begin(), virtual_functions.end(), [&](DeviceId id) {
                   return id.vendor == ids.vendor && id.device == ids.device;
               });
}

bool is_vendor_gpu(const OsDevice& os) {
    return os.backend < Backend::opencl;
}

std::string class_of(const PciIds& ids, const std::vector<OsDevice>& children) {
    constexpr std::uint32_t nvm_controller = 0x0108;
    constexpr std::uint32_t display_3d = 0x0302;
    constexpr std::uint32_t display_other = 0x0380;
    constexpr std::uint32_t infiniband = 0x0c06;
    constexpr std::uint32_t usb = 0x0c03;
    const std::uint32_t base = ids.class_id >> 8U;
    const auto any = [&](auto is) {
        return std::any_of(children.begin(), children.end(), is);
    };
    if (is_management_display(ids)) {
        return {};
    }
    if (ids.class_id == display_3d || ids.class_id == display_other || base == 0x12 ||
        any(is_vendor_gpu)) {
        return "gpu";
    }
    // A network adapter behind USB is no device of the PCI function that is the USB
    // host.
    const bool has_net =
        any([](const OsDevice& os) { return os.is_net || os.is_openfabrics; });
    if (base == 0x02 || ids.class_id == infiniband ||
        (has_net && ids.class_id != usb)) {
        return "nic";
    }
    const bool has_block = any([](const OsDevice& os) { return os.is_block; });
    return ids.class_id == nvm_controller && has_block ? "nvme" : "";
}

// Which OS device names a device of that class best: lower is better.
int name_rank(std::string_view device_class, const OsDevice& os) {
    if (device_class == "gpu") {
        return static_cast<int>(os.backend);
    }
    if (device_class == "nvme") {
        return os.is_block ? 0 : 1;
    }
    if (os.is_openfabrics) {
        return 0;
    }
    return os.is_net ? 1 : 2;
}

void set_text(DeviceSpec& device, const char* name, std::string_view value) {
    if (!value.empty()) {
        device.attributes.try_emplace(name, one(std::string(value)));
    }
}

void set_uuid(DeviceSpec& device, std::string_view value) {
    if (device.uuid.empty() && !is_zero_text(value)) {
        device.uuid = value;
    }
}

class DeviceReader {
  public:
    DeviceReader(const XmlSource& source, const HwlocXml& xml, MachineSpec& spec)
        : source_(source), xml_(xml), spec_(spec) {}
    void read();

  private:
    // One PCI function that became a device, or an accelerator without one.
    struct Found {
        std::uint32_t object = 0;  // the PCI function, or the object that holds it
        std::optional<PciIds> ids;
        bool is_virtual_function = false;
    };

    [[noreturn]] void fail(const XmlObject& object, const std::string& message) const {
        source_.fail(object.offset, message);
    }
    [[nodiscard]] std::string_view info(const XmlObject& object,
                                        std::string_view name) const {
        const XmlInfo* found = xml_.find_info(object, name);
        return found == nullptr ? std::string_view{} : found->value;
    }
    [[nodiscard]] const XmlDetails& details(const XmlObject& object) const {
        return xml_.details_of(object);
    }
    [[nodiscard]] std::uint32_t nearest(std::uint32_t object, ObjectType type) const;
    [[nodiscard]] const XmlObject& object_of(const OsDevice& os) const {
        return xml_.objects[os.object];
    }

    void read_bridge(std::uint32_t index);
    [[nodiscard]] std::uint32_t host_bridge(std::uint32_t domain, std::uint32_t bus);
    [[nodiscard]] PciAddress address_of(const XmlObject& object) const;
    [[nodiscard]] PciIds ids_of(const XmlObject& object) const;
    [[nodiscard]] std::int64_t speed_of(const XmlObject& object) const;
    [[nodiscard]] OsDevice os_device_of(std::uint32_t index) const;
    [[nodiscard]] Backend backend_of(const XmlObject& object) const;

    void read_function(std::uint32_t index);
    void read_lone_accelerators();
    void add(DeviceSpec device, Found found, const std::vector<OsDevice>& children);
    void add_pci(const XmlObject& object, const PciIds& ids, DeviceSpec& device) const;
    void add_names(const std::vector<OsDevice>& children, DeviceSpec& device) const;
    void add_locality(std::uint32_t index, DeviceSpec& device);
    [[nodiscard]] std::vector<std::uint32_t> local_nodes(const XmlObject& object) const;
    void describe(const std::vector<OsDevice>& children, DeviceSpec& device) const;
    void describe_gpu(const OsDevice& os, DeviceSpec& device) const;
    void describe_nic(const OsDevice& os, DeviceSpec& device) const;
    void describe_nvme(const OsDevice& os, DeviceSpec& device) const;
    void set_amount(DeviceSpec& device,
                    const char* name,
                    const OsDevice& os,
                    std::string_view info_name,
                    std::uint64_t unit) const;

    void join_virtual_functions();
    void add_links();
    void add_matrix_links(const XmlMatrix& matrix);
    [[nodiscard]] std::uint64_t bandwidth(const XmlMatrix& matrix,
                                          std::size_t row,
                                          std::size_t column) const;
    void index_by_gp();
    [[nodiscard]] std::vector<std::uint32_t> ends_of(const XmlMatrix& matrix) const;
    [[nodiscard]] bool is_switch(const XmlObject& object) const;

    static constexpr std::uint32_t switch_end = no_index - 1;  // of a link

    const XmlSource& source_;
    const HwlocXml& xml_;
    MachineSpec& spec_;
    std::vector<std::uint32_t> bridge_of_object_;  // into spec_.bridges, or no_index
    std::vector<std::uint32_t> device_of_object_;  // into spec_.devices, or no_index
    std::vector<std::uint32_t>
        root_of_bridge_;  // the host bridge above, of spec_.bridges
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> made_hosts_;
    std::vector<std::vector<OsDevice>>
        children_;              // OS devices by object that holds them
    std::vector<Found> found_;  // beside spec_.devices
    std::unordered_map<std::uint64_t, std::uint32_t> object_of_gp_;
    std::map<std::uint32_t, std::vector<std::uint32_t>>
        nodes_of_object_;  // local NUMANodes
    std::vector<std::uint32_t> all_nodes_;
};

void DeviceReader::read() {
    bridge_of_object_.assign(xml_.objects.size(), no_index);
    device_of_object_.assign(xml_.objects.size(), no_index);
    children_.resize(xml_.objects.size());
    for (const NumaNodeSpec& node : spec_.numa_nodes) {
        all_nodes_.push_back(node.os_index);
    }
    std::sort(all_nodes_.begin(), all_nodes_.end());
    const auto count = static_cast<std::uint32_t>(xml_.objects.size());
    for (std::uint32_t i = 0; i < count; ++i) {
        if (xml_.objects[i].type == ObjectType::bridge) {
            read_bridge(i);
        } else if (xml_.objects[i].type == ObjectType::os_device) {
            const std::uint32_t function = nearest(i, ObjectType::pci_device);
            const std::uint32_t holder =
                function == no_index ? xml_.objects[i].parent : function;
            children_[holder].push_back(os_device_of(i));
        }
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        if (xml_.objects[i].type == ObjectType::pci_device) {
            read_function(i);
        }
    }
    read_lone_accelerators();
    join_virtual_functions();
    add_links();
}

// The object itself or the nearest above it of that type; no_index when there is none.
std::uint32_t DeviceReader::nearest(std::uint32_t object, ObjectType type) const {
    while (object != no_index && xml_.objects[object].type != type) {
        object = xml_.objects[object].parent;
    }
    return object;
}

void DeviceReader::read_bridge(std::uint32_t index) {
    const XmlObject& object = xml_.objects[index];
    if (spec_.bridges.size() >= MachineLimits::bridges - 1) {
        fail(object,
             "bridges: too many, want at most " +
                 std::to_string(MachineLimits::bridges));
    }
    // "0000:[2b-3b]": domain, secondary and subordinate bus of what is below.
    std::array<std::uint32_t, 3> below{};
    constexpr std::uint32_t highest_bus = 255;
    const bool is_read =
        scan_hex(details(object).bridge_pci, "x:[x-x]", below) == below.size();
    if (!is_read || below[1] > highest_bus || below[2] > highest_bus) {
        fail(object,
             "bridge_pci " + in_quotes(details(object).bridge_pci) +
                 ": no PCI buses, want \"0000:[2b-3b]\"");
    }
    // The side above: 0 is the host, 1 is PCI. The side below is PCI in all versions.
    if (details(object).bridge_type != "0-1" && details(object).bridge_type != "1-1") {
        fail(object,
             "bridge_type " + in_quotes(details(object).bridge_type) +
                 ": unknown, want 0-1 or 1-1");
    }
    BridgeSpec bridge;
    bridge.is_host = details(object).bridge_type == "0-1";
    const std::uint32_t above = nearest(object.parent, ObjectType::bridge);
    if (bridge.is_host) {
        if (above != no_index) {
            fail(object, "host bridge: below a bridge, want it below a CPU object");
        }
        bridge_of_object_[index] = host_bridge(below[0], below[1]);
        return;
    }
    bridge.address = address_of(object);
    // Without the host bridge (a filtered recording) the bus that it is on stands for
    // it.
    bridge.parent = above == no_index
                        ? host_bridge(bridge.address->domain, bridge.address->bus)
                        : bridge_of_object_[above];
    bridge.name = bridge.address->to_string();
    bridge_of_object_[index] = static_cast<std::uint32_t>(spec_.bridges.size());
    root_of_bridge_.push_back(root_of_bridge_[bridge.parent]);
    spec_.bridges.push_back(std::move(bridge));
}

// One bridge for each bus below the host; made when first met.
std::uint32_t DeviceReader::host_bridge(std::uint32_t domain, std::uint32_t bus) {
    const auto next = static_cast<std::uint32_t>(spec_.bridges.size());
    const auto [at, is_new] = made_hosts_.emplace(std::pair(domain, bus), next);
    if (is_new) {
        std::array<char, 24> name{};
        const int length =
            std::snprintf(name.data(), name.size(), "pci%04x:%02x", domain, bus);
        BridgeSpec bridge;
        bridge.is_host = true;
        bridge.name.assign(name.data(), static_cast<std::size_t>(length));
        spec_.bridges.push_back(std::move(bridge));
        root_of_bridge_.push_back(next);
    }
    return at->second;
}

PciAddress DeviceReader::address_of(const XmlObject& object) const {
    const auto address = PciAddress::parse(details(object).pci_busid);
    if (!address.has_value()) {
        fail(object,
             "pci_busid " + in_quotes(details(object).pci_busid) +
                 ": no address, want \"0000:1b:00.0\"");
    }
    return *address;
}

PciIds DeviceReader::ids_of(const XmlObject& object) const {
    std::array<std::uint32_t, 7> f{};
    const std::size_t count =
        scan_hex(details(object).pci_type, "x [x:x] [x:x] x x", f);
    constexpr std::uint32_t most = 0xffff;
    const bool is_small =
        std::all_of(f.begin(), f.end(), [](std::uint32_t x) { return x <= most; });
    if ((count != 6 && count != 7) || !is_small) {
        fail(object,
             "pci_type " + in_quotes(details(object).pci_type) +
                 ": no PCI ids, want \"0302 [10de:1db8] [10de:131d] a1\"");
    }
    return {f[0], f[1], f[2], f[3], f[4], f[5]};
}

// MB/s; 0 when unknown. hwloc writes GB/s.
std::int64_t DeviceReader::speed_of(const XmlObject& object) const {
    constexpr double most_gb_s = 1e6;
    constexpr double mb_in_gb = 1000;
    return details(object).pci_link_speed.empty()
               ? 0
               : std::llround(mb_in_gb * parse_decimal(source_,
                                                       object.offset,
                                                       "pci_link_speed",
                                                       details(object).pci_link_speed,
                                                       most_gb_s));
}

OsDevice DeviceReader::os_device_of(std::uint32_t index) const {
    const XmlObject& object = xml_.objects[index];
    OsDevice os;
    os.object = index;
    const std::uint64_t type = parse_number(
        source_, object.offset, "osdev_type", details(object).osdev_type, 0xffffffffU);
    if (xml_.version ==
        3) {  // a bit mask; InfiniBand is network and OpenFabrics in one
        os.is_block = (type & 1U) != 0;
        os.is_openfabrics = (type & 32U) != 0;
        os.is_net = (type & 16U) != 0 && !os.is_openfabrics;
    } else {  // an enumeration
        os.is_block = type == 0;
        os.is_net = type == 2;
        os.is_openfabrics = type == 3;
    }
    os.backend = backend_of(object);
    return os;
}

Backend DeviceReader::backend_of(const XmlObject& object) const {
    // Where it is said changed over time: a subtype, infos, or the name alone.
    for (const std::string_view said : {details(object).subtype,
                                        info(object, "CoProcType"),
                                        info(object, "Backend")}) {
        for (const BackendName& each : backend_names) {
            if (said == each.subtype) {
                return each.backend;
            }
        }
    }
    for (const BackendName& each : backend_names) {
        if (index_in_name(details(object).name, each.prefix).has_value()) {
            return each.backend;
        }
    }
    return Backend::other;
}

void DeviceReader::read_function(std::uint32_t index) {
    const XmlObject& object = xml_.objects[index];
    const PciIds ids = ids_of(object);
    const std::vector<OsDevice>& children = children_[index];
    DeviceSpec device;
    device.device_class = class_of(ids, children);
    device.pci_address = address_of(object);
    if (device.device_class.empty()) {
        return;
    }
    add_pci(object, ids, device);
    const bool is_virtual = is_known_virtual_function(ids, info(object, "PCIDevice"));
    if (is_virtual) {
        device.attributes["sriov_vf"] = one(true);
    }
    device_of_object_[index] = static_cast<std::uint32_t>(spec_.devices.size());
    add(std::move(device), {index, ids, is_virtual}, children);
}

// Accelerators that hwloc could not tie to PCI (on a board without it). The same GPU
// may come from several backends with nothing to join them by: one backend's view is
// taken. OS devices of other kinds without PCI (lo, docker0, loop0, dax0.0) are no
// devices.
void DeviceReader::read_lone_accelerators() {
    for (std::uint32_t i = 0; i < children_.size(); ++i) {
        if (xml_.objects[i].type == ObjectType::pci_device || children_[i].empty()) {
            continue;
        }
        Backend best = Backend::opencl;
        for (const OsDevice& os : children_[i]) {
            best = std::min(best, os.backend);
        }
        for (const OsDevice& os : children_[i]) {
            if (!is_vendor_gpu(os) || os.backend != best) {
                continue;
            }
            DeviceSpec device;
            device.device_class = "gpu";
            device_of_object_[os.object] =
                static_cast<std::uint32_t>(spec_.devices.size());
            add(std::move(device), {os.object, std::nullopt, false}, {os});
        }
    }
}

void DeviceReader::add(DeviceSpec device,
                       Found found,
                       const std::vector<OsDevice>& children) {
    if (spec_.devices.size() == MachineLimits::devices) {
        fail(xml_.objects[found.object],
             "devices: too many, want at most " +
                 std::to_string(MachineLimits::devices));
    }
    add_locality(found.object, device);
    describe(children, device);
    add_names(children, device);
    const auto index = static_cast<std::uint32_t>(spec_.devices.size());
    for (const OsDevice& os : children) {
        device_of_object_[os.object] = index;
    }
    found_.push_back(found);
    spec_.devices.push_back(std::move(device));
}

void DeviceReader::add_pci(const XmlObject& object,
                           const PciIds& ids,
                           DeviceSpec& device) const {
    // Identifiers are text in the form of the files in /sys/bus/pci: "0x10de".
    const std::array<std::pair<const char*, std::uint32_t>, 4> texts = {
        {{"vendor_id", ids.vendor},
         {"device_id", ids.device},
         {"subvendor", ids.subvendor},
         {"subdevice", ids.subdevice}}};
    for (const auto& [name, value] : texts) {
        if (value != 0) {
            device.attributes[name] = one(hex_id(value, 4));
        }
    }
    device.attributes["class_id"] = one(hex_id(ids.class_id, 4));
    device.attributes["revision"] = one(hex_id(ids.revision, 2));
    device.attributes["pci_bus_id"] = one(device.pci_address->to_string());
    set_text(device, "model", info(object, "PCIDevice"));
    set_text(device, "vendor", info(object, "PCIVendor"));
    set_text(device, "pci_slot", info(object, "PCISlot"));
    std::int64_t speed = speed_of(object);
    const std::uint32_t port = nearest(object.parent, ObjectType::bridge);
    if (port != no_index) {
        device.bridge = bridge_of_object_[port];
        device.attributes["pcie_root"] =
            one(spec_.bridges[root_of_bridge_[device.bridge]].name);
        // Each end may have been recorded while it saved power.
        speed = std::max(speed, speed_of(xml_.objects[port]));
    }
    if (speed != 0) {
        device.attributes["link_speed_mb_s"] = one(speed);
    }
}

void DeviceReader::add_names(const std::vector<OsDevice>& children,
                             DeviceSpec& device) const {
    std::vector<OsDevice> sorted = children;
    // Stable: ties go to the first in the file.
    std::stable_sort(
        sorted.begin(), sorted.end(), [&](const OsDevice& a, const OsDevice& b) {
            return name_rank(device.device_class, a) <
                   name_rank(device.device_class, b);
        });
    AttributeValue names{{}, true};
    for (const OsDevice& os : sorted) {
        const std::string name(details(object_of(os)).name);
        if (name.empty()) {
            continue;
        }
        names.values.emplace_back(name);
        if (device.name.empty()) {
            device.name = name;
        } else {
            device.aliases.push_back(name);
        }
    }
    if (!names.values.empty()) {
        device.attributes["os_names"] = std::move(names);
    }
}

void DeviceReader::add_locality(std::uint32_t index, DeviceSpec& device) {
    std::uint32_t holder = xml_.objects[index].parent;
    while (is_io(xml_.objects[holder].type)) {
        holder = xml_.objects[holder].parent;
    }
    const auto [at, is_new] = nodes_of_object_.try_emplace(holder);
    if (is_new) {
        at->second = local_nodes(xml_.objects[holder]);
    }
    device.numa_nodes = at->second;
    // All nodes of a Machine with several is what firmware that knows nothing leads to.
    const bool is_known =
        at->second.size() < all_nodes_.size() || all_nodes_.size() == 1;
    constexpr std::size_t longest = 64;  // of a list that anyone reads
    if (is_known && !at->second.empty() && at->second.size() <= longest) {
        AttributeValue nodes{{}, at->second.size() > 1};
        for (const std::uint32_t node : at->second) {
            nodes.values.emplace_back(static_cast<std::int64_t>(node));
        }
        device.attributes["numa_node"] = std::move(nodes);
    }
}

// The NUMANodes of an object: of those that its nodeset names (else those that share a
// PU with it) the ones inside it. A nodeset also names what is attached above, CXL
// memory of the whole Machine say, which tells nothing of where a device is. Where none
// is inside, the smallest around it count.
std::vector<std::uint32_t> DeviceReader::local_nodes(const XmlObject& object) const {
    const Bitmap& pus = xml_.cpuset(object);
    const bool is_named = !object.nodeset.empty();
    const Bitmap named =
        is_named ? parse_set(source_, object.offset, "nodeset", object.nodeset)
                 : Bitmap{};
    std::vector<std::uint32_t> inside;
    std::map<std::size_t, std::vector<std::uint32_t>> around;  // by PUs
    // Nodes that are offline, or hidden from the recording, have no object.
    for (const NumaNodeSpec& node : spec_.numa_nodes) {
        const Bitmap& near = node.cpuset.empty() ? node.parent_cpuset : node.cpuset;
        if (is_named ? !named.test(node.os_index) : !near.intersects(pus)) {
            continue;
        }
        auto& nodes = near.is_subset_of(pus) ? inside : around[near.count()];
        nodes.push_back(node.os_index);
    }
    if (inside.empty() && !around.empty()) {
        inside = std::move(around.begin()->second);
    }
    std::sort(inside.begin(), inside.end());
    return inside;
}

// A number in an info, "16671616" or (version 3) "16671616KiB", into a capacity.
void DeviceReader::set_amount(DeviceSpec& device,
                              const char* name,
                              const OsDevice& os,
                              std::string_view info_name,
                              std::uint64_t unit) const {
    const XmlInfo* found = xml_.find_info(object_of(os), info_name);
    if (found == nullptr || device.capacities.contains(name)) {
        return;
    }
    std::string_view digits = found->value;
    if (unit == 1024 && digits.ends_with("KiB")) {
        digits.remove_suffix(3);
    }
    const std::uint64_t value = parse_number(
        source_, found->offset, info_name, digits, MachineLimits::bytes / unit);
    if (value != 0) {
        device.capacities[name] = value * unit;
    }
}

void DeviceReader::describe(const std::vector<OsDevice>& children,
                            DeviceSpec& device) const {
    std::vector<OsDevice> best_first = children;
    std::stable_sort(
        best_first.begin(), best_first.end(), [](const OsDevice& a, const OsDevice& b) {
            return a.backend < b.backend;
        });
    AttributeValue backends{{}, true};
    for (const OsDevice& os : best_first) {
        if (os.backend != Backend::other) {
            backends.values.emplace_back(std::string(
                backend_names[static_cast<std::size_t>(os.backend)].subtype));
        }
    }
    if (!backends.values.empty()) {
        device.attributes["backends"] = std::move(backends);
    }
    if (device.device_class == "gpu") {
        // What a driver calls the board says more than the PCI ID list.
        const auto names_model =
            std::find_if(best_first.begin(), best_first.end(), [&](const OsDevice& os) {
                return !info(object_of(os), "GPUModel").empty();
            });
        if (names_model != best_first.end()) {
            device.attributes.erase("model");
        }
    } else if (device.device_class == "nic") {
        device.attributes["rdma"] =
            one(std::any_of(children.begin(), children.end(), [](const OsDevice& os) {
                return os.is_openfabrics;
            }));
    }
    for (const OsDevice& os : best_first) {
        if (device.device_class == "gpu") {
            describe_gpu(os, device);
        } else if (device.device_class == "nic") {
            describe_nic(os, device);
        } else {
            describe_nvme(os, device);
        }
    }
}

void DeviceReader::describe_gpu(const OsDevice& os, DeviceSpec& device) const {
    const XmlObject& object = object_of(os);
    set_text(device, "model", info(object, "GPUModel"));
    set_text(device, "vendor", info(object, "GPUVendor"));
    for (const char* name : {"NVIDIASerial", "AMDSerial", "LevelZeroSerialNumber"}) {
        set_text(device, "serial", info(object, name));
    }
    for (const char* name : {"NVIDIAUUID", "AMDUUID", "LevelZeroUUID"}) {
        set_uuid(device, info(object, name));
    }
    const std::string_view hive = info(object, "XGMIHiveID");
    if (!is_zero_text(hive)) {
        set_text(device, "xgmi_hive_id", hive);
    }
    if (is_vendor_gpu(os)) {
        const BackendName& backend =
            backend_names[static_cast<std::size_t>(os.backend)];
        const auto index = index_in_name(details(object).name, backend.prefix);
        if (index.has_value()) {
            device.attributes.try_emplace(std::string(backend.index_attribute),
                                          one(*index));
        }
    }
    constexpr std::uint64_t kib = 1024;
    for (const char* name : {"RSMIVRAMSize",
                             "CUDAGlobalMemorySize",
                             "LevelZeroHBMSize",
                             "LevelZeroDDRSize",
                             "OpenCLGlobalMemorySize"}) {
        set_amount(device, "memory", os, name, kib);
    }
    set_amount(device, "multiprocessors", os, "CUDAMultiProcessors", 1);
}

void DeviceReader::describe_nic(const OsDevice& os, DeviceSpec& device) const {
    const XmlObject& object = object_of(os);
    const std::string_view address = info(object, "Address");
    if (!is_zero_text(address)) {
        set_text(device, "address", address);
    }
    set_text(device, "node_guid", info(object, "NodeGUID"));
    set_text(device, "sys_image_guid", info(object, "SysImageGUID"));
    // GID 0 of a port is its prefix and, in the last four groups, its GUID.
    AttributeValue guids{{}, true};
    for (std::uint32_t i = object.first_info; i != no_index; i = xml_.infos[i].next) {
        const XmlInfo& each = xml_.infos[i];
        constexpr std::size_t guid_length = 19;
        if (each.name.starts_with("Port") && each.name.ends_with("GID0") &&
            each.value.size() > guid_length) {
            guids.values.emplace_back(
                std::string(each.value.substr(each.value.size() - guid_length)));
        }
    }
    if (!guids.values.empty()) {
        device.attributes.try_emplace("port_guids", std::move(guids));
    }
}

void DeviceReader::describe_nvme(const OsDevice& os, DeviceSpec& device) const {
    if (!os.is_block) {
        return;
    }
    const XmlObject& object = object_of(os);
    // The drive's model says more than the PCI ID list; for a drive that LVM uses
    // whole, udev gives the id of the volume instead.
    const std::string_view model = info(object, "Model");
    if (!model.empty() && !model.starts_with("LVM PV ")) {
        device.attributes["model"] = one(std::string(model));
    }
    set_text(device, "serial", info(object, "SerialNumber"));
    constexpr std::uint64_t kib = 1024;
    set_amount(device, "size", os, "Size", kib);
}

// A virtual function becomes a partition of the physical one when only one function can
// be that: same class, vendor, bus and bridge, lower address. Of several (two ports)
// the file does not tell which; then it stays a device of its own.
void DeviceReader::join_virtual_functions() {
    for (std::uint32_t v = 0; v < spec_.devices.size(); ++v) {
        if (!found_[v].is_virtual_function) {
            continue;
        }
        DeviceSpec& part = spec_.devices[v];
        std::uint32_t only = no_index;
        std::uint32_t candidates = 0;
        for (std::uint32_t p = 0; p < spec_.devices.size(); ++p) {
            const DeviceSpec& root = spec_.devices[p];
            const bool is_near =
                root.pci_address.has_value() && !found_[p].is_virtual_function &&
                root.device_class == part.device_class && root.bridge == part.bridge &&
                root.pci_address->domain == part.pci_address->domain &&
                root.pci_address->bus == part.pci_address->bus &&
                *root.pci_address < *part.pci_address &&
                found_[p].ids->vendor == found_[v].ids->vendor;
            if (is_near) {
                only = p;
                ++candidates;
            }
        }
        if (candidates == 1) {
            part.parent = only;
            part.partition = "vf";
            part.draws["vf"] = 1;
            ++spec_.devices[only].counters["vf"];
        }
    }
}

bool DeviceReader::is_switch(const XmlObject& object) const {
    if (object.type != ObjectType::pci_device) {
        return false;
    }
    // Older recordings have no subtype: a bridge of class "other" by NVIDIA is an
    // NVSwitch.
    constexpr std::uint32_t other_bridge = 0x0680;
    constexpr std::uint32_t nvidia = 0x10de;
    const PciIds ids = ids_of(object);
    return details(object).subtype == "NVSwitch" ||
           (ids.class_id == other_bridge && ids.vendor == nvidia);
}

void DeviceReader::index_by_gp() {
    object_of_gp_.reserve(xml_.objects.size());
    for (std::uint32_t i = 0; i < xml_.objects.size(); ++i) {
        const XmlObject& object = xml_.objects[i];
        if (!object.gp_index.empty()) {
            object_of_gp_.emplace(parse_number(source_,
                                               object.offset,
                                               "gp_index",
                                               object.gp_index,
                                               ~std::uint64_t{0}),
                                  i);
        }
    }
}

// For each object of a matrix: its device, switch_end, or no_index.
std::vector<std::uint32_t> DeviceReader::ends_of(const XmlMatrix& matrix) const {
    std::vector<std::uint32_t> ends;
    for (const auto& [type, index] : matrix.objects) {
        const auto found = object_of_gp_.find(index);
        if (found == object_of_gp_.end()) {
            source_.fail(matrix.offset,
                         "distances: object " + in_quotes(type) + ' ' +
                             std::to_string(index) +
                             " is not in the file, want a gp_index of it");
        }
        const std::uint32_t device = device_of_object_[found->second];
        if (device != no_index && spec_.devices[device].parent == no_index) {
            ends.push_back(device);
        } else {
            ends.push_back(is_switch(xml_.objects[found->second]) ? switch_end
                                                                  : no_index);
        }
    }
    return ends;
}

std::uint64_t DeviceReader::bandwidth(const XmlMatrix& matrix,
                                      std::size_t row,
                                      std::size_t column) const {
    const std::uint64_t value = matrix.values[row * matrix.objects.size() + column];
    if (value > MachineLimits::link_mb_s) {
        source_.fail(matrix.offset,
                     "bandwidth " + std::to_string(value) +
                         ": too large, want at most " +
                         std::to_string(MachineLimits::link_mb_s) + " MB/s");
    }
    return value;
}

// Direct links; and through the switches, which count as one: a device reaches another
// with the smaller of what it has to all ports and what all ports have to the other.
void DeviceReader::add_matrix_links(const XmlMatrix& matrix) {
    const std::vector<std::uint32_t> ends = ends_of(matrix);
    std::vector<std::size_t> devices;
    std::vector<std::size_t> ports;
    for (std::size_t i = 0; i < ends.size(); ++i) {
        if (ends[i] == switch_end) {
            ports.push_back(i);
        } else if (ends[i] != no_index) {
            devices.push_back(i);
        }
    }
    std::vector<std::uint64_t> up(ends.size(), 0);  // at most 1024 times 2^32 each
    std::vector<std::uint64_t> down(ends.size(), 0);
    for (const std::size_t i : devices) {
        for (const std::size_t port : ports) {
            up[i] += bandwidth(matrix, i, port);
            down[i] += bandwidth(matrix, port, i);
        }
    }
    for (const std::size_t i : devices) {
        for (const std::size_t j : devices) {
            const std::uint64_t direct = bandwidth(matrix, i, j);
            const std::uint64_t best = std::min(
                std::max(direct, std::min(up[i], down[j])), MachineLimits::link_mb_s);
            if (best != 0 && ends[i] != ends[j]) {
                spec_.links.push_back({ends[i], ends[j], best});
            }
        }
    }
}

void DeviceReader::add_links() {
    for (const XmlMatrix& matrix : xml_.matrices) {
        if (!matrix.name.ends_with("Bandwidth")) {
            continue;
        }
        if (object_of_gp_.empty()) {
            index_by_gp();
        }
        add_matrix_links(matrix);
    }
    // Of several for one direction (a GPU in two matrices) the widest stays.
    auto& links = spec_.links;
    std::sort(links.begin(), links.end(), [](const LinkSpec& a, const LinkSpec& b) {
        return std::tie(a.from, a.to, b.mb_s) < std::tie(b.from, b.to, a.mb_s);
    });
    const auto last = std::unique(
        links.begin(), links.end(), [](const LinkSpec& a, const LinkSpec& b) {
            return a.from == b.from && a.to == b.to;
        });
    links.erase(last, links.end());
}

}  // namespace

void add_devices(const XmlSource& source, const HwlocXml& xml, MachineSpec& spec) {
    DeviceReader(source, xml, spec).read();
}

}  // namespace topoalloc::hwloc
