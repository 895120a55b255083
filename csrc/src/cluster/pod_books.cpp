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

[[noreturn]] void refuse_owner(const std::string& owner, const std::string& node) {
    throw StateError("owner: " + quoted(owner) + " holds a Placement on " +
                     quoted(node) + ", want an owner that holds nothing");
}

}  // namespace

bool is_held(const ClusterData& data,
             const std::string& node,
             const std::string& owner) {
    const auto slot = data.find_slot(node);
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
        const auto slot = data.find_slot(basis.node);
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

void demand_own_names(const ClusterData& data, const GangPlan& plan) {
    const Gang& gang = *plan.verdict.gang;
    const std::string* last = nullptr;
    const NodeHoldings* holdings = nullptr;
    for (const PodPlace& pod : plan.pods) {
        // Neighbours mostly lie on one node.
        if (last == nullptr || *last != pod.node) {
            last = &pod.node;
            holdings = data.node(data.slot_of(pod.node)).holdings.get();
        }
        if (holdings->is_other(gang, pod.podset, pod.index)) {
            refuse_owner(pod_owner(gang, pod.podset, pod.index), pod.node);
        }
    }
}

void demand_own_names(const ClusterData& data, const std::vector<PodMove>& moves) {
    for (const PodMove& move : moves) {
        if (!move.to || (move.from && move.from->node == move.to->node)) {
            continue;
        }
        const NodeHoldings& holdings = *data.node(data.slot_of(move.to->node)).holdings;
        if (holdings.is_other(*move.gang, move.podset, move.index)) {
            refuse_owner(pod_owner(*move.gang, move.podset, move.index), move.to->node);
        }
    }
}

std::optional<std::uint32_t> PodBooks::find_slot(const std::string& node) {
    if (last_node_ == nullptr || *last_node_ != node) {
        const auto slot = data_.find_slot(node);
        if (!slot) {
            return std::nullopt;
        }
        last_slot_ = *slot;
        last_node_ = &data_.node(*slot).info->described.name;
        last_change_ = nullptr;
    }
    return last_slot_;
}

PodBooks::Change& PodBooks::change_of(std::uint32_t slot) {
    if (last_change_ == nullptr) {
        const auto [it, is_new] = changes_.try_emplace(slot);
        if (is_new) {
            const NodeHoldings& holdings = *data_.node(slot).holdings;
            it->second.pods = holdings.pods();
            it->second.others = holdings.others();
        }
        last_change_ = &it->second;
    }
    return *last_change_;
}

HeldPod* PodBooks::find_pod(Change& change, const Gang& gang, const PodPlace& pod) {
    const std::size_t count = change.pods.size();
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t at = (change.next + i) % count;
        HeldPod& held = change.pods[at];
        if (held.gang && is_owner(held, gang, pod.podset, pod.index)) {
            change.next = at + 1;
            return &held;
        }
    }
    return nullptr;
}

bool PodBooks::release(const Gang& gang, const PodPlace& pod) {
    const auto slot = find_slot(pod.node);
    if (!slot || data_.node(*slot).holdings->empty()) {
        return false;
    }
    Change& change = change_of(*slot);
    if (HeldPod* const held = find_pod(change, gang, pod)) {
        change.released.push_back(std::move(held->placement));
        held->gang = nullptr;
        return true;
    }
    if (!change.others) {
        return false;
    }
    const std::string owner = pod_owner(gang, pod.podset, pod.index);
    const auto other = change.others->find(owner);
    if (other == change.others->end()) {
        return false;
    }
    change.released.push_back(
        std::make_shared<const Placement>(other->second.placement));
    if (!change.own_others) {
        change.own_others = std::make_shared<Holdings>(*change.others);
        change.others = change.own_others;
    }
    change.own_others->erase(owner);
    return true;
}

void PodBooks::take(const std::shared_ptr<const Gang>& gang, const PodPlace& pod) {
    const auto slot = find_slot(pod.node);
    Change& change = change_of(slot ? *slot : data_.slot_of(pod.node));
    const bool is_pod = std::ranges::any_of(change.pods, [&](const HeldPod& other) {
        return other.gang && is_owner(other, *gang, pod.podset, pod.index);
    });
    if (is_pod ||
        (change.others && holds_pod(*change.others, *gang, pod.podset, pod.index))) {
        refuse_owner(pod_owner(*gang, pod.podset, pod.index), pod.node);
    }
    change.pods.push_back({gang, pod.podset, pod.index, pod.placement});
    change.taken.push_back(pod.placement);
}

// Null where something that is taken is not free.
NodeClassPtr PodBooks::state_after(std::uint32_t slot, const Change& change) const {
    NodeClassPtr state = data_.node(slot).state;
    if (!change.released.empty()) {
        state = data_.pool().after(*state, change.released, true);
    }
    if (!change.taken.empty()) {
        state = data_.pool().after(*state, change.taken, false);
    }
    return state;
}

// Names the first pod for which there is no room.
void PodBooks::refuse(std::uint32_t slot, const Change& change) const {
    NodeState now = *data_.node(slot).state->state;
    for (const auto& placement : change.released) {
        now.release(*placement);
    }
    auto pod = change.pods.end() - std::ssize(change.taken);
    for (; pod + 1 != change.pods.end() && now.can_take(*pod->placement, false);
         ++pod) {
        now.take(*pod->placement);
    }
    throw StaleError("plan: node " + quoted(data_.node(slot).info->described.name) +
                     " has not free what " +
                     quoted(pod_owner(*pod->gang, pod->podset, pod->index)) +
                     " takes, want a plan of now");
}

void PodBooks::apply() {
    std::vector<NodeClassPtr> states;
    states.reserve(changes_.size());
    for (const auto& [slot, change] : changes_) {
        states.push_back(state_after(slot, change));
        if (!states.back()) {
            refuse(slot, change);
        }
    }
    auto state = states.begin();
    for (auto& [slot, change] : changes_) {
        std::erase_if(change.pods, [](const HeldPod& pod) { return !pod.gang; });
        auto holdings = std::make_shared<const NodeHoldings>(std::move(change.pods),
                                                             std::move(change.others));
        data_.set_books(slot, std::move(*state++), std::move(holdings));
    }
    changes_.clear();
    last_node_ = nullptr;
}

}  // namespace topoalloc
