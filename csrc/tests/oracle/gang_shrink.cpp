// SPDX-License-Identifier: Apache-2.0
#include "gang_instances.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace topoalloc::oracle {
namespace {

template <class T>
void erase_at(std::vector<T>& values, std::size_t index) {
    values.erase(values.begin() + static_cast<std::ptrdiff_t>(index));
}

bool is_of_nobody(const WithinRule& rule) {
    return std::count(rule.podsets.begin(), rule.podsets.end(), true) == 0;
}

void erase_podset(GangProblem& problem, std::uint32_t podset) {
    erase_at(problem.podsets, podset);
    const auto shift = [podset](std::uint32_t& index) {
        index -= index > podset ? 1 : 0;
    };
    for (WithinRule& rule : problem.within) {
        erase_at(rule.podsets, podset);
    }
    std::erase_if(problem.within,
                  [](const WithinRule& rule) { return is_of_nobody(rule); });
    for (auto* rules : {&problem.slices, &problem.spread, &problem.balanced}) {
        std::erase_if(*rules, [&](const LevelRule& r) { return r.podset == podset; });
        for (LevelRule& rule : *rules) {
            shift(rule.podset);
        }
    }
    std::erase_if(problem.prefer,
                  [&](const PreferRule& r) { return r.unmet == podset; });
    for (PreferRule& rule : problem.prefer) {
        shift(rule.unmet);
        shift(rule.level.podset);
        if (rule.kind == RuleKind::within) {
            erase_at(rule.within.podsets, podset);
        }
    }
    std::erase_if(problem.prefer, [](const PreferRule& rule) {
        return rule.kind == RuleKind::within && is_of_nobody(rule.within);
    });
    for (CountTable& table : problem.tables) {
        for (auto* vectors : {&table.attained, &table.possible}) {
            std::erase_if(*vectors,
                          [&](const CountVector& held) { return held[podset] > 0; });
            for (CountVector& held : *vectors) {
                erase_at(held, podset);
            }
        }
        erase_at(table.copies, podset);
    }
}

void erase_group(GangProblem& problem, std::uint32_t group) {
    const auto place = static_cast<std::uint32_t>(problem.podsets.size()) + group;
    std::erase_if(problem.prefer,
                  [&](const PreferRule& r) { return r.unmet == place; });
    for (PreferRule& rule : problem.prefer) {
        rule.unmet -= rule.unmet > place ? 1 : 0;
    }
    --problem.groups;
}

// Rules of the level go, and finer ones move up.
void erase_level(GangProblem& problem, std::uint32_t level) {
    const auto shift = [level](std::uint32_t& index) {
        index -= index != no_index && index > level ? 1 : 0;
    };
    const auto shift_rules = [&](auto& rules) {
        std::erase_if(rules, [&](const auto& rule) { return rule.level == level; });
        for (auto& rule : rules) {
            shift(rule.level);
        }
    };
    shift_rules(problem.within);
    shift_rules(problem.slices);
    shift_rules(problem.spread);
    shift_rules(problem.balanced);
    std::erase_if(problem.prefer, [&](const PreferRule& rule) {
        return level ==
               (rule.kind == RuleKind::within ? rule.within.level : rule.level.level);
    });
    for (PreferRule& rule : problem.prefer) {
        shift(rule.within.level);
        shift(rule.level.level);
    }
    for (GangPodSet& podset : problem.podsets) {
        shift(podset.lowest_level);
    }
    for (GangNode& node : problem.nodes) {
        erase_at(node.domains, level);
    }
    erase_at(problem.open_domains, level);
    --problem.levels;
}

// What the count, and the vectors that are left, allow.
void trim(GangProblem& problem, std::uint32_t podset) {
    GangPodSet& own = problem.podsets[podset];
    own.min_count = std::min(own.min_count, own.count);
    for (CountTable& table : problem.tables) {
        std::uint32_t alone = 0;
        for (auto* vectors : {&table.possible, &table.attained}) {
            std::erase_if(*vectors, [&](const CountVector& held) {
                return held[podset] > own.count;
            });
            alone = 0;
            for (const CountVector& held : *vectors) {
                alone = std::max(alone, held[podset]);
            }
        }
        table.copies[podset] = alone;
    }
}

class GangShrinker {
  public:
    GangShrinker(GangProblem problem,
                 const std::function<bool(const GangProblem&)>& differs)
        : now_(std::move(problem)), differs_(differs) {}

    GangProblem run() {
        do {
            changed_ = false;
            shrink_rules();
            shrink_podsets();
            shrink_nodes();
            shrink_tables();
            shrink_levels();
        } while (changed_);
        return std::move(now_);
    }

  private:
    // `edit` says whether it changed anything.
    template <class Edit>
    bool attempt(const Edit& edit) {
        GangProblem next = now_;
        if (!edit(next) || !wrong_with(next).empty() || !differs_(next)) {
            return false;
        }
        now_ = std::move(next);
        changed_ = true;
        return true;
    }

    template <class VectorOf>
    void erase_each(const VectorOf& vector_of) {
        for (std::size_t i = vector_of(now_).size(); i > 0; --i) {
            attempt([&](GangProblem& next) {
                erase_at(vector_of(next), i - 1);
                return true;
            });
        }
    }

    void shrink_rules() {
        erase_each([](GangProblem& p) -> auto& { return p.within; });
        erase_each([](GangProblem& p) -> auto& { return p.slices; });
        erase_each([](GangProblem& p) -> auto& { return p.spread; });
        erase_each([](GangProblem& p) -> auto& { return p.balanced; });
        erase_each([](GangProblem& p) -> auto& { return p.prefer; });
        for (std::uint32_t group = now_.groups; group > 0; --group) {
            attempt([&](GangProblem& next) {
                erase_group(next, group - 1);
                return true;
            });
        }
    }

    void shrink_podsets() {
        for (std::size_t i = now_.podsets.size(); i > 0; --i) {
            const auto podset = static_cast<std::uint32_t>(i - 1);
            const bool is_gone = attempt([&](GangProblem& next) {
                erase_podset(next, podset);
                return true;
            });
            if (!is_gone) {
                shrink_podset(podset);
            }
        }
    }

    void shrink_podset(std::uint32_t podset) {
        while (attempt([&](GangProblem& next) {
            --next.podsets[podset].count;
            trim(next, podset);
            return true;
        })) {
        }
        attempt([&](GangProblem& next) {
            return std::exchange(next.podsets[podset].lowest_level, no_index) !=
                   no_index;
        });
        attempt([&](GangProblem& next) {
            GangPodSet& own = next.podsets[podset];
            return std::exchange(own.min_count, own.count) != own.count;
        });
        attempt([&](GangProblem& next) {
            GangPodSet& own = next.podsets[podset];
            return own.min_count < own.count && std::exchange(own.min_count, 0) > 0;
        });
    }

    void shrink_nodes() {
        erase_each([](GangProblem& p) -> auto& { return p.nodes; });
        for (std::size_t v = 0; v < now_.nodes.size(); ++v) {
            attempt([&](GangProblem& next) {
                return std::exchange(next.nodes[v].open, false);
            });
            for (std::uint32_t level = 0; level < now_.levels; ++level) {
                attempt([&](GangProblem& next) {
                    return std::exchange(next.nodes[v].domains[level], 0) == no_index;
                });
            }
        }
    }

    void shrink_tables() {
        for (std::size_t t = now_.tables.size(); t > 0; --t) {
            attempt([&](GangProblem& next) { return erase_table(next, t - 1); });
        }
        for (std::size_t t = 0; t < now_.tables.size(); ++t) {
            attempt([&](GangProblem& next) {
                CountTable& table = next.tables[t];
                return std::exchange(table.possible, table.attained) != table.attained;
            });
            for (std::size_t i = now_.tables[t].possible.size(); i > 1; --i) {
                attempt(
                    [&](GangProblem& next) { return erase_vector(next, t, i - 1); });
            }
            for (std::size_t p = 0; p < now_.podsets.size(); ++p) {
                while (attempt([&](GangProblem& next) {
                    return next.tables[t].copies[p]-- > 0;
                })) {
                }
            }
        }
    }

    // Its nodes take the table before it, or the one after the first.
    [[nodiscard]] static bool erase_table(GangProblem& problem, std::size_t table) {
        if (problem.tables.size() < 2) {
            return false;
        }
        erase_at(problem.tables, table);
        for (GangNode& node : problem.nodes) {
            node.table -= node.table >= table && node.table > 0 ? 1 : 0;
        }
        return true;
    }

    // The vector and all that are larger.
    [[nodiscard]] static bool erase_vector(GangProblem& problem,
                                           std::size_t table,
                                           std::size_t index) {
        CountTable& own = problem.tables[table];
        if (index >= own.possible.size()) {
            return false;  // one removal may take several away
        }
        const CountVector least = own.possible[index];
        for (auto* vectors : {&own.possible, &own.attained}) {
            std::erase_if(*vectors, [&](const CountVector& held) {
                return std::equal(
                    held.begin(), held.end(), least.begin(), std::greater_equal<>());
            });
        }
        for (std::size_t p = 0; p < problem.podsets.size(); ++p) {
            std::uint32_t alone = 0;
            for (const CountVector& held : own.attained) {
                alone = std::max(alone, held[p]);
            }
            if (alone < problem.podsets[p].count) {
                own.copies[p] = alone;
            }
        }
        return true;
    }

    void shrink_levels() {
        for (std::uint32_t level = now_.levels; level > 0; --level) {
            attempt([&](GangProblem& next) {
                erase_level(next, level - 1);
                return true;
            });
        }
        for (std::uint32_t level = 0; level < now_.levels; ++level) {
            for (std::size_t d = now_.open_domains[level].size(); d > 0; --d) {
                const auto domain = static_cast<std::uint32_t>(d - 1);
                attempt([&](GangProblem& next) {
                    return close_domain(next, level, domain);
                });
                attempt([&](GangProblem& next) {
                    return erase_domain(next, level, domain);
                });
            }
        }
    }

    [[nodiscard]] static bool close_domain(GangProblem& problem,
                                           std::uint32_t level,
                                           std::uint32_t domain) {
        const bool is_open = problem.open_domains[level][domain];
        problem.open_domains[level][domain] = false;
        return is_open;
    }

    // Its nodes join the Domain before it.
    [[nodiscard]] static bool erase_domain(GangProblem& problem,
                                           std::uint32_t level,
                                           std::uint32_t domain) {
        if (problem.open_domains[level].size() < 2) {
            return false;
        }
        erase_at(problem.open_domains[level], domain);
        for (GangNode& node : problem.nodes) {
            std::uint32_t& own = node.domains[level];
            own -= own != no_index && own >= domain && own > 0 ? 1 : 0;
        }
        return true;
    }

    GangProblem now_;
    const std::function<bool(const GangProblem&)>& differs_;
    bool changed_ = false;
};

}  // namespace

GangProblem shrink(GangProblem problem,
                   const std::function<bool(const GangProblem&)>& differs) {
    return GangShrinker(std::move(problem), differs).run();
}

}  // namespace topoalloc::oracle
