// SPDX-License-Identifier: Apache-2.0
//
// PodBooks: pods put on nodes and taken off them, all in one change of the books.
// Private to the cluster room.
#pragma once

#include "cluster/cluster_data.hpp"
#include "topoalloc/cluster.hpp"

#include <map>
#include <memory>
#include <span>
#include <string>

namespace topoalloc {

/// True when the node of that name is there and the owner holds something on it.
[[nodiscard]] bool is_held(const ClusterData& data,
                           const std::string& node,
                           const std::string& owner);

/// @throws StaleError when one of the nodes is not what it was; a state that is null
///         may be any, and the node cordoned
/// @param may_be_cordoned  though the state matters
void demand_fresh(const ClusterData& data,
                  std::span<const GangPlan::Basis> nodes,
                  std::span<const std::string> may_be_cordoned = {});

class PodBooks {
  public:
    /// Keeps a reference. Nothing is changed before apply().
    explicit PodBooks(ClusterData& data) : data_(data) {}

    /// @returns false where the pod holds nothing: the node's own Allocator released
    ///          it, or the node is gone
    bool release(const Gang& gang, const PodPlace& pod);
    /// @throws StateError when the pod holds something there
    /// @throws StaleError when what it takes is not free
    void take(const Gang& gang, const PodPlace& pod);
    void apply();

  private:
    struct Change {
        std::shared_ptr<NodeState> state;
        std::shared_ptr<Holdings> holdings;
    };
    [[nodiscard]] Change& change_of(std::uint32_t slot);

    ClusterData& data_;
    std::map<std::uint32_t, Change> changes_;  ///< by slot
};

}  // namespace topoalloc
