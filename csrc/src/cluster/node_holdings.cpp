// SPDX-License-Identifier: Apache-2.0
#include "cluster/node_holdings.hpp"

#include "topoalloc/cluster.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

std::string owner_of(const HeldPod& pod) {
    return pod_owner(*pod.gang, pod.podset, pod.index);
}

}  // namespace

bool is_owner(const HeldPod& pod,
              const Gang& gang,
              std::uint32_t podset,
              std::uint32_t index) {
    if (pod.index != index) {
        return false;
    }
    if (pod.gang.get() == &gang) {
        return pod.podset == podset;
    }
    // No name holds the sign that joins names.
    return pod.gang->name == gang.name &&
           pod.gang->podsets[pod.podset].name == gang.podsets[podset].name;
}

NodeHoldings::NodeHoldings(std::vector<HeldPod> pods,
                           std::shared_ptr<const Holdings> others)
    : pods_(std::move(pods)),
      others_(others && others->empty() ? nullptr : std::move(others)) {}

const Placement* NodeHoldings::find_pod(const Gang& gang,
                                        std::uint32_t podset,
                                        std::uint32_t index) const {
    const auto pod = std::ranges::find_if(pods_, [&](const HeldPod& held) {
        return is_owner(held, gang, podset, index);
    });
    if (pod != pods_.end()) {
        return pod->placement.get();
    }
    if (!others_) {
        return nullptr;
    }
    const auto other = others_->find(pod_owner(gang, podset, index));
    return other == others_->end() ? nullptr : &other->second.placement;
}

bool NodeHoldings::contains(const std::string& owner) const {
    const bool is_pod = std::ranges::any_of(pods_, [&](const HeldPod& pod) {
        return owner.starts_with(pod.gang->name) && owner == owner_of(pod);
    });
    return is_pod || (others_ && others_->contains(owner));
}

bool holds_pod(const Holdings& holdings,
               const Gang& gang,
               std::uint32_t podset,
               std::uint32_t index) {
    // The names of its pods begin with that of the Gang, and mostly none does.
    const auto first = holdings.lower_bound(gang.name);
    return first != holdings.end() && first->first.starts_with(gang.name) &&
           holdings.contains(pod_owner(gang, podset, index));
}

bool NodeHoldings::is_other(const Gang& gang,
                            std::uint32_t podset,
                            std::uint32_t index) const {
    return others_ && holds_pod(*others_, gang, podset, index);
}

const std::shared_ptr<const Holdings>& NodeHoldings::all() const {
    std::call_once(is_made_, [this] {
        if (pods_.empty() && others_) {
            all_ = others_;
            return;
        }
        auto all = std::make_shared<Holdings>(others_ ? *others_ : Holdings{});
        for (const HeldPod& pod : pods_) {
            all->emplace(owner_of(pod),
                         Holding{pod.gang->podsets[pod.podset].request,
                                 *pod.placement,
                                 Status::feasible});
        }
        all_ = std::move(all);
    });
    return all_;
}

NodeHoldingsPtr fold_holdings(const NodeHoldings& before, const Holdings& now) {
    std::vector<HeldPod> pods;
    auto others = std::make_shared<Holdings>(now);
    for (const HeldPod& pod : before.pods()) {
        const auto held = others->find(owner_of(pod));
        if (held != others->end() && held->second.placement == *pod.placement &&
            held->second.request == pod.gang->podsets[pod.podset].request) {
            pods.push_back(pod);
            others->erase(held);
        }
    }
    return std::make_shared<const NodeHoldings>(std::move(pods), std::move(others));
}

}  // namespace topoalloc
