// SPDX-License-Identifier: Apache-2.0
//
// InventoryStore: what a DeviceInventory holds, and what each node sees of it, worked
// out once and kept until something of it changes. Not thread-safe. Private to the
// claim room.
#pragma once

#include "claim/node_form.hpp"
#include "claim/node_view.hpp"
#include "claim/selector_outcomes.hpp"
#include "topoalloc/device_inventory.hpp"

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace topoalloc {

using PoolKey = std::pair<std::string, std::string>;  // driver, pool

[[nodiscard]] inline PoolKey key_of(const DeviceSlice& slice) {
    return {slice.driver, slice.pool};
}

struct StoredPool {
    std::map<std::string, StoredSlicePtr> slices;
    std::map<std::string, TakenDevices> taken;  ///< by claim
    std::set<std::string> nodes;                ///< that its slices name
    bool is_wide = false;                       ///< it may matter on other nodes, too
};

struct SeenNode {
    NodeViewPtr view;
    NodeForms forms;
};

struct InventoryStore {
    explicit InventoryStore(ClaimSemantics of) : semantics(of) {}

    /// What a pool is to nodes has changed: those that see it look anew.
    void refresh(const PoolKey& key);
    [[nodiscard]] SeenNode& node_of(const std::string& name);
    void forget_forms_if_many();

    ClaimSemantics semantics;
    std::map<std::string, PoolKey> pool_of_slice;
    std::map<PoolKey, StoredPool> pools;
    std::unordered_map<std::string, std::set<PoolKey>> pools_of;  ///< by node
    std::set<PoolKey> wide;
    std::map<std::string, std::set<PoolKey>> pools_of_claim;
    std::map<std::string, ClaimNode> nodes;
    std::unordered_map<std::string, SeenNode> views;
    FormNumbers forms;
    std::uint64_t revision = 0;  ///< of what selectors say
    OutcomeRecords records;

  private:
    void forget_views(const StoredPool& pool);
    void read_targets(StoredPool& pool) const;
    [[nodiscard]] NodeViewPtr make_view(const std::string& name) const;
    [[nodiscard]] NodeViewPtr view_of_pools(const std::vector<const StoredPool*>& from,
                                            const ClaimNode& node) const;
};

struct DeviceInventory::Impl : InventoryStore {
    using InventoryStore::InventoryStore;
    std::mutex mutex;
};

}  // namespace topoalloc
