// SPDX-License-Identifier: Apache-2.0
#include "cluster_instances.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <sstream>
#include <utility>

namespace topoalloc::oracle {
namespace {

constexpr std::uint64_t cluster_stream = 0x9b05688c2b3e6c1f;
constexpr std::uint64_t second_machine = 0x5be0cd19137e2179;

// A Request that means the same on every Machine: it names no device.
void unname(Request& request) {
    request.exclude.clear();
    for (DeviceRequest& wanted : request.devices) {
        wanted.eligible.reset();
    }
    const auto is_near = [](const Constraint& constraint) {
        return std::holds_alternative<Near>(constraint);
    };
    std::erase_if(request.require, is_near);
    std::erase_if(request.prefer, is_near);
}

class ClusterMaker {
  public:
    explicit ClusterMaker(std::uint64_t seed) : rng_(seed ^ cluster_stream) {
        out_.seed = seed;
    }

    ClusterInstance make() {
        const BatchInstance batch = make_batch_instance(out_.seed);
        out_.spread = batch.base.spread;
        requests_ = batch.requests;
        add_machine(batch.base);
        if (rng_.percent(30)) {
            add_machine(make_batch_instance(out_.seed ^ second_machine).base);
            std::ranges::for_each(requests_, unname);
        }
        make_trees();
        make_nodes();
        make_gang();
        return std::move(out_);
    }

  private:
    // As it is, empty, and with one owner less.
    void add_machine(const Instance& base) {
        const auto machine = static_cast<std::uint32_t>(out_.machines.size());
        out_.machines.push_back(base.spec);
        OracleState fewer = base.state;
        if (!fewer.holdings.empty()) {
            fewer.holdings.pop_back();
        }
        OracleState empty = base.state;
        empty.holdings.clear();
        for (OracleState& state : std::array{base.state, fewer, empty}) {
            out_.states.push_back(std::move(state));
            machine_of_state_.push_back(machine);
        }
    }

    void make_trees() {
        const std::uint32_t levels = rng_.between(1, 3);
        const std::uint32_t second =
            levels > 1 && rng_.percent(35) ? rng_.between(1, levels - 1) : levels;
        for (std::uint32_t level = 0; level < levels; ++level) {
            if (level == 0 || level == second) {
                out_.trees.push_back({"tree" + std::to_string(level), {}});
            }
            levels_.push_back("level" + std::to_string(level));
            out_.trees.back().levels.push_back(levels_.back());
        }
    }

    void make_nodes() {
        const std::uint32_t width = rng_.between(2, 3);
        const bool are_missing = rng_.percent(25);
        const bool are_marked = rng_.percent(35);
        out_.nodes.resize(rng_.weighted({5, 20, 35, 25, 15}) + 1);
        for (ClusterNode& node : out_.nodes) {
            node.state = rng_.below(out_.states.size());
            node.machine = machine_of_state_[node.state];
            node.cordoned = rng_.percent(4);
            for (const std::string& level : levels_) {
                if (!are_missing || !rng_.percent(20)) {
                    node.domains[level] = "d" + std::to_string(rng_.below(width));
                }
            }
            if (are_marked && rng_.percent(70)) {
                node.labels["pool"] = rng_.percent(60) ? "a" : "b";
            }
            if (are_marked && rng_.percent(30)) {
                node.taints.push_back({"held", "", TaintEffect::no_schedule});
            }
        }
    }

    std::string pick_level() { return rng_.percent(12) ? "node" : rng_.pick(levels_); }

    GangConstraint make_constraint(const PodSet& podset) {
        const std::uint32_t kind = rng_.below(100);
        if (kind < 50) {
            return Within{pick_level()};
        }
        if (kind < 75) {
            return Spread{pick_level(), rng_.between(1, podset.count)};
        }
        return Balanced{pick_level()};
    }

    void make_slices(PodSet& podset) {
        std::uint32_t size = podset.count;
        std::uint32_t level = rng_.below(levels_.size() + 1);
        while (level <= levels_.size() && podset.slices.size() < 3 && size > 1) {
            const std::uint32_t parts = rng_.between(1, size);
            if (size % parts == 0) {
                size = parts;
            }
            podset.slices.push_back(
                {level == levels_.size() ? "node" : levels_[level], size});
            level += rng_.between(1, 2);
        }
    }

    void make_podset() {
        PodSet podset;
        podset.name = "set" + std::to_string(out_.gang.podsets.size());
        podset.request = std::make_shared<const Request>(rng_.pick(requests_));
        podset.count = rng_.between(1, 3);
        podset.min_count =
            rng_.percent(60) ? podset.count : rng_.below(podset.count + 1);
        if (rng_.percent(25)) {
            make_slices(podset);
        }
        for (std::uint32_t times = rng_.weighted({55, 35, 10}); times > 0; --times) {
            podset.require.push_back(make_constraint(podset));
        }
        for (std::uint32_t times = rng_.weighted({55, 30, 15}); times > 0; --times) {
            podset.prefer.push_back(make_constraint(podset));
        }
        if (rng_.percent(15)) {
            podset.where.push_back(make_condition());
        }
        if (rng_.percent(40)) {
            podset.tolerations.push_back({"held", {}, {}});
        }
        out_.gang.podsets.push_back(std::move(podset));
    }

    Condition make_condition() {
        Condition condition;
        condition.attribute = "pool";
        condition.op = static_cast<ConditionOp>(
            rng_.pick(std::vector{static_cast<int>(ConditionOp::equal),
                                  static_cast<int>(ConditionOp::not_equal),
                                  static_cast<int>(ConditionOp::one_of)}));
        condition.values = {std::string("a")};
        return condition;
    }

    void make_gang() {
        out_.gang.name = "gang";
        for (std::uint32_t times = 1 + rng_.weighted({40, 35, 15, 10}); times > 0;
             --times) {
            make_podset();
        }
        std::vector<std::string> known;
        for (const PodSet& podset : out_.gang.podsets) {
            known.push_back(podset.name);
        }
        for (std::uint32_t times = rng_.weighted({55, 30, 15}); times > 0; --times) {
            Group group;
            group.name = "group" + std::to_string(out_.gang.groups.size());
            for (const std::string& member : known) {
                if (rng_.percent(65)) {
                    group.members.push_back(member);
                }
            }
            if (group.members.empty()) {
                group.members.push_back(known.back());
            }
            if (rng_.percent(50)) {
                group.require.push_back({pick_level()});
            }
            if (rng_.percent(50)) {
                group.prefer.push_back({pick_level()});
            }
            known.push_back(group.name);
            out_.gang.groups.push_back(std::move(group));
        }
    }

    Rng rng_;
    ClusterInstance out_;
    std::vector<std::uint32_t> machine_of_state_;
    std::vector<Request> requests_;
    std::vector<std::string> levels_;
};

std::string text_of(const std::map<std::string, std::string>& pairs) {
    std::string text;
    for (const auto& [key, value] : pairs) {
        text += " " + key + "=" + value;
    }
    return text;
}

std::string text_of(const GangConstraint& constraint) {
    if (const auto* within = std::get_if<Within>(&constraint)) {
        return " Within(" + within->level + ")";
    }
    if (const auto* spread = std::get_if<Spread>(&constraint)) {
        return " Spread(" + spread->level + ", " + std::to_string(spread->at_most) +
               ")";
    }
    return " Balanced(" + std::get<Balanced>(constraint).level + ")";
}

void dump_podset(const PodSet& podset, std::ostream& out) {
    out << podset.name << ": " << podset.min_count << " to " << podset.count
        << "; slices";
    for (const Slice& slice : podset.slices) {
        out << " " << slice.level << ":" << slice.size;
    }
    out << "; require";
    for (const GangConstraint& constraint : podset.require) {
        out << text_of(constraint);
    }
    out << "; prefer";
    for (const GangConstraint& constraint : podset.prefer) {
        out << text_of(constraint);
    }
    out << "; " << podset.where.size() << " conditions, " << podset.tolerations.size()
        << " tolerations\n";
}

}  // namespace

ClusterInstance make_cluster_instance(std::uint64_t seed) {
    return ClusterMaker(seed).make();
}

std::string dump(const ClusterInstance& instance) {
    std::ostringstream out;
    out << "seed " << instance.seed << (instance.spread ? ", spread" : ", pack")
        << "\n";
    for (std::size_t n = 0; n < instance.nodes.size(); ++n) {
        const ClusterNode& node = instance.nodes[n];
        out << "node " << n << ": machine " << node.machine << " state " << node.state
            << (node.cordoned ? " cordoned" : "") << text_of(node.domains)
            << text_of(node.labels) << (node.taints.empty() ? "" : " tainted") << "\n";
    }
    for (const PodSet& podset : instance.gang.podsets) {
        dump_podset(podset, out);
        Instance asked;
        asked.seed = instance.seed;
        asked.request = *podset.request;
        out << dump(asked) << "\n";
    }
    for (const Group& group : instance.gang.groups) {
        out << group.name << " of";
        for (const std::string& member : group.members) {
            out << " " << member;
        }
        for (const Within& within : group.require) {
            out << "; require Within(" << within.level << ")";
        }
        for (const Within& within : group.prefer) {
            out << "; prefer Within(" << within.level << ")";
        }
        out << "\n";
    }
    for (const ClusterNode& node : instance.nodes) {
        Instance held;
        held.seed = instance.seed;
        held.spec = instance.machines[node.machine];
        held.state = instance.states[node.state];
        out << dump(held) << "\n";
    }
    return out.str();
}

}  // namespace topoalloc::oracle
