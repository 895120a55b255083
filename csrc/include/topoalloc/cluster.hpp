// SPDX-License-Identifier: Apache-2.0
//
// Cluster: nodes in trees of Domains, what runs on them, and Gangs placed on them as a
// whole. docs/cluster-objective.md is its meaning.
//
// Every method either does the whole of what it says or throws and changes nothing. All
// lock one mutex, and solve outside it: calls from many threads are safe, and each
// change is atomic.
#pragma once

#include "topoalloc/allocator.hpp"
#include "topoalloc/gang.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace topoalloc {

/// Levels of one tree, coarsest first.
struct ClusterTree {
    std::string name;
    std::vector<std::string> levels;
};

struct NodeDescription {
    std::string name;
    std::shared_ptr<const Machine> machine;
    Bitmap reserved_pus;                         ///< logical; never handed out
    std::map<std::string, std::string> domains;  ///< level -> value
    std::map<std::string, std::string> labels;
    std::vector<Taint> taints;
};

/// Why, in one word.
enum class GangReason : std::uint8_t {
    placed,            ///< optimal
    fits,              ///< feasible, from check
    step_limit,        ///< feasible from place, or unknown
    no_eligible_node,  ///< for one PodSet: labels, taints, cordons
    not_enough_room,   ///< for one PodSet, wherever its pods lie
    podset_conflict,   ///< one PodSet alone can not keep its own rules
    gang_conflict,     ///< each PodSet can, all together can not
};
/// "NotEnoughRoom", and so on.
[[nodiscard]] std::string_view gang_reason_name(GangReason reason);

/// One pod of a plan, or of what runs. The owner of its Placement on the node is
/// pod_owner().
struct PodPlace {
    std::uint32_t podset = 0;  ///< position in Gang::podsets
    std::uint32_t index = 0;   ///< rank among the pods of the PodSet
    std::string node;
    std::shared_ptr<const Placement> placement;
    std::shared_ptr<const Machine> machine = nullptr;  ///< of the node
};
/// "train-3/worker/17".
[[nodiscard]] std::string pod_owner(const Gang& gang,
                                    std::uint32_t podset,
                                    std::uint32_t index);

struct GangVerdict {
    Status status = Status::infeasible;
    GangReason reason = GangReason::fits;
    std::uint32_t podset = no_index;  ///< that the reason speaks of, if of one
    std::uint64_t steps = 0;
    std::shared_ptr<const Gang> gang;
    /// The state that was asked, for explain(); null where there is a plan.
    std::shared_ptr<const void> snapshot = nullptr;
};

/// What place() found. It holds what it was made from, so that commit() can tell
/// whether that is still so, in a fork too.
struct GangPlan {
    GangVerdict verdict;
    GangCost cost;
    std::vector<PodPlace> pods;  ///< by PodSet, then rank
    GangRails rails;             ///< empty for a Gang without Rails

    /// What a node was when the plan was made; compared by identity.
    struct Basis {
        std::string node;
        std::shared_ptr<const void> description, state;
    };
    std::vector<Basis> basis;
};

struct RunningGang {
    std::shared_ptr<const Gang> gang;
    std::vector<PodPlace> pods;
    // NOLINTNEXTLINE(readability-redundant-member-init): GCC warns without it.
    GangRails rails = {};  ///< empty for a Gang without Rails
    /// Of Cluster::gangs(): pods that have lost their place, where they ran.
    // NOLINTNEXTLINE(readability-redundant-member-init): GCC warns without it.
    std::vector<PodPlace> lost = {};
};

/// A pod that leaves its place, gets another, or both.
struct PodMove {
    std::shared_ptr<const Gang> gang;
    std::uint32_t podset = 0;
    std::uint32_t index = 0;
    std::optional<PodPlace> from;  ///< not given: it is new
    std::optional<PodPlace> to;    ///< not given: it stops
};

/// What replace(), grow(), drain(), preempt() or defragment() found: a change of what
/// runs, whole or not at all. It holds what it was made from, as GangPlan does.
struct ClusterChange {
    GangVerdict verdict;  ///< its gang is null for drain()
    GangCost cost;        ///< docs/cluster-objective.md, section 5
    /// PodSets, then Groups, as GangCost::unmet counts them; of drain() and
    /// defragment() with their Gang: "train-3/worker".
    std::vector<std::string> members;
    std::vector<PodMove> moves;  ///< by name of the Gang, PodSet, rank
    /// What the lists of Gangs with Rails and moves become, by name.
    std::vector<std::pair<std::string, GangRails>> rails;
    /// Gangs that stop, by name.
    std::vector<std::string> victims;
    /// No fewer Gangs (preempt) or pods (defragment) make room.
    std::uint64_t least = 0;
    /// No better set of them makes room: proved, whatever is proved of the cost.
    bool is_least = false;
    /// Owners of no Gang that stay on drained nodes: node and owner.
    std::vector<std::pair<std::string, std::string>> left;
    std::vector<std::string> cordoned;  ///< nodes that commit() cordons

    /// A state that is null may have changed.
    std::vector<GangPlan::Basis> nodes;
    /// By name; null: does not run.
    std::vector<std::pair<std::string, std::shared_ptr<const RunningGang>>> gangs;
    /// What was asked, for explain(); null where there is a change.
    std::shared_ptr<const void> question = nullptr;
};

struct NodeScore {
    std::string node;
    std::uint32_t score = 0;  ///< 0: it holds no copy; 100: the best
};

/// How many copies of one Request a Domain holds.
struct DomainHeadroom {
    std::vector<std::string> path;  ///< values of its tree's levels; the node's name
    std::uint64_t count = 0;        ///< for certain
    std::uint64_t upper = 0;        ///< at most
};

class Cluster {
  public:
    /// Pods by PodSet and index.
    using PodNames = std::vector<std::pair<std::string, std::uint32_t>>;

    /// @throws InvalidRequestError for no tree, a level twice, "node", more than 16
    ///         levels; as validate(policy)
    explicit Cluster(std::vector<ClusterTree> trees, Policy policy = {});
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;
    Cluster(Cluster&&) = delete;
    Cluster& operator=(Cluster&&) = delete;
    ~Cluster();

    [[nodiscard]] const std::vector<ClusterTree>& trees() const;
    [[nodiscard]] Policy policy() const;

    /// All of them or none.
    /// @throws StateError when there is one of that name
    /// @throws InvalidRequestError for a level that is not declared, or as Allocator
    void add_nodes(std::vector<NodeDescription> nodes);
    /// @throws StateError when there is none of that name, or it holds a Placement
    void remove_node(const std::string& name);
    /// No pod is put on a cordoned node; what runs there goes on.
    void cordon_node(const std::string& name, bool cordoned);
    void set_labels(const std::string& name, std::map<std::string, std::string> labels);
    void set_taints(const std::string& name, std::vector<Taint> taints);
    void set_domains(const std::string& name,
                     std::map<std::string, std::string> domains);

    [[nodiscard]] std::size_t size() const;
    /// In node order.
    [[nodiscard]] std::vector<std::string> node_names() const;
    [[nodiscard]] NodeDescription describe(const std::string& name) const;
    [[nodiscard]] bool is_cordoned(const std::string& name) const;
    /// The node's own: what is done with it is done on the Cluster.
    [[nodiscard]] std::shared_ptr<Allocator> node(const std::string& name);
    /// Distinct states among the nodes.
    [[nodiscard]] std::size_t state_count() const;

    /// Keeps sums of what the Domains hold of the Gang's shape: its Request, slices,
    /// Spread, conditions and tolerations. check() of a Gang of a shape that is kept,
    /// whatever its count and Within, reads them; every change of a node costs a little
    /// more. Forks made later have them, too.
    /// @throws InvalidRequestError as check, or for a shape that counts do not decide
    void register_shape(const Gang& gang);

    /// @throws InvalidRequestError as Gang::validate, for an unknown level, or a device
    ///         that no Machine of the Cluster has
    [[nodiscard]] GangVerdict check(const std::shared_ptr<const Gang>& gang,
                                    SearchLimits limits = {}) const;
    /// @throws InvalidRequestError as check; StateError when an owner that is no pod
    /// has
    ///         the name of one on its node
    [[nodiscard]] GangPlan place(const std::shared_ptr<const Gang>& gang,
                                 SearchLimits limits = {}) const;
    /// @throws StaleError when a node that it uses has changed
    /// @throws StateError when the Gang runs already, or the plan has no pods
    void commit(const GangPlan& plan);
    /// Lets a Gang run of which pods hold their Placements on nodes already, as
    /// commit() leaves it. Of each pod the PodSet, index and node are read.
    /// @throws StateError when it runs already, or a pod holds nothing on its node
    /// @throws InvalidRequestError as check, for no pod, one that comes twice or is
    ///         none of the Gang, or rails that are no lists of it
    void adopt(const std::shared_ptr<const Gang>& gang,
               std::vector<PodPlace> pods,
               GangRails rails = {});
    /// All pods of a Gang, or some of them.
    /// @throws StateError when it, or one of them, does not run
    void release(const std::string& name, const std::optional<PodNames>& pods = {});
    /// By name: the pods that have their place, with what they hold now, and those
    /// that have lost it.
    [[nodiscard]] std::map<std::string, RunningGang> gangs() const;

    /// New places for the pods of a Gang that were on failed nodes, or have lost their
    /// place; all others stay. The nodes need not be in the Cluster any more.
    /// @throws StateError when the Gang does not run; of this and the four below: when
    ///         an owner that is no pod has the name of one where it is to go
    [[nodiscard]] ClusterChange replace(const std::string& gang,
                                        const std::vector<std::string>& failed_nodes,
                                        SearchLimits limits = {}) const;
    /// More pods of a Gang that runs, up to its count. @throws StateError as replace
    [[nodiscard]] ClusterChange grow(const std::string& gang,
                                     SearchLimits limits = {}) const;
    /// New places for the pods of all Gangs on these nodes; commit() cordons them.
    /// @throws StateError when a node is not in the Cluster
    [[nodiscard]] ClusterChange drain(const std::vector<std::string>& nodes,
                                      SearchLimits limits = {}) const;
    /// The Gangs of lower priority to stop so that this one fits: least highest
    /// priority, then fewest, then fewest pods. @throws StateError when it runs
    [[nodiscard]] ClusterChange preempt(const std::shared_ptr<const Gang>& gang,
                                        SearchLimits limits = {}) const;
    /// The fewest pods to move so that the Gang fits. @throws StateError when it runs
    [[nodiscard]] ClusterChange defragment(const std::shared_ptr<const Gang>& gang,
                                           SearchLimits limits = {}) const;
    /// @throws StaleError when a node or Gang that it uses has changed
    /// @throws StateError when it changes nothing
    void commit(const ClusterChange& change);

    /// How well each node suits one copy of the Request, in node order.
    [[nodiscard]] std::vector<NodeScore> scores(
        const std::shared_ptr<const Request>& request, SearchLimits limits = {}) const;
    /// @throws StateError when the node is not in the Cluster
    [[nodiscard]] std::uint32_t score(const std::string& node,
                                      const std::shared_ptr<const Request>& request,
                                      SearchLimits limits = {}) const;

    /// By Domain of the level in node order; "node" gives each node.
    [[nodiscard]] std::vector<DomainHeadroom> headroom(
        const std::shared_ptr<const Request>& request,
        const std::string& level,
        SearchLimits limits = {}) const;

    /// An independent copy, in constant time.
    [[nodiscard]] std::unique_ptr<Cluster> fork() const;

    /// @throws InternalError
    void check_consistency() const;

  private:
    struct Impl;
    explicit Cluster(std::unique_ptr<Impl> impl);
    [[nodiscard]] std::optional<GangVerdict> check_sums(
        const std::shared_ptr<const Gang>& gang) const;
    std::shared_ptr<Impl> impl_;
};

}  // namespace topoalloc
