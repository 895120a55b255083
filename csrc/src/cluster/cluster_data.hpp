// SPDX-License-Identifier: Apache-2.0
//
// ClusterData: nodes, Domains and Gangs as values. A copy takes constant time and
// shares all until one of the two changes. Not thread-safe: Cluster locks. Private to
// the cluster room.
#pragma once

#include "base/chunked_map.hpp"
#include "base/paged_vector.hpp"
#include "cluster/cluster_layout.hpp"
#include "cluster/node_class.hpp"
#include "cluster/node_holdings.hpp"
#include "cluster/shape_sums.hpp"
#include "topoalloc/cluster.hpp"

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace topoalloc {

/// A node's value for a level; one that gives none comes after all others.
struct DomainValue {
    bool is_missing = true;
    std::string text;
    [[nodiscard]] auto operator<=>(const DomainValue&) const = default;
};

struct NodeInfo {
    NodeDescription described;
    std::vector<DomainValue> values;     ///< by level
    std::vector<std::uint32_t> domains;  ///< by level; no_index: none
    std::uint64_t sequence = 0;          ///< of insertion
    std::uint32_t traits = 0;            ///< equal labels and taints have equal numbers
};

struct NodeEntry {
    std::shared_ptr<const NodeInfo> info;  ///< null: the slot is free
    NodeClassPtr state;
    NodeHoldingsPtr holdings;
    bool cordoned = false;
};

/// What of a NodeEntry most questions read, close together.
struct NodeKey {
    std::uint32_t state = 0;  ///< NodeClass::number
    std::uint32_t traits : 31 = 0;
    std::uint32_t cordoned : 1 = 0;
};

/// A level, and the tree that it is of.
struct ClusterLevel {
    std::string name;
    std::uint32_t tree = 0;
    std::uint32_t first = 0;  ///< the coarsest level of the tree
};

class ClusterData {
  public:
    /// @throws InvalidRequestError as Cluster
    ClusterData(std::vector<ClusterTree> trees, Policy policy);

    [[nodiscard]] const std::vector<ClusterTree>& trees() const { return *trees_; }
    [[nodiscard]] const std::vector<ClusterLevel>& levels() const { return *levels_; }
    [[nodiscard]] std::vector<std::string> level_names() const;
    [[nodiscard]] ClassPool& pool() const { return *pool_; }

    [[nodiscard]] std::size_t size() const { return names_->size(); }
    [[nodiscard]] bool contains(const std::string& name) const {
        return names_->contains(name);
    }
    [[nodiscard]] std::optional<std::uint32_t> find_slot(
        const std::string& name) const {
        const auto it = names_->find(name);
        return it == names_->end() ? std::nullopt : std::optional(it->second);
    }
    /// @throws StateError when there is none of that name
    [[nodiscard]] std::uint32_t slot_of(const std::string& name) const;
    [[nodiscard]] const NodeEntry& node(std::uint32_t slot) const {
        return nodes_[slot];
    }
    [[nodiscard]] NodeKey key(std::uint32_t slot) const { return keys_[slot]; }
    /// No number of a state or of traits is as large.
    [[nodiscard]] std::uint32_t state_numbers() const { return state_numbers_; }
    [[nodiscard]] std::uint32_t traits_numbers() const {
        return static_cast<std::uint32_t>(traits_->size());
    }
    [[nodiscard]] const ClusterLayout& layout() const;
    /// Slots in node order.
    [[nodiscard]] const std::vector<std::uint32_t>& order() const {
        return layout().order;
    }
    [[nodiscard]] bool is_open(std::uint32_t level, std::uint32_t domain) const {
        return open_[level][domain] != 0;
    }
    [[nodiscard]] std::size_t domain_count(std::uint32_t level) const {
        return open_[level].size();
    }

    /// @throws StateError, InvalidRequestError as Cluster::add_nodes, before any change
    void add(std::vector<NodeDescription> nodes);
    void remove(std::uint32_t slot);
    void set_cordoned(std::uint32_t slot, bool cordoned);
    /// Another description of the same name and Machine.
    void describe(std::uint32_t slot, NodeDescription description);
    void set_books(std::uint32_t slot, NodeClassPtr state, NodeHoldingsPtr holdings);

    [[nodiscard]] const ChunkedMap<std::shared_ptr<const RunningGang>>& gangs() const {
        return gangs_;
    }
    void set_gang(const std::string& name, std::shared_ptr<const RunningGang> gang);
    void remove_gang(const std::string& name);

    /// Keeps sums of the Gang's shape from now on. Requires: it is checked.
    void keep_sums(const CountedGang& gang);
    /// The sums of its shape; null when they are not kept.
    [[nodiscard]] const ShapeSums* sums_of(const CountedGang& gang) const;

    /// @throws InternalError
    void check_consistency() const;

  private:
    using Path = std::vector<DomainValue>;
    using Names = std::unordered_map<std::string, std::uint32_t>;
    /// A node of each labels and taints, by their hash; the number stands in it.
    using Traits =
        std::unordered_multimap<std::size_t, std::shared_ptr<const NodeInfo>>;

    void set_entry(std::uint32_t slot, NodeEntry entry);
    [[nodiscard]] std::uint32_t traits_of(const std::shared_ptr<NodeInfo>& info);
    [[nodiscard]] std::shared_ptr<const NodeInfo> info_of(NodeDescription description,
                                                          std::uint64_t sequence);
    void demand_addable(const std::vector<NodeDescription>& nodes) const;
    void demand_levels(const NodeDescription& node) const;
    void count_open(const NodeEntry& entry, bool add);
    [[nodiscard]] ShapeSums::NodePods copies_on(const NodeEntry& entry,
                                                const PodShape& shape) const;
    void update_sums(std::uint32_t slot);
    void leave_sums(std::uint32_t slot);

    std::shared_ptr<const std::vector<ClusterTree>> trees_;
    std::shared_ptr<const std::vector<ClusterLevel>> levels_;
    std::shared_ptr<ClassPool> pool_;
    PagedVector<NodeEntry> nodes_;
    PagedVector<NodeKey, 512> keys_;  ///< by slot, too
    std::uint32_t state_numbers_ = 0;
    std::shared_ptr<Traits> traits_;
    std::shared_ptr<Names> names_;
    std::shared_ptr<std::vector<std::uint32_t>> free_slots_;
    /// By level: Domain numbers by path. They are never given up.
    std::shared_ptr<std::vector<std::map<Path, std::uint32_t>>> domains_;
    std::vector<PagedVector<std::uint32_t>> open_;  ///< by level: nodes with holdings
    ChunkedMap<std::shared_ptr<const RunningGang>> gangs_;
    std::vector<ShapeSums> sums_;
    std::uint64_t next_sequence_ = 0;
    /// Null when a change has made it stale; made anew when asked for.
    mutable std::shared_ptr<const ClusterLayout> layout_;
};

}  // namespace topoalloc
