// SPDX-License-Identifier: Apache-2.0
//
// From what an operation found to a ClusterChange that can be committed. Private to the
// cluster room.
#pragma once

#include "cluster/change_question.hpp"
#include "cluster/cluster_data.hpp"
#include "cluster/gang_problem.hpp"
#include "topoalloc/cluster.hpp"

#include <memory>
#include <string>
#include <vector>

namespace topoalloc {

/// @throws StateError when it does not run
[[nodiscard]] std::shared_ptr<const RunningGang> running_gang(const ClusterData& data,
                                                              const std::string& name);
/// @throws StateError when it runs
void demand_not_running(const ClusterData& data, const Gang& gang);

/// Pods by PodSet.
[[nodiscard]] CountVector count_pods(const Gang& gang,
                                     const std::vector<PodPlace>& pods);

/// Gives the pods of one Gang that lost their places new ones: PodSet by PodSet, the
/// lowest rank the first place. Those for which there is none stop; places beyond them
/// are for new pods of the ranks given.
/// @param ranks  by PodSet: of new pods, ascending
void add_moves(const std::shared_ptr<const Gang>& gang,
               const std::vector<PodPlace>& lost,
               const std::vector<PodPlace>& places,
               const std::vector<std::vector<std::uint32_t>>& ranks,
               ClusterChange& change);

/// PodSets of all parts, then Groups of all, as the cost of the whole counts them.
[[nodiscard]] std::vector<std::string> member_names(const JointInput& input,
                                                    ChangeKind kind);

/// Keeps the question that `make` gives where there is no change, and nothing
/// elsewhere: a commit would copy what the two share.
template <class Make>
void keep_question(ClusterChange& change, const Make& make) {
    const Status status = change.verdict.status;
    if (status == Status::infeasible || status == Status::unknown) {
        change.question = std::make_shared<const ChangeQuestion>(make());
    }
}

/// Notes what the lists of a Gang with Rails become; one without has none.
void add_rails(const Gang& gang, GangRails rails, ClusterChange& change);

/// Sorts the moves and notes what the change was made from.
void seal(const ClusterData& data, ClusterChange& change);

}  // namespace topoalloc
