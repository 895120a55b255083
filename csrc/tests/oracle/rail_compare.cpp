// SPDX-License-Identifier: Apache-2.0
#include "oracle/rail_compare.hpp"

#include "cluster/gang_shape.hpp"
#include "oracle/rail_brute.hpp"
#include "small_machine.hpp"
#include "topoalloc/cluster.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <sstream>
#include <utility>

namespace topoalloc::oracle {
namespace {

constexpr std::uint64_t most_lists = 4096;
constexpr std::uint32_t cores_of_numa_node = 4;

// Equal on every machine, unlike the distributions of the standard library.
class Dice {
  public:
    explicit Dice(std::uint64_t seed) : engine_(seed) {}
    std::uint32_t below(std::uint32_t end) {
        return static_cast<std::uint32_t>(engine_() % end);
    }
    std::uint32_t from(std::uint32_t low, std::uint32_t high) {
        return low + below(high - low + 1);
    }
    bool one_in(std::uint32_t number) { return below(number) == 0; }

  private:
    std::mt19937_64 engine_;
};

std::shared_ptr<const Machine> machine(bool has_all_nics) {
    static const auto whole = testing::small_machine();
    static const auto less = testing::small_machine([](MachineSpec& spec) {
        spec.devices.erase(spec.devices.begin() + 7);  // nic3, the last of the NICs
    });
    return has_all_nics ? whole : less;
}

std::uint32_t nic_of(const Machine& machine, std::uint32_t nic) {
    return machine.find_device("nic" + std::to_string(nic));
}

std::string show(const std::vector<CountVector>& pods) {
    std::ostringstream out;
    for (const CountVector& vector : pods) {
        out << "(";
        for (const std::uint32_t number : vector) {
            out << number << " ";
        }
        out << ")";
    }
    return out.str();
}

std::string show(const std::vector<std::vector<RailSet>>& lists) {
    std::ostringstream out;
    for (const auto& list : lists) {
        out << "[" << show(list) << "]";
    }
    return out.str();
}

// Lists with the sets of one class.
std::vector<std::vector<RailSet>> plain(const GangRails& rails, std::size_t podsets) {
    std::vector<std::vector<RailSet>> out(podsets);
    for (std::size_t p = 0; p < rails.size(); ++p) {
        for (const auto& entry : rails[p]) {
            out[p].push_back(entry.front());
        }
    }
    return out;
}

class Comparison {
  public:
    explicit Comparison(std::uint64_t seed) : dice_(seed) {
        add_nodes();
        gang_ = make_gang();
        problem_.shape = shape_of(*gang_, {"rack"});
        problem_.racks = 3;
        problem_.fixed.resize(problem_.pods.size());
    }

    RailComparison run() {
        if (place() && out_.has_plan && out_.difference.empty()) {
            move_on();
        }
        return std::move(out_);
    }

  private:
    void add_nodes() {
        const std::uint32_t count = dice_.from(2, 4);
        std::vector<std::uint32_t> racks;
        for (std::uint32_t n = 0; n < count; ++n) {
            racks.push_back(dice_.one_in(12) ? no_index : dice_.below(3));
        }
        std::sort(racks.begin(), racks.end());  // Node order.
        for (std::uint32_t n = 0; n < count; ++n) {
            NodeDescription node;
            node.name = "n" + std::to_string(n);
            node.machine = machine(!dice_.one_in(5));
            if (racks[n] != no_index) {
                node.domains["rack"] = "r" + std::to_string(racks[n]);
            }
            cluster_.add_nodes({node});
            RailNode plain_node;
            plain_node.rack = racks[n];
            fill(node, plain_node);
            problem_.nodes.push_back(std::move(plain_node));
        }
    }

    // Takes some of the node.
    void fill(const NodeDescription& node, RailNode& plain_node) {
        const auto allocator = cluster_.node(node.name);
        const Machine& of = *node.machine;
        Placement taken;
        for (std::uint32_t half = 0; half < 2; ++half) {
            const std::uint32_t cores =
                dice_.one_in(3) ? dice_.from(1, cores_of_numa_node) : 0;
            plain_node.free_cores[half] = cores_of_numa_node - cores;
            for (std::uint32_t core = 0; core < cores; ++core) {
                const std::uint32_t first = 8 * half + 2 * core;
                taken.pus.set(first);
                taken.pus.set(first + 1);
            }
        }
        for (std::uint32_t nic = 0; nic < rail_nics; ++nic) {
            const std::uint32_t device = nic_of(of, nic);
            plain_node.free_nics[nic] = device != no_index && !dice_.one_in(4);
            if (device == no_index || plain_node.free_nics[nic]) {
                continue;
            }
            if (dice_.one_in(2)) {
                allocator->cordon_device(device, true);
            } else {
                taken.devices.push_back({device, {}});
            }
        }
        if (!taken.pus.empty() || !taken.devices.empty()) {
            allocator->take(taken, "other");
            plain_node.open = true;
        }
    }

    PodSet make_podset(std::uint32_t p, bool has_rails) {
        RailPod pod{
            dice_.from(1, 3), dice_.one_in(3) ? 2U : 1U, dice_.one_in(2), has_rails};
        Request request;
        request.cores = pod.cores;
        request.devices.push_back(testing::want("nic", pod.nics));
        if (pod.in_one_numa_node) {
            request.require.emplace_back(Align{AlignLevel::numa, {}});
        }
        PodSet out;
        out.name = "w" + std::to_string(p);
        out.request = std::make_shared<const Request>(std::move(request));
        out.count = dice_.from(1, p == 0 ? 7 : 3);
        out.min_count = dice_.one_in(3) ? dice_.from(0, out.count) : out.count;
        if (has_rails) {
            out.require.emplace_back(Rails{"nic"});
        }
        if (dice_.one_in(4)) {
            out.require.emplace_back(Within{"rack"});
        } else if (dice_.one_in(4)) {
            out.require.emplace_back(
                Spread{dice_.one_in(2) ? "rack" : "node", dice_.from(1, 3)});
        }
        if (dice_.one_in(3)) {
            out.prefer.emplace_back(Within{dice_.one_in(2) ? "rack" : "node"});
        }
        if (out.count % 2 == 0 && dice_.one_in(4)) {
            out.slices.push_back({dice_.one_in(2) ? "rack" : "node", 2});
        }
        problem_.pods.push_back(pod);
        return out;
    }

    std::shared_ptr<const Gang> make_gang() {
        Gang gang;
        gang.name = "g";
        gang.podsets.push_back(make_podset(0, true));
        if (dice_.one_in(2)) {
            gang.podsets.push_back(make_podset(1, dice_.one_in(2)));
        }
        if (dice_.one_in(3)) {
            std::swap(gang.podsets.front(), gang.podsets.back());
            std::swap(problem_.pods.front(), problem_.pods.back());
        }
        for (RailNode& node : problem_.nodes) {
            node.stay.resize(gang.podsets.size());
            node.held.resize(gang.podsets.size());
        }
        return std::make_shared<const Gang>(std::move(gang));
    }

    void differ(const std::string& what, const std::string& detail) {
        if (out_.difference.empty()) {
            out_.difference = what + ": " + detail;
        }
    }

    void count(std::uint64_t steps) {
        out_.steps += steps;
        out_.most_steps = std::max(out_.most_steps, steps);
    }

    // False when there are too many lists.
    bool place() {
        const auto best = brute_rails(problem_, most_lists);
        out_.is_counted = best.has_value();
        if (!best) {
            return false;
        }
        const GangVerdict verdict = cluster_.check(gang_);
        const GangPlan plan = cluster_.place(gang_);
        count(verdict.steps);
        count(plan.verdict.steps);
        out_.has_plan = best->feasible;
        if (verdict.status !=
            (best->feasible ? Status::feasible : Status::infeasible)) {
            differ("check", std::to_string(static_cast<int>(verdict.status)));
        }
        if (plan.verdict.status !=
            (best->feasible ? Status::optimal : Status::infeasible)) {
            differ("place", std::to_string(static_cast<int>(plan.verdict.status)));
            return true;
        }
        if (!best->feasible) {
            look_without_rails(std::nullopt);
            return true;
        }
        std::vector<CountVector> pods = empty_plan();
        for (const PodPlace& pod : plan.pods) {
            ++pods[node_of(pod.node)][pod.podset];
        }
        compare(
            *best,
            plan.cost,
            pods,
            plan.pods.empty() ? best->lists : plain(plan.rails, gang_->podsets.size()));
        demand_rails(plan.pods, plan.rails);
        look_without_rails(pods);
        if (plan.pods.empty()) {
            out_.has_plan = false;
            return true;
        }
        cluster_.commit(plan);
        return true;
    }

    // Whether the Rails make a difference.
    void look_without_rails(const std::optional<std::vector<CountVector>>& pods) {
        Gang free = *gang_;
        for (PodSet& podset : free.podsets) {
            std::erase_if(podset.require, [](const GangConstraint& constraint) {
                return std::holds_alternative<Rails>(constraint);
            });
        }
        const GangPlan plan = cluster_.place(std::make_shared<const Gang>(free));
        std::vector<CountVector> others = empty_plan();
        for (const PodPlace& pod : plan.pods) {
            ++others[node_of(pod.node)][pod.podset];
        }
        out_.is_tight =
            plan.verdict.status == Status::optimal && (!pods || *pods != others);
    }

    [[nodiscard]] std::vector<CountVector> empty_plan() const {
        return std::vector<CountVector>(problem_.nodes.size(),
                                        CountVector(problem_.pods.size()));
    }

    static std::size_t node_of(const std::string& name) {
        return static_cast<std::size_t>(name[1] - '0');
    }

    void compare(const RailBest& best,
                 const GangCost& cost,
                 const std::vector<CountVector>& pods,
                 const std::vector<std::vector<RailSet>>& lists) {
        if (cost != best.cost) {
            differ("cost", show(pods) + " not " + show(best.pods));
        }
        if (pods != best.pods) {
            differ("tie", show(pods) + " not " + show(best.pods));
        }
        if (lists != best.lists) {
            differ("lists", show(lists) + " not " + show(best.lists));
        }
    }

    // The j-th pod on each node has what the list says. Requires: a new Gang.
    void demand_rails(const std::vector<PodPlace>& pods, const GangRails& rails) {
        std::vector<CountVector> next = empty_plan();
        for (const PodPlace& pod : pods) {
            const std::uint32_t place = next[node_of(pod.node)][pod.podset]++;
            if (problem_.pods[pod.podset].has_rails &&
                rails[pod.podset].at(place).front() != nics_of(pod)) {
                differ("pod", pod.node + " " + std::to_string(pod.index));
            }
        }
    }

    static RailSet nics_of(const PodPlace& pod) {
        RailSet out;
        for (const DeviceGrant& grant : pod.placement->devices) {
            out.push_back(pod.machine->devices()[grant.device].index);
        }
        std::sort(out.begin(), out.end());
        return out;
    }

    // A node fails, perhaps after some pods were released; then the Gang grows.
    void move_on() {
        const RunningGang before = cluster_.gangs().at("g");
        Cluster::PodNames released;
        for (const PodPlace& pod : before.pods) {
            if (dice_.one_in(6) && released.size() + 1 < before.pods.size()) {
                released.emplace_back(gang_->podsets[pod.podset].name, pod.index);
            }
        }
        if (!released.empty()) {
            cluster_.release("g", released);
        }
        for (std::size_t n = 0; n < problem_.nodes.size(); ++n) {
            for (std::uint32_t nic = 0; nic < rail_nics; ++nic) {
                const auto allocator = cluster_.node("n" + std::to_string(n));
                const std::uint32_t device = nic_of(*allocator->machine(), nic);
                if (device != no_index && dice_.one_in(8)) {
                    allocator->cordon_device(device, dice_.one_in(2));
                }
            }
        }
        const auto failed =
            dice_.below(static_cast<std::uint32_t>(problem_.nodes.size()));
        renew("n" + std::to_string(failed), false);
        if (out_.difference.empty() && cluster_.gangs().contains("g")) {
            renew("", true);
        }
    }

    // Reads the state of the Cluster into the plain nodes, without pods on a node.
    void read(const RunningGang& running, const std::string& failed) {
        for (std::size_t n = 0; n < problem_.nodes.size(); ++n) {
            RailNode& node = problem_.nodes[n];
            const auto allocator = cluster_.node("n" + std::to_string(n));
            const Machine& of = *allocator->machine();
            const auto state = allocator->state();
            std::size_t holdings = allocator->holdings().size();
            node.stay.assign(node.stay.size(), 0);
            node.held.assign(node.held.size(), {});
            node.barred = "n" + std::to_string(n) == failed;
            for (std::uint32_t half = 0; half < 2; ++half) {
                node.free_cores[half] = 0;
                for (std::uint32_t pu = 8 * half; pu < 8 * half + 8; pu += 2) {
                    node.free_cores[half] += state->free_pus().test(pu) ? 1 : 0;
                }
            }
            for (std::uint32_t nic = 0; nic < rail_nics; ++nic) {
                const std::uint32_t device = nic_of(of, nic);
                node.free_nics[nic] = device != no_index && state->is_available(device);
            }
            for (const PodPlace& pod : running.pods) {
                if (node_of(pod.node) != n) {
                    continue;
                }
                if (node.barred) {
                    --holdings;
                } else {
                    hold(pod, node);
                }
            }
            node.open = holdings != 0;
        }
    }

    void hold(const PodPlace& pod, RailNode& node) const {
        ++node.stay[pod.podset];
        const auto& list = problem_.fixed[pod.podset];
        const auto at = std::find(list.begin(), list.end(), nics_of(pod));
        if (at != list.end()) {
            node.held[pod.podset].push_back(
                static_cast<std::uint32_t>(at - list.begin()));
        }
    }

    void renew(const std::string& failed, bool grows) {
        const RunningGang running = cluster_.gangs().at("g");
        problem_.fixed = plain(running.rails, problem_.pods.size());
        read(running, failed);
        std::int64_t missing = 0;
        CountVector runs(problem_.pods.size());
        for (const PodPlace& pod : running.pods) {
            ++runs[pod.podset];
        }
        for (std::size_t p = 0; p < runs.size(); ++p) {
            const PodSet& podset = gang_->podsets[p];
            problem_.shape.podsets[p].count = grows ? podset.count : runs[p];
            problem_.shape.podsets[p].min_count =
                grows ? std::max(runs[p], podset.min_count)
                      : std::min(runs[p], podset.min_count);
            missing += podset.count - problem_.shape.podsets[p].count;
        }
        auto best = brute_rails(problem_, most_lists);
        if (!best) {
            return;
        }
        out_.has_replaced = true;
        const ClusterChange change =
            grows ? cluster_.grow("g") : cluster_.replace("g", {failed});
        count(change.verdict.steps);
        const std::string what = grows ? "grow " : "replace ";
        if (change.verdict.status !=
            (best->feasible ? Status::optimal : Status::infeasible)) {
            differ(what, std::to_string(static_cast<int>(change.verdict.status)));
            return;
        }
        if (!best->feasible) {
            return;
        }
        best->cost.short_pods += missing;
        std::vector<CountVector> pods = empty_plan();
        for (std::size_t n = 0; n < pods.size(); ++n) {
            pods[n] = problem_.nodes[n].stay;
        }
        for (const PodMove& move : change.moves) {
            if (move.to) {
                ++pods[node_of(move.to->node)][move.podset];
            }
        }
        compare(*best,
                change.cost,
                pods,
                change.rails.empty() ? best->lists
                                     : plain(change.rails.front().second, runs.size()));
        if (!out_.difference.empty()) {
            out_.difference = what + out_.difference;
        }
        if (!change.moves.empty()) {
            cluster_.commit(change);
            demand_list(what);
        }
    }

    // Every pod has an entry of the list, each on a node its own.
    void demand_list(const std::string& what) {
        const auto gangs = cluster_.gangs();
        if (!gangs.contains("g")) {
            return;
        }
        const RunningGang& running = gangs.at("g");
        const auto lists = plain(running.rails, problem_.pods.size());
        for (const PodPlace& pod : running.pods) {
            const auto& list = lists[pod.podset];
            if (problem_.pods[pod.podset].has_rails &&
                std::find(list.begin(), list.end(), nics_of(pod)) == list.end()) {
                differ(what + "entry", pod.node);
            }
        }
    }

    Dice dice_;
    Cluster cluster_{{{"network", {"rack"}}}};
    RailProblem problem_;
    std::shared_ptr<const Gang> gang_;
    RailComparison out_;
};

}  // namespace

RailComparison compare_rails(std::uint64_t seed) {
    return Comparison(seed).run();
}

}  // namespace topoalloc::oracle
