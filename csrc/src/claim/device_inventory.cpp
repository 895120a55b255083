// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/device_inventory.hpp"

#include "claim/best_fit.hpp"
#include "claim/first_fit.hpp"
#include "claim/node_devices.hpp"
#include "claim/node_view.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace topoalloc {
namespace {

using PoolKey = std::pair<std::string, std::string>;  // driver, pool

PoolKey key_of(const DeviceSlice& slice) {
    return {slice.driver, slice.pool};
}

struct StoredPool {
    std::map<std::string, StoredSlicePtr> slices;
    std::map<std::string, TakenDevices> taken;  ///< by claim
    std::set<std::string> nodes;                ///< that its slices name
    bool is_wide = false;                       ///< it may matter on other nodes, too
};

// No node has it.
const ClaimNode& other_node() {
    static const ClaimNode node{" ", {}};
    return node;
}

}  // namespace

struct DeviceInventory::Impl {
    explicit Impl(ClaimSemantics of) : semantics(of) {}

    // What a pool is to nodes has changed: those that see it look anew.
    void refresh(const PoolKey& key) {
        const auto it = pools.find(key);
        if (it == pools.end()) {
            return;
        }
        StoredPool& pool = it->second;
        forget_views(pool);
        for (const std::string& node : pool.nodes) {
            const auto of = pools_of.find(node);
            of->second.erase(key);
            if (of->second.empty()) {
                pools_of.erase(of);
            }
        }
        wide.erase(key);
        read_targets(pool);
        forget_views(pool);
        for (const std::string& node : pool.nodes) {
            pools_of[node].insert(key);
        }
        if (pool.is_wide) {
            wide.insert(key);
        }
        if (pool.slices.empty() && pool.taken.empty()) {
            pools.erase(it);
        }
    }

    void forget_views(const StoredPool& pool) {
        if (pool.is_wide) {
            views.clear();
        }
        for (const std::string& node : pool.nodes) {
            views.erase(node);
        }
    }

    void read_targets(StoredPool& pool) const {
        pool.nodes.clear();
        pool.is_wide = false;
        for (const auto& [name, stored] : pool.slices) {
            const NodeTarget& target = stored->slice.target;
            if (target.kind == NodeTarget::Kind::name) {
                pool.nodes.insert(target.name);
            } else {
                pool.is_wide = true;
            }
        }
        // Counter sets are for every node. Where no device is, all that can come of
        // them is that the pool is incomplete or invalid.
        if (!pool.is_wide) {
            const NodeViewPtr elsewhere = view_of_pools({&pool}, other_node());
            pool.is_wide = std::ranges::any_of(
                elsewhere->node.pools,
                [](const NodePool& seen) { return seen.state != PoolState::usable; });
        }
    }

    [[nodiscard]] NodeViewPtr view_of(const std::string& name) {
        NodeViewPtr& known = views[name];
        if (!known) {
            known = make_view(name);
        }
        return known;
    }

    [[nodiscard]] NodeViewPtr make_view(const std::string& name) const {
        std::set<PoolKey> keys = wide;
        if (const auto it = pools_of.find(name); it != pools_of.end()) {
            keys.insert(it->second.begin(), it->second.end());
        }
        std::vector<const StoredPool*> from;
        for (const PoolKey& key : keys) {
            from.push_back(&pools.at(key));
        }
        const auto node = nodes.find(name);
        return view_of_pools(from,
                             node == nodes.end() ? ClaimNode{name, {}} : node->second);
    }

    [[nodiscard]] NodeViewPtr view_of_pools(const std::vector<const StoredPool*>& from,
                                            const ClaimNode& node) const {
        auto view = std::make_shared<NodeView>();
        view->name = node;
        view->semantics = semantics;
        std::unordered_map<const DeviceSlice*, const StoredSlice*> stored_of;
        for (const StoredPool* pool : from) {
            view->taken.insert(
                view->taken.end(), pool->taken.begin(), pool->taken.end());
            for (const auto& [name, stored] : pool->slices) {
                view->slices.push_back(stored);
                stored_of.emplace(&stored->slice, stored.get());
            }
        }
        view->node = devices_without(*view, {});
        for (const NodeDevice& device : view->node.devices) {
            const StoredSlice* stored = stored_of.at(device.slice);
            const auto index =
                static_cast<std::size_t>(device.device - stored->slice.devices.data());
            view->slice_of.push_back(stored);
            view->outcomes.push_back(stored->outcomes[index]);
        }
        return view;
    }

    ClaimSemantics semantics;
    std::mutex mutex;
    std::map<std::string, PoolKey> pool_of_slice;
    std::map<PoolKey, StoredPool> pools;
    std::unordered_map<std::string, std::set<PoolKey>> pools_of;  // by node
    std::set<PoolKey> wide;
    std::map<std::string, std::set<PoolKey>> pools_of_claim;
    std::map<std::string, ClaimNode> nodes;
    std::unordered_map<std::string, NodeViewPtr> views;
    OutcomeRecords records;
};

namespace {

// What the selectors of claims say of the devices of a node, in the order in which they
// are asked: after one that is not true the next ones are not.
class OutcomeReader {
  public:
    OutcomeReader(const NodeView& view, const PreparedClaims& claims)
        : view_(view),
          claims_(claims),
          outcomes_(claims.selectors.size(),
                    std::vector<SelectorOutcome>(view.outcomes.size())) {}

    SelectorOutcomes run(std::vector<SelectorGap>& gaps) {
        for (const ResourceClaimSpec& claim : claims_.claims) {
            for (const ClaimRequest& request : claim.requests) {
                for (const ClaimDemand& demand : request.demands) {
                    read(demand, gaps);
                }
            }
        }
        return std::move(outcomes_);
    }

  private:
    void read(const ClaimDemand& demand, std::vector<SelectorGap>& gaps) {
        for (std::size_t d = 0; d < view_.outcomes.size(); ++d) {
            for (const std::size_t selector : demand.selectors) {
                const std::size_t number = claims_.selectors[selector];
                const auto outcome = view_.outcomes[d]->of(number);
                if (!outcome &&
                    asked_.insert({number, view_.outcomes[d].get()}).second) {
                    gaps.push_back({number, place_of(view_, d)});
                }
                outcomes_[selector][d] = outcome.value_or(SelectorOutcome::no);
                if (outcome != SelectorOutcome::yes) {
                    break;
                }
            }
        }
    }

    const NodeView& view_;
    const PreparedClaims& claims_;
    SelectorOutcomes outcomes_;
    std::set<std::pair<std::size_t, const OutcomeRecord*>> asked_;
};

}  // namespace

DeviceInventory::DeviceInventory(ClaimSemantics semantics)
    : impl_(std::make_unique<Impl>(semantics)) {}

DeviceInventory::~DeviceInventory() = default;

void DeviceInventory::set_slice(DeviceSlice slice) {
    const std::scoped_lock lock(impl_->mutex);
    auto stored = std::make_shared<StoredSlice>();
    for (const SliceDevice& device : slice.devices) {
        stored->outcomes.push_back(impl_->records.of(device, slice.driver));
    }
    const std::string name = slice.name;
    const PoolKey key = key_of(slice);
    stored->slice = std::move(slice);
    const auto [it, is_new] = impl_->pool_of_slice.try_emplace(name, key);
    const PoolKey before = std::exchange(it->second, key);
    if (!is_new && before != key) {
        impl_->pools.at(before).slices.erase(name);
        impl_->refresh(before);
    }
    impl_->pools[key].slices[name] = std::move(stored);
    impl_->refresh(key);
}

bool DeviceInventory::remove_slice(const std::string& name) {
    const std::scoped_lock lock(impl_->mutex);
    const auto it = impl_->pool_of_slice.find(name);
    if (it == impl_->pool_of_slice.end()) {
        return false;
    }
    const PoolKey key = it->second;
    impl_->pool_of_slice.erase(it);
    impl_->pools.at(key).slices.erase(name);
    impl_->refresh(key);
    return true;
}

void DeviceInventory::set_node(ClaimNode node) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->views.erase(node.name);
    std::string name = node.name;
    impl_->nodes.insert_or_assign(std::move(name), std::move(node));
}

bool DeviceInventory::remove_node(const std::string& name) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->views.erase(name);
    return impl_->nodes.erase(name) != 0;
}

void DeviceInventory::set_taken(const std::string& claim,
                                std::vector<TakenDevice> devices) {
    const std::scoped_lock lock(impl_->mutex);
    std::set<PoolKey> keys;
    if (const auto it = impl_->pools_of_claim.find(claim);
        it != impl_->pools_of_claim.end()) {
        keys = std::move(it->second);
        impl_->pools_of_claim.erase(it);
    }
    for (const PoolKey& key : keys) {
        impl_->pools.at(key).taken.erase(claim);
    }
    std::map<PoolKey, std::vector<TakenDevice>> now;
    for (TakenDevice& device : devices) {
        now[{device.id.driver, device.id.pool}].push_back(std::move(device));
    }
    std::set<PoolKey>& held = impl_->pools_of_claim[claim];
    for (auto& [key, taken] : now) {
        impl_->pools[key].taken[claim] =
            std::make_shared<const std::vector<TakenDevice>>(std::move(taken));
        held.insert(key);
        keys.insert(key);
    }
    for (const PoolKey& key : keys) {
        impl_->refresh(key);
    }
    if (held.empty()) {
        impl_->pools_of_claim.erase(claim);
    }
}

void DeviceInventory::set_outcome(const SelectorGap& gap, SelectorOutcome outcome) {
    const std::scoped_lock lock(impl_->mutex);
    const auto it = impl_->pool_of_slice.find(gap.place.slice);
    if (it == impl_->pool_of_slice.end()) {
        return;
    }
    const StoredSlice& stored = *impl_->pools.at(it->second).slices.at(gap.place.slice);
    if (gap.place.device < stored.outcomes.size()) {
        stored.outcomes[gap.place.device]->set(gap.selector, outcome);
    }
}

void DeviceInventory::forget_outcomes() {
    const std::scoped_lock lock(impl_->mutex);
    impl_->records.clear();
}

std::vector<std::string> DeviceInventory::node_names() const {
    const std::scoped_lock lock(impl_->mutex);
    std::set<std::string> names;
    for (const auto& [name, node] : impl_->nodes) {
        names.insert(name);
    }
    for (const auto& [key, pool] : impl_->pools) {
        names.insert(pool.nodes.begin(), pool.nodes.end());
        for (const auto& [slice, stored] : pool.slices) {
            for (const SliceDevice& device : stored->slice.devices) {
                if (device.target.kind == NodeTarget::Kind::name) {
                    names.insert(device.target.name);
                }
            }
        }
    }
    return {names.begin(), names.end()};
}

InventoryAnswer DeviceInventory::ask(const std::string& node,
                                     const PreparedClaims& claims,
                                     ClaimChoice choice,
                                     SearchLimits limits) const {
    InventoryAnswer out;
    {
        const std::scoped_lock lock(impl_->mutex);
        out.view = impl_->view_of(node);
        out.outcomes = OutcomeReader(*out.view, claims).run(out.gaps);
    }
    if (!out.gaps.empty()) {
        return out;
    }
    CompiledClaims compiled =
        compile_claims(out.view->node, claims.claims, out.outcomes, impl_->semantics);
    out.answer = choice == ClaimChoice::first_fit
                     ? first_fit_of(std::move(compiled), limits)
                     : best_fit_of(std::move(compiled), limits);
    return out;
}

NodeDevices devices_without(const NodeView& view,
                            const std::vector<std::string>& claims) {
    NodeSources sources{{}, {}, view.name, view.semantics};
    for (const StoredSlicePtr& stored : view.slices) {
        sources.slices.push_back(&stored->slice);
    }
    for (const auto& [claim, devices] : view.taken) {
        if (std::ranges::find(claims, claim) == claims.end()) {
            for (const TakenDevice& taken : *devices) {
                sources.taken.push_back(&taken);
            }
        }
    }
    return view_node(sources);
}

SlicePlace place_of(const NodeView& view, std::size_t position) {
    const DeviceSlice& slice = view.slice_of[position]->slice;
    const SliceDevice* device = view.node.devices[position].device;
    return {slice.name, static_cast<std::size_t>(device - slice.devices.data())};
}

DeviceId device_of(const NodeView& view, std::size_t position) {
    const NodeDevice& device = view.node.devices[position];
    return {device.slice->driver, device.slice->pool, device.device->name};
}

}  // namespace topoalloc
