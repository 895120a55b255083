// SPDX-License-Identifier: Apache-2.0
//
// PodBooks: pods put on nodes and taken off them, all in one change of the books.
// Private to the cluster room.
#pragma once

#include "cluster/cluster_data.hpp"
#include "topoalloc/cluster.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

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

/// @throws StateError when a plain owner has the name of a pod on the pod's node
void demand_own_names(const ClusterData& data, const GangPlan& plan);
/// Likewise of what moves; a pod may get another Placement where it is.
void demand_own_names(const ClusterData& data, const std::vector<PodMove>& moves);

/// What pods release is released before others take.
class PodBooks {
  public:
    /// Keeps a reference. Nothing is changed before apply().
    explicit PodBooks(ClusterData& data) : data_(data) {}

    /// @returns false where the pod holds nothing: the node's own Allocator released
    ///          it, or the node is gone
    bool release(const Gang& gang, const PodPlace& pod);
    /// @throws StateError when the pod holds something there
    void take(const std::shared_ptr<const Gang>& gang, const PodPlace& pod);
    /// @throws StaleError when what a pod takes is not free; then nothing is changed
    void apply();

  private:
    struct Change {
        std::vector<HeldPod> pods;  ///< that stay and come; without a Gang: gone
        std::shared_ptr<const Holdings> others;
        std::shared_ptr<Holdings> own_others;  ///< `others`, once it is a copy
        Placements released, taken;
        std::size_t next = 0;  ///< pods mostly go in the order in which they are held
    };
    [[nodiscard]] static HeldPod* find_pod(Change& change,
                                           const Gang& gang,
                                           const PodPlace& pod);
    [[nodiscard]] Change& change_of(std::uint32_t slot);
    [[nodiscard]] std::optional<std::uint32_t> find_slot(const std::string& node);
    [[nodiscard]] NodeClassPtr state_after(std::uint32_t slot,
                                           const Change& change) const;
    [[noreturn]] void refuse(std::uint32_t slot, const Change& change) const;

    ClusterData& data_;
    std::map<std::uint32_t, Change> changes_;  ///< by slot
    /// Those of the last pod: neighbours mostly lie on one node.
    const std::string* last_node_ = nullptr;
    std::uint32_t last_slot_ = 0;
    Change* last_change_ = nullptr;
};

}  // namespace topoalloc
