// SPDX-License-Identifier: Apache-2.0
//
// New places for pods that lost theirs, and for more pods of a Gang:
// docs/cluster-objective.md, section 6.
#include "cluster/cluster_change.hpp"
#include "cluster/joint_question.hpp"
#include "cluster/operations.hpp"
#include "cluster/pod_books.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace topoalloc {
namespace {

// Pods of a Gang, by whether they keep their places.
struct Parted {
    std::vector<PodPlace> stays, lost;
};

Parted part_pods(const ClusterData& data,
                 const RunningGang& running,
                 const std::vector<std::string>& failed_nodes) {
    const std::set<std::string> failed(failed_nodes.begin(), failed_nodes.end());
    Parted out;
    for (const PodPlace& pod : running.pods) {
        const std::string owner = pod_owner(*running.gang, pod.podset, pod.index);
        const bool stays = !failed.contains(pod.node) && is_held(data, pod.node, owner);
        (stays ? out.stays : out.lost).push_back(pod);
    }
    return out;
}

// Nodes by those names that are in the Cluster.
std::set<std::uint32_t> slots_of(const ClusterData& data,
                                 const std::vector<std::string>& names) {
    const std::set<std::string> wanted(names.begin(), names.end());
    std::set<std::uint32_t> out;
    for (const std::uint32_t slot : data.order()) {
        if (wanted.contains(data.node(slot).info->described.name)) {
            out.insert(slot);
        }
    }
    return out;
}

// By PodSet: the lowest ranks that no pod has, up to the count of the Gang.
std::vector<std::vector<std::uint32_t>> free_ranks(const RunningGang& running) {
    const Gang& gang = *running.gang;
    std::vector<std::set<std::uint32_t>> used(gang.podsets.size());
    for (const PodPlace& pod : running.pods) {
        used[pod.podset].insert(pod.index);
    }
    std::vector<std::vector<std::uint32_t>> out(gang.podsets.size());
    for (std::uint32_t p = 0; p < gang.podsets.size(); ++p) {
        for (std::uint32_t rank = 0; rank < gang.podsets[p].count; ++rank) {
            if (!used[p].contains(rank)) {
                out[p].push_back(rank);
            }
        }
    }
    return out;
}

ClusterChange refill(const ClusterData& data,
                     const std::shared_ptr<const RunningGang>& running,
                     const std::vector<std::string>& failed_nodes,
                     ChangeKind kind,
                     SearchLimits limits) {
    const std::shared_ptr<const Gang>& gang = running->gang;
    const bool grows = kind == ChangeKind::grow;
    Parted pods = part_pods(data, *running, failed_nodes);
    ClusterData now = data;
    PodBooks books(now);
    for (const PodPlace& pod : pods.lost) {
        books.release(*gang, pod);
    }
    books.apply();
    JointInput input{
        {{gang, pods.stays, count_pods(*gang, running->pods), {}, running->rails}},
        slots_of(now, failed_nodes)};
    JointPart& part = input.parts.front();
    std::int64_t missing = 0;
    for (std::size_t p = 0; p < gang->podsets.size(); ++p) {
        const PodSet& podset = gang->podsets[p];
        const std::uint32_t runs = part.counts[p];
        part.min_counts.push_back(grows ? std::max(runs, podset.min_count)
                                        : std::min(runs, podset.min_count));
        part.counts[p] = grows ? podset.count : runs;
        missing += podset.count - part.counts[p];
    }
    JointAnswer answer = place_joint_on(now, input, limits);
    ClusterChange change;
    change.verdict = {answer.status, answer.reason, answer.podset, answer.steps, gang};
    if (!answer.places.empty() &&
        (answer.status == Status::optimal || answer.status == Status::feasible)) {
        change.cost = std::move(answer.cost);
        change.cost.short_pods += missing;
        change.members = member_names(input, kind);
        add_moves(
            gang,
            pods.lost,
            answer.places.front(),
            grows ? free_ranks(*running) : std::vector<std::vector<std::uint32_t>>(),
            change);
        add_rails(*gang, std::move(answer.rails.front()), change);
    }
    seal(data, change);
    keep_question(change, [&] {
        const std::set<std::string> nodes(failed_nodes.begin(), failed_nodes.end());
        return ChangeQuestion{kind, data, now, input, nodes, {}, 0};
    });
    return change;
}

}  // namespace

ClusterChange replace_on(const ClusterData& data,
                         const std::string& gang,
                         const std::vector<std::string>& failed_nodes,
                         SearchLimits limits) {
    return refill(
        data, running_gang(data, gang), failed_nodes, ChangeKind::replace, limits);
}

ClusterChange grow_on(const ClusterData& data,
                      const std::string& gang,
                      SearchLimits limits) {
    return refill(data, running_gang(data, gang), {}, ChangeKind::grow, limits);
}

}  // namespace topoalloc
