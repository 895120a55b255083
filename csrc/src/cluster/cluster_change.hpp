// SPDX-License-Identifier: Apache-2.0
//
// From what an operation found to a ClusterChange that can be committed. Private to the
// cluster room.
#pragma once

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

/// Sorts the moves and notes what the change was made from.
void seal(const ClusterData& data, ClusterChange& change);

}  // namespace topoalloc
