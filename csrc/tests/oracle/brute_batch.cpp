// SPDX-License-Identifier: Apache-2.0
#include "brute_batch.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <numeric>
#include <tuple>
#include <utility>

namespace topoalloc::oracle {
namespace {

// Terms 1 to 7: those that are added up.
constexpr std::size_t added_terms = Cost::split_cores;

// One device set of a member, with what it draws.
struct DeviceSide {
    DeviceFacts facts;
    Set whole = 0, parts = 0;
    std::map<std::uint32_t, Amounts> drawn;  // by root, of parts and shares
};

// One way to place a member; its bytes depend on those before it.
struct Choice {
    std::size_t side = 0;
    Set pus = 0, t = 0;
    std::size_t shape = 0;  // choices of one shape are given the same bytes
    Cost cost;              // terms 1 to 7; without bytes
};

struct Member {
    std::unique_ptr<Judge> judge;
    bool wants_bytes = false;
    std::vector<DeviceSide> sides;
    std::vector<Choice> choices;
};

using Taken = std::vector<OracleGrant>;

bool is_less_added(const Cost& a, const Cost& b) {
    return std::lexicographical_compare(a.terms.begin(),
                                        a.terms.begin() + added_terms,
                                        b.terms.begin(),
                                        b.terms.begin() + added_terms);
}

void add_terms(Cost& sum, const Cost& more) {
    for (std::size_t term = 0; term < added_terms; ++term) {
        sum.terms[term] += more.terms[term];
    }
}

DeviceSide side_of(const Judge& judge, const Request& request, Set devices) {
    const OracleMachine& m = judge.machine();
    DeviceSide side;
    side.facts = judge.facts(devices);
    for (const std::uint32_t device : members(devices)) {
        const std::uint32_t root = m.devices[device].root;
        if (device != root) {
            side.parts |= set_of(device);
            Amounts& drawn = side.drawn[root];
            for (const auto& [name, amount] : m.device_spec(device).draws) {
                drawn[name] += amount;
            }
            continue;
        }
        const auto wanted = std::find_if(
            request.devices.begin(), request.devices.end(), [&](const auto& w) {
                return w.device_class == m.device_spec(device).device_class;
            });
        if (wanted->share.empty()) {
            side.whole |= set_of(device);
        } else {
            side.drawn[device] = wanted->share;
        }
    }
    return side;
}

class BatchBrute {
  public:
    BatchBrute(const BatchInstance& instance, std::uint64_t most)
        : instance_(instance), most_(most) {
        for (const Request& request : instance.requests) {
            members_.push_back(make_member(request));
        }
    }

    BatchAnswer run() {
        if (!answer_.is_counted) {
            return answer_;
        }
        std::uint64_t combinations = 1;
        for (const Member& member : members_) {
            combinations *= member.choices.size();
            if (combinations > most_) {
                answer_.is_counted = false;
                return answer_;
            }
        }
        std::vector<std::size_t> order(members_.size());
        std::iota(order.begin(), order.end(), 0U);
        const bool any_bytes =
            std::any_of(members_.begin(), members_.end(), [](const Member& m) {
                return m.wants_bytes;
            });
        do {
            order_ = order;
            given_.clear();
            place(0, {}, {}, {});
        } while (any_bytes && std::next_permutation(order.begin(), order.end()));
        return answer_;
    }

  private:
    struct Sofar {
        Set pus = 0;
        Set whole = 0, parts = 0;
        Opened opened;
        std::map<std::uint32_t, Amounts> drawn;
    };

    Member make_member(const Request& request) {
        Member member;
        member.judge = std::make_unique<Judge>(instance_.base.spec,
                                               instance_.base.state,
                                               request,
                                               instance_.base.spread,
                                               nullptr);
        member.wants_bytes = request.memory > 0 || !request.hugepages.empty();
        for (const Set devices : member.judge->device_sets()) {
            member.sides.push_back(side_of(*member.judge, request, devices));
        }
        const std::vector<Set> pu_sets = member.judge->pu_sets();
        const Set subsets = set_of(member.judge->machine().localities.size());
        if (member.sides.size() * pu_sets.size() * subsets > most_) {
            answer_.is_counted = false;
            return member;
        }
        for (const Set pus : pu_sets) {
            add_choices(member, pus);
        }
        std::stable_sort(member.choices.begin(),
                         member.choices.end(),
                         [](const Choice& a, const Choice& b) {
                             return is_less_added(a.cost, b.cost);
                         });
        return member;
    }

    void add_choices(Member& member, Set pus) {
        const OracleMachine& m = member.judge->machine();
        const Set subsets = set_of(m.localities.size());
        for (std::size_t side = 0; side < member.sides.size(); ++side) {
            std::optional<Choice> least;
            for (Set t = 0; t < subsets; ++t) {
                Choice choice{side, pus, t, shape_of(member, pus, t), {}};
                if (member.wants_bytes) {
                    member.choices.push_back(choice);
                    continue;
                }
                const auto cost =
                    member.judge->cost(member.sides[side].facts, pus, t, {});
                // Without bytes, T is seen by terms 2 and 3 alone.
                if (cost && (!least || is_less_added(*cost, least->cost))) {
                    choice.cost = *cost;
                    least = choice;
                }
            }
            if (least) {
                member.choices.push_back(*least);
            }
        }
    }

    // Bytes see T and how many PUs are in each locality.
    std::size_t shape_of(const Member& member, Set pus, Set t) {
        std::vector<Set> key{t};
        for (const Set locality : member.judge->machine().localities) {
            key.push_back(static_cast<Set>(size_of(locality & pus)));
        }
        return shapes_.try_emplace(std::move(key), shapes_.size()).first->second;
    }

    void place(std::size_t depth,
               const Sofar& sofar,
               const Cost& sum,
               const Taken& taken) {
        if (depth == order_.size()) {
            finish(sofar, sum);
            return;
        }
        const Member& member = members_[order_[depth]];
        for (const Choice& choice : member.choices) {
            const DeviceSide& side = member.sides[choice.side];
            if ((choice.pus & sofar.pus) != 0 || !fits_beside(member, side, sofar)) {
                continue;
            }
            Taken mine;
            Cost cost = choice.cost;
            if (member.wants_bytes) {
                const auto priced = price(order_[depth], choice, taken);
                if (!priced) {
                    continue;
                }
                mine = priced->second;
                cost = priced->first;
            }
            Cost next_sum = sum;
            add_terms(next_sum, cost);
            // No term of those added up is ever negative.
            if (answer_.feasible && is_less_added(answer_.cost, next_sum)) {
                continue;
            }
            Taken after = taken;
            after.insert(after.end(), mine.begin(), mine.end());
            place(depth + 1,
                  with(member, side, choice.pus, mine, sofar),
                  next_sum,
                  after);
        }
    }

    [[nodiscard]] static bool fits_beside(const Member& member,
                                          const DeviceSide& side,
                                          const Sofar& sofar) {
        if ((side.whole & sofar.whole) != 0 || (side.parts & sofar.parts) != 0) {
            return false;
        }
        for (const auto& [root, amounts] : sofar.drawn) {
            if (has(side.whole, root)) {
                return false;
            }
        }
        for (const auto& [root, amounts] : side.drawn) {
            if (has(sofar.whole, root)) {
                return false;
            }
            const auto before = sofar.drawn.find(root);
            for (const auto& [name, amount] : amounts) {
                std::uint64_t sum = amount;
                if (before != sofar.drawn.end() && before->second.contains(name)) {
                    sum += before->second.at(name);
                }
                if (sum > member.judge->counters_left(root).at(name)) {
                    return false;
                }
            }
        }
        return true;
    }

    // The cost and the bytes after those taken; asked once for each.
    std::optional<std::pair<Cost, Taken>> price(std::size_t index,
                                                const Choice& choice,
                                                const Taken& taken) {
        const Member& member = members_[index];
        const auto [entry, is_new] = given_.try_emplace({index, choice.shape, taken});
        if (is_new) {
            entry->second = member.judge->memory(choice.t, choice.pus, taken);
        }
        if (!entry->second) {
            return std::nullopt;
        }
        const auto cost = member.judge->cost(
            member.sides[choice.side].facts, choice.pus, choice.t, *entry->second);
        return cost ? std::optional(std::pair(*cost, *entry->second)) : std::nullopt;
    }

    [[nodiscard]] static Sofar with(const Member& member,
                                    const DeviceSide& side,
                                    Set pus,
                                    const Taken& grants,
                                    Sofar sofar) {
        const Opened opened = member.judge->opened_by(side.facts.devices, pus, grants);
        sofar.opened.packages |= opened.packages;
        sofar.opened.localities |= opened.localities;
        sofar.opened.switches |= opened.switches;
        sofar.opened.devices |= opened.devices;
        sofar.opened.l3s |= opened.l3s;
        sofar.pus |= pus;
        sofar.whole |= side.whole;
        sofar.parts |= side.parts;
        for (const auto& [root, amounts] : side.drawn) {
            Amounts& drawn = sofar.drawn[root];
            for (const auto& [name, amount] : amounts) {
                drawn[name] += amount;
            }
        }
        return sofar;
    }

    void finish(const Sofar& sofar, Cost cost) {
        const OracleMachine& m = members_.front().judge->machine();
        cost[Cost::split_cores] =
            std::count_if(m.cores.begin(), m.cores.end(), [&](Set core) {
                return (core & sofar.pus) != 0 && (core & ~sofar.pus) != 0;
            });
        const std::int64_t sign = instance_.base.spread ? -1 : 1;
        cost[Cost::opened_packages] = sign * size_of(sofar.opened.packages);
        cost[Cost::opened_localities] = sign * size_of(sofar.opened.localities);
        cost[Cost::opened_switches] = sign * size_of(sofar.opened.switches);
        cost[Cost::opened_devices] = sign * size_of(sofar.opened.devices);
        cost[Cost::opened_l3s] = sign * size_of(sofar.opened.l3s);
        if (!answer_.feasible || cost < answer_.cost) {
            answer_.feasible = true;
            answer_.cost = cost;
        }
    }

    friend std::optional<Cost> topoalloc::oracle::judge_batch(
        const BatchInstance& instance, const std::vector<BatchPart>& parts);

    // Only the choices that the parts make.
    void restrict_to(const std::vector<BatchPart>& parts) {
        for (std::size_t i = 0; i < members_.size(); ++i) {
            Member& member = members_[i];
            std::erase_if(member.sides, [&](const DeviceSide& side) {
                return side.facts.devices != parts[i].devices;
            });
            const std::vector<Set> sets = member.judge->pu_sets();
            member.choices.clear();
            if (member.sides.size() != 1 ||
                std::count(sets.begin(), sets.end(), parts[i].pus) == 0) {
                continue;
            }
            Choice choice{0,
                          parts[i].pus,
                          parts[i].localities,
                          shape_of(member, parts[i].pus, parts[i].localities),
                          {}};
            const auto cost = member.judge->cost(
                member.sides[0].facts, choice.pus, choice.t, parts[i].memory);
            if (cost) {
                choice.cost = *cost;
                member.choices.push_back(choice);
            }
        }
    }

    // In this order, are the bytes those of the parts?
    [[nodiscard]] bool gives(const std::vector<std::size_t>& order,
                             const std::vector<BatchPart>& parts) const {
        Taken taken;
        return std::all_of(order.begin(), order.end(), [&](std::size_t i) {
            const auto grants =
                members_[i].judge->memory(parts[i].localities, parts[i].pus, taken);
            taken.insert(taken.end(), parts[i].memory.begin(), parts[i].memory.end());
            return grants && *grants == parts[i].memory;
        });
    }

    const BatchInstance& instance_;
    std::uint64_t most_;
    std::vector<Member> members_;
    std::map<std::vector<Set>, std::size_t> shapes_;
    std::map<std::tuple<std::size_t, std::size_t, Taken>, std::optional<Taken>> given_;
    std::vector<std::size_t> order_;
    BatchAnswer answer_;
};

}  // namespace

BatchAnswer brute_batch(const BatchInstance& instance, std::uint64_t most) {
    return BatchBrute(instance, most).run();
}

std::optional<Cost> judge_batch(const BatchInstance& instance,
                                const std::vector<BatchPart>& parts) {
    BatchBrute brute(instance, ~std::uint64_t{0});
    brute.restrict_to(parts);
    std::vector<std::size_t> order(parts.size());
    std::iota(order.begin(), order.end(), 0U);
    do {
        if (brute.gives(order, parts)) {
            brute.order_ = order;
            brute.given_.clear();
            brute.place(0, {}, {}, {});
            if (brute.answer_.feasible) {
                return brute.answer_.cost;
            }
        }
    } while (std::next_permutation(order.begin(), order.end()));
    return std::nullopt;
}

}  // namespace topoalloc::oracle
