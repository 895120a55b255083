// SPDX-License-Identifier: Apache-2.0
//
// NodeHoldings: who holds what on one node. Pods of Gangs are kept in few bytes, and
// share their Placements; other owners as an Allocator keeps them. A value that is
// never changed: copies of a Cluster share it. Private to the cluster room and what
// stands above it.
#pragma once

#include "topoalloc/allocator.hpp"
#include "topoalloc/gang.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace topoalloc {

using Holdings = std::map<std::string, Holding>;

/// A pod that holds its Placement.
struct HeldPod {
    std::shared_ptr<const Gang> gang;
    std::uint32_t podset = 0;
    std::uint32_t index = 0;
    std::shared_ptr<const Placement> placement;
};

class NodeHoldings {
  public:
    NodeHoldings() = default;
    /// @param others  owners that are no pods of a Gang; may be null. Requires: no
    /// owner
    ///                twice.
    NodeHoldings(std::vector<HeldPod> pods, std::shared_ptr<const Holdings> others);
    NodeHoldings(const NodeHoldings&) = delete;
    NodeHoldings& operator=(const NodeHoldings&) = delete;
    NodeHoldings(NodeHoldings&&) = delete;
    NodeHoldings& operator=(NodeHoldings&&) = delete;
    ~NodeHoldings() = default;

    [[nodiscard]] bool empty() const { return pods_.empty() && !others_; }
    [[nodiscard]] const std::vector<HeldPod>& pods() const { return pods_; }
    /// Null where there are none.
    [[nodiscard]] const std::shared_ptr<const Holdings>& others() const {
        return others_;
    }
    /// What a pod holds, if anything.
    [[nodiscard]] const Placement* find_pod(const Gang& gang,
                                            std::uint32_t podset,
                                            std::uint32_t index) const;
    [[nodiscard]] bool contains(const std::string& owner) const;
    /// A plain owner has the name of the pod.
    [[nodiscard]] bool is_other(const Gang& gang,
                                std::uint32_t podset,
                                std::uint32_t index) const;

    /// All by name, as an Allocator keeps them; made when it is first asked for.
    [[nodiscard]] const std::shared_ptr<const Holdings>& all() const;
    [[nodiscard]] Holdings::const_iterator begin() const { return all()->begin(); }
    [[nodiscard]] Holdings::const_iterator end() const { return all()->end(); }
    [[nodiscard]] Holdings::const_iterator find(const std::string& owner) const {
        return all()->find(owner);
    }
    [[nodiscard]] const Holding& at(const std::string& owner) const {
        return all()->at(owner);
    }

  private:
    std::vector<HeldPod> pods_;
    std::shared_ptr<const Holdings> others_;
    mutable std::once_flag is_made_;
    mutable std::shared_ptr<const Holdings> all_;
};
using NodeHoldingsPtr = std::shared_ptr<const NodeHoldings>;

/// The pod has that name among owners.
[[nodiscard]] bool is_owner(const HeldPod& pod,
                            const Gang& gang,
                            std::uint32_t podset,
                            std::uint32_t index);

/// An owner has the name of the pod.
[[nodiscard]] bool holds_pod(const Holdings& holdings,
                             const Gang& gang,
                             std::uint32_t podset,
                             std::uint32_t index);

/// What an Allocator made of the holdings: pods that hold what they held stay pods.
[[nodiscard]] NodeHoldingsPtr fold_holdings(const NodeHoldings& before,
                                            const Holdings& now);

}  // namespace topoalloc
