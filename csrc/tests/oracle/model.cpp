// SPDX-License-Identifier: Apache-2.0
#include "model.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <tuple>

namespace topoalloc::oracle {
namespace {

constexpr std::size_t word_bits = 64;

// A PU set by rank or by logical index, whichever `position_of_os` maps to.
Set to_set(const Bitmap& os_indices,
           const std::map<std::uint32_t, std::uint32_t>& position_of_os) {
    Set set = 0;
    for (const auto& [os_index, position] : position_of_os) {
        if (os_indices.test(os_index)) {
            set |= set_of(position);
        }
    }
    return set;
}

bool is_inside(Set inner, Set outer) {
    return (inner & ~outer) == 0;
}

int first_of(Set set) {
    return std::countr_zero(set);
}

// Depth-first walk: the largest sets of the family inside `whole`, and the PUs in none
// of them, in the order of their first PU in the source.
void walk(Set whole,
          const std::vector<Set>& family,
          std::vector<std::uint32_t>& order) {
    std::vector<Set> children;
    for (const Set set : family) {
        if (set == whole || !is_inside(set, whole)) {
            continue;
        }
        const bool inside_another =
            std::any_of(family.begin(), family.end(), [&](Set between) {
                const bool is_other = between != set && between != whole;
                return is_other && is_inside(set, between) && (between & ~whole) == 0;
            });
        if (!inside_another) {
            children.push_back(set);
        }
    }
    Set covered = 0;
    for (const Set child : children) {
        covered |= child;
    }
    for (const std::uint32_t pu : members(whole & ~covered)) {
        children.push_back(set_of(pu));
    }
    std::sort(children.begin(), children.end(), [](Set a, Set b) {
        return first_of(a) < first_of(b);
    });
    for (const Set child : children) {
        if (size_of(child) == 1) {
            order.push_back(static_cast<std::uint32_t>(first_of(child)));
        } else {
            walk(child, family, order);
        }
    }
}

class Deriver {
  public:
    explicit Deriver(const MachineSpec& spec) {
        m_.spec = spec;
        check_sizes();
        order_pus();
        m_.packages = domains(ObjectKind::package, {});
        const std::vector<Set> packages = sets_of(ObjectKind::package);
        std::vector<Set> numa_sets = numa_cpusets();
        std::vector<Set> for_die = packages;
        for_die.insert(for_die.end(), numa_sets.begin(), numa_sets.end());
        m_.dies = domains(ObjectKind::die, for_die);
        std::vector<Set> for_l3 = for_die;
        const std::vector<Set> dies = sets_of(ObjectKind::die);
        for_l3.insert(for_l3.end(), dies.begin(), dies.end());
        m_.l3s = domains(ObjectKind::l3, for_l3);
        std::vector<Set> single_pus;
        for (std::size_t pu = 0; pu < m_.pu_os_index.size(); ++pu) {
            single_pus.push_back(set_of(pu));
        }
        m_.cores = domains(ObjectKind::core, single_pus);
        make_localities(numa_sets);
        attach_numa_nodes();
        make_distances();
        order_devices();
        name_devices();
        place_devices();
        make_levels();
        make_links();
    }

    OracleMachine take() { return std::move(m_); }

  private:
    void check_sizes() const {
        std::size_t pus = 0;
        for (const ObjectSpec& object : m_.spec.objects) {
            pus += object.kind == ObjectKind::pu ? 1 : 0;
        }
        if (pus > word_bits || m_.spec.devices.size() > word_bits ||
            m_.spec.bridges.size() > word_bits ||
            m_.spec.numa_nodes.size() > word_bits) {
            throw std::invalid_argument(
                "oracle: Machine too large, want at most 64 of each");
        }
    }

    void order_pus() {
        std::vector<std::uint32_t> os_by_rank;
        std::map<std::uint32_t, std::uint32_t> rank_of_os;
        for (const ObjectSpec& object : m_.spec.objects) {
            if (object.kind == ObjectKind::pu) {
                rank_of_os[object.os_index] =
                    static_cast<std::uint32_t>(os_by_rank.size());
                os_by_rank.push_back(object.os_index);
            }
        }
        std::vector<Set> family;
        for (const ObjectSpec& object : m_.spec.objects) {
            if (object.kind != ObjectKind::pu) {
                family.push_back(to_set(object.cpuset, rank_of_os));
            }
        }
        for (const NumaNodeSpec& numa : m_.spec.numa_nodes) {
            family.push_back(to_set(numa.cpuset, rank_of_os));
        }
        std::erase(family, Set{0});
        std::sort(family.begin(), family.end());
        family.erase(std::unique(family.begin(), family.end()), family.end());
        Set all = 0;
        for (std::size_t rank = 0; rank < os_by_rank.size(); ++rank) {
            all |= set_of(rank);
        }
        std::vector<std::uint32_t> order;
        walk(all, family, order);
        for (const std::uint32_t rank : order) {
            logical_of_os_[os_by_rank[rank]] =
                static_cast<std::uint32_t>(m_.pu_os_index.size());
            m_.pu_os_index.push_back(os_by_rank[rank]);
        }
        all_ = all;
        m_.allowed_pus =
            m_.spec.allowed_pus ? to_set(*m_.spec.allowed_pus, logical_of_os_) : all;
    }

    [[nodiscard]] std::vector<Set> sets_of(ObjectKind kind) const {
        std::vector<Set> sets;
        for (const ObjectSpec& object : m_.spec.objects) {
            if (object.kind == kind) {
                sets.push_back(to_set(object.cpuset, logical_of_os_));
            }
        }
        return sets;
    }

    [[nodiscard]] std::vector<Set> numa_cpusets() const {
        std::vector<Set> sets;
        for (const NumaNodeSpec& numa : m_.spec.numa_nodes) {
            const Set cpuset = to_set(numa.cpuset, logical_of_os_);
            if (cpuset != 0) {
                sets.push_back(cpuset);
            }
        }
        return sets;
    }

    // The smallest of `sets` that holds the PU, else the Machine.
    [[nodiscard]] Set smallest_with(std::uint32_t pu,
                                    const std::vector<Set>& sets) const {
        Set smallest = all_;
        for (const Set set : sets) {
            if (has(set, pu) && size_of(set) < size_of(smallest)) {
                smallest = set;
            }
        }
        return smallest;
    }

    // The objects of one kind, and for the PUs in none of them the PUs with one
    // stand-in.
    [[nodiscard]] std::vector<Set> domains(ObjectKind kind,
                                           const std::vector<Set>& stand_ins) const {
        std::vector<Set> found = sets_of(kind);
        Set covered = 0;
        for (const Set set : found) {
            covered |= set;
        }
        std::map<Set, Set> stood_in;
        for (const std::uint32_t pu : members(all_ & ~covered)) {
            stood_in[smallest_with(pu, stand_ins)] |= set_of(pu);
        }
        for (const auto& [stand_in, pus] : stood_in) {
            found.push_back(pus);
        }
        std::erase(found, Set{0});
        std::sort(found.begin(), found.end(), [](Set a, Set b) {
            return first_of(a) < first_of(b);
        });
        return found;
    }

    void make_localities(const std::vector<Set>& numa_sets) {
        std::map<Set, Set> pus_by_smallest;
        for (const std::uint32_t pu : members(all_)) {
            Set smallest = 0;
            for (const Set set : numa_sets) {
                if (has(set, pu) &&
                    (smallest == 0 || size_of(set) < size_of(smallest))) {
                    smallest = set;
                }
            }
            pus_by_smallest[smallest] |= set_of(pu);
        }
        for (const auto& [cpuset, pus] : pus_by_smallest) {
            m_.localities.push_back(pus);
        }
        std::sort(m_.localities.begin(), m_.localities.end(), [](Set a, Set b) {
            return first_of(a) < first_of(b);
        });
        m_.pu_locality.resize(m_.pu_os_index.size());
        for (std::size_t i = 0; i < m_.localities.size(); ++i) {
            for (const std::uint32_t pu : members(m_.localities[i])) {
                m_.pu_locality[pu] = static_cast<std::uint32_t>(i);
            }
            Set packages = 0;
            for (std::size_t p = 0; p < m_.packages.size(); ++p) {
                packages |= (m_.packages[p] & m_.localities[i]) != 0 ? set_of(p) : 0;
            }
            m_.locality_packages.push_back(packages);
        }
    }

    [[nodiscard]] Set localities_inside(Set pus) const {
        Set inside = 0;
        for (std::size_t i = 0; i < m_.localities.size(); ++i) {
            inside |= is_inside(m_.localities[i], pus) ? set_of(i) : 0;
        }
        return inside;
    }

    // A NUMANode without PUs: the localities inside the parent that have a NUMANode
    // (one with PUs) of that same parent; where none has, all of them.
    [[nodiscard]] Set attachment_of_cpuless(const NumaNodeSpec& numa) const {
        const Set inside =
            localities_inside(to_set(numa.parent_cpuset, logical_of_os_));
        Set siblings = 0;
        for (const NumaNodeSpec& other : m_.spec.numa_nodes) {
            const Set cpuset = to_set(other.cpuset, logical_of_os_);
            if (cpuset != 0 && other.parent_cpuset == numa.parent_cpuset) {
                siblings |= localities_inside(cpuset);
            }
        }
        return (inside & siblings) != 0 ? inside & siblings : inside;
    }

    void attach_numa_nodes() {
        for (const NumaNodeSpec& numa : m_.spec.numa_nodes) {
            OracleNuma node;
            node.os_index = numa.os_index;
            node.kind = numa.kind;
            const Set cpuset = to_set(numa.cpuset, logical_of_os_);
            node.localities =
                cpuset != 0 ? localities_inside(cpuset) : attachment_of_cpuless(numa);
            node.bytes = numa.hugepages;
            node.bytes[0] = numa.base_bytes;
            m_.numa_nodes.push_back(std::move(node));
        }
        std::sort(m_.numa_nodes.begin(),
                  m_.numa_nodes.end(),
                  [](const auto& a, const auto& b) { return a.os_index < b.os_index; });
        const std::optional<Bitmap>& allowed = m_.spec.allowed_numa_nodes;
        for (std::uint32_t n = 0; n < m_.numa_nodes.size(); ++n) {
            if (!allowed || allowed->test(m_.numa_nodes[n].os_index)) {
                m_.allowed_numa_nodes |= set_of(n);
            }
        }
    }

    // Row of the matrix for the first NUMANode (by os_index) with a cpuset attached to
    // it.
    [[nodiscard]] std::optional<std::size_t> matrix_row(std::size_t locality) const {
        std::optional<std::uint32_t> first;
        for (const NumaNodeSpec& numa : m_.spec.numa_nodes) {
            const Set cpuset = to_set(numa.cpuset, logical_of_os_);
            if (cpuset != 0 && is_inside(m_.localities[locality], cpuset)) {
                first = first ? std::min(*first, numa.os_index) : numa.os_index;
            }
        }
        if (!first || !m_.spec.distances) {
            return std::nullopt;
        }
        const auto& rows = m_.spec.distances->numa_nodes;
        const auto found = std::find(rows.begin(), rows.end(), *first);
        if (found == rows.end()) {
            return std::nullopt;
        }
        return static_cast<std::size_t>(found - rows.begin());
    }

    void make_distances() {
        const std::size_t n = m_.localities.size();
        m_.distance.assign(n, std::vector<std::uint64_t>(n, 0));
        for (std::size_t a = 0; a < n; ++a) {
            for (std::size_t b = 0; b < n; ++b) {
                const auto row = matrix_row(a);
                const auto column = matrix_row(b);
                if (row && column) {
                    const std::size_t width = m_.spec.distances->numa_nodes.size();
                    const auto& values = m_.spec.distances->values;
                    m_.distance[a][b] = std::max(values[*row * width + *column],
                                                 values[*column * width + *row]);
                }
            }
        }
    }

    [[nodiscard]] bool is_before(std::uint32_t a, std::uint32_t b) const {
        const DeviceSpec& x = m_.spec.devices[a];
        const DeviceSpec& y = m_.spec.devices[b];
        const auto key = [](const DeviceSpec& d) {
            return std::tuple(std::string_view(d.device_class),
                              !d.pci_address.has_value(),
                              d.pci_address.value_or(PciAddress{}),
                              d.parent != no_index);
        };
        if (key(x) != key(y)) {
            return key(x) < key(y);
        }
        if (is_name_less(x.name, y.name) || is_name_less(y.name, x.name)) {
            return is_name_less(x.name, y.name);
        }
        return a < b;
    }

    void order_devices() {
        std::vector<std::uint32_t> order;
        for (std::uint32_t i = 0; i < m_.spec.devices.size(); ++i) {
            order.push_back(i);
        }
        std::sort(order.begin(), order.end(), [this](std::uint32_t a, std::uint32_t b) {
            return is_before(a, b);
        });
        for (const std::uint32_t spec_index : order) {
            m_.devices.push_back({});
            m_.devices.back().spec_index = spec_index;
        }
        for (std::uint32_t i = 0; i < m_.devices.size(); ++i) {
            const std::uint32_t parent = m_.device_spec(i).parent;
            m_.devices[i].root =
                parent == no_index ? i : m_.device_of_spec_index(parent);
            if (parent != no_index) {
                m_.devices[m_.devices[i].root].parts |= set_of(i);
            }
        }
    }

    void name_devices() {
        std::map<std::string, int> roots_of_class;
        for (std::uint32_t i = 0; i < m_.devices.size(); ++i) {
            const std::string& cls = m_.device_spec(i).device_class;
            if (m_.devices[i].root == i) {
                m_.devices[i].name = cls + std::to_string(roots_of_class[cls]++);
            }
        }
        for (OracleDevice& root : m_.devices) {
            int index = 0;
            for (const std::uint32_t part : members(root.parts)) {
                m_.devices[part].name = root.name + "/" + std::to_string(index++);
            }
        }
    }

    void place_devices() {
        for (OracleDevice& device : m_.devices) {
            const std::uint32_t root_spec = m_.devices[device.root].spec_index;
            const DeviceSpec& root = m_.spec.devices[root_spec];
            for (const OracleNuma& numa : m_.numa_nodes) {
                if (std::count(root.numa_nodes.begin(),
                               root.numa_nodes.end(),
                               numa.os_index) > 0) {
                    device.localities |= numa.localities;
                }
            }
            const std::size_t n = m_.localities.size();
            if (n == 1) {
                device.localities = set_of(0);
            } else if (size_of(device.localities) == static_cast<int>(n)) {
                device.localities = 0;
            }
            for (const std::uint32_t locality : members(device.localities)) {
                device.packages |= m_.locality_packages[locality];
            }
            for (std::uint32_t b = root.bridge; b != no_index;
                 b = m_.spec.bridges[b].parent) {
                device.path.push_back(b);
            }
            device.counters = root.capacities;
            device.counters.insert(root.counters.begin(), root.counters.end());
        }
    }

    // The deepest common PCI bridge as positions in both paths.
    struct Common {
        bool exists = false;
        std::uint32_t bridge = 0;
        std::size_t above_a = 0, above_b = 0;  // bridges between it and each device
    };
    [[nodiscard]] Common deepest_common(const OracleDevice& a,
                                        const OracleDevice& b) const {
        for (std::size_t i = 0; i < a.path.size(); ++i) {
            for (std::size_t j = 0; j < b.path.size(); ++j) {
                if (a.path[i] == b.path[j] && !m_.spec.bridges[a.path[i]].is_host) {
                    return {true, a.path[i], i, j};
                }
            }
        }
        return {};
    }

    // Overrides aside.
    [[nodiscard]] int plain_level(std::uint32_t x, std::uint32_t y) const {
        const OracleDevice& a = m_.devices[x];
        const OracleDevice& b = m_.devices[y];
        const auto& address_a = m_.device_spec(a.root).pci_address;
        const auto& address_b = m_.device_spec(b.root).pci_address;
        if (a.root == b.root ||
            (address_a && address_b && address_a->same_slot(*address_b))) {
            return 0;
        }
        const Common common = deepest_common(a, b);
        if (common.exists) {
            return common.above_a <= 1 && common.above_b <= 1 ? 1 : 2;
        }
        if (!a.path.empty() && !b.path.empty() && a.path.back() == b.path.back() &&
            m_.spec.bridges[a.path.back()].is_host) {
            return 3;
        }
        if ((a.localities & b.localities) != 0) {
            return 4;
        }
        return (a.packages & b.packages) != 0 ? 5 : 6;
    }

    [[nodiscard]] int overridden(std::uint32_t x, std::uint32_t y, int level) const {
        const std::uint32_t a = m_.devices[x].root;
        const std::uint32_t b = m_.devices[y].root;
        for (const LevelOverrideSpec& change : m_.spec.level_overrides) {
            const std::uint32_t c = m_.devices[m_.device_of_spec_index(change.a)].root;
            const std::uint32_t d = m_.devices[m_.device_of_spec_index(change.b)].root;
            if ((a == c && b == d) || (a == d && b == c)) {
                level = change.level;
            }
        }
        return level;
    }

    void make_levels() {
        const auto n = static_cast<std::uint32_t>(m_.devices.size());
        m_.level.assign(n, std::vector<int>(n, 0));
        for (std::uint32_t a = 0; a < n; ++a) {
            std::size_t outermost = 0;
            for (std::uint32_t b = 0; b < n; ++b) {
                if (a == b) {
                    continue;
                }
                const int level = plain_level(a, b);
                m_.level[a][b] = overridden(a, b, level);
                if (level != 1) {
                    continue;
                }
                const Common common = deepest_common(m_.devices[a], m_.devices[b]);
                if (m_.devices[a].switch_bridge == no_index ||
                    common.above_a > outermost) {
                    m_.devices[a].switch_bridge = common.bridge;
                    outermost = common.above_a;
                }
            }
        }
    }

    // MB/s from one root to another in that direction.
    [[nodiscard]] std::uint64_t one_way(std::uint32_t from, std::uint32_t to) const {
        std::uint64_t mb_s = 0;
        for (const LinkSpec& link : m_.spec.links) {
            if (m_.device_of_spec_index(link.from) == from &&
                m_.device_of_spec_index(link.to) == to) {
                mb_s = link.mb_s;
            }
        }
        return mb_s;
    }

    void make_links() {
        const auto n = static_cast<std::uint32_t>(m_.devices.size());
        m_.link.assign(n, std::vector<std::uint64_t>(n, 0));
        for (std::uint32_t a = 0; a < n && !m_.spec.links.empty(); ++a) {
            for (std::uint32_t b = 0; b < n; ++b) {
                const bool are_roots =
                    m_.devices[a].root == a && m_.devices[b].root == b;
                if (a != b && are_roots) {
                    m_.link[a][b] = std::min(one_way(a, b), one_way(b, a));
                    m_.largest_link = std::max(m_.largest_link, m_.link[a][b]);
                }
            }
        }
    }

    OracleMachine m_;
    std::map<std::uint32_t, std::uint32_t> logical_of_os_;
    Set all_ = 0;  // every PU; the same word by rank and by logical index
};

std::string pci_text(const PciAddress& address) {
    std::array<char, 40> text{};
    std::snprintf(text.data(),
                  text.size(),
                  "%04x:%02x:%02x.%x",
                  address.domain,
                  static_cast<unsigned>(address.bus),
                  static_cast<unsigned>(address.device),
                  static_cast<unsigned>(address.function));
    return text.data();
}

}  // namespace

int size_of(Set set) {
    return std::popcount(set);
}

std::vector<std::uint32_t> members(Set set) {
    std::vector<std::uint32_t> found;
    for (Set rest = set; rest != 0; rest &= rest - 1) {
        found.push_back(static_cast<std::uint32_t>(first_of(rest)));
    }
    return found;
}

bool is_less(Set a, Set b) {
    const Set differing = a ^ b;
    return differing != 0 && has(a, static_cast<std::size_t>(first_of(differing)));
}

bool is_name_less(std::string_view a, std::string_view b) {
    const auto is_digit = [](char c) {
        return std::isdigit(static_cast<unsigned char>(c)) != 0;
    };
    // Cuts a run of digits without leading zeros, or one other character, off the
    // front.
    const auto cut = [&](std::string_view& text) {
        std::size_t end = 1;
        if (is_digit(text[0])) {
            while (end < text.size() && is_digit(text[end])) {
                ++end;
            }
        }
        std::string_view token = text.substr(0, end);
        text.remove_prefix(end);
        while (token.size() > 1 && token[0] == '0') {
            token.remove_prefix(1);
        }
        return token;
    };
    while (!a.empty() && !b.empty()) {
        const std::string_view x = cut(a);
        const std::string_view y = cut(b);
        if (x == y) {
            continue;
        }
        if (is_digit(x[0]) && is_digit(y[0]) && x.size() != y.size()) {
            return x.size() < y.size();
        }
        return x < y;
    }
    return a.empty() && !b.empty();
}

std::uint32_t OracleMachine::find_device(std::string_view key) const {
    for (std::uint32_t i = 0; i < devices.size(); ++i) {
        const DeviceSpec& device = device_spec(i);
        const bool by_address =
            device.pci_address && pci_text(*device.pci_address) == key;
        if (devices[i].name == key || device.name == key || by_address ||
            (!device.uuid.empty() && device.uuid == key) ||
            std::count(device.aliases.begin(), device.aliases.end(), key) > 0) {
            return i;
        }
    }
    return no_index;
}

std::uint32_t OracleMachine::device_of_spec_index(std::uint32_t spec_index) const {
    for (std::uint32_t i = 0; i < devices.size(); ++i) {
        if (devices[i].spec_index == spec_index) {
            return i;
        }
    }
    return no_index;
}

Set OracleMachine::pus_of_os(const Bitmap& os_indices) const {
    Set set = 0;
    for (std::size_t pu = 0; pu < pu_os_index.size(); ++pu) {
        set |= os_indices.test(pu_os_index[pu]) ? set_of(pu) : 0;
    }
    return set;
}

OracleMachine derive(const MachineSpec& spec) {
    return Deriver(spec).take();
}

}  // namespace topoalloc::oracle
