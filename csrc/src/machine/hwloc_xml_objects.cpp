// SPDX-License-Identifier: Apache-2.0
#include "machine/hwloc_xml_objects.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

namespace topoalloc::hwloc {

namespace {

// Finds a name in a fixed list by one hash and, as a rule, one comparison.
template <std::size_t count>
class NameTable {
  public:
    constexpr explicit NameTable(const std::array<std::string_view, count>& names)
        : names_(names) {
        slots_.fill(count);
        for (std::size_t i = 0; i < count; ++i) {
            std::size_t slot = hash(names[i]);
            while (slots_[slot] != count) {
                slot = (slot + 1) % slot_count;
            }
            slots_[slot] = static_cast<std::uint8_t>(i);
        }
    }
    /// The position in the list, or `count`.
    [[nodiscard]] constexpr std::size_t find(std::string_view name) const {
        std::size_t slot = hash(name);
        while (slots_[slot] != count && names_[slots_[slot]] != name) {
            slot = (slot + 1) % slot_count;
        }
        return slots_[slot];
    }

  private:
    static constexpr std::size_t slot_count = 128;
    static_assert(count < slot_count / 2);
    static constexpr std::size_t hash(std::string_view name) {
        if (name.empty()) {
            return 0;
        }
        const auto byte = [name](std::size_t at) {
            return std::size_t{static_cast<unsigned char>(name[at])};
        };
        return (name.size() * 11 + byte(0) * 5 + byte(name.size() / 2) * 3 +
                byte(name.size() - 1)) %
               slot_count;
    }
    std::array<std::string_view, count> names_;
    std::array<std::uint8_t, slot_count> slots_{};
};

// All attributes of an <object> that are read.
struct ObjectAttributes : XmlDetails {
    std::string_view type_name;
    std::string_view gp_index;
    std::string_view cpuset;
    std::string_view nodeset;
    std::string_view depth;
    std::string_view cache_type;
};

// The attributes, and the member that each goes to.
struct ObjectAttribute {
    std::string_view name;
    std::string_view ObjectAttributes::* member;
};
constexpr std::array<ObjectAttribute, 19> object_attributes = {{
    {"type", &ObjectAttributes::type_name},
    {"gp_index", &ObjectAttributes::gp_index},
    {"cpuset", &ObjectAttributes::cpuset},
    {"nodeset", &ObjectAttributes::nodeset},
    {"depth", &ObjectAttributes::depth},
    {"cache_type", &ObjectAttributes::cache_type},
    {"os_index", &ObjectAttributes::os_index_text},
    {"name", &ObjectAttributes::name},
    {"subtype", &ObjectAttributes::subtype},
    {"allowed_cpuset", &ObjectAttributes::allowed_cpuset},
    {"allowed_nodeset", &ObjectAttributes::allowed_nodeset},
    {"online_cpuset", &ObjectAttributes::online_cpuset},
    {"local_memory", &ObjectAttributes::local_memory},
    {"bridge_type", &ObjectAttributes::bridge_type},
    {"bridge_pci", &ObjectAttributes::bridge_pci},
    {"pci_busid", &ObjectAttributes::pci_busid},
    {"pci_type", &ObjectAttributes::pci_type},
    {"pci_link_speed", &ObjectAttributes::pci_link_speed},
    {"osdev_type", &ObjectAttributes::osdev_type},
}};

struct TypeName {
    std::string_view name;
    ObjectType type;
};
// Names of all versions. "System", "Socket", "Node" and "Cache" are those of version 1.
constexpr std::array<TypeName, 26> type_names = {{
    {"PU", ObjectType::pu},
    {"Core", ObjectType::core},
    {"L1Cache", ObjectType::cache},
    {"L1iCache", ObjectType::cache},
    {"L2Cache", ObjectType::cache},
    {"L3Cache", ObjectType::l3},
    {"Bridge", ObjectType::bridge},
    {"PCIDev", ObjectType::pci_device},
    {"OSDev", ObjectType::os_device},
    {"NUMANode", ObjectType::numa_node},
    {"Package", ObjectType::package},
    {"Die", ObjectType::die},
    {"Group", ObjectType::group},
    {"Machine", ObjectType::machine},
    {"MemCache", ObjectType::mem_cache},
    {"Misc", ObjectType::misc},
    {"L2iCache", ObjectType::cache},
    {"L3iCache", ObjectType::cache},
    {"L4Cache", ObjectType::cache},
    {"L5Cache", ObjectType::cache},
    {"Cache", ObjectType::cache},
    {"Socket", ObjectType::package},
    {"System", ObjectType::machine},
    {"Node", ObjectType::numa_node},
    {"PCI", ObjectType::pci_device},
    {"OS", ObjectType::os_device},
}};

template <class Row, std::size_t count>
constexpr NameTable<count> table_of(const std::array<Row, count>& rows) {
    std::array<std::string_view, count> names{};
    for (std::size_t i = 0; i < count; ++i) {
        names[i] = rows[i].name;
    }
    return NameTable<count>(names);
}
constexpr auto attribute_table = table_of(object_attributes);
constexpr auto type_table = table_of(type_names);

std::string tag(std::string_view name) {
    return '<' + std::string(name) + '>';
}

// Matrices that mean something to an allocator. Others (hops, the user's own) are
// skipped.
bool is_wanted_matrix(std::string_view name, std::string_view type) {
    constexpr std::array<std::string_view, 4> names = {
        "NUMALatency", "NVLinkBandwidth", "XGMIBandwidth", "XeLinkBandwidth"};
    const bool is_unnamed_numa = name.empty() && type == "NUMANode";
    return is_unnamed_numa ||
           std::find(names.begin(), names.end(), name) != names.end();
}

class ObjectReader {
  public:
    explicit ObjectReader(const XmlSource& source) : source_(source), tokens_(source) {}
    HwlocXml read();

  private:
    // What an open element is to us: decides what may stand in it.
    enum class Frame : std::uint8_t {
        topology,
        object,
        matrix,
        indexes,
        values,
        distances,
        skip
    };

    [[noreturn]] void fail(std::size_t offset, std::string_view message) const {
        source_.fail(offset, message);
    }
    [[nodiscard]] std::string_view attribute(std::string_view name) const;
    [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t most) const;

    void start();
    void end();
    void text();
    [[nodiscard]] Frame start_topology();
    [[nodiscard]] Frame start_in_topology();
    [[nodiscard]] Frame start_in_object();
    [[nodiscard]] Frame start_in_matrix();
    [[nodiscard]] Frame start_matrix();
    [[nodiscard]] Frame start_distances();
    void add_matrix(XmlMatrix matrix);
    void add_latency();
    void add_memory_tier();
    void add_info();
    void add_page_type();
    void read_indexes(std::string_view text);
    void read_values(std::string_view text);
    void finish_matrix();

    [[nodiscard]] Frame start_object();
    [[nodiscard]] XmlObject make_object();
    [[nodiscard]] ObjectType type_of(const ObjectAttributes& attributes) const;
    [[nodiscard]] bool may_hold(const XmlObject& parent, ObjectType type) const;
    [[nodiscard]] bool is_in_cpuset_tree(const XmlObject& object) const {
        return is_normal(object.type) ||
               (xml_.version == 1 && object.type == ObjectType::numa_node);
    }
    void read_cpuset(XmlObject& object);
    void place_in_tree(const XmlObject& object);
    void check_pu(const XmlObject& object) const;
    void check_whole() const;

    const XmlSource& source_;
    XmlTokenizer tokens_;
    HwlocXml xml_;
    std::vector<Frame> frames_;
    std::vector<std::uint32_t> open_objects_;
    double latency_base_ = 1;   // of the <distances> that is open
    std::vector<Bitmap> held_;  // by object: PUs of its children so far
    Bitmap pus_;
};

HwlocXml ObjectReader::read() {
    // An object takes some 230 to 400 bytes in a real file, infos included.
    const std::size_t likely =
        std::min(source_.text().size() / 256, HwlocLimits::objects);
    xml_.objects.reserve(likely);
    held_.reserve(likely);
    while (true) {
        switch (tokens_.next()) {
            case XmlTokenizer::Event::start:
                start();
                break;
            case XmlTokenizer::Event::end:
                end();
                break;
            case XmlTokenizer::Event::text:
                text();
                break;
            case XmlTokenizer::Event::finish:
                check_whole();
                xml_.decoded = tokens_.take_decoded();
                return std::move(xml_);
        }
    }
}

std::string_view ObjectReader::attribute(std::string_view name) const {
    for (const XmlAttribute& each : tokens_.attributes()) {
        if (each.name == name) {
            return each.value;
        }
    }
    return {};
}

std::uint64_t ObjectReader::number(std::string_view name, std::uint64_t most) const {
    return parse_number(source_, tokens_.offset(), name, attribute(name), most);
}

void ObjectReader::start() {
    if (frames_.empty()) {
        frames_.push_back(start_topology());
        return;
    }
    switch (frames_.back()) {
        case Frame::topology:
            frames_.push_back(start_in_topology());
            break;
        case Frame::object:
            frames_.push_back(start_in_object());
            break;
        case Frame::matrix:
            frames_.push_back(start_in_matrix());
            break;
        case Frame::distances:
            if (tokens_.name() == "latency") {
                add_latency();
            }
            frames_.push_back(Frame::skip);
            break;
        case Frame::indexes:
        case Frame::values:
            fail(tokens_.offset(), tag(tokens_.name()) + ": misplaced, want numbers");
        case Frame::skip:
            frames_.push_back(Frame::skip);
            break;
    }
}

void ObjectReader::end() {
    const Frame frame = frames_.back();
    frames_.pop_back();
    if (frame == Frame::object) {
        open_objects_.pop_back();
    } else if (frame == Frame::matrix || frame == Frame::distances) {
        finish_matrix();
    }
}

void ObjectReader::text() {
    switch (frames_.back()) {
        case Frame::indexes:
            read_indexes(tokens_.text());
            break;
        case Frame::values:
            read_values(tokens_.text());
            break;
        case Frame::skip:
            break;
        default:
            fail(tokens_.offset(),
                 "text " + in_quotes(tokens_.text()) + ": misplaced, want elements");
    }
}

ObjectReader::Frame ObjectReader::start_topology() {
    if (tokens_.name() != "topology") {
        fail(tokens_.offset(),
             tag(tokens_.name()) + ": no hwloc topology, want <topology>");
    }
    // Version 1 has no version attribute.
    const std::string_view version = attribute("version");
    const std::string_view major = version.substr(0, version.find('.'));
    if (version.empty() || major == "1") {
        xml_.version = 1;
    } else if (major == "2" || major == "3") {
        xml_.version = major == "2" ? 2 : 3;
    } else {
        fail(tokens_.offset(),
             "version " + in_quotes(version) + ": unknown, want 1, 2 or 3");
    }
    return Frame::topology;
}

ObjectReader::Frame ObjectReader::start_in_topology() {
    const std::string_view name = tokens_.name();
    if (name == "object") {
        return start_object();
    }
    if (name == "distances2" || name == "distances2hetero") {
        return start_matrix();
    }
    if (name == "memtier") {
        add_memory_tier();
    } else if (name == "info") {
        xml_.topology_infos.push_back(
            {attribute("name"), attribute("value"), tokens_.offset(), no_index});
    }
    return Frame::skip;  // support, cpukind, memattr, pci_locality, and what is yet to
                         // come
}

ObjectReader::Frame ObjectReader::start_in_object() {
    const std::string_view name = tokens_.name();
    if (name == "object") {
        return start_object();
    }
    if (name == "info") {
        add_info();
    } else if (name == "page_type") {
        add_page_type();
    } else if (name == "distances" && xml_.version == 1) {
        return start_distances();
    }
    return Frame::skip;  // userdata, and what is yet to come
}

ObjectReader::Frame ObjectReader::start_in_matrix() {
    if (tokens_.name() == "indexes") {
        return Frame::indexes;
    }
    return tokens_.name() == "u64values" ? Frame::values : Frame::skip;
}

ObjectReader::Frame ObjectReader::start_matrix() {
    XmlMatrix matrix;
    matrix.name = attribute("name");
    matrix.type = attribute("type");
    matrix.offset = tokens_.offset();
    if (!is_wanted_matrix(matrix.name, matrix.type)) {
        return Frame::skip;
    }
    const std::string_view indexing = attribute("indexing");
    if (!indexing.empty() && indexing != "os" && indexing != "gp") {
        fail(matrix.offset,
             "indexing " + in_quotes(indexing) + ": unknown, want os or gp");
    }
    matrix.is_by_os_index = indexing == "os";
    matrix.kind = number("kind", 0xffffffffU);
    matrix.count = number("nbobjs", HwlocLimits::matrix_objects);
    add_matrix(std::move(matrix));
    return Frame::matrix;
}

// Version 1: latencies relative to a base, between the objects at some depth below this
// one. Of use are those between all NUMANodes; which they are is known at the end.
ObjectReader::Frame ObjectReader::start_distances() {
    XmlMatrix matrix;
    matrix.is_version_1 = true;
    matrix.type = "NUMANode";
    matrix.offset = tokens_.offset();
    matrix.count = number("nbobjs", HwlocLimits::matrix_objects);
    const std::string_view base = attribute("latency_base");
    if (!base.empty()) {
        latency_base_ =
            parse_decimal(source_, matrix.offset, "latency_base", base, 1e9);
    }
    if (open_objects_.size() != 1) {
        return Frame::skip;  // inside a part of the Machine: not between all NUMANodes
    }
    add_matrix(std::move(matrix));
    return Frame::distances;
}

void ObjectReader::add_matrix(XmlMatrix matrix) {
    if (xml_.matrices.size() == HwlocLimits::matrices) {
        fail(matrix.offset,
             "distances: too many, want at most " +
                 std::to_string(HwlocLimits::matrices));
    }
    xml_.matrices.push_back(std::move(matrix));
}

void ObjectReader::add_latency() {
    XmlMatrix& matrix = xml_.matrices.back();
    const double value =
        parse_decimal(source_, tokens_.offset(), "latency", attribute("value"), 1e9);
    const double latency = std::round(value * latency_base_);
    if (latency > static_cast<double>(MachineLimits::distance)) {
        fail(tokens_.offset(),
             "latency " + in_quotes(attribute("value")) + ": too large");
    }
    matrix.values.push_back(static_cast<std::uint64_t>(latency));
}

void ObjectReader::add_memory_tier() {
    xml_.memory_tiers.push_back(
        {number("kinds", 0xffffffffU), attribute("nodeset"), tokens_.offset()});
}

void ObjectReader::add_info() {
    const auto index = static_cast<std::uint32_t>(xml_.infos.size());
    XmlObject& object = xml_.objects[open_objects_.back()];
    xml_.infos.push_back(
        {attribute("name"), attribute("value"), tokens_.offset(), no_index});
    if (object.first_info == no_index) {
        object.first_info = index;
    } else {
        xml_.infos[object.last_info].next = index;
    }
    object.last_info = index;
}

void ObjectReader::add_page_type() {
    const std::uint64_t size = number("size", MachineLimits::bytes);
    // Version 1 leaves the count out where it is unknown.
    const std::uint64_t count =
        attribute("count").empty() ? 0 : number("count", MachineLimits::bytes);
    xml_.page_types.push_back({open_objects_.back(), size, count, tokens_.offset()});
}

// Calls f(word, offset) for each word of white-spaced text.
template <class F>
void for_each_word(const XmlSource& source,
                   std::string_view text,
                   std::size_t fallback,
                   F&& f) {
    constexpr std::string_view spaces = " \t\r\n";
    std::size_t begin = text.find_first_not_of(spaces);
    while (begin != std::string_view::npos) {
        const std::size_t end =
            std::min(text.find_first_of(spaces, begin), text.size());
        const std::string_view word = text.substr(begin, end - begin);
        // Decoded text lies elsewhere: then the element's own place must do.
        const std::string_view whole = source.text();
        const bool is_inside = std::less_equal<>{}(whole.data(), word.data()) &&
                               std::less<>{}(word.data(), whole.data() + whole.size());
        f(word,
          is_inside ? static_cast<std::size_t>(word.data() - whole.data()) : fallback);
        begin = text.find_first_not_of(spaces, end);
    }
}

void ObjectReader::read_indexes(std::string_view text) {
    XmlMatrix& matrix = xml_.matrices.back();
    for_each_word(
        source_,
        text,
        tokens_.offset(),
        [&](std::string_view word, std::size_t offset) {
            if (matrix.objects.size() == matrix.count) {
                fail(offset,
                     "indexes: more than nbobjs, want " + std::to_string(matrix.count));
            }
            const std::size_t colon = word.find(':');
            const bool is_typed = colon != std::string_view::npos;
            const std::string_view type =
                is_typed ? word.substr(0, colon) : matrix.type;
            const std::string_view index = is_typed ? word.substr(colon + 1) : word;
            matrix.objects.emplace_back(
                type, parse_number(source_, offset, "index", index, ~std::uint64_t{0}));
        });
}

void ObjectReader::read_values(std::string_view text) {
    XmlMatrix& matrix = xml_.matrices.back();
    const std::uint64_t wanted = matrix.count * matrix.count;
    for_each_word(source_,
                  text,
                  tokens_.offset(),
                  [&](std::string_view word, std::size_t offset) {
                      if (matrix.values.size() == wanted) {
                          fail(offset,
                               "u64values: more than nbobjs squared, want " +
                                   std::to_string(wanted));
                      }
                      matrix.values.push_back(parse_number(
                          source_, offset, "value", word, ~std::uint64_t{0}));
                  });
}

void ObjectReader::finish_matrix() {
    const XmlMatrix& matrix = xml_.matrices.back();
    const auto check =
        [&](std::string_view what, std::size_t have, std::uint64_t want) {
            if (have != want) {
                fail(matrix.offset,
                     "distances: " + std::to_string(have) + ' ' + std::string(what) +
                         ", want " + std::to_string(want));
            }
        };
    if (!matrix.is_version_1) {
        check("indexes", matrix.objects.size(), matrix.count);
    }
    check("values", matrix.values.size(), matrix.count * matrix.count);
}

ObjectReader::Frame ObjectReader::start_object() {
    const auto index = static_cast<std::uint32_t>(xml_.objects.size());
    if (index == HwlocLimits::objects) {
        fail(tokens_.offset(),
             "objects: too many, want at most " + std::to_string(HwlocLimits::objects));
    }
    XmlObject object = make_object();
    const bool is_top = open_objects_.empty();
    if (is_top && (index != 0 || object.type != ObjectType::machine)) {
        fail(object.offset,
             "object " + in_quotes(object.type_name) +
                 ": at the top, want one Machine that holds all");
    }
    if (!is_top) {
        object.parent = open_objects_.back();
        const XmlObject& parent = xml_.objects[object.parent];
        if (!may_hold(parent, object.type)) {
            fail(object.offset,
                 "object " + in_quotes(object.type_name) + ": inside " +
                     in_quotes(parent.type_name) + ", want it where hwloc has it");
        }
    }
    if (is_in_cpuset_tree(object) || is_memory(object.type)) {
        read_cpuset(object);
    }
    held_.emplace_back();
    if (is_in_cpuset_tree(object)) {
        place_in_tree(object);
    }
    if (object.type == ObjectType::pu) {
        check_pu(object);
        pus_.set(object.os_index);
    }
    xml_.objects.push_back(object);
    open_objects_.push_back(index);
    return Frame::object;
}

XmlObject ObjectReader::make_object() {
    ObjectAttributes attributes;
    for (const XmlAttribute& each : tokens_.attributes()) {
        const std::size_t field = attribute_table.find(each.name);
        if (field != object_attributes.size()) {
            attributes.*object_attributes[field].member = each.value;
        }
    }
    XmlObject object;
    object.offset = tokens_.offset();
    object.type_name = attributes.type_name;
    object.gp_index = attributes.gp_index;
    object.cpuset_text = attributes.cpuset;
    object.nodeset = attributes.nodeset;
    object.type = type_of(attributes);
    // hwloc writes an unknown index as -1, in some versions as 2^32-1.
    const std::string_view index = attributes.os_index_text;
    if (!index.empty() && index != "-1") {
        object.os_index = static_cast<std::uint32_t>(
            parse_number(source_, object.offset, "os_index", index, no_index));
    }
    if (!is_normal(object.type) || object.type == ObjectType::machine) {
        object.details = static_cast<std::uint32_t>(xml_.details.size());
        xml_.details.push_back(attributes);
    }
    return object;
}

ObjectType ObjectReader::type_of(const ObjectAttributes& attributes) const {
    const std::size_t row = type_table.find(attributes.type_name);
    if (row == type_names.size()) {
        fail(tokens_.offset(),
             "object type " + in_quotes(attributes.type_name) +
                 ": unknown, want one that hwloc 1 to 3 has");
    }
    const ObjectType type = type_names[row].type;
    // Version 1: one type for all caches; 1 is data, 2 is instruction, 0 both.
    if (attributes.type_name == "Cache" && attributes.depth == "3" &&
        attributes.cache_type != "2") {
        return ObjectType::l3;
    }
    // Version 1: a Misc with a cpuset is what later is a Group.
    if (type == ObjectType::misc && xml_.version == 1 && !attributes.cpuset.empty()) {
        return ObjectType::group;
    }
    return type;
}

bool ObjectReader::may_hold(const XmlObject& parent, ObjectType type) const {
    switch (type) {
        case ObjectType::machine:
            return false;
        case ObjectType::bridge:
        case ObjectType::pci_device:
            return is_in_cpuset_tree(parent) || parent.type == ObjectType::bridge;
        case ObjectType::os_device:
            return is_in_cpuset_tree(parent) || is_io(parent.type);
        case ObjectType::misc:
            return true;
        case ObjectType::mem_cache:
            return is_normal(parent.type) || parent.type == ObjectType::mem_cache;
        case ObjectType::numa_node:
            return (is_normal(parent.type) && parent.type != ObjectType::pu) ||
                   parent.type == ObjectType::mem_cache;
        default:
            return is_in_cpuset_tree(parent) && parent.type != ObjectType::pu;
    }
}

void ObjectReader::read_cpuset(XmlObject& object) {
    if (object.cpuset_text.empty()) {
        fail(object.offset,
             "object " + in_quotes(object.type_name) +
                 ": has no cpuset, want one like \"0x0000000f\"");
    }
    // Most objects have the cpuset of their parent: caches of a core, a core of one PU.
    if (object.parent != no_index) {
        const XmlObject& parent = xml_.objects[object.parent];
        if (parent.cpuset != no_index && parent.cpuset_text == object.cpuset_text) {
            object.cpuset = parent.cpuset;
            return;
        }
    }
    object.cpuset = static_cast<std::uint32_t>(xml_.cpusets.size());
    xml_.cpusets.push_back(
        parse_set(source_, object.offset, "cpuset", object.cpuset_text));
}

void ObjectReader::place_in_tree(const XmlObject& object) {
    const Bitmap& cpuset = xml_.cpuset(object);
    if (object.parent == no_index) {
        return;
    }
    XmlObject& parent = xml_.objects[object.parent];
    const Bitmap& outer = xml_.cpuset(parent);
    if (!cpuset.is_subset_of(outer)) {
        fail(object.offset,
             "cpuset " + in_quotes(object.cpuset_text) + ": not inside " +
                 in_quotes(parent.cpuset_text) + " of its parent, want a part of it");
    }
    Bitmap& held = held_[object.parent];
    if (held.intersects(cpuset)) {
        fail(object.offset,
             "cpuset " + in_quotes(object.cpuset_text) +
                 ": meets that of an object beside it, want them disjoint");
    }
    if (!cpuset.empty()) {
        parent.is_covered = parent.is_covered || cpuset == outer;
        held |= cpuset;
    }
}

void ObjectReader::check_pu(const XmlObject& object) const {
    const Bitmap& cpuset = xml_.cpuset(object);
    if (object.os_index >= MachineLimits::pus) {
        fail(object.offset,
             "PU os_index: missing or too large, want one below " +
                 std::to_string(MachineLimits::pus));
    }
    if (cpuset.count() != 1 || !cpuset.test(object.os_index)) {
        fail(object.offset,
             "PU cpuset " + in_quotes(object.cpuset_text) +
                 ": not the PU alone, want " + std::to_string(object.os_index) +
                 " in it");
    }
}

void ObjectReader::check_whole() const {
    if (xml_.objects.empty()) {
        fail(source_.text().size(), "topology: holds no object, want a Machine");
    }
    const XmlObject& machine = xml_.objects.front();
    if (pus_.empty()) {
        fail(machine.offset, "Machine: holds no PU, want at least one");
    }
    if (!(xml_.cpuset(machine) == pus_)) {
        const Bitmap extra = xml_.cpuset(machine) - pus_;
        fail(machine.offset,
             "Machine cpuset " + in_quotes(machine.cpuset_text) + ": PU " +
                 std::to_string(extra.first()) + " has no object, want all PUs");
    }
}

}  // namespace

const XmlInfo* HwlocXml::find_info(const XmlObject& object,
                                   std::string_view name) const {
    for (std::uint32_t i = object.first_info; i != no_index; i = infos[i].next) {
        if (infos[i].name == name) {
            return &infos[i];
        }
    }
    return nullptr;
}

HwlocXml read_objects(const XmlSource& source) {
    return ObjectReader(source).read();
}

std::uint64_t parse_number(const XmlSource& source,
                           std::size_t offset,
                           std::string_view what,
                           std::string_view text,
                           std::uint64_t most) {
    std::uint64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || last != end || value > most) {
        source.fail(offset,
                    std::string(what) + ' ' + in_quotes(text) +
                        ": no number, want 0 to " + std::to_string(most));
    }
    return value;
}

double parse_decimal(const XmlSource& source,
                     std::size_t offset,
                     std::string_view what,
                     std::string_view text,
                     double most) {
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, value);
    const bool is_number = error == std::errc{} && last == end && std::isfinite(value);
    if (!is_number || value < 0 || value > most) {
        source.fail(offset,
                    std::string(what) + ' ' + in_quotes(text) +
                        ": no number of use, want 0 to " +
                        std::to_string(static_cast<std::uint64_t>(most)));
    }
    return value;
}

Bitmap parse_set(const XmlSource& source,
                 std::size_t offset,
                 std::string_view what,
                 std::string_view text) {
    // Words of 32 bits, the highest first; an empty one is 0.
    const auto commas =
        static_cast<std::size_t>(std::count(text.begin(), text.end(), ','));
    const auto refuse = [&](std::string_view want) {
        source.fail(offset,
                    std::string(what) + ' ' + in_quotes(text) + ": no set, want " +
                        std::string(want));
    };
    if (text.empty()) {
        refuse("32-bit words like \"0x0000000f\"");
    }
    if ((commas + 1) * 32 > HwlocLimits::indices) {
        refuse("indices below " + std::to_string(HwlocLimits::indices));
    }
    Bitmap set;
    set.resize_words(commas / 2 + 1);
    std::uint64_t high = 0;
    std::size_t begin = 0;
    for (std::size_t word = commas + 1; word-- > 0;) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        std::string_view digits = text.substr(begin, end - begin);
        begin = end + 1;
        std::uint32_t value = 0;
        if (!digits.empty()) {
            if (digits.starts_with("0x")) {
                digits.remove_prefix(2);
            }
            const char* const stop = digits.data() + digits.size();
            const auto [last, error] = std::from_chars(digits.data(), stop, value, 16);
            if (error != std::errc{} || last != stop) {
                refuse("32-bit words like \"0x0000000f\"");
            }
        }
        if (word % 2 == 1) {
            high = std::uint64_t{value} << 32U;
        } else {
            set.set_word(word / 2, high | value);
            high = 0;
        }
    }
    return set;
}

}  // namespace topoalloc::hwloc
