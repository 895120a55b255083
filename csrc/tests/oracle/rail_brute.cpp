// SPDX-License-Identifier: Apache-2.0
#include "oracle/rail_brute.hpp"

#include "oracle/gang_brute.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace topoalloc::oracle {
namespace {

using Lists = std::vector<std::vector<RailSet>>;  ///< by PodSet

std::vector<RailSet> all_sets(std::uint32_t size) {
    std::vector<RailSet> out;
    for (std::uint32_t mask = 0; mask < (1U << rail_nics); ++mask) {
        RailSet set;
        for (std::uint32_t nic = 0; nic < rail_nics; ++nic) {
            if ((mask >> nic & 1U) != 0) {
                set.push_back(nic);
            }
        }
        if (set.size() == size) {
            out.push_back(set);
        }
    }
    std::sort(out.begin(), out.end());
    return out;
}

// Tries every choice of NICs and of a NUMANode for each pod in turn. Cores that may be
// anywhere are counted at the end.
bool place_from(const RailNode& node,
                const std::vector<TiedPod>& pods,
                std::size_t first,
                std::uint32_t loose_cores) {
    if (first == pods.size()) {
        return node.free_cores[0] + node.free_cores[1] >= loose_cores;
    }
    const auto& [pod, tied] = pods[first];
    const std::vector<RailSet> sets =
        tied ? std::vector<RailSet>{*tied} : all_sets(pod.nics);
    for (const RailSet& set : sets) {
        RailNode rest = node;
        bool is_free = true;
        for (const std::uint32_t nic : set) {
            is_free = is_free && rest.free_nics[nic];
            rest.free_nics[nic] = false;
        }
        if (!is_free) {
            continue;
        }
        if (!pod.in_one_numa_node) {
            if (place_from(rest, pods, first + 1, loose_cores + pod.cores)) {
                return true;
            }
            continue;
        }
        const std::uint32_t near = set.front() / 2;
        if (set.back() / 2 != near || rest.free_cores[near] < pod.cores) {
            continue;
        }
        rest.free_cores[near] -= pod.cores;
        if (place_from(rest, pods, first + 1, loose_cores)) {
            return true;
        }
    }
    return false;
}

// The place of a new pod: those that pods which stay hold are left out.
std::uint32_t place_of(const RailNode& node, std::size_t podset, std::uint32_t pod) {
    std::uint32_t place = 0;
    for (std::uint32_t left = pod;; ++place) {
        const auto& held = node.held[podset];
        if (std::find(held.begin(), held.end(), place) != held.end()) {
            continue;
        }
        if (left-- == 0) {
            return place;
        }
    }
}

std::vector<TiedPod> new_pods(const RailProblem& problem,
                              const RailNode& node,
                              const CountVector& added,
                              const Lists& lists) {
    std::vector<TiedPod> out;
    for (std::size_t p = 0; p < added.size(); ++p) {
        for (std::uint32_t i = 0; i < added[p]; ++i) {
            TiedPod pod{problem.pods[p], std::nullopt};
            if (pod.pod.has_rails) {
                pod.set = lists[p][place_of(node, p, i)];
            }
            out.push_back(std::move(pod));
        }
    }
    return out;
}

std::uint32_t copies_of(const RailNode& node, const RailPod& pod) {
    if (node.barred) {
        return 0;
    }
    std::uint32_t copies = 0;
    while (holds(node, std::vector<TiedPod>(copies + 1, {pod, std::nullopt}))) {
        ++copies;
    }
    return copies;
}

// The next vector in lexicographic order; false after the last.
bool advance(CountVector& pods, const CountVector& most) {
    for (std::size_t p = pods.size(); p-- > 0;) {
        if (pods[p] < most[p]) {
            ++pods[p];
            return true;
        }
        pods[p] = 0;
    }
    return false;
}

class RailBrute {
  public:
    explicit RailBrute(const RailProblem& problem) : problem_(problem) {
        const std::size_t podsets = problem.pods.size();
        lengths_.resize(podsets);
        sets_.resize(podsets);
        for (const RailNode& node : problem.nodes) {
            CountVector copies;
            CountVector most;
            for (std::size_t p = 0; p < podsets; ++p) {
                std::uint32_t left = problem.shape.podsets[p].count;
                for (const RailNode& other : problem.nodes) {
                    left -= other.stay[p];
                }
                copies.push_back(copies_of(node, problem.pods[p]));
                most.push_back(std::min(copies[p], left));
                if (most[p] != 0 && problem.pods[p].has_rails) {
                    lengths_[p] =
                        std::max(lengths_[p], place_of(node, p, most[p] - 1) + 1);
                }
            }
            copies_.push_back(std::move(copies));
            most_.push_back(std::move(most));
        }
        for (std::size_t p = 0; p < podsets; ++p) {
            sets_[p] = all_sets(problem.pods[p].nics);
            lengths_[p] = std::max<std::uint32_t>(
                lengths_[p], static_cast<std::uint32_t>(problem.fixed[p].size()));
        }
    }

    [[nodiscard]] std::uint64_t list_count() const {
        std::uint64_t out = 1;
        for (std::size_t p = 0; p < lengths_.size(); ++p) {
            for (std::size_t j = problem_.fixed[p].size(); j < lengths_[p]; ++j) {
                out = std::min<std::uint64_t>(out * sets_[p].size(), 1U << 30U);
            }
        }
        return out;
    }

    RailBest run() {
        Lists lists = problem_.fixed;
        extend(0, lists);
        shorten();
        return std::move(best_);
    }

  private:
    // Every list in lexicographic order.
    void extend(std::size_t podset, Lists& lists) {
        if (podset == lists.size()) {
            judge(lists);
            return;
        }
        if (lists[podset].size() >= lengths_[podset]) {
            extend(podset + 1, lists);
            return;
        }
        for (const RailSet& set : sets_[podset]) {
            lists[podset].push_back(set);
            extend(podset, lists);
            lists[podset].pop_back();
        }
    }

    void judge(const Lists& lists) {
        std::vector<std::vector<CountVector>> tables;
        for (std::size_t n = 0; n < problem_.nodes.size(); ++n) {
            tables.push_back(table_of(n, lists));
        }
        if (!seen_.emplace(tables, true).second) {
            return;  // An earlier list allows the same plans.
        }
        const GangBest found = brute_gang(with_tables(tables), UINT64_MAX);
        if (!found.feasible) {
            return;
        }
        if (!best_.feasible || found.cost < best_.cost ||
            (found.cost == best_.cost && found.pods > best_.pods)) {
            best_ = {true, found.cost, found.pods, lists};
        }
    }

    [[nodiscard]] std::vector<CountVector> table_of(std::size_t n,
                                                    const Lists& lists) const {
        const RailNode& node = problem_.nodes[n];
        std::vector<CountVector> out;
        CountVector added(most_[n].size());
        do {
            if (holds(node, new_pods(problem_, node, added, lists))) {
                CountVector pods = added;
                for (std::size_t p = 0; p < pods.size(); ++p) {
                    pods[p] += node.stay[p];
                }
                out.push_back(std::move(pods));
            }
        } while (advance(added, most_[n]));
        return out;
    }

    [[nodiscard]] GangProblem with_tables(
        const std::vector<std::vector<CountVector>>& tables) const {
        GangProblem out = problem_.shape;
        out.open_domains.assign(1, std::vector<bool>(problem_.racks));
        for (std::size_t n = 0; n < tables.size(); ++n) {
            const RailNode& node = problem_.nodes[n];
            CountVector copies = copies_[n];
            for (std::size_t p = 0; p < copies.size(); ++p) {
                copies[p] += node.stay[p];
            }
            out.tables.push_back({tables[n], tables[n], std::move(copies), {}});
            out.nodes.push_back(
                {static_cast<std::uint32_t>(n), {node.rack}, node.open});
            if (node.rack != no_index && node.open) {
                out.open_domains[0][node.rack] = true;
            }
        }
        return out;
    }

    // Leaves of the lists what pods have, and what was there.
    void shorten() {
        for (std::size_t p = 0; p < best_.lists.size(); ++p) {
            std::size_t used = problem_.fixed[p].size();
            for (std::size_t n = 0; n < best_.pods.size(); ++n) {
                const RailNode& node = problem_.nodes[n];
                const std::uint32_t added = best_.pods[n][p] - node.stay[p];
                if (added != 0) {
                    used =
                        std::max<std::size_t>(used, place_of(node, p, added - 1) + 1);
                }
            }
            best_.lists[p].resize(std::min(used, best_.lists[p].size()));
        }
    }

    const RailProblem& problem_;
    std::vector<CountVector> copies_, most_;  ///< by node
    std::vector<std::uint32_t> lengths_;      ///< by PodSet
    std::vector<std::vector<RailSet>> sets_;  ///< by PodSet
    std::map<std::vector<std::vector<CountVector>>, bool> seen_;
    RailBest best_;
};

}  // namespace

bool holds(const RailNode& node, const std::vector<TiedPod>& pods) {
    return place_from(node, pods, 0, 0);
}

std::optional<RailBest> brute_rails(const RailProblem& problem,
                                    std::uint64_t most_lists) {
    RailBrute brute(problem);
    if (brute.list_count() > most_lists) {
        return std::nullopt;
    }
    return brute.run();
}

}  // namespace topoalloc::oracle
