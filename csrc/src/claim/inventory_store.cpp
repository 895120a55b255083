// SPDX-License-Identifier: Apache-2.0
#include "claim/inventory_store.hpp"

#include "claim/node_devices.hpp"

#include <algorithm>

namespace topoalloc {
namespace {

constexpr std::size_t most_forms = std::size_t{1} << 16U;

// No node has it.
const ClaimNode& other_node() {
    static const ClaimNode node{" ", {}};
    return node;
}

}  // namespace

void InventoryStore::refresh(const PoolKey& key) {
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

SeenNode& InventoryStore::node_of(const std::string& name) {
    SeenNode& known = views[name];
    if (!known.view) {
        known.view = make_view(name);
    }
    return known;
}

void InventoryStore::forget_forms_if_many() {
    if (forms.size() > most_forms) {
        forms.clear();
        for (auto& [name, seen] : views) {
            seen.forms = {};
        }
    }
}

void InventoryStore::forget_views(const StoredPool& pool) {
    if (pool.is_wide) {
        views.clear();
    }
    for (const std::string& node : pool.nodes) {
        views.erase(node);
    }
}

void InventoryStore::read_targets(StoredPool& pool) const {
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

NodeViewPtr InventoryStore::make_view(const std::string& name) const {
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

NodeViewPtr InventoryStore::view_of_pools(const std::vector<const StoredPool*>& from,
                                          const ClaimNode& node) const {
    auto view = std::make_shared<NodeView>();
    view->name = node;
    view->semantics = semantics;
    std::unordered_map<const DeviceSlice*, const StoredSlice*> stored_of;
    for (const StoredPool* pool : from) {
        view->taken.insert(view->taken.end(), pool->taken.begin(), pool->taken.end());
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

}  // namespace topoalloc
