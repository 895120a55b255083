// SPDX-License-Identifier: Apache-2.0
//
// NodeClass: a state that some nodes are in, kept once, with what has been found out
// about it. Nodes in equal states ask each question once. Private to the cluster room.
#pragma once

#include "cluster/gang_problem.hpp"
#include "topoalloc/allocator.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace topoalloc {

using Requests = std::vector<std::shared_ptr<const Request>>;  ///< by PodSet

using Placements = std::vector<std::shared_ptr<const Placement>>;

/// A Request as a ClassPool knows it: equal ones have equal numbers.
struct KnownRequest {
    std::shared_ptr<const Request> request;
    std::uint64_t number = 0;
};

/// How many copies of a Request fit, and what it took to know.
struct KnownHeadroom {
    std::uint64_t request = 0;
    std::uint64_t max_steps = 0;
    HeadroomResult result;
};

/// What fits of several Requests together.
struct KnownTable {
    std::vector<std::uint64_t> requests;
    CountVector most;  ///< no vector goes further
    std::uint64_t max_steps = 0;
    CountTable table;
    std::uint64_t steps = 0;
};

/// Where so many of each Request are put.
struct KnownPlacements {
    std::vector<std::uint64_t> requests;
    CountVector pods;
    std::optional<Placements> placements;
};

struct NodeClass;
/// The class that a node is in when these have been taken, or released.
struct KnownNext {
    bool is_release = false;
    Placements placements;  ///< the same objects in the same order
    std::weak_ptr<const NodeClass> next;
};

/// The smallest numbers that are not in use, so that tables by number stay short.
/// Thread-safe.
class NumberStock {
  public:
    [[nodiscard]] std::uint32_t take();
    void give_back(std::uint32_t number);

  private:
    std::mutex mutex_;
    std::vector<std::uint32_t> free_;
    std::uint32_t next_ = 0;
};

struct NodeClass {
    NodeClass(std::shared_ptr<NodeState> of, std::shared_ptr<NumberStock> stock)
        : state(std::move(of)), numbers(std::move(stock)), number(numbers->take()) {}
    NodeClass(const NodeClass&) = delete;
    NodeClass& operator=(const NodeClass&) = delete;
    NodeClass(NodeClass&&) = delete;
    NodeClass& operator=(NodeClass&&) = delete;
    ~NodeClass() { numbers->give_back(number); }

    const std::shared_ptr<NodeState> state;  ///< never changed
    const std::shared_ptr<NumberStock> numbers;
    const std::uint32_t number;  ///< of no other class that is alive

    mutable std::mutex mutex;
    // Under the mutex. Each is emptied where it becomes long.
    mutable std::vector<KnownHeadroom> headrooms;
    mutable std::vector<KnownTable> tables;
    mutable std::vector<KnownPlacements> placements;
    mutable std::vector<KnownNext> next;
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

    /// To be asked once where many classes are asked of one Request.
    [[nodiscard]] KnownRequest known(const std::shared_ptr<const Request>& request);

    [[nodiscard]] HeadroomResult headroom(const NodeClass& of,
                                          const KnownRequest& request,
                                          std::uint64_t max_steps);
    [[nodiscard]] HeadroomResult headroom(const NodeClass& of,
                                          const std::shared_ptr<const Request>& request,
                                          std::uint64_t max_steps) {
        return headroom(of, known(request), max_steps);
    }

    /// What a node holds of these Requests, no further than `most`. Steps are added,
    /// known or not: equal questions cost equal steps.
    [[nodiscard]] CountTable table(const NodeClass& of,
                                   const Requests& requests,
                                   const CountVector& most,
                                   std::uint64_t max_steps,
                                   std::uint64_t& steps);

    /// Placements of so many of each Request, PodSet by PodSet; nullopt when none were
    /// found. Equal questions have the same answer: the objects are shared.
    [[nodiscard]] std::optional<Placements> placements(const NodeClass& of,
                                                       const Requests& requests,
                                                       const CountVector& pods);

    /// The class after all these have been taken, or released, in their order; null
    /// when one of those to be taken is not free.
    /// Requires: those to be released are held.
    [[nodiscard]] NodeClassPtr after(const NodeClass& of,
                                     const Placements& placements,
                                     bool is_release);

  private:
    struct Compiled {
        std::shared_ptr<const Machine> machine;
        std::shared_ptr<const CompiledRequest> compiled;
    };
    struct Numbered {
        std::shared_ptr<const Request> request;
        std::uint64_t number = 0;
    };

    [[nodiscard]] std::shared_ptr<const CompiledRequest> compiled(
        const std::shared_ptr<const Machine>& machine, const KnownRequest& request);
    [[nodiscard]] std::vector<std::uint64_t> numbers_of(const Requests& requests);
    [[nodiscard]] std::optional<Placements> make_placements(const NodeClass& of,
                                                            const Requests& requests,
                                                            const CountVector& pods);

    Policy policy_;
    std::shared_ptr<NumberStock> numbers_ = std::make_shared<NumberStock>();
    std::mutex mutex_;
    std::unordered_multimap<std::size_t, std::weak_ptr<const NodeClass>> classes_;
    std::size_t purge_at_ = 1024;
    /// The last ones that were made: nodes come back to states that they were in.
    std::vector<NodeClassPtr> recent_;
    std::size_t next_recent_ = 0;
    std::mutex requests_mutex_;
    /// By identity, and by content: what stands here is alive.
    std::unordered_map<const Request*, Numbered> by_identity_;
    std::unordered_multimap<std::size_t, Numbered> by_content_;
    std::uint64_t next_request_ = 0;
    std::map<std::pair<const Machine*, std::uint64_t>, Compiled> compiled_;
};

}  // namespace topoalloc
