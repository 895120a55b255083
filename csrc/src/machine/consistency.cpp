// SPDX-License-Identifier: Apache-2.0
//
// Recomputes what a Machine derives, by the plain words of docs/objective.md and by
// other means than the builder: pairs of sets, walks up the bridges, triples of
// devices.
#include "machine/natural_order.hpp"
#include "topoalloc/errors.hpp"
#include "topoalloc/machine.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

namespace topoalloc {
namespace {

class Checker {
  public:
    explicit Checker(const Machine& machine) : m_(machine) {}

    void check() {
        check_pus();
        check_domains(m_.cores(), &Pu::core, "core");
        check_domains(m_.l3s(), &Pu::l3, "l3");
        check_domains(m_.dies(), &Pu::die, "die");
        check_domains(m_.packages(), &Pu::package, "package");
        check_localities();
        check_numa_nodes();
        check_attached();
        check_order();
        check_devices();
        check_levels();
        check_switches();
        check_ultrametric();
    }

  private:
    static void ensure(bool holds, const std::string& what) {
        if (!holds) {
            throw InternalError("machine: " + what + " disagrees with the definition");
        }
    }

    void check_pus() const {
        std::size_t specified = 0;
        for (const ObjectSpec& object : m_.spec().objects) {
            specified += object.kind == ObjectKind::pu ? 1U : 0U;
        }
        ensure(specified == m_.pus().size(), "the number of PUs");
        for (std::uint32_t p = 0; p < m_.pus().size(); ++p) {
            ensure(m_.pu_of_os_index(m_.pus()[p].os_index) == p, "the index of PUs");
        }
        // Each object of the spec holds consecutive logical PUs.
        for (const ObjectSpec& object : m_.spec().objects) {
            const Bitmap pus = m_.pus_from_os(object.cpuset);
            ensure(pus.empty() || pus.last() - pus.first() + 1 == pus.count(),
                   "the logical order of PUs");
        }
    }

    void check_domains(const std::vector<Domain>& domains,
                       std::uint32_t Pu::* member,
                       const std::string& kind) const {
        std::size_t last_first = 0;
        std::size_t held = 0;
        for (std::uint32_t d = 0; d < domains.size(); ++d) {
            const std::size_t first = domains[d].pus.first();
            ensure(first != Bitmap::npos && (d == 0 || first > last_first),
                   "the order of each " + kind);
            last_first = first;
            held += domains[d].pus.count();
            Bitmap localities;
            domains[d].pus.for_each([&](std::size_t p) {
                ensure(m_.pus().at(p).*member == d, "the PUs of each " + kind);
                localities.set(m_.pus()[p].locality);
            });
            ensure(localities == domains[d].localities,
                   "the localities of each " + kind);
        }
        ensure(held == m_.pus().size(), "the parts of each " + kind);
    }

    // The smallest cpuset that holds a PU says which locality it is in.
    void check_localities() const {
        std::vector<const Bitmap*> smallest(m_.pus().size(), nullptr);
        for (const NumaNode& node : m_.numa_nodes()) {
            node.pus.for_each([&](std::size_t p) {
                if (smallest[p] == nullptr || node.pus.count() < smallest[p]->count()) {
                    smallest[p] = &node.pus;
                }
            });
        }
        std::size_t next = 0;
        for (std::size_t p = 0; p < m_.pus().size(); ++p) {
            const std::uint32_t locality = m_.pus()[p].locality;
            ensure(locality <= next, "the order of localities");
            next += locality == next ? 1U : 0U;
            ensure(m_.localities().at(locality).pus.test(p), "the PUs of localities");
            const std::size_t first = m_.localities()[locality].pus.first();
            const bool same = smallest[p] == nullptr || smallest[first] == nullptr
                                  ? smallest[p] == smallest[first]
                                  : *smallest[p] == *smallest[first];
            ensure(same, "the cpusets of localities");
        }
        ensure(next == m_.localities().size(), "the number of localities");
        for (const Locality& locality : m_.localities()) {
            Bitmap packages;
            Bitmap l3s;
            locality.pus.for_each([&](std::size_t p) {
                packages.set(m_.pus()[p].package);
                l3s.set(m_.pus()[p].l3);
            });
            ensure(packages == locality.packages && l3s == locality.l3s,
                   "what localities meet");
        }
    }

    void check_numa_nodes() const {
        const auto& nodes = m_.numa_nodes();
        ensure(std::is_sorted(nodes.begin(),
                              nodes.end(),
                              [](auto& a, auto& b) { return a.os_index < b.os_index; }),
               "the order of NUMANodes");
        for (const NumaNodeSpec& spec : m_.spec().numa_nodes) {
            const NumaNode& node = nodes.at(m_.numa_node_of_os_index(spec.os_index));
            ensure(node.pus == m_.pus_from_os(spec.cpuset), "the PUs of NUMANodes");
            ensure(node.localities == attached_localities(spec), "where NUMANodes are");
            for (std::size_t s = 0; s < m_.page_sizes().size(); ++s) {
                const auto huge = spec.hugepages.find(m_.page_sizes()[s]);
                const std::uint64_t huge_bytes =
                    huge == spec.hugepages.end() ? 0 : huge->second;
                ensure(node.bytes.at(s) == (s == 0 ? spec.base_bytes : huge_bytes),
                       "the bytes of NUMANodes");
            }
        }
    }

    [[nodiscard]] Bitmap inside(const Bitmap& pus) const {
        Bitmap result;
        for (std::size_t l = 0; l < m_.localities().size(); ++l) {
            if (m_.localities()[l].pus.is_subset_of(pus)) {
                result.set(l);
            }
        }
        return result;
    }

    [[nodiscard]] Bitmap parent_of(const NumaNodeSpec& spec) const {
        if (!spec.parent_cpuset.empty()) {
            return m_.pus_from_os(spec.parent_cpuset);
        }
        return spec.cpuset.empty() ? Bitmap::range(0, m_.pus().size())
                                   : m_.pus_from_os(spec.cpuset);
    }

    [[nodiscard]] Bitmap attached_localities(const NumaNodeSpec& spec) const {
        if (!spec.cpuset.empty()) {
            return inside(m_.pus_from_os(spec.cpuset));
        }
        const Bitmap parent = parent_of(spec);
        const Bitmap all = inside(parent);
        Bitmap with_sibling;
        for (const NumaNodeSpec& other : m_.spec().numa_nodes) {
            if (!other.cpuset.empty() && parent_of(other) == parent) {
                with_sibling |= inside(m_.pus_from_os(other.cpuset)) & all;
            }
        }
        return with_sibling.empty() ? all : with_sibling;
    }

    void check_attached() const {
        for (std::uint32_t l = 0; l < m_.localities().size(); ++l) {
            std::vector<std::uint32_t> attached;
            for (std::uint32_t n = 0; n < m_.numa_nodes().size(); ++n) {
                if (m_.numa_nodes()[n].localities.test(l)) {
                    attached.push_back(n);
                }
            }
            ensure(attached == m_.localities()[l].numa_nodes, "what localities hold");
        }
    }

    void check_order() const {
        const auto& devices = m_.devices();
        for (std::size_t d = 1; d < devices.size(); ++d) {
            const auto key = [&devices](std::size_t i) {
                const Device& device = devices[i];
                return std::make_tuple(device.device_class,
                                       !device.pci_address.has_value(),
                                       device.pci_address.value_or(PciAddress{}),
                                       device.root != i);
            };
            ensure(key(d - 1) <= key(d), "the order of devices");
        }
        for (std::uint32_t d = 0; d < devices.size(); ++d) {
            ensure(m_.find_device(devices[d].name) == d, "the names of devices");
        }
    }

    void check_devices() const {
        const std::size_t count = m_.localities().size();
        for (std::uint32_t d = 0; d < m_.devices().size(); ++d) {
            const Device& device = m_.devices()[d];
            Bitmap localities;
            for (const std::uint32_t os_index : device.numa_nodes) {
                localities |=
                    m_.numa_nodes().at(m_.numa_node_of_os_index(os_index)).localities;
            }
            if (localities.empty() || localities.count() == count) {
                localities = count == 1 ? Bitmap::range(0, 1) : Bitmap();
            }
            ensure(localities == device.localities, "the localities of " + device.name);
            const Device& root = m_.devices().at(device.root);
            ensure(root.root == device.root, "the root of " + device.name);
            if (device.root != d) {
                ensure(root.parts.at(device.index) == d, "the parts of " + root.name);
                ensure(device.localities == root.localities &&
                           device.bridge == root.bridge &&
                           device.switch_index == root.switch_index &&
                           device.counter_draws.size() == root.counter_totals.size(),
                       "what " + device.name + " has of its root");
            }
            check_links(d);
        }
    }

    void check_links(std::uint32_t d) const {
        const Device& device = m_.devices()[d];
        for (std::uint32_t e = 0; e < m_.devices().size(); ++e) {
            const std::uint64_t link = m_.link_mb_s(d, e);
            const bool may_have_one = d != e && device.root == d;
            ensure(link == m_.link_mb_s(e, d) && link <= m_.max_link_mb_s() &&
                       (may_have_one || link == 0),
                   "the links of " + device.name);
        }
    }

    // PCI bridges above a device, the deepest first; the host bridge apart.
    struct Path {
        std::vector<std::uint32_t> bridges;
        std::uint32_t host = no_index;
    };
    [[nodiscard]] Path path_of(const Device& device) const {
        Path path;
        for (std::uint32_t b = device.bridge; b != no_index;
             b = m_.bridges()[b].parent) {
            if (m_.bridges()[b].is_host) {
                path.host = b;
            } else {
                path.bridges.push_back(b);
            }
        }
        return path;
    }

    struct Meeting {
        Level level = Level::machine;
        std::uint32_t bridge = no_index;  ///< the deepest common PCI bridge
    };
    // By definition, overrides aside.
    [[nodiscard]] Meeting meet(std::uint32_t a, std::uint32_t b) const {
        const Device& first = m_.devices()[m_.devices()[a].root];
        const Device& second = m_.devices()[m_.devices()[b].root];
        if (first.name == second.name ||
            (first.pci_address && second.pci_address &&
             first.pci_address->same_slot(*second.pci_address))) {
            return {Level::self, no_index};
        }
        const Path up = path_of(first);
        const Path down = path_of(second);
        for (std::size_t i = 0; i < up.bridges.size(); ++i) {
            const auto at =
                std::find(down.bridges.begin(), down.bridges.end(), up.bridges[i]);
            if (at != down.bridges.end()) {
                const bool is_near = i <= 1 && at - down.bridges.begin() <= 1;
                return {is_near ? Level::switch_ : Level::bridges, up.bridges[i]};
            }
        }
        if (up.host != no_index && up.host == down.host) {
            return {Level::root, no_index};
        }
        if (first.localities.intersects(second.localities)) {
            return {Level::numa, no_index};
        }
        return {first.packages.intersects(second.packages) ? Level::package
                                                           : Level::machine,
                no_index};
    }

    // Writes the level that was given for two roots, and for what is a part of them.
    void override_level(const LevelOverrideSpec& given,
                        const std::vector<std::uint32_t>& device_of,
                        std::vector<std::uint8_t>& levels) const {
        const std::uint32_t root_a = m_.devices()[device_of[given.a]].root;
        const std::uint32_t root_b = m_.devices()[device_of[given.b]].root;
        const std::size_t count = m_.devices().size();
        for (std::uint32_t a = 0; a < count; ++a) {
            for (std::uint32_t b = 0; b < count; ++b) {
                const std::uint32_t of_a = m_.devices()[a].root;
                const std::uint32_t of_b = m_.devices()[b].root;
                if ((of_a == root_a && of_b == root_b) ||
                    (of_a == root_b && of_b == root_a)) {
                    levels[a * count + b] = given.level;
                }
            }
        }
    }

    void check_levels() const {
        const std::size_t count = m_.devices().size();
        std::vector<std::uint8_t> expected(count * count);
        for (std::uint32_t a = 0; a < count; ++a) {
            for (std::uint32_t b = 0; b < count; ++b) {
                expected[a * count + b] = static_cast<std::uint8_t>(meet(a, b).level);
            }
        }
        const std::vector<std::uint32_t> device_of = spec_order();
        for (const LevelOverrideSpec& given : m_.spec().level_overrides) {
            override_level(given, device_of, expected);
        }
        for (std::uint32_t a = 0; a < count; ++a) {
            for (std::uint32_t b = 0; b < count; ++b) {
                ensure(static_cast<std::uint8_t>(m_.level(a, b)) ==
                           expected[a * count + b],
                       "the level of " + m_.devices()[a].name + " and " +
                           m_.devices()[b].name);
            }
        }
    }

    // Spec index -> device, by sorting once more.
    [[nodiscard]] std::vector<std::uint32_t> spec_order() const {
        const auto& specs = m_.spec().devices;
        std::vector<std::uint32_t> position(specs.size());
        const auto is_before = [&specs](std::size_t a, std::size_t b) {
            const auto key = [&specs](std::size_t i) {
                return std::make_tuple(std::string_view(specs[i].device_class),
                                       !specs[i].pci_address.has_value(),
                                       specs[i].pci_address.value_or(PciAddress{}),
                                       specs[i].parent != no_index);
            };
            if (key(a) != key(b)) {
                return key(a) < key(b);
            }
            const int order = compare_natural(specs[a].name, specs[b].name);
            return order != 0 ? order < 0 : a < b;
        };
        for (std::size_t i = 0; i < specs.size(); ++i) {
            for (std::size_t j = 0; j < specs.size(); ++j) {
                position[i] += is_before(j, i) ? 1U : 0U;
            }
        }
        return position;
    }

    void check_switches() const {
        for (std::uint32_t a = 0; a < m_.devices().size(); ++a) {
            std::uint32_t outermost = no_index;
            const Path path = path_of(m_.devices()[a]);
            std::ptrdiff_t height = -1;
            for (std::uint32_t b = 0; b < m_.devices().size(); ++b) {
                const Meeting meeting = meet(a, b);
                if (meeting.level != Level::switch_) {
                    continue;
                }
                const auto at =
                    std::find(
                        path.bridges.begin(), path.bridges.end(), meeting.bridge) -
                    path.bridges.begin();
                if (at > height) {
                    height = at;
                    outermost = meeting.bridge;
                }
            }
            const std::uint32_t index = m_.devices()[a].switch_index;
            ensure((index == no_index) == (outermost == no_index) &&
                       (index == no_index || m_.switches().at(index) == outermost),
                   "the switch of " + m_.devices()[a].name);
        }
    }

    void check_ultrametric() const {
        const auto count = static_cast<std::uint32_t>(m_.devices().size());
        bool holds = true;
        for (std::uint32_t a = 0; a < count && holds; ++a) {
            for (std::uint32_t b = 0; b < count && holds; ++b) {
                for (std::uint32_t c = 0; c < count; ++c) {
                    if (std::max(m_.level(a, b), m_.level(b, c)) < m_.level(a, c)) {
                        holds = false;
                        break;
                    }
                }
            }
        }
        ensure(holds == m_.levels_are_ultrametric(), "the ultrametric check");
    }

    const Machine& m_;
};

}  // namespace

void Machine::check_consistency() const {
    Checker(*this).check();
}

}  // namespace topoalloc
