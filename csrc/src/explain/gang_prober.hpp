// SPDX-License-Identifier: Apache-2.0
//
// Asks the gang solver "and if ...?" within one budget of steps, on nodes that were
// looked at once. Everything a GangExplanation says was solved here, or counted where
// counting is a proof.
#pragma once

#include "cluster/cluster_data.hpp"
#include "cluster/gang_problem.hpp"
#include "explain/prober.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace topoalloc {

/// A Cluster with something else in it.
struct WhatIf {
    std::set<std::uint32_t> uncordoned;            ///< slots
    std::map<std::uint32_t, NodeClassPtr> states;  ///< by slot
    std::set<std::string> released;                ///< Gangs, by name
};

class GangProber {
  public:
    /// The step count of one look at so many nodes is 1.
    static constexpr std::size_t nodes_a_step = 16;

    GangProber(const ClusterData& data, SearchLimits limits)
        : data_(data), limits_(limits), levels_(data.level_names()) {}
    GangProber(const GangProber&) = delete;
    GangProber& operator=(const GangProber&) = delete;
    GangProber(GangProber&&) = delete;
    GangProber& operator=(GangProber&&) = delete;
    virtual ~GangProber() = default;

    [[nodiscard]] const ClusterData& data() const { return data_; }

    /// Whether there is a plan; unknown once the budget is spent.
    [[nodiscard]] virtual Fit fits(const Gang& gang, const WhatIf& change = {});
    /// The most pods that these nodes hold, by PodSet; nullopt where that is not
    /// decided. The Gang wants at least none of each and prefers nothing.
    [[nodiscard]] virtual std::optional<CountVector> most_pods(
        const Gang& gang, const std::vector<std::uint32_t>& slots);

    /// Why nodes get no pod whatever their cordon: "not failed"; empty: none is so.
    [[nodiscard]] virtual std::string bar() const { return {}; }
    [[nodiscard]] virtual bool is_barred(std::uint32_t /*slot*/) const { return false; }
    /// Pods of the PodSet that stay on the node.
    [[nodiscard]] virtual std::uint32_t staying(const PodSet& /*podset*/,
                                                std::uint32_t /*slot*/) const {
        return 0;
    }
    /// It says something that this Gang might leave.
    [[nodiscard]] virtual bool may_leave(const std::string& /*gang*/) const {
        return true;
    }
    /// Neither cordoned nor barred.
    [[nodiscard]] bool takes_pods(std::uint32_t slot) const {
        return !data_.node(slot).cordoned && !is_barred(slot);
    }

    /// Copies of the Request on the node as it is, its cordon aside.
    [[nodiscard]] HeadroomResult copies(std::uint32_t slot,
                                        const std::shared_ptr<const Request>& request);
    /// Labels and taints allow the PodSet on the node, its cordon aside.
    [[nodiscard]] bool is_eligible_for(const PodSet& podset, std::uint32_t slot) const;

    /// False when the budget is spent: then the Explanation is not complete.
    [[nodiscard]] bool may_go_on();
    /// With those that it took to know what nodes hold: each node has its own limit.
    [[nodiscard]] std::uint64_t steps() const { return node_steps_ + steps_; }
    [[nodiscard]] bool is_complete() const { return complete_; }

  protected:
    [[nodiscard]] SearchLimits left() const;
    /// What a question of the solver took, and whether it was decided.
    void count(std::uint64_t steps, bool is_decided) {
        steps_ += steps;
        complete_ = complete_ && is_decided;
    }

  private:
    using TableKey = std::tuple<NodeClassPtr, Requests, CountVector>;
    using HeadroomKey = std::pair<NodeClassPtr, std::shared_ptr<const Request>>;

    [[nodiscard]] GangAnswer ask(const Gang& gang,
                                 const std::vector<std::uint32_t>& slots,
                                 const WhatIf& change,
                                 bool least_cost);
    /// @param states  set to what its tables are of
    [[nodiscard]] GangProblem problem_of(const Gang& gang,
                                         const std::vector<std::uint32_t>& slots,
                                         const WhatIf& change,
                                         std::vector<const NodeClass*>& states);
    [[nodiscard]] const CountTable& table_of(const NodeClassPtr& of,
                                             const Requests& requests,
                                             const CountVector& counts);

    const ClusterData& data_;
    SearchLimits limits_;
    std::vector<std::string> levels_;
    std::uint64_t steps_ = 0, node_steps_ = 0;
    bool complete_ = true;
    std::map<TableKey, CountTable> tables_;
    std::map<HeadroomKey, HeadroomResult> headrooms_;
};

}  // namespace topoalloc
