// SPDX-License-Identifier: Apache-2.0
//
// The vectors of pods that fit on a node, found by asking about few of them. Private to
// the cluster room.
#pragma once

#include "cluster/gang_problem.hpp"

#include <functional>

namespace topoalloc {

/// What is known of each PodSet alone: no vector goes further.
struct AloneCounts {
    CountVector attained, possible;
};

/// Whether these pods fit together. More pods never fit where fewer do not.
using AskPods = std::function<Status(const CountVector& pods)>;

/// Adds the vectors to the table: the vectors of all PodSets but the last in
/// lexicographic order, for each the last one down from what its neighbours allow.
void walk_edge(const AloneCounts& alone, const AskPods& ask, CountTable& table);

}  // namespace topoalloc
