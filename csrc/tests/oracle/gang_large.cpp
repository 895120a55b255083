// SPDX-License-Identifier: Apache-2.0
#include "gang_large.hpp"

#include "instances.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>
#include <vector>

namespace topoalloc::oracle {
namespace {

constexpr std::uint64_t large_stream = 0x5be0cd19137e2179;

// CPUs in units of which a whole node has sixteen, and GPUs.
using Amount = std::array<std::uint32_t, 2>;

class LargeGangMaker {
  public:
    explicit LargeGangMaker(std::uint64_t seed) : rng_(seed ^ large_stream) {}

    GangProblem make() {
        make_nodes();
        make_demands();
        make_node_kinds();
        make_counts();
        make_tables();
        for (std::uint32_t p = 0; p < podsets(); ++p) {
            make_rules(p);
        }
        make_groups();
        // Node order; a caller of the bare problem may have another one.
        std::stable_sort(
            out_.nodes.begin(),
            out_.nodes.end(),
            [](const GangNode& a, const GangNode& b) { return a.domains < b.domains; });
        if (rng_.percent(5)) {
            rng_.shuffle(out_.nodes);
        }
        return std::move(out_);
    }

  private:
    struct NodeKind {
        Amount room{};
        std::vector<bool> eligible;  // by PodSet
    };

    [[nodiscard]] std::uint32_t podsets() const {
        return static_cast<std::uint32_t>(out_.podsets.size());
    }
    [[nodiscard]] std::uint32_t node_count() const {
        return static_cast<std::uint32_t>(out_.nodes.size());
    }

    // Level 0 are the racks, or blocks above them; a third level lies in the racks or
    // across them.
    void make_nodes() {
        out_.nodes.resize(rng_.between(8, 64));
        const std::uint32_t racks = rng_.between(1, 8);
        const std::uint32_t blocks = rng_.between(1, std::min(racks, 3U));
        std::vector<std::uint32_t> rack_of(node_count());
        const bool is_even = rng_.percent(65);
        for (std::uint32_t v = 0; v < node_count(); ++v) {
            rack_of[v] = is_even ? v * racks / node_count() : rng_.below(racks);
        }
        std::sort(rack_of.begin(), rack_of.end());
        if (rng_.percent(70)) {
            add_level(blocks,
                      [&](std::uint32_t v) { return rack_of[v] * blocks / racks; });
        }
        add_level(racks, [&](std::uint32_t v) { return rack_of[v]; });
        const std::uint32_t third = rng_.weighted({55, 15, 15, 15});
        const std::uint32_t width = rng_.between(2, 6);
        if (third == 1) {
            make_chassis(rack_of, width);
        } else if (third == 2) {
            add_level(width, [&](std::uint32_t v) { return v % width; });
        } else if (third == 3) {
            add_level(width, [&](std::uint32_t) { return rng_.below(width); });
        }
        if (rng_.percent(10)) {
            drop_values(third > 1 ? out_.levels - 1 : out_.levels);
        }
    }

    template <class DomainOf>
    void add_level(std::uint32_t domains, const DomainOf& domain_of) {
        for (std::uint32_t v = 0; v < node_count(); ++v) {
            out_.nodes[v].domains.push_back(domain_of(v));
        }
        out_.open_domains.emplace_back(domains, false);
        ++out_.levels;
    }

    // So many nodes each, the last one of a rack fewer.
    void make_chassis(const std::vector<std::uint32_t>& rack_of, std::uint32_t size) {
        std::vector<std::uint32_t> chassis;
        std::uint32_t held = 0;
        for (std::uint32_t v = 0; v < node_count(); ++v) {
            const bool is_next =
                v > 0 && (rack_of[v] != rack_of[v - 1] || held == size);
            held = is_next ? 1 : held + 1;
            chassis.push_back(v == 0 ? 0 : chassis.back() + (is_next ? 1 : 0));
        }
        add_level(chassis.back() + 1, [&](std::uint32_t v) { return chassis[v]; });
    }

    // Some nodes name no Domain of one level of a tree of so many levels, nor of those
    // below. What lies across is a tree of its own.
    void drop_values(std::uint32_t tree) {
        const std::uint32_t level = rng_.below(out_.levels);
        const std::uint32_t end = level < tree ? tree : out_.levels;
        for (GangNode& node : out_.nodes) {
            if (rng_.percent(10)) {
                std::fill(
                    node.domains.begin() + level, node.domains.begin() + end, no_index);
            }
        }
    }

    void make_demands() {
        out_.podsets.resize(1 + rng_.weighted({35, 35, 20, 10}));
        const std::vector<std::uint32_t> gpus{0, 1, 1, 2, 2, 4, 8, 8};
        // Small pods of many PodSets make more vectors than a table is meant to have.
        const std::vector<std::vector<std::uint32_t>> cpus_of{
            {1, 2, 4}, {1, 2, 4}, {2, 4, 8}, {4, 4, 8}};
        const std::vector<std::uint32_t>& cpus = cpus_of[podsets() - 1];
        for (std::uint32_t p = 0; p < podsets(); ++p) {
            const std::uint32_t gpu = rng_.pick(gpus);
            demands_.push_back({std::max(rng_.pick(cpus), gpu), gpu});
        }
    }

    // Whole nodes of one or two kinds, and what others left of them.
    void make_node_kinds() {
        std::vector<Amount> rooms{{16, 8}};
        if (rng_.percent(40)) {
            rooms.push_back(rng_.percent(50) ? Amount{16, 4} : Amount{16, 0});
        }
        const auto whole = static_cast<std::uint32_t>(rooms.size());
        for (std::uint32_t times = rng_.below(4); times > 0; --times) {
            const Amount room = rooms[rng_.below(whole)];
            const std::uint32_t left = rng_.below(8);  // eighths
            rooms.push_back({room[0] * left / 8, room[1] * left / 8});
        }
        for (const Amount& room : rooms) {
            NodeKind kind{room, std::vector<bool>(podsets(), true)};
            for (std::uint32_t p = 0; p < podsets(); ++p) {
                kind.eligible[p] = !rng_.percent(5);
            }
            kinds_.push_back(kind);
        }
        const std::uint32_t filled = rng_.pick(std::vector<std::uint32_t>{0, 25, 60});
        const auto parts = static_cast<std::uint32_t>(kinds_.size()) - whole;
        for (GangNode& node : out_.nodes) {
            node.open = parts > 0 && rng_.percent(filled);
            node.table = node.open ? whole + rng_.below(parts) : rng_.below(whole);
            for (std::uint32_t l = 0; node.open && l < out_.levels; ++l) {
                if (node.domains[l] != no_index) {
                    out_.open_domains[l][node.domains[l]] = true;
                }
            }
        }
    }

    // Copies of one Request that a node of the kind can hold.
    [[nodiscard]] std::uint32_t copies_of(const NodeKind& kind,
                                          std::uint32_t podset) const {
        const auto& [cpus, gpus] = demands_[podset];
        const std::uint32_t by_cpus = kind.room[0] / cpus;
        const std::uint32_t by_gpus = gpus > 0 ? kind.room[1] / gpus : by_cpus;
        return kind.eligible[podset] ? std::min(by_cpus, by_gpus) : 0;
    }

    // From a tenth of what is free to a little more than all of it.
    void make_counts() {
        const std::uint32_t share = rng_.between(10, 120);
        const std::array<std::uint32_t, 4> most{40, 32, 24, 16};
        for (std::uint32_t p = 0; p < podsets(); ++p) {
            std::uint32_t copies = 0;
            for (const GangNode& node : out_.nodes) {
                copies += copies_of(kinds_[node.table], p);
            }
            GangPodSet& podset = out_.podsets[p];
            const std::uint32_t wanted = copies * share / 100 / podsets();
            podset.count = std::clamp(wanted, 1U, most[podsets() - 1]);
            if (rng_.percent(15)) {
                podset.count = rng_.between(1, 4);
            }
            // Slices want divisors.
            if (podset.count > 4 && rng_.percent(70)) {
                podset.count -= podset.count % 4;
            }
            podset.min_count =
                rng_.percent(70) ? podset.count : rng_.below(podset.count + 1);
        }
    }

    void make_tables() {
        const bool are_exact = rng_.percent(90);
        for (const NodeKind& kind : kinds_) {
            CountTable table;
            CountVector vector(podsets(), 0);
            add_vectors(table.possible, vector, 0, kind, kind.room);
            std::sort(table.possible.begin(), table.possible.end());
            if (podsets() > 1 && rng_.percent(15)) {
                drop_vectors(table.possible);
            }
            table.attained = table.possible;
            if (!are_exact) {
                drop_vectors(table.attained);
            }
            for (std::uint32_t p = 0; p < podsets(); ++p) {
                std::uint32_t alone = 0;
                for (const CountVector& held : table.attained) {
                    alone = std::max(alone, held[p]);
                }
                table.copies.push_back(
                    alone == out_.podsets[p].count ? copies_of(kind, p) : alone);
            }
            out_.tables.push_back(std::move(table));
        }
    }

    void add_vectors(std::vector<CountVector>& vectors,
                     CountVector& vector,
                     std::uint32_t podset,
                     const NodeKind& kind,
                     const Amount& room) {
        if (podset == podsets()) {
            vectors.push_back(vector);
            return;
        }
        NodeKind left = kind;
        left.room = room;
        const auto& [cpus, gpus] = demands_[podset];
        const std::uint32_t most =
            std::min(out_.podsets[podset].count, copies_of(left, podset));
        for (std::uint32_t pods = 0; pods <= most; ++pods) {
            vector[podset] = pods;
            add_vectors(vectors,
                        vector,
                        podset + 1,
                        kind,
                        {room[0] - pods * cpus, room[1] - pods * gpus});
        }
        vector[podset] = 0;
    }

    // Some of the largest vectors go; what is left is still a downset.
    void drop_vectors(std::vector<CountVector>& vectors) {
        for (std::uint32_t times = rng_.between(1, 3); times > 0; --times) {
            const CountVector most = rng_.pick(vectors);
            if (std::count(most.begin(), most.end(), 0U) ==
                static_cast<std::ptrdiff_t>(most.size())) {
                continue;
            }
            std::erase_if(vectors, [&](const CountVector& held) {
                return std::equal(
                    held.begin(), held.end(), most.begin(), std::greater_equal<>());
            });
        }
    }

    // Any level, "node" seldom.
    std::uint32_t pick_level() {
        return rng_.percent(7) ? out_.levels : rng_.below(out_.levels);
    }

    void declare(std::uint32_t podset, std::uint32_t level) {
        std::uint32_t& lowest = out_.podsets[podset].lowest_level;
        lowest = lowest == no_index ? level : std::max(lowest, level);
    }

    [[nodiscard]] std::vector<bool> only(std::uint32_t podset) const {
        std::vector<bool> result(podsets(), false);
        result[podset] = true;
        return result;
    }

    // At most so many in a Domain that about all of them are wanted, or twice as many.
    LevelRule make_spread(std::uint32_t podset) {
        const std::uint32_t level = pick_level();
        const std::uint32_t domains =
            level == out_.levels
                ? node_count()
                : static_cast<std::uint32_t>(out_.open_domains[level].size());
        const std::uint32_t even = (out_.podsets[podset].count + domains - 1) / domains;
        return {podset, level, even * rng_.between(1, 2) + rng_.below(2)};
    }

    void make_rules(std::uint32_t podset) {
        if (rng_.percent(30)) {
            make_slices(podset);
        }
        if (rng_.percent(15)) {
            out_.within.push_back({only(podset), pick_level()});
            declare(podset, out_.within.back().level);
        }
        if (rng_.percent(12)) {
            out_.spread.push_back(make_spread(podset));
            declare(podset, out_.spread.back().level);
        }
        if (rng_.percent(10)) {
            out_.balanced.push_back({podset, pick_level(), 0});
            declare(podset, out_.balanced.back().level);
        }
        for (std::uint32_t times = rng_.weighted({45, 35, 15, 5}); times > 0; --times) {
            make_preference(podset);
        }
    }

    void make_preference(std::uint32_t podset) {
        PreferRule rule;
        rule.unmet = podset;
        const std::uint32_t kind = rng_.weighted({60, 20, 20});
        rule.kind = static_cast<RuleKind>(kind);
        if (rule.kind == RuleKind::within) {
            rule.within = {only(podset), pick_level()};
            declare(podset, rule.within.level);
        } else {
            rule.level = make_spread(podset);
            declare(podset, rule.level.level);
        }
        out_.prefer.push_back(rule);
    }

    // Coarse to fine, each size a divisor of the one before.
    void make_slices(std::uint32_t podset) {
        std::uint32_t size = out_.podsets[podset].count;
        std::uint32_t level = rng_.below(out_.levels + 1);
        for (std::uint32_t times = 1 + rng_.weighted({60, 30, 10}); times > 0;
             --times) {
            std::vector<std::uint32_t> sizes;
            for (std::uint32_t s = 2; s <= size && s <= 16; ++s) {
                if (size % s == 0) {
                    sizes.push_back(s);
                }
            }
            if (sizes.empty() || level > out_.levels) {
                return;
            }
            size = rng_.pick(sizes);
            out_.slices.push_back({podset, level, size});
            declare(podset, level);
            ++level;
        }
    }

    void make_groups() {
        for (std::uint32_t number = rng_.weighted({50, 35, 15});
             podsets() > 1 && number > 0;
             --number) {
            std::vector<bool> members = only(rng_.below(podsets()));
            for (std::uint32_t p = 0; p < podsets(); ++p) {
                members[p] = members[p] || rng_.percent(70);
            }
            if (rng_.percent(35)) {
                out_.within.push_back({members, pick_level()});
            }
            for (std::uint32_t times = rng_.weighted({40, 40, 20}); times > 0;
                 --times) {
                PreferRule rule;
                rule.within = {members, pick_level()};
                rule.unmet = podsets() + out_.groups;
                out_.prefer.push_back(rule);
            }
            ++out_.groups;
        }
    }

    Rng rng_;
    GangProblem out_;
    std::vector<Amount> demands_;  // of one pod, by PodSet
    std::vector<NodeKind> kinds_;  // by table
};

}  // namespace

GangProblem make_large_gang_problem(std::uint64_t seed) {
    return LargeGangMaker(seed).make();
}

}  // namespace topoalloc::oracle
