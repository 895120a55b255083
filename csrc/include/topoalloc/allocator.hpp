// SPDX-License-Identifier: Apache-2.0
//
// Allocator: a Machine, what is free on it, and who owns the rest.
//
// States: an owner holds one Placement or none. Every method either does the whole of
// what it says or throws and changes nothing. All methods lock one mutex: calls from
// many threads are safe and each is atomic.
#pragma once

#include "topoalloc/solver.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc {

/// What one owner holds; `request` is null when it was recorded by take().
struct Holding {
    std::shared_ptr<const Request> request;
    Placement placement;
    Status status = Status::feasible;  ///< as it was chosen; feasible where not known
};

/// The answer for one question, with what is needed to explain it later.
struct Verdict {
    Answer answer;
    std::shared_ptr<const CompiledRequest> request;
    /// As it was when asked; shared until a change. Null when allocate() took the
    /// answer: keeping the state would cost a copy of it on every call.
    std::shared_ptr<const NodeState> state;
    Policy policy;
    SearchLimits limits;
    std::string owner;
    std::shared_ptr<const Placement> keep_from;  ///< of a resize: what the owner held
    /// Who held what when asked, shared until a change, as `state` is: what an
    /// Explanation and a Decision record need. May be null when the answer was taken.
    std::shared_ptr<const std::map<std::string, Holding>> holdings;
};

/// The answers for many owners in turn, and what the state of each is made of.
struct BatchAnswers {
    std::vector<Verdict> verdicts;           ///< without state and holdings
    std::vector<bool> is_new;                ///< false: the owner held it before
    std::shared_ptr<const NodeState> state;  ///< before the first
    std::shared_ptr<const std::map<std::string, Holding>> holdings;
};
/// One of the verdicts with the state that it was asked on. Requires: there is one.
[[nodiscard]] Verdict asked(const BatchAnswers& batch, std::size_t index);

struct HeadroomResult {
    std::uint32_t count = 0;  ///< copies that were placed at once
    std::uint32_t upper = 0;  ///< no more than this fit; equal to count: a proof
    std::uint64_t steps = 0;
};

struct BatchVerdict {
    Status status = Status::infeasible;
    Reason reason = Reason::placed;
    Cost cost;  ///< of the batch, docs/objective.md section 4
    std::uint64_t steps = 0;
    std::vector<Placement> placements;  ///< in the order of the requests
    /// What was asked of, shared until a change: for the record and the explanation.
    std::shared_ptr<const NodeState> state;
    std::shared_ptr<const std::map<std::string, Holding>> holdings;
};

/// What an Allocator keeps: what is free, and who owns the rest. Both are copied before
/// a change when another shares them.
struct NodeBooks {
    std::shared_ptr<NodeState> state;
    std::shared_ptr<std::map<std::string, Holding>> holdings;
};

/// Where the books of a node are, when they are not the Allocator's own.
class NodeStore {
  public:
    NodeStore() = default;
    NodeStore(const NodeStore&) = delete;
    NodeStore& operator=(const NodeStore&) = delete;
    NodeStore(NodeStore&&) = delete;
    NodeStore& operator=(NodeStore&&) = delete;
    virtual ~NodeStore() = default;

    /// What guards load() and save().
    [[nodiscard]] virtual std::mutex& mutex() = 0;
    /// @throws StateError when the node is no more
    [[nodiscard]] virtual NodeBooks load() = 0;
    virtual void save(const NodeBooks& books) = 0;
};

class Allocator {
  public:
    using NamedRequest = std::pair<std::string, std::shared_ptr<const CompiledRequest>>;

    /// @param reserved_pus  logical; never handed out
    /// @throws InvalidRequestError when a PU is not on the Machine, or validate() does
    explicit Allocator(std::shared_ptr<const Machine> machine,
                       const Bitmap& reserved_pus = {},
                       Policy policy = {});
    /// One whose books are kept elsewhere: each call reads them there, and writes what
    /// it has changed.
    Allocator(std::shared_ptr<const Machine> machine,
              Policy policy,
              std::shared_ptr<NodeStore> store);
    Allocator(const Allocator&) = delete;
    Allocator& operator=(const Allocator&) = delete;
    Allocator(Allocator&&) = delete;
    Allocator& operator=(Allocator&&) = delete;
    ~Allocator() = default;

    [[nodiscard]] const std::shared_ptr<const Machine>& machine() const {
        return machine_;
    }
    [[nodiscard]] Policy policy() const { return policy_; }

    /// Answers without taking.
    [[nodiscard]] Verdict check(const std::shared_ptr<const CompiledRequest>& request,
                                SearchLimits limits = {}) const;
    /// Answers and, for optimal and feasible, takes. An equal Request from the same
    /// owner returns what it holds (steps 0); @throws StateError for another one.
    Verdict allocate(const std::shared_ptr<const CompiledRequest>& request,
                     const std::string& owner,
                     SearchLimits limits = {});
    /// Solves on the state without the owner's Placement, and swaps on an answer.
    /// @throws StateError when the owner holds nothing
    Verdict resize(const std::shared_ptr<const CompiledRequest>& request,
                   const std::string& owner,
                   SearchLimits limits = {});
    /// @throws StateError when the owner holds nothing
    void release(const std::string& owner);

    /// As the calls of the same names, for a caller that must not wait long, such as
    /// one that holds an interpreter's lock: nothing is done and nothing comes back
    /// where another call is at work, or where `quick_steps` end the search before its
    /// limit does. What comes back is what the other call would have said.
    [[nodiscard]] std::optional<Verdict> try_check(
        const std::shared_ptr<const CompiledRequest>& request,
        SearchLimits limits,
        std::uint64_t quick_steps) const;
    [[nodiscard]] std::optional<Verdict> try_allocate(
        const std::shared_ptr<const CompiledRequest>& request,
        const std::string& owner,
        SearchLimits limits,
        std::uint64_t quick_steps);
    /// False where another call is at work. @throws StateError as release
    [[nodiscard]] bool try_release(const std::string& owner);

    /// Records a choice made elsewhere. T and cost are derived; without a Request there
    /// are no pairs. What is cordoned is not free, and GPU memory is never given.
    /// @throws StateError when a part of it is not free, or the owner holds something
    /// @throws InvalidRequestError when it names what the Machine lacks
    Placement take(Placement placement, const std::string& owner);

    /// @throws InvalidRequestError for an index that the Machine lacks
    void cordon_device(std::uint32_t device, bool cordoned);
    void cordon_pu(std::uint32_t pu, bool cordoned);

    /// allocate() for each owner in turn, in one step for all others.
    /// @throws StateError as allocate; then nothing of the batch is taken
    BatchAnswers allocate_batch(const std::shared_ptr<const CompiledRequest>& request,
                                const std::vector<std::string>& owners,
                                SearchLimits limits = {});
    /// All or nothing, jointly.
    /// @throws StateError when an owner is named twice or holds something
    /// @throws InvalidRequestError when the Policy has an order of its own
    BatchVerdict allocate_many(const std::vector<NamedRequest>& requests,
                               SearchLimits limits = {});
    [[nodiscard]] BatchVerdict check_joint(const std::vector<NamedRequest>& requests,
                                           SearchLimits limits = {}) const;
    [[nodiscard]] HeadroomResult headroom(
        const std::shared_ptr<const CompiledRequest>& request,
        SearchLimits limits = {}) const;

    [[nodiscard]] std::map<std::string, Holding> holdings() const;
    [[nodiscard]] std::optional<Holding> holding(const std::string& owner) const;
    /// The state now, shared until the next change.
    [[nodiscard]] std::shared_ptr<const NodeState> state() const;
    /// Owners of a device, by name: several when it is shared, those of its partitions
    /// too; of a partition, the owner of its root when that is held whole.
    [[nodiscard]] std::vector<std::string> owners_of_device(std::uint32_t device) const;
    [[nodiscard]] std::optional<std::string> owner_of_pu(std::uint32_t pu) const;

    /// An independent copy.
    [[nodiscard]] std::unique_ptr<Allocator> fork() const;
    /// Puts back a holding from a snapshot, cordoned or not. @throws as take()
    void restore_holding(const std::string& owner, Holding holding);

    /// @throws InternalError
    void check_consistency() const;

  private:
    using Holdings = std::map<std::string, Holding>;
    class Turn;

    NodeState& writable_state();
    Holdings& writable_holdings();
    void demand_own(const CompiledRequest& request) const;
    void demand_holds_nothing(const std::string& owner) const;
    [[nodiscard]] const Holding& find_holding(const std::string& owner) const;
    void record(const std::string& owner, Holding holding);
    void record_before(Holdings::iterator next,
                       const std::string& owner,
                       Holding holding);
    bool answer(Verdict& verdict, const NodeState& state, std::uint64_t steps) const;
    bool allocate_locked(Verdict& verdict, std::uint64_t steps);
    void release_locked(const std::string& owner);

    std::shared_ptr<const Machine> machine_;
    Policy policy_;
    mutable std::mutex mutex_;
    std::shared_ptr<NodeStore> store_;  // null: the books are its own
    // Both are copied before a change when a Verdict or a fork shares them.
    mutable std::shared_ptr<NodeState> state_;
    mutable std::shared_ptr<Holdings> holdings_;
};

}  // namespace topoalloc
