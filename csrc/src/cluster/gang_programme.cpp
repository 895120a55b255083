// SPDX-License-Identifier: Apache-2.0
#include "cluster/gang_programme.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

// Pairs of cells that one step stands for: a step is some hundred nanoseconds of work.
constexpr std::uint64_t pairs_of_step = 32;

// Fields of a PackedCost, in order: Domains by level, nodes, waste, opened by level.
std::size_t domains_field(std::uint32_t level) {
    return level;
}
std::size_t nodes_field(const GangProblem& problem) {
    return problem.levels;
}
std::size_t waste_field(const GangProblem& problem) {
    return problem.levels + 1U;
}
std::size_t opened_field(const GangProblem& problem, std::uint32_t level) {
    return problem.levels + 2U + level;
}

std::uint64_t pods_of(const GangProblem& problem) {
    std::uint64_t pods = 0;
    for (const GangPodSet& podset : problem.podsets) {
        pods += podset.count;
    }
    return pods;
}

}  // namespace

const GangCell* find_cell(const GangCells& cells, std::uint32_t index) {
    const auto it = std::ranges::lower_bound(cells, index, {}, &GangCell::index);
    return it != cells.end() && it->index == index ? &*it : nullptr;
}

GangProgramme::GangProgramme(const GangProblem& problem,
                             const std::vector<DomainVertex>& tree,
                             const PlanRules& rules,
                             const PlanAim& aim,
                             StepBudget& budget)
    : problem_(problem), tree_(tree), rules_(rules), aim_(aim), budget_(budget) {}

// Gives each number its bits. False when there are too few.
bool GangProgramme::lay_out() {
    const auto counts = CountFields::make(problem_.podsets);
    if (!counts || rules_.within.size() > 64) {
        return false;
    }
    counts_ = *counts;
    slots_.assign(counts_.vectors(), no_index);
    masks_.assign(problem_.podsets.size(), 0);
    sums_.assign(problem_.podsets.size(), Copies(problem_.nodes.size() + 1));
    std::uint64_t waste = 0;
    for (std::size_t p = 0; p < problem_.podsets.size(); ++p) {
        for (std::size_t r = 0; r < rules_.within.size(); ++r) {
            masks_[p] |= rules_.within[r].podsets[p] ? bit(r) : 0;
        }
        for (std::size_t n = 0; n < problem_.nodes.size(); ++n) {
            const CountTable& table = problem_.tables[problem_.nodes[n].table];
            sums_[p][n + 1] = sums_[p][n] + table.copies[p];
        }
        waste += problem_.podsets[p].lowest_level == no_index ? 0 : sums_[p].back();
    }
    std::vector<std::uint64_t> most(std::size_t{2} * problem_.levels + 2);
    if (aim_.least_cost) {
        std::ranges::fill(
            most, std::min<std::uint64_t>(problem_.nodes.size(), pods_of(problem_)));
        most[waste_field(problem_)] = waste;
    }
    const auto costs = CostFields::make(most);
    if (costs) {
        costs_ = *costs;
    }
    return costs.has_value();
}

std::uint64_t GangProgramme::touched_by(std::uint64_t packed) const {
    std::uint64_t touched = 0;
    for (std::size_t p = 0; p < masks_.size(); ++p) {
        touched |= counts_.count(packed, p) != 0 ? masks_[p] : 0;
    }
    return touched;
}

// True when a Domain of the level may hold just these pods.
bool GangProgramme::allows(std::uint64_t packed, std::uint32_t level) const {
    const bool counts_hold =
        std::ranges::all_of(rules_.counts, [&](const CountRule& rule) {
            return rule.level != level ||
                   rule.allows(counts_.count(packed, rule.podset));
        });
    // One Domain holds all pods of a rule: none, or as many as there must be.
    return counts_hold &&
           std::ranges::all_of(rules_.within, [&](const WithinRule& rule) {
               bool some = false;
               bool enough = true;
               for (std::size_t p = 0; p < rule.podsets.size(); ++p) {
                   const std::uint32_t count =
                       rule.podsets[p] ? counts_.count(packed, p) : 0;
                   some = some || count != 0;
                   enough = enough && (!rule.podsets[p] ||
                                       count >= problem_.podsets[p].min_count);
               }
               return rule.level != level || !some || enough;
           });
}

PackedCost GangProgramme::cost_of_domain(std::uint64_t packed,
                                         std::uint32_t level,
                                         bool is_open,
                                         const Copies& copies) const {
    const bool is_node = level == problem_.levels;
    PackedCost cost =
        costs_.pack(is_node ? nodes_field(problem_) : domains_field(level), 1);
    if (!is_node && !is_open) {
        cost += costs_.pack(opened_field(problem_, level), 1);
    }
    for (std::size_t p = 0; p < copies.size(); ++p) {
        const std::uint32_t count = counts_.count(packed, p);
        if (count != 0 && problem_.podsets[p].lowest_level == level) {
            cost += costs_.pack(waste_field(problem_), copies[p] - count);
        }
    }
    return cost;
}

// Turns what the children hold into what a Domain of the level holds.
void GangProgramme::close_domain(GangCells& cells,
                                 std::uint32_t level,
                                 bool is_open,
                                 const Copies& copies) const {
    std::erase_if(cells, [&](const GangCell& cell) {
        return cell.packed != 0 && !allows(cell.packed, level);
    });
    if (!aim_.least_cost) {
        return;
    }
    for (GangCell& cell : cells) {
        if (cell.packed != 0) {
            cell.cost += cost_of_domain(cell.packed, level, is_open, copies);
        }
    }
}

GangCells GangProgramme::cells_of(const GangNode& node) const {
    const CountTable& table = problem_.tables[node.table];
    CountVector barred;
    for (std::uint32_t p = 0; p < problem_.podsets.size(); ++p) {
        if (!may_hold(rules_, node, p)) {
            barred.push_back(p);
        }
    }
    GangCells cells;
    for (const CountVector& pods :
         aim_.use_possible ? table.possible : table.attained) {
        if (std::ranges::all_of(barred,
                                [&](std::uint32_t p) { return pods[p] == 0; })) {
            const std::uint64_t packed = counts_.pack(pods);
            cells.push_back({packed, touched_by(packed), counts_.index(pods), {}});
        }
    }
    std::ranges::sort(cells, {}, &GangCell::index);
    const Copies copies(table.copies.begin(), table.copies.end());
    close_domain(cells, problem_.levels, node.open, copies);
    for (std::uint32_t level = 0; level < problem_.levels; ++level) {
        if (node.domains[level] == no_index) {
            close_domain(cells, level, node.open, copies);
        }
    }
    return cells;
}

std::uint32_t GangProgramme::class_of_node(std::uint32_t index) {
    const GangNode& node = problem_.nodes[index];
    std::vector<std::uint64_t> signature{0, node.table};
    for (std::uint32_t level = 0; level < problem_.levels; ++level) {
        if (node.domains[level] == no_index) {
            signature.push_back(level);
            signature.push_back(node.open ? 1 : 0);
        }
    }
    const auto [it, is_new] = known_.try_emplace(
        std::move(signature), static_cast<std::uint32_t>(classes_.size()));
    if (is_new) {
        GangClass made;
        made.is_node = true;
        made.nodes = 1;
        made.cells = cells_of(node);
        classes_.push_back(std::move(made));
    }
    return it->second;
}

GangProgramme::Copies GangProgramme::copies_of(const DomainVertex& vertex) const {
    Copies copies;
    copies.reserve(sums_.size());
    for (const Copies& sums : sums_) {
        copies.push_back(sums[vertex.last + 1] - sums[vertex.first]);
    }
    return copies;
}

// `inside`: rules of `within` of whose level a Domain holds the vertex.
std::optional<std::uint32_t> GangProgramme::class_of_vertex(std::uint32_t index,
                                                            std::uint64_t inside) {
    const DomainVertex& vertex = tree_[index];
    for (std::size_t r = 0; r < rules_.within.size(); ++r) {
        inside |=
            std::ranges::count(vertex.levels, rules_.within[r].level) != 0 ? bit(r) : 0;
    }
    GangClass made;
    made.nodes = vertex.last - vertex.first + 1;
    made.split = low_bits(rules_.within.size()) & ~inside;
    // Equal children hold equally many copies, so these need no place in it.
    std::vector<std::uint64_t> signature{1, inside, vertex.levels.size()};
    const auto is_open = [&](std::uint32_t level) {
        return problem_
            .open_domains[level][problem_.nodes[vertex.first].domains[level]];
    };
    for (const std::uint32_t level : vertex.levels) {
        signature.push_back(level);
        signature.push_back(is_open(level) ? 1 : 0);
    }
    for (const DomainChild& child : vertex.children) {
        const auto of = child.is_node ? class_of_node(child.index)
                                      : class_of_vertex(child.index, inside);
        if (!of) {
            return std::nullopt;
        }
        made.children.push_back(*of);
        signature.push_back(*of);
    }
    if (const auto it = known_.find(signature); it != known_.end()) {
        return it->second;
    }
    if (!fill(made)) {
        return std::nullopt;
    }
    made.cells = made.rest.front();
    // A larger Domain closes after those in it; of equal ones the order is no matter.
    for (const std::uint32_t level : vertex.levels) {
        close_domain(made.cells, level, is_open(level), copies_of(vertex));
    }
    classes_.push_back(std::move(made));
    const auto id = static_cast<std::uint32_t>(classes_.size() - 1);
    known_.emplace(std::move(signature), id);
    return id;
}

// What the children hold together, from the last to the first.
bool GangProgramme::fill(GangClass& made) {
    made.rest.resize(made.children.size() + 1);
    made.rest.back() = {GangCell{}};
    for (std::size_t i = made.children.size(); i-- > 0;) {
        if (!combine(classes_[made.children[i]].cells,
                     made.rest[i + 1],
                     made.split,
                     made.rest[i])) {
            return false;
        }
    }
    return true;
}

bool GangProgramme::combine(const GangCells& child,
                            const GangCells& rest,
                            std::uint64_t split,
                            GangCells& out) {
    if (!budget_.spend(1 + child.size() * rest.size() / pairs_of_step)) {
        return false;
    }
    for (const GangCell& a : child) {
        for (const GangCell& b : rest) {
            const std::uint64_t sum = a.packed + b.packed;
            if (!counts_.is_within(sum) || (a.touched & b.touched & split) != 0) {
                continue;
            }
            const std::uint32_t index = a.index + b.index;
            const PackedCost cost = a.cost + b.cost;
            std::uint32_t& slot = slots_[index];
            if (slot == no_index) {
                slot = static_cast<std::uint32_t>(out.size());
                out.push_back({sum, a.touched | b.touched, index, cost});
            } else if (cost < out[slot].cost) {
                out[slot].cost = cost;
            }
        }
    }
    for (const GangCell& cell : out) {
        slots_[cell.index] = no_index;
    }
    std::ranges::sort(out, {}, &GangCell::index);
    return true;
}

bool GangProgramme::run() {
    if (!lay_out()) {
        return false;
    }
    const auto root = class_of_vertex(0, 0);
    root_ = root.value_or(0);
    return root.has_value();
}

std::uint64_t GangProgramme::short_of(const GangCell& cell) const {
    std::uint64_t missing = 0;
    for (std::size_t p = 0; p < problem_.podsets.size(); ++p) {
        missing += problem_.podsets[p].count - counts_.count(cell.packed, p);
    }
    return missing;
}

std::vector<const GangCell*> GangProgramme::best() const {
    std::vector<const GangCell*> out;
    std::pair<std::uint64_t, PackedCost> least;
    for (const GangCell& cell : classes_[root_].cells) {
        bool enough = true;
        for (std::size_t p = 0; p < problem_.podsets.size(); ++p) {
            enough = enough &&
                     counts_.count(cell.packed, p) >= problem_.podsets[p].min_count;
        }
        const std::pair cost(short_of(cell), cell.cost);
        if (!enough || (aim_.short_pods && cost.first != *aim_.short_pods) ||
            (!out.empty() && least < cost)) {
            continue;
        }
        if (!out.empty() && cost < least) {
            out.clear();
        }
        least = cost;
        out.push_back(&cell);
    }
    return out;
}

}  // namespace topoalloc
