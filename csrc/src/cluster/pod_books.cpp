// SPDX-License-Identifier: Apache-2.0
#include "cluster/pod_books.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace topoalloc {
namespace {

std::string quoted(const std::string& text) {
    return "'" + text + "'";
}

std::optional<std::uint32_t> find_slot(const ClusterData& data,
                                       const std::string& node) {
    return data.contains(node) ? std::optional(data.slot_of(node)) : std::nullopt;
}

}  // namespace

bool is_held(const ClusterData& data,
             const std::string& node,
             const std::string& owner) {
    const auto slot = find_slot(data, node);
    return slot && data.node(*slot).holdings->contains(owner);
}

void demand_fresh(const ClusterData& data,
                  std::span<const GangPlan::Basis> nodes,
                  std::span<const std::string> may_be_cordoned) {
    for (const GangPlan::Basis& basis : nodes) {
        const auto refuse = [&](const std::string& what) {
            throw StaleError("plan: node " + quoted(basis.node) + " " + what +
                             " since the plan was made, want a plan of now");
        };
        const auto slot = find_slot(data, basis.node);
        if (!slot) {
            refuse("was removed");
        }
        const NodeEntry& entry = data.node(*slot);
        if (basis.state && entry.cordoned &&
            std::ranges::count(may_be_cordoned, basis.node) == 0) {
            refuse("was cordoned");
        }
        if (entry.info != basis.description) {
            refuse("was described anew");
        }
        if (basis.state && entry.state != basis.state) {
            refuse("has changed");
        }
    }
}

PodBooks::Change& PodBooks::change_of(std::uint32_t slot) {
    const auto [it, is_new] = changes_.try_emplace(slot);
    if (is_new) {
        const NodeEntry& entry = data_.node(slot);
        it->second.state = std::make_shared<NodeState>(*entry.state->state);
        it->second.holdings = std::make_shared<Holdings>(*entry.holdings);
    }
    return it->second;
}

bool PodBooks::release(const Gang& gang, const PodPlace& pod) {
    const std::string owner = pod_owner(gang, pod.podset, pod.index);
    if (!is_held(data_, pod.node, owner)) {
        return false;
    }
    const Change& change = change_of(data_.slot_of(pod.node));
    const auto held = change.holdings->find(owner);
    if (held == change.holdings->end()) {
        return false;
    }
    change.state->release(held->second.placement);
    change.holdings->erase(held);
    return true;
}

void PodBooks::take(const Gang& gang, const PodPlace& pod) {
    const Change& change = change_of(data_.slot_of(pod.node));
    const std::string owner = pod_owner(gang, pod.podset, pod.index);
    const auto [it, is_new] = change.holdings->try_emplace(
        owner,
        Holding{gang.podsets[pod.podset].request, *pod.placement, Status::feasible});
    if (!is_new) {
        throw StateError("owner: " + quoted(owner) + " holds a Placement on " +
                         quoted(pod.node) + ", want an owner that holds nothing");
    }
    if (!change.state->can_take(*pod.placement, false)) {
        throw StaleError("plan: node " + quoted(pod.node) + " has not free what " +
                         quoted(owner) + " takes, want a plan of now");
    }
    change.state->take(*pod.placement);
}

void PodBooks::apply() {
    for (auto& [slot, change] : changes_) {
        data_.set_books(slot,
                        data_.pool().intern(std::move(change.state)),
                        std::move(change.holdings));
    }
    changes_.clear();
}

}  // namespace topoalloc
