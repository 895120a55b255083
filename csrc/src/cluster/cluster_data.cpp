// SPDX-License-Identifier: Apache-2.0
#include "cluster/cluster_data.hpp"

#include "cluster/gang_shape.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

constexpr std::size_t most_levels = 16;

std::string quoted(const std::string& text) {
    return "'" + text + "'";
}

void demand_trees(const std::vector<ClusterTree>& trees) {
    std::set<std::string> tree_names;
    std::set<std::string> level_names{"node"};
    for (const ClusterTree& tree : trees) {
        if (tree.name.empty() || !tree_names.insert(tree.name).second) {
            throw InvalidRequestError("trees: " + quoted(tree.name) +
                                      ", want different names, not empty");
        }
        if (tree.levels.empty()) {
            throw InvalidRequestError("trees." + tree.name +
                                      ": no level, want one or more");
        }
        for (const std::string& level : tree.levels) {
            if (level.empty() || !level_names.insert(level).second) {
                throw InvalidRequestError("trees." + tree.name + ": " + quoted(level) +
                                          ", want different levels, none of them "
                                          "'node', not empty");
            }
        }
    }
    if (level_names.size() - 1 > most_levels) {
        throw InvalidRequestError("trees: " + std::to_string(level_names.size() - 1) +
                                  " levels, want at most 16");
    }
}

}  // namespace

ClusterData::ClusterData(std::vector<ClusterTree> trees, Policy policy)
    : pool_(std::make_shared<ClassPool>(policy)),
      traits_(std::make_shared<Traits>()),
      names_(std::make_shared<Names>()),
      free_slots_(std::make_shared<std::vector<std::uint32_t>>()) {
    validate(policy);
    if (!policy.has_default_order()) {
        throw InvalidRequestError("policy.order: not the default one of " +
                                  std::string(name_of(policy)) +
                                  ", want the default order for a Cluster");
    }
    demand_trees(trees);
    std::vector<ClusterLevel> levels;
    for (std::uint32_t t = 0; t < trees.size(); ++t) {
        const auto first = static_cast<std::uint32_t>(levels.size());
        for (const std::string& level : trees[t].levels) {
            levels.push_back({level, t, first});
        }
    }
    open_.resize(levels.size());
    domains_ =
        std::make_shared<std::vector<std::map<Path, std::uint32_t>>>(levels.size());
    trees_ = std::make_shared<const std::vector<ClusterTree>>(std::move(trees));
    levels_ = std::make_shared<const std::vector<ClusterLevel>>(std::move(levels));
}

std::vector<std::string> ClusterData::level_names() const {
    std::vector<std::string> names;
    for (const ClusterLevel& level : *levels_) {
        names.push_back(level.name);
    }
    return names;
}

std::uint32_t ClusterData::slot_of(const std::string& name) const {
    const auto it = names_->find(name);
    if (it == names_->end()) {
        throw StateError("node: " + quoted(name) +
                         " is not in the Cluster, want one "
                         "that is");
    }
    return it->second;
}

const ClusterLayout& ClusterData::layout() const {
    if (layout_) {
        return *layout_;
    }
    auto layout = std::make_shared<ClusterLayout>();
    std::vector<std::uint32_t>& order = layout->order;
    order.reserve(names_->size());
    for (std::uint32_t slot = 0; slot < nodes_.size(); ++slot) {
        if (nodes_[slot].info) {
            order.push_back(slot);
        }
    }
    const auto is_before = [this](std::uint32_t a, std::uint32_t b) {
        const NodeInfo& x = *nodes_[a].info;
        const NodeInfo& y = *nodes_[b].info;
        // Equal Domains everywhere are equal values.
        const bool is_same =
            x.domains == y.domains && std::ranges::count(x.domains, no_index) == 0;
        return is_same
                   ? x.sequence < y.sequence
                   : std::tie(x.values, x.sequence) < std::tie(y.values, y.sequence);
    };
    // Nodes mostly come in their order.
    if (!std::ranges::is_sorted(order, is_before)) {
        std::ranges::sort(order, is_before);
    }
    std::vector<const std::vector<std::uint32_t>*> domains;
    domains.reserve(order.size());
    for (const std::uint32_t slot : order) {
        domains.push_back(&nodes_[slot].info->domains);
    }
    layout->tree = layout_tree(domains, static_cast<std::uint32_t>(levels_->size()));
    layout_ = std::move(layout);
    return *layout_;
}

void ClusterData::demand_levels(const NodeDescription& node) const {
    for (const auto& [level, value] : node.domains) {
        if (std::ranges::count(*levels_, level, &ClusterLevel::name) == 0) {
            throw InvalidRequestError("domains: level " + quoted(level) +
                                      " is not declared, want a level of the trees");
        }
        if (value.empty()) {
            throw InvalidRequestError("domains." + level +
                                      ": '', want a text, not empty");
        }
    }
}

void ClusterData::demand_addable(const std::vector<NodeDescription>& nodes) const {
    std::set<std::string_view> seen;
    for (const NodeDescription& node : nodes) {
        if (node.name.empty()) {
            throw InvalidRequestError("node: '', want a name, not empty");
        }
        if (names_->contains(node.name) || !seen.insert(node.name).second) {
            throw StateError("node: " + quoted(node.name) +
                             " is in the Cluster, want another name");
        }
        if (!node.machine) {
            throw InvalidRequestError("machine: none, want a Machine");
        }
        const std::size_t last = node.reserved_pus.last();
        if (last != Bitmap::npos && last >= node.machine->pus().size()) {
            throw InvalidRequestError("reserved_pus: " + std::to_string(last) +
                                      ", want an index below " +
                                      std::to_string(node.machine->pus().size()));
        }
        demand_levels(node);
    }
}

// Finds the Domains of a node, and makes those that are new.
std::shared_ptr<const NodeInfo> ClusterData::info_of(NodeDescription description,
                                                     std::uint64_t sequence) {
    auto info = std::make_shared<NodeInfo>();
    info->sequence = sequence;
    info->described = std::move(description);
    for (const ClusterLevel& level : *levels_) {
        const auto it = info->described.domains.find(level.name);
        info->values.push_back(it == info->described.domains.end()
                                   ? DomainValue{}
                                   : DomainValue{false, it->second});
    }
    for (std::size_t l = 0; l < levels_->size(); ++l) {
        if (info->values[l].is_missing) {
            info->domains.push_back(no_index);
            continue;
        }
        const Path path(info->values.begin() + (*levels_)[l].first,
                        info->values.begin() + static_cast<std::ptrdiff_t>(l) + 1);
        const auto known = (*domains_)[l].find(path);
        if (known != (*domains_)[l].end()) {
            info->domains.push_back(known->second);
            continue;
        }
        const auto number = static_cast<std::uint32_t>(open_[l].size());
        own(domains_)[l].emplace(path, number);
        open_[l].push_back(0);
        info->domains.push_back(number);
    }
    info->traits = traits_of(info);
    return info;
}

// Equal labels and taints get one number, which is never given up.
std::uint32_t ClusterData::traits_of(const std::shared_ptr<NodeInfo>& info) {
    const NodeDescription& node = info->described;
    std::size_t hash = node.taints.size();
    for (const auto& [label, value] : node.labels) {
        hash = hash * 31 + std::hash<std::string>()(label);
        hash = hash * 31 + std::hash<std::string>()(value);
    }
    const auto [begin, end] = traits_->equal_range(hash);
    const auto known = std::find_if(begin, end, [&](const auto& entry) {
        const NodeDescription& other = entry.second->described;
        return other.labels == node.labels && other.taints == node.taints;
    });
    if (known != end) {
        return known->second->traits;
    }
    const auto number = static_cast<std::uint32_t>(traits_->size());
    own(traits_).emplace(hash, info);
    return number;
}

void ClusterData::set_entry(std::uint32_t slot, NodeEntry entry) {
    NodeKey& key = keys_.at_own(slot);
    key.state = entry.state ? entry.state->number : 0;
    key.traits = (entry.info ? entry.info->traits : 0) & 0x7fffffffU;
    key.cordoned = entry.cordoned ? 1 : 0;
    state_numbers_ = std::max(state_numbers_, key.state + 1);
    nodes_.at_own(slot) = std::move(entry);
}

void ClusterData::add(std::vector<NodeDescription> nodes) {
    demand_addable(nodes);
    const auto nothing = std::make_shared<const NodeHoldings>();
    // States of nodes that have just been added are few: by Machine and reserved PUs.
    std::vector<std::pair<const NodeDescription*, NodeClassPtr>> fresh;
    layout_ = nullptr;
    for (NodeDescription& node : nodes) {
        const auto same = std::ranges::find_if(fresh, [&](const auto& known) {
            return known.first->machine == node.machine &&
                   known.first->reserved_pus == node.reserved_pus;
        });
        NodeEntry entry;
        if (same != fresh.end()) {
            entry.state = same->second;
        } else {
            auto state = std::make_shared<NodeState>(node.machine);
            state->reserve_pus(node.reserved_pus);
            entry.state = pool_->intern(std::move(state));
        }
        entry.holdings = nothing;
        entry.info = info_of(std::move(node), next_sequence_++);
        if (same == fresh.end()) {
            fresh.emplace_back(&entry.info->described, entry.state);
        }
        auto slot = static_cast<std::uint32_t>(nodes_.size());
        if (free_slots_->empty()) {
            nodes_.push_back({});
            keys_.push_back({});
        } else {
            slot = own(free_slots_).back();
            free_slots_->pop_back();
        }
        own(names_).emplace(entry.info->described.name, slot);
        set_entry(slot, std::move(entry));
        update_sums(slot);
    }
}

void ClusterData::remove(std::uint32_t slot) {
    const NodeEntry entry = nodes_[slot];
    leave_sums(slot);
    own(free_slots_).push_back(slot);
    count_open(entry, false);
    own(names_).erase(entry.info->described.name);
    set_entry(slot, {});
    layout_ = nullptr;
}

void ClusterData::set_cordoned(std::uint32_t slot, bool cordoned) {
    NodeEntry entry = nodes_[slot];
    entry.cordoned = cordoned;
    set_entry(slot, std::move(entry));
    update_sums(slot);
}

void ClusterData::describe(std::uint32_t slot, NodeDescription description) {
    demand_levels(description);
    const NodeEntry before = nodes_[slot];
    auto info = info_of(std::move(description), before.info->sequence);
    leave_sums(slot);
    count_open(before, false);
    if (info->values != before.info->values) {
        layout_ = nullptr;
    }
    NodeEntry entry = before;
    entry.info = std::move(info);
    set_entry(slot, std::move(entry));
    count_open(nodes_[slot], true);
    update_sums(slot);
}

void ClusterData::set_books(std::uint32_t slot,
                            NodeClassPtr state,
                            NodeHoldingsPtr holdings) {
    const bool was_open = !nodes_[slot].holdings->empty();
    const bool is_open = !holdings->empty();
    if (was_open && !is_open) {
        count_open(nodes_[slot], false);
    }
    keys_.at_own(slot).state = state->number;
    state_numbers_ = std::max(state_numbers_, state->number + 1);
    NodeEntry& entry = nodes_.at_own(slot);
    entry.state = std::move(state);
    entry.holdings = std::move(holdings);
    if (is_open && !was_open) {
        count_open(entry, true);
    }
    update_sums(slot);
}

// Counts a node that holds something in or out of its Domains.
void ClusterData::count_open(const NodeEntry& entry, bool add) {
    if (entry.holdings->empty()) {
        return;
    }
    for (std::size_t l = 0; l < open_.size(); ++l) {
        if (entry.info->domains[l] != no_index) {
            std::uint32_t& count = open_[l].at_own(entry.info->domains[l]);
            count = add ? count + 1 : count - 1;
        }
    }
}

ShapeSums::NodePods ClusterData::copies_on(const NodeEntry& entry,
                                           const PodShape& shape) const {
    if (entry.cordoned || !is_eligible(shape.where,
                                       shape.tolerations,
                                       entry.info->described.labels,
                                       entry.info->described.taints)) {
        return {};
    }
    const HeadroomResult fits =
        pool_->headroom(*entry.state, shape.request, SearchLimits{}.max_steps);
    return {fits.count, fits.upper, true};
}

// Brings the sums of all shapes up to date for a node that has changed.
void ClusterData::update_sums(std::uint32_t slot) {
    for (ShapeSums& sums : sums_) {
        sums.set(slot, *nodes_[slot].info, copies_on(nodes_[slot], sums.shape()));
    }
}

// Takes a node out of the Domains that it is in, for the sums.
void ClusterData::leave_sums(std::uint32_t slot) {
    for (ShapeSums& sums : sums_) {
        sums.set(slot, *nodes_[slot].info, {});
    }
}

void ClusterData::keep_sums(const CountedGang& gang) {
    if (sums_of(gang) != nullptr) {
        return;
    }
    ShapeSums sums(gang.shape, gang.tree, *levels_);
    for (std::uint32_t slot = 0; slot < nodes_.size(); ++slot) {
        if (nodes_[slot].info) {
            sums.set(slot, *nodes_[slot].info, copies_on(nodes_[slot], gang.shape));
        }
    }
    sums_.push_back(std::move(sums));
}

const ShapeSums* ClusterData::sums_of(const CountedGang& gang) const {
    const auto it = std::ranges::find_if(sums_, [&](const ShapeSums& sums) {
        return sums.tree() == gang.tree && sums.shape() == gang.shape;
    });
    return it == sums_.end() ? nullptr : &*it;
}

void ClusterData::set_gang(const std::string& name,
                           std::shared_ptr<const RunningGang> gang) {
    gangs_.insert_or_assign(name, std::move(gang));
}

void ClusterData::remove_gang(const std::string& name) {
    gangs_.erase(name);
}

void ClusterData::check_consistency() const {
    const auto demand = [](bool holds, const std::string& what) {
        if (!holds) {
            throw InternalError("Cluster: " + what +
                                ", want consistent tables; please "
                                "report");
        }
    };
    std::vector<std::vector<std::uint32_t>> open(open_.size());
    for (std::size_t l = 0; l < open_.size(); ++l) {
        open[l].resize(open_[l].size());
    }
    for (const std::uint32_t slot : order()) {
        const NodeEntry& entry = nodes_[slot];
        const std::string& name = entry.info->described.name;
        demand(slot_of(name) == slot, name + " is in another slot");
        NodeState again(entry.info->described.machine);
        again.reserve_pus(entry.info->described.reserved_pus);
        for (const auto& [owner, held] : *entry.holdings) {
            demand(again.can_take(held.placement, true),
                   owner + " on " + name + " holds what another holds");
            again.take(held.placement);
        }
        const NodeState& state = *entry.state->state;
        state.check_consistency();
        state.cordoned_pus().for_each([&](std::size_t pu) {
            again.cordon_pu(static_cast<std::uint32_t>(pu), true);
        });
        state.cordoned_devices().for_each([&](std::size_t device) {
            again.cordon_device(static_cast<std::uint32_t>(device), true);
        });
        demand(again == state,
               "the state of " + name + " is not the sum of its holdings");
        for (std::size_t l = 0; l < open_.size() && !entry.holdings->empty(); ++l) {
            if (entry.info->domains[l] != no_index) {
                ++open[l][entry.info->domains[l]];
            }
        }
    }
    for (std::size_t l = 0; l < open_.size(); ++l) {
        for (std::size_t d = 0; d < open[l].size(); ++d) {
            demand(open[l][d] == open_[l][d],
                   "a Domain of level " + (*levels_)[l].name + " counts wrongly");
        }
    }
}

}  // namespace topoalloc
