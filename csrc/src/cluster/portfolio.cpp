// SPDX-License-Identifier: Apache-2.0
#include "cluster/portfolio.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace topoalloc {
namespace {

// Domains that are tried for a rule that several PodSets share.
constexpr std::size_t most_domains = 16;

using Plan = std::vector<CountVector>;
// By PodSet and node: whether its pods may be there.
using Allowed = std::vector<std::vector<bool>>;

std::uint64_t domain_of(const GangProblem& problem,
                        std::uint32_t node,
                        std::uint32_t level) {
    const std::uint32_t domain =
        level == problem.levels ? node : problem.nodes[node].domains[level];
    return domain;
}

// What is left to one PodSet beside a plan for others, as a problem of its own.
class OnePodSet {
  public:
    OnePodSet(const GangProblem& problem, const Plan& others, const Allowed& allowed)
        : problem_(problem), others_(others), allowed_(allowed) {}

    GangProblem make(std::uint32_t podset) {
        GangProblem out;
        out.levels = problem_.levels;
        out.podsets = {problem_.podsets[podset]};
        out.open_domains = problem_.open_domains;
        for (const WithinRule& rule : problem_.within) {
            if (rule.podsets[podset]) {
                out.within.push_back({{true}, rule.level});
            }
        }
        out.slices = rules(problem_.slices, podset);
        out.spread = rules(problem_.spread, podset);
        out.balanced = rules(problem_.balanced, podset);
        for (std::uint32_t n = 0; n < problem_.nodes.size(); ++n) {
            out.nodes.push_back(problem_.nodes[n]);
            out.nodes.back().table = table_of(podset, n, out.tables);
        }
        return out;
    }

  private:
    static std::vector<LevelRule> rules(const std::vector<LevelRule>& all,
                                        std::uint32_t podset) {
        std::vector<LevelRule> out;
        for (LevelRule rule : all) {
            if (rule.podset == podset) {
                rule.podset = 0;
                out.push_back(rule);
            }
        }
        return out;
    }

    // Tables are few: by the node's own, what others have there, and the right to it.
    std::uint32_t table_of(std::uint32_t podset,
                           std::uint32_t node,
                           std::vector<CountTable>& tables) {
        const std::uint32_t of = problem_.nodes[node].table;
        const bool may = allowed_[podset][node];
        const auto [it, is_new] =
            known_.try_emplace(std::tuple(of, others_[node], may),
                               static_cast<std::uint32_t>(tables.size()));
        if (is_new) {
            CountTable made;
            for (const CountVector& pods : problem_.tables[of].attained) {
                CountVector rest = pods;
                rest[podset] = others_[node][podset];
                if (rest == others_[node] && (may || pods[podset] == 0)) {
                    made.attained.push_back({pods[podset]});
                }
            }
            std::ranges::sort(made.attained);
            made.possible = made.attained;
            made.copies = {problem_.tables[of].copies[podset]};
            tables.push_back(std::move(made));
        }
        return it->second;
    }

    const GangProblem& problem_;
    const Plan& others_;
    const Allowed& allowed_;
    std::map<std::tuple<std::uint32_t, CountVector, bool>, std::uint32_t> known_;
};

class Portfolio {
  public:
    Portfolio(const GangProblem& problem, const PlaceOne& place_one, StepBudget& budget)
        : problem_(problem), place_one_(place_one), budget_(budget) {
        for (const WithinRule& rule : problem.within) {
            if (std::ranges::count(rule.podsets, true) > 1) {
                shared_.push_back(&rule);
            }
        }
        // Coarse ones first: a finer Domain is sought inside.
        std::ranges::stable_sort(shared_, {}, &WithinRule::level);
        find_orders();
    }

    std::optional<Plan> run() {
        const Allowed allowed(problem_.podsets.size(),
                              std::vector<bool>(problem_.nodes.size(), true));
        return choose_domains(0, allowed);
    }

  private:
    // As given; those with the least room for their pods first; the larger ones first.
    void find_orders() {
        std::vector<std::uint32_t> order(problem_.podsets.size());
        std::iota(order.begin(), order.end(), 0);
        orders_.push_back(order);
        std::vector<std::uint64_t> room(order.size());
        for (const GangNode& node : problem_.nodes) {
            for (std::size_t p = 0; p < room.size(); ++p) {
                room[p] += problem_.tables[node.table].copies[p];
            }
        }
        std::ranges::stable_sort(order, {}, [&](std::uint32_t p) {
            return room[p] / std::max(1U, problem_.podsets[p].count);
        });
        orders_.push_back(order);
        std::ranges::stable_sort(order, {}, [&](std::uint32_t p) { return room[p]; });
        orders_.push_back(order);
    }

    // NOLINTNEXTLINE(misc-no-recursion): as deep as there are rules that PodSets share
    std::optional<Plan> choose_domains(std::size_t rule, const Allowed& allowed) {
        if (rule == shared_.size()) {
            return try_orders(allowed);
        }
        for (const std::uint64_t domain : candidates(*shared_[rule], allowed)) {
            if (!budget_.spend()) {
                return std::nullopt;
            }
            Allowed inside = allowed;
            for (std::uint32_t n = 0; n < problem_.nodes.size(); ++n) {
                if (domain_of(problem_, n, shared_[rule]->level) != domain) {
                    bar(*shared_[rule], n, inside);
                }
            }
            if (auto plan = choose_domains(rule + 1, inside)) {
                return plan;
            }
        }
        return std::nullopt;
    }

    static void bar(const WithinRule& rule, std::uint32_t node, Allowed& allowed) {
        for (std::size_t p = 0; p < rule.podsets.size(); ++p) {
            if (rule.podsets[p]) {
                allowed[p][node] = false;
            }
        }
    }

    [[nodiscard]] bool is_large(const WithinRule& rule,
                                const std::vector<std::uint64_t>& room) const {
        for (std::size_t p = 0; p < room.size(); ++p) {
            if (rule.podsets[p] && room[p] < problem_.podsets[p].min_count) {
                return false;
            }
        }
        return true;
    }

    // Domains that hold each PodSet of the rule by itself, the least roomy first.
    [[nodiscard]] std::vector<std::uint64_t> candidates(const WithinRule& rule,
                                                        const Allowed& allowed) const {
        std::map<std::uint64_t, std::vector<std::uint64_t>> rooms;
        for (std::uint32_t n = 0; n < problem_.nodes.size(); ++n) {
            const std::uint64_t domain = domain_of(problem_, n, rule.level);
            if (domain == no_index) {
                continue;
            }
            auto& room = rooms[domain];
            room.resize(problem_.podsets.size());
            const CountTable& table = problem_.tables[problem_.nodes[n].table];
            for (std::size_t p = 0; p < room.size(); ++p) {
                room[p] += allowed[p][n] ? table.copies[p] : 0;
            }
        }
        std::vector<std::pair<std::uint64_t, std::uint64_t>> found;
        for (const auto& [domain, room] : rooms) {
            if (is_large(rule, room)) {
                found.emplace_back(
                    std::accumulate(room.begin(), room.end(), std::uint64_t{0}),
                    domain);
            }
        }
        std::ranges::sort(found);
        found.resize(std::min(found.size(), most_domains));
        std::vector<std::uint64_t> out;
        for (const auto& [room, domain] : found) {
            out.push_back(domain);
        }
        return out;
    }

    std::optional<Plan> try_orders(const Allowed& allowed) {
        for (const auto& order : orders_) {
            if (auto plan = try_order(order, allowed)) {
                return plan;
            }
        }
        return std::nullopt;
    }

    std::optional<Plan> try_order(const std::vector<std::uint32_t>& order,
                                  const Allowed& allowed) {
        // The least that each node holds: nothing, but for pods that stay.
        Plan plan;
        for (const GangNode& node : problem_.nodes) {
            plan.push_back(problem_.tables[node.table].attained.front());
        }
        for (const std::uint32_t p : order) {
            const GangProblem one = OnePodSet(problem_, plan, allowed).make(p);
            const auto found =
                budget_.limited ? std::nullopt : place_one_(one, budget_);
            if (!found) {
                return std::nullopt;
            }
            for (std::size_t n = 0; n < plan.size(); ++n) {
                plan[n][p] = (*found)[n][0];
            }
        }
        return plan;
    }

    const GangProblem& problem_;
    const PlaceOne& place_one_;
    StepBudget& budget_;
    std::vector<const WithinRule*> shared_;
    std::vector<std::vector<std::uint32_t>> orders_;
};

}  // namespace

std::optional<std::vector<CountVector>> place_in_turn(const GangProblem& problem,
                                                      const PlaceOne& place_one,
                                                      StepBudget& budget) {
    return Portfolio(problem, place_one, budget).run();
}

}  // namespace topoalloc
