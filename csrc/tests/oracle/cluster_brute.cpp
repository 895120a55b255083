// SPDX-License-Identifier: Apache-2.0
#include "cluster_brute.hpp"

#include "brute_batch.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace topoalloc::oracle {
namespace {

// A value of a level; what is missing comes after all.
using Value = std::pair<bool, std::string>;

Value value_of(const ClusterNode& node, const std::string& level) {
    const auto it = node.domains.find(level);
    return it == node.domains.end() ? Value{true, ""} : Value{false, it->second};
}

bool is_met(const Condition& condition,
            const std::map<std::string, std::string>& labels) {
    const auto it = labels.find(condition.attribute);
    const bool is_one_of = it != labels.end() && std::count(condition.values.begin(),
                                                            condition.values.end(),
                                                            Scalar{it->second}) > 0;
    return condition.op == ConditionOp::not_equal ? it != labels.end() && !is_one_of
                                                  : is_one_of;
}

bool may_be_on(const PodSet& podset, const ClusterNode& node) {
    const bool is_tolerated =
        std::all_of(node.taints.begin(), node.taints.end(), [&](const Taint& taint) {
            return std::any_of(podset.tolerations.begin(),
                               podset.tolerations.end(),
                               [&](const Toleration& toleration) {
                                   return toleration.key == taint.key;
                               });
        });
    return !node.cordoned && is_tolerated &&
           std::all_of(podset.where.begin(),
                       podset.where.end(),
                       [&](const Condition& c) { return is_met(c, node.labels); });
}

// PUs and whole devices of each class that these Requests take at least.
struct Totals {
    std::size_t pus = 0;
    std::map<std::string, std::size_t> devices;
};

Totals totals_of(const std::vector<Request>& requests) {
    Totals totals;
    for (const Request& request : requests) {
        totals.pus += request.cores + request.pus;
        for (const DeviceRequest& wanted : request.devices) {
            if (wanted.share.empty()) {
                totals.devices[wanted.device_class] += wanted.count;
            }
        }
    }
    return totals;
}

// More than the whole Machine has, whatever is free: no need to try.
bool is_beyond(const MachineSpec& spec, const std::vector<Request>& requests) {
    const Totals totals = totals_of(requests);
    std::size_t pus = 0;
    for (const ObjectSpec& object : spec.objects) {
        pus += object.kind == ObjectKind::pu ? 1 : 0;
    }
    return totals.pus > pus ||
           std::any_of(
               totals.devices.begin(), totals.devices.end(), [&](const auto& wanted) {
                   const auto there =
                       std::count_if(spec.devices.begin(),
                                     spec.devices.end(),
                                     [&](const DeviceSpec& device) {
                                         return device.device_class == wanted.first;
                                     });
                   return std::cmp_greater(wanted.second, there);
               });
}

class Reader {
  public:
    Reader(const ClusterInstance& instance, std::uint64_t most)
        : instance_(instance), most_(most) {
        for (const ClusterTree& tree : instance.trees) {
            for (const std::string& level : tree.levels) {
                tree_of_level_.push_back(&tree);
                levels_.push_back(level);
            }
        }
    }

    ClusterReading run() {
        GangProblem& problem = out_.problem;
        problem.levels = static_cast<std::uint32_t>(levels_.size());
        problem.groups = static_cast<std::uint32_t>(instance_.gang.groups.size());
        for (std::uint32_t p = 0; p < podsets(); ++p) {
            add_podset(p);
        }
        add_groups();
        order_nodes();
        name_domains();
        for (std::size_t n = 0; out_.is_counted && n < out_.nodes.size(); ++n) {
            problem.nodes[n].table = table_of(instance_.nodes[out_.nodes[n]]);
        }
        return std::move(out_);
    }

  private:
    [[nodiscard]] std::size_t podsets() const { return instance_.gang.podsets.size(); }

    [[nodiscard]] std::uint32_t number_of(const std::string& level) const {
        return static_cast<std::uint32_t>(
            std::find(levels_.begin(), levels_.end(), level) - levels_.begin());
    }

    [[nodiscard]] std::vector<bool> only(std::uint32_t podset) const {
        std::vector<bool> members(podsets());
        members[podset] = true;
        return members;
    }

    // The rules of a PodSet, and the lowest level that it declares.
    void add_podset(std::uint32_t p) {
        const PodSet& podset = instance_.gang.podsets[p];
        GangProblem& problem = out_.problem;
        GangPodSet& made = problem.podsets.emplace_back();
        made.count = podset.count;
        made.min_count = podset.min_count;
        const auto declare = [&](const std::string& level) {
            const std::uint32_t number = number_of(level);
            made.lowest_level = made.lowest_level == no_index
                                    ? number
                                    : std::max(made.lowest_level, number);
            return number;
        };
        for (const Slice& slice : podset.slices) {
            problem.slices.push_back({p, declare(slice.level), slice.size});
        }
        for (const GangConstraint& constraint : podset.require) {
            if (const auto* within = std::get_if<Within>(&constraint)) {
                problem.within.push_back({only(p), declare(within->level)});
            } else if (const auto* spread = std::get_if<Spread>(&constraint)) {
                problem.spread.push_back({p, declare(spread->level), spread->at_most});
            } else if (const auto* even = std::get_if<Balanced>(&constraint)) {
                problem.balanced.push_back({p, declare(even->level), 0});
            }
        }
        for (const GangConstraint& constraint : podset.prefer) {
            PreferRule rule;
            rule.unmet = p;
            if (const auto* within = std::get_if<Within>(&constraint)) {
                rule.within = {only(p), declare(within->level)};
            } else if (const auto* spread = std::get_if<Spread>(&constraint)) {
                rule.kind = RuleKind::spread;
                rule.level = {p, declare(spread->level), spread->at_most};
            } else if (const auto* even = std::get_if<Balanced>(&constraint)) {
                rule.kind = RuleKind::balanced;
                rule.level = {p, declare(even->level), 0};
            }
            problem.prefer.push_back(rule);
        }
    }

    void add_groups() {
        std::map<std::string, std::vector<bool>> members;
        for (std::uint32_t p = 0; p < podsets(); ++p) {
            members[instance_.gang.podsets[p].name] = only(p);
        }
        for (std::size_t g = 0; g < instance_.gang.groups.size(); ++g) {
            const Group& group = instance_.gang.groups[g];
            std::vector<bool> all(podsets());
            for (const std::string& member : group.members) {
                for (std::size_t p = 0; p < podsets(); ++p) {
                    all[p] = all[p] || members.at(member)[p];
                }
            }
            for (const Within& within : group.require) {
                out_.problem.within.push_back({all, number_of(within.level)});
            }
            for (const Within& within : group.prefer) {
                PreferRule rule;
                rule.within = {all, number_of(within.level)};
                rule.unmet = static_cast<std::uint32_t>(podsets() + g);
                out_.problem.prefer.push_back(rule);
            }
            members[group.name] = all;
        }
    }

    void order_nodes() {
        out_.nodes.resize(instance_.nodes.size());
        std::iota(out_.nodes.begin(), out_.nodes.end(), 0U);
        const auto key = [&](std::uint32_t n) {
            std::vector<Value> values;
            for (const std::string& level : levels_) {
                values.push_back(value_of(instance_.nodes[n], level));
            }
            return values;
        };
        std::stable_sort(
            out_.nodes.begin(),
            out_.nodes.end(),
            [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
    }

    // A Domain is the values of its tree down to its level.
    void name_domains() {
        GangProblem& problem = out_.problem;
        problem.nodes.resize(out_.nodes.size());
        problem.open_domains.resize(levels_.size());
        for (std::size_t n = 0; n < out_.nodes.size(); ++n) {
            const ClusterNode& node = instance_.nodes[out_.nodes[n]];
            problem.nodes[n].open = !instance_.states[node.state].holdings.empty();
        }
        for (std::size_t level = 0; level < levels_.size(); ++level) {
            std::map<std::vector<Value>, std::uint32_t> names;
            for (std::size_t n = 0; n < out_.nodes.size(); ++n) {
                const ClusterNode& node = instance_.nodes[out_.nodes[n]];
                std::vector<Value> path;
                for (const std::string& other : tree_of_level_[level]->levels) {
                    path.push_back(value_of(node, other));
                    if (other == levels_[level]) {
                        break;
                    }
                }
                if (path.back().first) {
                    problem.nodes[n].domains.push_back(no_index);
                    continue;
                }
                const auto [it, is_new] =
                    names.try_emplace(path, static_cast<std::uint32_t>(names.size()));
                if (is_new) {
                    problem.open_domains[level].push_back(false);
                }
                problem.nodes[n].domains.push_back(it->second);
                if (problem.nodes[n].open) {
                    problem.open_domains[level][it->second] = true;
                }
            }
        }
    }

    std::uint32_t table_of(const ClusterNode& node) {
        std::vector<bool> may_be;
        for (const PodSet& podset : instance_.gang.podsets) {
            may_be.push_back(may_be_on(podset, node));
        }
        const auto [it, is_new] =
            tables_.try_emplace({node.state, may_be},
                                static_cast<std::uint32_t>(out_.problem.tables.size()));
        if (is_new) {
            out_.problem.tables.push_back(make_table(node, may_be));
        }
        return it->second;
    }

    CountTable make_table(const ClusterNode& node, const std::vector<bool>& may_be) {
        CountTable table;
        std::set<CountVector> held;
        CountVector vector(podsets());
        add_vectors(node, may_be, vector, 0, held);
        table.attained.assign(held.begin(), held.end());
        table.possible = table.attained;
        for (std::size_t p = 0; p < podsets(); ++p) {
            table.copies.push_back(may_be[p] ? copies_on(node, p) : 0);
        }
        return table;
    }

    // Every vector whose smaller ones all fit.
    void add_vectors(const ClusterNode& node,
                     const std::vector<bool>& may_be,
                     CountVector& vector,
                     std::size_t podset,
                     std::set<CountVector>& held) {
        if (podset == podsets()) {
            if (is_less_held(vector, held) && do_fit(node, vector)) {
                held.insert(vector);
            }
            return;
        }
        const std::uint32_t most =
            may_be[podset] ? instance_.gang.podsets[podset].count : 0;
        for (std::uint32_t pods = 0; pods <= most; ++pods) {
            vector[podset] = pods;
            add_vectors(node, may_be, vector, podset + 1, held);
        }
        vector[podset] = 0;
    }

    static bool is_less_held(const CountVector& vector,
                             const std::set<CountVector>& held) {
        for (std::size_t p = 0; p < vector.size(); ++p) {
            CountVector less = vector;
            if (less[p]-- > 0 && !held.contains(less)) {
                return false;
            }
        }
        return true;
    }

    std::uint32_t copies_on(const ClusterNode& node, std::size_t podset) {
        CountVector pods(podsets());
        do {
            ++pods[podset];
        } while (out_.is_counted && do_fit(node, pods));
        return pods[podset] - 1;
    }

    bool do_fit(const ClusterNode& node, const CountVector& pods) {
        const auto at =
            static_cast<std::uint32_t>(std::distance(instance_.nodes.data(), &node));
        const BatchInstance question = pods_on(instance_, at, pods);
        if (question.requests.empty()) {
            return true;
        }
        if (!out_.is_counted || is_beyond(question.base.spec, question.requests)) {
            return false;
        }
        const BatchAnswer answer = brute_batch(question, most_);
        out_.is_counted = answer.is_counted;
        return answer.feasible;
    }

    const ClusterInstance& instance_;
    std::uint64_t most_;
    std::vector<std::string> levels_;  // in declared order
    std::vector<const ClusterTree*> tree_of_level_;
    std::map<std::pair<std::uint32_t, std::vector<bool>>, std::uint32_t> tables_;
    ClusterReading out_;
};

}  // namespace

ClusterReading read_cluster(const ClusterInstance& instance, std::uint64_t most) {
    return Reader(instance, most).run();
}

BatchInstance pods_on(const ClusterInstance& instance,
                      std::uint32_t node,
                      const CountVector& pods) {
    BatchInstance question;
    question.base.seed = instance.seed;
    question.base.spec = instance.machines[instance.nodes[node].machine];
    question.base.state = instance.states[instance.nodes[node].state];
    question.base.spread = instance.spread;
    for (std::size_t p = 0; p < pods.size(); ++p) {
        question.requests.insert(
            question.requests.end(), pods[p], *instance.gang.podsets[p].request);
    }
    return question;
}

}  // namespace topoalloc::oracle
