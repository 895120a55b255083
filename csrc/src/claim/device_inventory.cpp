// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/device_inventory.hpp"

#include "claim/inventory_store.hpp"
#include "claim/outcome_reader.hpp"
#include "claim/view_answer.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace topoalloc {

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
        ++impl_->revision;
    }
}

void DeviceInventory::forget_outcomes() {
    const std::scoped_lock lock(impl_->mutex);
    impl_->records.clear();
    ++impl_->revision;
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
        OutcomeReader reader(claims);
        out.view = impl_->node_of(node).view;
        out.outcomes = reader.of(*out.view);
        out.gaps = reader.take_gaps();
    }
    if (out.gaps.empty()) {
        out.answer = answer_of(out, claims, choice, limits);
    }
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
