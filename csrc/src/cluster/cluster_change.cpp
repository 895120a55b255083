// SPDX-License-Identifier: Apache-2.0
#include "cluster/cluster_change.hpp"

#include "cluster/operations.hpp"
#include "cluster/pod_books.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

std::string quoted(const std::string& text) {
    return "'" + text + "'";
}

using PodKey = std::pair<std::uint32_t, std::uint32_t>;  ///< PodSet, rank

// A node of the Cluster as a basis, once.
class BasisNotes {
  public:
    explicit BasisNotes(const ClusterData& data) : data_(data) {}

    void note(const std::string& node, bool with_state) {
        bool& has_state = nodes_[node];
        has_state = has_state || with_state;
    }
    [[nodiscard]] std::vector<GangPlan::Basis> take() const {
        std::vector<GangPlan::Basis> out;
        for (const auto& [name, with_state] : nodes_) {
            const NodeEntry& entry = data_.node(data_.slot_of(name));
            out.push_back({name, entry.info, nullptr});
            if (with_state) {
                out.back().state = entry.state;
            }
        }
        return out;
    }

  private:
    const ClusterData& data_;
    std::map<std::string, bool> nodes_;
};

// The Gang as it runs after the change.
void move_gang(const std::shared_ptr<const Gang>& gang,
               const std::vector<const PodMove*>& moves,
               const ClusterChange& change,
               ClusterData& data) {
    std::map<PodKey, PodPlace> pods;
    RunningGang running{gang, {}};
    if (const auto it = data.gangs().find(gang->name); it != data.gangs().end()) {
        running.rails = it->second->rails;
        for (const PodPlace& pod : it->second->pods) {
            pods.emplace(PodKey(pod.podset, pod.index), pod);
        }
    }
    for (const PodMove* move : moves) {
        pods.erase({move->podset, move->index});
        if (move->to) {
            pods.emplace(PodKey(move->podset, move->index), *move->to);
        }
    }
    if (pods.empty()) {
        data.remove_gang(gang->name);
        return;
    }
    for (const auto& [name, rails] : change.rails) {
        if (name == gang->name) {
            running.rails = rails;
        }
    }
    for (auto& [key, pod] : pods) {
        running.pods.push_back(std::move(pod));
    }
    data.set_gang(gang->name, std::make_shared<const RunningGang>(std::move(running)));
}

void demand_same_gangs(const ClusterData& data, const ClusterChange& change) {
    for (const auto& [name, running] : change.gangs) {
        const auto it = data.gangs().find(name);
        const auto now = it == data.gangs().end() ? nullptr : it->second;
        if (now != running) {
            throw StaleError("plan: gang " + quoted(name) +
                             " has changed since the plan was made, want a plan of "
                             "now");
        }
    }
}

}  // namespace

std::shared_ptr<const RunningGang> running_gang(const ClusterData& data,
                                                const std::string& name) {
    const auto it = data.gangs().find(name);
    if (it == data.gangs().end()) {
        throw StateError("gang: " + quoted(name) + " does not run, want one that does");
    }
    return it->second;
}

void demand_not_running(const ClusterData& data, const Gang& gang) {
    if (data.gangs().contains(gang.name)) {
        throw StateError("gang: " + quoted(gang.name) +
                         " runs already, want one that does not");
    }
}

CountVector count_pods(const Gang& gang, const std::vector<PodPlace>& pods) {
    CountVector counts(gang.podsets.size());
    for (const PodPlace& pod : pods) {
        ++counts[pod.podset];
    }
    return counts;
}

namespace {

// The lost pods of one PodSet by rank, then ranks that had none.
std::vector<PodMove> moves_of(const std::shared_ptr<const Gang>& gang,
                              std::uint32_t podset,
                              const std::vector<PodPlace>& lost,
                              const std::vector<std::vector<std::uint32_t>>& ranks) {
    std::vector<PodMove> moves;
    for (const PodPlace& pod : lost) {
        if (pod.podset == podset) {
            moves.push_back({gang, podset, pod.index, pod, std::nullopt});
        }
    }
    std::ranges::sort(moves, {}, &PodMove::index);
    if (podset < ranks.size()) {
        for (const std::uint32_t rank : ranks[podset]) {
            moves.push_back({gang, podset, rank, std::nullopt, std::nullopt});
        }
    }
    return moves;
}

// The constraints of a Gang were judged with the pods that stay where they are.
void note_staying(const ClusterData& data,
                  const RunningGang& running,
                  const std::set<PodKey>& moved,
                  BasisNotes& notes) {
    for (const PodPlace& pod : running.pods) {
        const bool stays = !moved.contains({pod.podset, pod.index});
        if (stays &&
            is_held(data, pod.node, pod_owner(*running.gang, pod.podset, pod.index))) {
            notes.note(pod.node, false);
        }
    }
}

}  // namespace

void add_moves(const std::shared_ptr<const Gang>& gang,
               const std::vector<PodPlace>& lost,
               const std::vector<PodPlace>& places,
               const std::vector<std::vector<std::uint32_t>>& ranks,
               ClusterChange& change) {
    for (std::uint32_t p = 0; p < gang->podsets.size(); ++p) {
        std::vector<PodMove> moves = moves_of(gang, p, lost, ranks);
        auto move = moves.begin();
        for (const PodPlace& place : places) {
            if (place.podset == p) {
                move->to = place;
                move->to->index = move->index;
                ++move;
            }
        }
        std::ranges::copy_if(moves,
                             std::back_inserter(change.moves),
                             [](const PodMove& made) { return made.from || made.to; });
    }
}

std::vector<std::string> member_names(const JointInput& input, ChangeKind kind) {
    std::vector<std::string> out;
    const auto add_all = [&](const Gang& gang, const auto& members) {
        const std::string of = is_of_several(kind) ? gang.name + "/" : std::string();
        for (const auto& member : members) {
            out.push_back(of + member.name);
        }
    };
    for (const JointPart& part : input.parts) {
        add_all(*part.gang, part.gang->podsets);
    }
    for (const JointPart& part : input.parts) {
        add_all(*part.gang, part.gang->groups);
    }
    return out;
}

void add_rails(const Gang& gang, GangRails rails, ClusterChange& change) {
    if (!rails.empty()) {
        change.rails.emplace_back(gang.name, std::move(rails));
    }
}

void seal(const ClusterData& data, ClusterChange& change) {
    change.verdict.snapshot = nullptr;  // Explanations start from the question.
    std::ranges::sort(change.rails);
    demand_own_names(data, change.moves);
    std::ranges::sort(change.moves, [](const PodMove& a, const PodMove& b) {
        return std::tie(a.gang->name, a.podset, a.index) <
               std::tie(b.gang->name, b.podset, b.index);
    });
    std::map<std::string, std::set<PodKey>> moved;
    std::set<std::string> placed;
    BasisNotes notes(data);
    for (const PodMove& move : change.moves) {
        moved[move.gang->name].emplace(move.podset, move.index);
        if (move.to) {
            placed.insert(move.gang->name);
            notes.note(move.to->node, true);
        }
    }
    for (const auto& [name, pods] : moved) {
        const auto it = data.gangs().find(name);
        change.gangs.emplace_back(name,
                                  it == data.gangs().end() ? nullptr : it->second);
        if (it != data.gangs().end() && placed.contains(name)) {
            note_staying(data, *it->second, pods, notes);
        }
    }
    // Nothing may have come to a node that is drained.
    for (const std::string& node : change.cordoned) {
        notes.note(node, true);
    }
    change.nodes = notes.take();
}

void commit_change(const ClusterChange& change, ClusterData& data) {
    if (change.moves.empty() && change.cordoned.empty()) {
        throw StateError("plan: no moves, want a plan that changes something");
    }
    if (change.verdict.status != Status::optimal &&
        change.verdict.status != Status::feasible) {
        throw StateError(
            "plan: its status is not optimal or feasible, want one that "
            "was found");
    }
    demand_same_gangs(data, change);
    demand_fresh(data, change.nodes, change.cordoned);
    ClusterData next = data;
    PodBooks books(next);
    std::map<std::string, std::vector<const PodMove*>> by_gang;
    for (const PodMove& move : change.moves) {
        by_gang[move.gang->name].push_back(&move);
        if (move.from) {
            books.release(*move.gang, *move.from);
        }
    }
    for (const PodMove& move : change.moves) {
        if (move.to) {
            books.take(move.gang, *move.to);
        }
    }
    books.apply();
    for (const auto& [name, moves] : by_gang) {
        move_gang(moves.front()->gang, moves, change, next);
    }
    for (const std::string& node : change.cordoned) {
        next.set_cordoned(next.slot_of(node), true);
    }
    data = std::move(next);
}

}  // namespace topoalloc
