// SPDX-License-Identifier: Apache-2.0
//
// RailNodes: what nodes hold when the j-th pod of a PodSet on every node is tied to the
// devices of a list (docs/cluster-objective.md, section 3; docs/design/0010-rails.md).
// Private to the cluster room.
#pragma once

#include "cluster/edge_walk.hpp"
#include "cluster/node_class.hpp"
#include "node/joint_budget.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace topoalloc {

/// Of which nodes a CountTable is.
struct RailTable {
    const NodeClass* state = nullptr;
    CountVector base;  ///< pods that stay, by PodSet
    /// By PodSet: places in its list that pods that stay hold, ascending.
    std::vector<std::vector<std::uint32_t>> held;
};

/// What a GangProblem leaves out of a Gang with Rails.
struct RailInput {
    Requests requests;                              ///< by PodSet
    std::vector<std::vector<std::string>> classes;  ///< by PodSet: of its Rails
    GangRails fixed;  ///< what the lists begin with: as pods that run have it
    std::vector<RailTable> tables;  ///< as those of the problem
    std::uint64_t max_steps = 0;    ///< of a question to one node
};

/// Places in the list whose devices the pods hold; each place once.
[[nodiscard]] std::vector<std::uint32_t> places_held(
    const RailList& list,
    const std::vector<std::string>& classes,
    const Machine& machine,
    const std::vector<const Placement*>& pods);

/// The lists may be shorter than the pods reach, and the last entry of one may lack
/// sets: what is missing is any.
class RailNodes {
  public:
    /// @param whole  what the nodes hold without lists, by table
    RailNodes(ClassPool& pool, RailInput input, std::vector<CountTable> whole);

    [[nodiscard]] const RailInput& input() const { return input_; }
    [[nodiscard]] const CountTable& whole(std::uint32_t table) const {
        return whole_[table];
    }
    /// How much of the list so many pods of a PodSet reach, those that stay among them.
    [[nodiscard]] std::uint32_t reach(std::uint32_t table,
                                      std::uint32_t podset,
                                      std::uint32_t pods) const;

    /// What the nodes hold under the lists.
    [[nodiscard]] CountTable table(std::uint32_t table,
                                   const GangRails& lists,
                                   StepBudget& budget);
    /// Whether they hold these pods, those that stay among them.
    [[nodiscard]] Status ask(std::uint32_t table,
                             const CountVector& pods,
                             const GangRails& lists,
                             StepBudget& budget);
    /// Of the new pods, PodSet by PodSet; nullopt when none were found: then they are
    /// no longer held to be attained.
    [[nodiscard]] std::optional<Placements> placements(std::uint32_t table,
                                                       const CountVector& pods,
                                                       const GangRails& lists);

  private:
    using Sets = std::vector<RailSet>;
    using Pods = std::vector<std::uint32_t>;  ///< into compiled_

    /// The place of a new pod, by its number among the new ones.
    [[nodiscard]] std::uint32_t place_of(std::uint32_t table,
                                         std::uint32_t podset,
                                         std::uint32_t pod) const;
    [[nodiscard]] std::uint32_t compile_pod(const NodeClass& of,
                                            std::uint32_t podset,
                                            const Sets& sets);
    [[nodiscard]] std::shared_ptr<const CompiledRequest> restricted(
        const std::shared_ptr<const Machine>& machine,
        std::uint32_t podset,
        const Sets& sets) const;
    [[nodiscard]] Bitmap tied_whole(const Machine& machine,
                                    std::uint32_t podset,
                                    const Sets& sets) const;
    [[nodiscard]] std::pair<Pods, bool> new_pods(std::uint32_t table,
                                                 const CountVector& pods,
                                                 const GangRails& lists);
    void order(Pods& pods) const;
    [[nodiscard]] Status ask_pods(const NodeClass& of, Pods pods, StepBudget& budget);
    [[nodiscard]] Status solve_pods(const NodeClass& of,
                                    const Pods& pods,
                                    StepBudget& budget);
    [[nodiscard]] AloneCounts alone(std::uint32_t table,
                                    const GangRails& lists,
                                    StepBudget& budget);

    ClassPool& pool_;
    RailInput input_;
    std::vector<CountTable> whole_;
    std::map<std::tuple<const Machine*, std::uint32_t, Sets>, std::uint32_t> known_;
    std::vector<std::shared_ptr<const CompiledRequest>> compiled_;  ///< null: none fits
    std::vector<Bitmap> whole_devices_;  ///< that a pod is tied to; as compiled_
    std::vector<bool> is_tied_;          ///< to devices of a list; as compiled_
    std::map<std::pair<const NodeClass*, Pods>, Status> asked_;
};

}  // namespace topoalloc
