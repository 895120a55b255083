// SPDX-License-Identifier: Apache-2.0
//
// NodeClass: a state that some nodes are in, kept once, with what has been found out
// about it. Nodes in equal states ask each question once. Private to the cluster room.
#pragma once

#include "cluster/gang_problem.hpp"
#include "topoalloc/allocator.hpp"

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace topoalloc {

using Requests = std::vector<std::shared_ptr<const Request>>;  ///< by PodSet

/// How many copies of a Request fit, and what it took to know.
struct KnownHeadroom {
    std::shared_ptr<const Request> request;
    std::uint64_t max_steps = 0;
    HeadroomResult result;
};

/// What fits of several Requests together.
struct KnownTable {
    Requests requests;
    CountVector most;  ///< no vector goes further
    std::uint64_t max_steps = 0;
    CountTable table;
    std::uint64_t steps = 0;
};

struct NodeClass {
    std::shared_ptr<NodeState> state;  ///< never changed
    std::size_t hash = 0;

    mutable std::mutex mutex;
    mutable std::vector<KnownHeadroom> headrooms;  ///< under the mutex
    mutable std::vector<KnownTable> tables;        ///< under the mutex
};
using NodeClassPtr = std::shared_ptr<const NodeClass>;

/// The classes of a Cluster and its forks, and Requests compiled for their Machines.
/// Thread-safe.
class ClassPool {
  public:
    explicit ClassPool(Policy policy) : policy_(policy) {}

    [[nodiscard]] Policy policy() const { return policy_; }

    /// The class of a state; the caller must not change it any more.
    [[nodiscard]] NodeClassPtr intern(std::shared_ptr<NodeState> state);

    /// Null when the Machine lacks a device that the Request names.
    /// @throws InvalidRequestError when the Request has no meaning on any Machine
    [[nodiscard]] std::shared_ptr<const CompiledRequest> compiled(
        const std::shared_ptr<const Machine>& machine,
        const std::shared_ptr<const Request>& request);

    [[nodiscard]] HeadroomResult headroom(const NodeClass& of,
                                          const std::shared_ptr<const Request>& request,
                                          std::uint64_t max_steps);

    /// What a node holds of these Requests, no further than `most`. Steps are added,
    /// known or not: equal questions cost equal steps.
    [[nodiscard]] CountTable table(const NodeClass& of,
                                   const Requests& requests,
                                   const CountVector& most,
                                   std::uint64_t max_steps,
                                   std::uint64_t& steps);

    /// Placements of so many of each Request, PodSet by PodSet; nullopt when none were
    /// found.
    [[nodiscard]] std::optional<std::vector<std::shared_ptr<const Placement>>>
    placements(const NodeClass& of, const Requests& requests, const CountVector& pods);

  private:
    struct Compiled {
        std::shared_ptr<const Machine> machine;
        std::shared_ptr<const Request> request;
        std::shared_ptr<const CompiledRequest> compiled;
    };

    Policy policy_;
    std::mutex mutex_;
    std::unordered_multimap<std::size_t, std::weak_ptr<const NodeClass>> classes_;
    std::size_t purge_at_ = 1024;
    std::unordered_multimap<const Machine*, Compiled> compiled_;
};

}  // namespace topoalloc
