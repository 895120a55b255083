// SPDX-License-Identifier: Apache-2.0
#include "cluster/gang_tables.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <utility>

namespace topoalloc {

CountTable restrict_to(const CountTable& table, const std::vector<bool>& eligible) {
    const auto fits = [&](const CountVector& pods) {
        for (std::size_t p = 0; p < pods.size(); ++p) {
            if (pods[p] != 0 && !eligible[p]) {
                return false;
            }
        }
        return true;
    };
    CountTable out;
    std::ranges::copy_if(table.attained, std::back_inserter(out.attained), fits);
    std::ranges::copy_if(table.possible, std::back_inserter(out.possible), fits);
    out.copies = table.copies;
    out.may_have_more = table.may_have_more;
    for (std::size_t p = 0; p < eligible.size(); ++p) {
        if (!eligible[p]) {
            out.copies[p] = 0;
            out.may_have_more[p] = false;
        }
    }
    return out;
}

std::vector<std::vector<bool>> open_domains_of(const ClusterData& data) {
    std::vector<std::vector<bool>> out;
    for (std::uint32_t level = 0; level < data.levels().size(); ++level) {
        auto& open = out.emplace_back(data.domain_count(level));
        for (std::uint32_t d = 0; d < open.size(); ++d) {
            open[d] = data.is_open(level, d);
        }
    }
    return out;
}

std::optional<std::uint32_t> podset_without_room(const GangProblem& problem) {
    for (std::uint32_t p = 0; p < problem.podsets.size(); ++p) {
        std::vector<std::uint32_t> most;
        for (const CountTable& table : problem.tables) {
            most.push_back(0);
            for (const CountVector& pods : table.possible) {
                most.back() = std::max(most.back(), pods[p]);
            }
        }
        std::uint64_t sum = 0;
        for (const GangNode& node : problem.nodes) {
            sum += most[node.table];
        }
        if (sum < problem.podsets[p].min_count) {
            return p;
        }
    }
    return std::nullopt;
}

void forget(CountTable& table, const CountVector& pods) {
    std::erase_if(table.attained, [&](const CountVector& known) {
        return std::ranges::equal(known, pods, std::greater_equal<>());
    });
}

std::vector<std::size_t> rank_order(const GangProblem& problem,
                                    std::uint32_t podset,
                                    const std::vector<CountVector>& pods) {
    std::vector<std::pair<std::vector<std::size_t>, std::size_t>> keyed;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> first;
    for (std::size_t n = 0; n < pods.size(); ++n) {
        if (pods[n][podset] == 0) {
            continue;
        }
        std::vector<std::size_t> key;
        for (const LevelRule& slice : problem.slices) {
            if (slice.podset == podset && slice.level < problem.levels) {
                const std::uint32_t domain = problem.nodes[n].domains[slice.level];
                key.push_back(
                    first.try_emplace({slice.level, domain}, n).first->second);
            }
        }
        keyed.emplace_back(std::move(key), n);
    }
    std::ranges::sort(keyed);
    std::vector<std::size_t> out;
    for (const auto& [key, n] : keyed) {
        out.push_back(n);
    }
    return out;
}

}  // namespace topoalloc
