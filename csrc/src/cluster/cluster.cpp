// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/cluster.hpp"

#include "cluster/cluster_change.hpp"
#include "cluster/cluster_data.hpp"
#include "cluster/gang_question.hpp"
#include "cluster/gang_shape.hpp"
#include "cluster/operations.hpp"
#include "cluster/pod_books.hpp"
#include "cluster/rails.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

std::string quoted(const std::string& text) {
    return "'" + text + "'";
}

// Values of the levels of a tree down to one of them; beyond the last, the node's name.
std::vector<std::string> path_of(const NodeInfo& info,
                                 const std::vector<ClusterLevel>& levels,
                                 std::size_t level) {
    if (level == levels.size()) {
        return {info.described.name};
    }
    std::vector<std::string> path;
    for (std::size_t i = levels[level].first; i <= level; ++i) {
        path.push_back(info.values[i].text);
    }
    return path;
}

// The pods that have lost their place apart, and what the others hold now: the nodes'
// own Allocators may have changed it.
RunningGang as_it_is(const ClusterData& data, const RunningGang& running) {
    RunningGang out{running.gang, {}, running.rails};
    for (const PodPlace& pod : running.pods) {
        const auto slot = data.find_slot(pod.node);
        const Placement* held = slot ? data.node(*slot).holdings->find_pod(
                                           *running.gang, pod.podset, pod.index)
                                     : nullptr;
        if (held == nullptr) {
            out.lost.push_back(pod);
            continue;
        }
        out.pods.push_back(pod);
        if (held != pod.placement.get()) {
            out.pods.back().placement = std::make_shared<const Placement>(*held);
        }
    }
    return out;
}

// PodSet and index of pods by name, ascending; an unknown PodSet is behind all others.
std::vector<std::pair<std::uint32_t, std::uint32_t>> places_of(
    const Cluster::PodNames& pods, const Gang& gang) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> out;
    for (const auto& [podset, index] : pods) {
        const auto it = std::ranges::find(gang.podsets, podset, &PodSet::name);
        out.emplace_back(static_cast<std::uint32_t>(it - gang.podsets.begin()), index);
    }
    std::ranges::sort(out);
    return out;
}

// Sorts them by PodSet, then rank.
void demand_pods(const Gang& gang, std::vector<PodPlace>& pods) {
    if (pods.empty()) {
        throw InvalidRequestError("pods: none, want at least one");
    }
    for (const PodPlace& pod : pods) {
        if (pod.podset >= gang.podsets.size() ||
            pod.index >= gang.podsets[pod.podset].count) {
            throw InvalidRequestError(
                "pods: index " + std::to_string(pod.index) + " of PodSet number " +
                std::to_string(pod.podset) + ", want one below the count of a PodSet");
        }
    }
    const auto rank = [](const PodPlace& pod) {
        return std::pair(pod.podset, pod.index);
    };
    std::ranges::sort(pods, {}, rank);
    const auto twice = std::ranges::adjacent_find(pods, {}, rank);
    if (twice != pods.end()) {
        throw InvalidRequestError(
            "pods: " + quoted(pod_owner(gang, twice->podset, twice->index)) +
            " twice, want each once");
    }
}

}  // namespace

std::string_view gang_reason_name(GangReason reason) {
    switch (reason) {
        case GangReason::placed:
            return "Placed";
        case GangReason::fits:
            return "Fits";
        case GangReason::step_limit:
            return "StepLimit";
        case GangReason::no_eligible_node:
            return "NoEligibleNode";
        case GangReason::not_enough_room:
            return "NotEnoughRoom";
        case GangReason::podset_conflict:
            return "PodSetConflict";
        case GangReason::gang_conflict:
            return "GangConflict";
    }
    return "";
}

std::string pod_owner(const Gang& gang, std::uint32_t podset, std::uint32_t index) {
    return gang.name + "/" + gang.podsets[podset].name + "/" + std::to_string(index);
}

struct Cluster::Impl {
    Impl(std::vector<ClusterTree> trees, Policy given)
        : data(std::move(trees), given), policy(given) {}
    Impl(ClusterData copy, Policy given) : data(std::move(copy)), policy(given) {}

    /// A copy to ask, outside the lock.
    [[nodiscard]] ClusterData now() const {
        const std::scoped_lock lock(mutex);
        std::ignore = data.order();
        return data;
    }

    mutable std::mutex mutex;
    ClusterData data;
    const Policy policy;
};

namespace {

// The books of one node, kept in the Cluster.
template <class Impl>
class ClusterNode final : public NodeStore {
  public:
    ClusterNode(std::shared_ptr<Impl> impl,
                std::string name,
                std::shared_ptr<const Machine> machine)
        : impl_(std::move(impl)),
          name_(std::move(name)),
          machine_(std::move(machine)) {}

    std::mutex& mutex() override { return impl_->mutex; }
    NodeBooks load() override {
        const NodeEntry& entry = impl_->data.node(impl_->data.slot_of(name_));
        // Removed, and added anew: the Allocator would read another Machine's state.
        if (entry.info->described.machine != machine_) {
            throw StateError("node: " + quoted(name_) +
                             " is of another Machine now, want its present Allocator");
        }
        // An Allocator copies what is shared before it changes it.
        return {entry.state->state,
                std::const_pointer_cast<Holdings>(entry.holdings->all())};
    }
    void save(const NodeBooks& books) override {
        ClusterData& data = impl_->data;
        const std::uint32_t slot = data.slot_of(name_);
        data.set_books(slot,
                       data.pool().intern(books.state),
                       fold_holdings(*data.node(slot).holdings, *books.holdings));
    }

  private:
    std::shared_ptr<Impl> impl_;
    std::string name_;
    std::shared_ptr<const Machine> machine_;
};

}  // namespace

Cluster::Cluster(std::vector<ClusterTree> trees, Policy policy)
    : impl_(std::make_shared<Impl>(std::move(trees), policy)) {}

Cluster::Cluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Cluster::~Cluster() = default;

const std::vector<ClusterTree>& Cluster::trees() const {
    return impl_->data.trees();
}

Policy Cluster::policy() const {
    return impl_->policy;
}

void Cluster::add_nodes(std::vector<NodeDescription> nodes) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->data.add(std::move(nodes));
}

void Cluster::remove_node(const std::string& name) {
    const std::scoped_lock lock(impl_->mutex);
    const std::uint32_t slot = impl_->data.slot_of(name);
    if (!impl_->data.node(slot).holdings->empty()) {
        throw StateError("node: " + quoted(name) + " holds Placements, first of " +
                         quoted(impl_->data.node(slot).holdings->begin()->first) +
                         ", want a node that holds none: release them first");
    }
    impl_->data.remove(slot);
}

void Cluster::cordon_node(const std::string& name, bool cordoned) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->data.set_cordoned(impl_->data.slot_of(name), cordoned);
}

void Cluster::set_labels(const std::string& name,
                         std::map<std::string, std::string> labels) {
    const std::scoped_lock lock(impl_->mutex);
    const std::uint32_t slot = impl_->data.slot_of(name);
    NodeDescription description = impl_->data.node(slot).info->described;
    description.labels = std::move(labels);
    impl_->data.describe(slot, std::move(description));
}

void Cluster::set_taints(const std::string& name, std::vector<Taint> taints) {
    const std::scoped_lock lock(impl_->mutex);
    const std::uint32_t slot = impl_->data.slot_of(name);
    NodeDescription description = impl_->data.node(slot).info->described;
    description.taints = std::move(taints);
    impl_->data.describe(slot, std::move(description));
}

void Cluster::set_domains(const std::string& name,
                          std::map<std::string, std::string> domains) {
    const std::scoped_lock lock(impl_->mutex);
    const std::uint32_t slot = impl_->data.slot_of(name);
    NodeDescription description = impl_->data.node(slot).info->described;
    description.domains = std::move(domains);
    impl_->data.describe(slot, std::move(description));
}

std::size_t Cluster::size() const {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->data.size();
}

std::vector<std::string> Cluster::node_names() const {
    const ClusterData data = impl_->now();
    std::vector<std::string> names;
    for (const std::uint32_t slot : data.order()) {
        names.push_back(data.node(slot).info->described.name);
    }
    return names;
}

NodeDescription Cluster::describe(const std::string& name) const {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->data.node(impl_->data.slot_of(name)).info->described;
}

bool Cluster::is_cordoned(const std::string& name) const {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->data.node(impl_->data.slot_of(name)).cordoned;
}

std::shared_ptr<Allocator> Cluster::node(const std::string& name) {
    std::shared_ptr<const Machine> machine;
    {
        const std::scoped_lock lock(impl_->mutex);
        machine = impl_->data.node(impl_->data.slot_of(name)).info->described.machine;
    }
    return std::make_shared<Allocator>(
        machine,
        impl_->policy,
        std::make_shared<ClusterNode<Impl>>(impl_, name, machine));
}

std::size_t Cluster::state_count() const {
    const ClusterData data = impl_->now();
    std::vector<const NodeClass*> states;
    for (const std::uint32_t slot : data.order()) {
        states.push_back(data.node(slot).state.get());
    }
    std::ranges::sort(states);
    const auto same = std::ranges::unique(states);
    return states.size() - same.size();
}

void Cluster::register_shape(const Gang& gang) {
    std::ignore = shape_of(gang, impl_->data.level_names());
    const auto counted = counted_gang(gang, impl_->data.levels());
    if (!counted) {
        throw InvalidRequestError(
            "gang: " + quoted(gang.name) +
            " has several PodSets, a Group, Balanced, Rails or levels of several "
            "trees, want "
            "one PodSet with Within, Slice and Spread of one tree: only such a shape "
            "has sums to keep");
    }
    const std::scoped_lock lock(impl_->mutex);
    impl_->data.keep_sums(*counted);
}

std::optional<GangVerdict> Cluster::check_sums(
    const std::shared_ptr<const Gang>& gang) const {
    const auto counted = counted_gang(*gang, impl_->data.levels());
    if (!counted || !counted->shape.request) {
        return std::nullopt;
    }
    const std::scoped_lock lock(impl_->mutex);
    const ShapeSums* sums = impl_->data.sums_of(*counted);
    if (sums == nullptr || !sums->is_exact()) {
        return std::nullopt;
    }
    GangVerdict verdict;
    verdict.gang = gang;
    if (sums->fits(*counted)) {
        verdict.status = Status::feasible;
        return verdict;
    }
    verdict.podset = 0;
    verdict.reason = GangReason::not_enough_room;
    if (sums->all_copies() >= counted->min_count) {
        verdict.reason = GangReason::podset_conflict;
    } else if (sums->eligible_nodes() == 0) {
        verdict.reason = GangReason::no_eligible_node;
    }
    verdict.snapshot = std::make_shared<const ClusterData>(impl_->data);
    return verdict;
}

GangVerdict Cluster::check(const std::shared_ptr<const Gang>& gang,
                           SearchLimits limits) const {
    if (auto verdict = check_sums(gang)) {
        return std::move(*verdict);
    }
    return check_on(impl_->now(), gang, limits);
}

GangPlan Cluster::place(const std::shared_ptr<const Gang>& gang,
                        SearchLimits limits) const {
    return place_on(impl_->now(), gang, limits);
}

void Cluster::commit(const GangPlan& plan) {
    if (plan.pods.empty()) {
        throw StateError("plan: no pods, want a plan that place() found");
    }
    const Gang& gang = *plan.verdict.gang;
    const std::scoped_lock lock(impl_->mutex);
    ClusterData& data = impl_->data;
    if (data.gangs().contains(gang.name)) {
        throw StateError("gang: " + quoted(gang.name) +
                         " runs already, want one that does not");
    }
    demand_fresh(data, plan.basis);
    PodBooks books(data);
    for (const PodPlace& pod : plan.pods) {
        books.take(plan.verdict.gang, pod);
    }
    books.apply();
    data.set_gang(gang.name,
                  std::make_shared<const RunningGang>(
                      RunningGang{plan.verdict.gang, plan.pods, plan.rails}));
}

void Cluster::adopt(const std::shared_ptr<const Gang>& gang,
                    std::vector<PodPlace> pods,
                    GangRails rails) {
    std::ignore = shape_of(*gang, impl_->data.level_names());
    demand_pods(*gang, pods);
    const std::scoped_lock lock(impl_->mutex);
    ClusterData& data = impl_->data;
    demand_not_running(data, *gang);
    for (PodPlace& pod : pods) {
        const NodeEntry& entry = data.node(data.slot_of(pod.node));
        const std::string owner = pod_owner(*gang, pod.podset, pod.index);
        const auto held = entry.holdings->find(owner);
        if (held == entry.holdings->end()) {
            throw StateError("pods: " + quoted(owner) + " holds nothing on node " +
                             quoted(pod.node) + ", want pods that hold their places");
        }
        pod.placement = std::make_shared<const Placement>(held->second.placement);
        pod.machine = entry.info->described.machine;
    }
    demand_rails(*gang, pods, rails);
    data.set_gang(gang->name,
                  std::make_shared<const RunningGang>(
                      RunningGang{gang, std::move(pods), std::move(rails)}));
}

void Cluster::release(const std::string& name, const std::optional<PodNames>& pods) {
    const std::scoped_lock lock(impl_->mutex);
    ClusterData& data = impl_->data;
    const auto found = data.gangs().find(name);
    if (found == data.gangs().end()) {
        throw StateError("gang: " + quoted(name) + " does not run, want one that does");
    }
    const std::shared_ptr<const RunningGang> running = found->second;
    const Gang& gang = *running->gang;
    RunningGang rest{running->gang, {}, running->rails};
    PodBooks books(data);
    const auto named = places_of(pods.value_or(PodNames{}), gang);
    for (const PodPlace& pod : running->pods) {
        if (pods &&
            !std::ranges::binary_search(named, std::pair(pod.podset, pod.index))) {
            rest.pods.push_back(pod);
            continue;
        }
        // The node's own Allocator may have released it before; the node may be gone.
        books.release(gang, pod);
    }
    if (pods && running->pods.size() - rest.pods.size() != pods->size()) {
        throw StateError(
            "pods: not all of them run, or one is named twice, want pods "
            "of " +
            quoted(name) + " that run");
    }
    books.apply();
    if (rest.pods.empty()) {
        data.remove_gang(name);
    } else {
        data.set_gang(name, std::make_shared<const RunningGang>(std::move(rest)));
    }
}

std::map<std::string, RunningGang> Cluster::gangs() const {
    const ClusterData data = impl_->now();
    std::map<std::string, RunningGang> out;
    for (const auto& [name, running] : data.gangs()) {
        out.emplace(name, as_it_is(data, *running));
    }
    return out;
}

ClusterChange Cluster::replace(const std::string& gang,
                               const std::vector<std::string>& failed_nodes,
                               SearchLimits limits) const {
    return replace_on(impl_->now(), gang, failed_nodes, limits);
}

ClusterChange Cluster::grow(const std::string& gang, SearchLimits limits) const {
    return grow_on(impl_->now(), gang, limits);
}

ClusterChange Cluster::drain(const std::vector<std::string>& nodes,
                             SearchLimits limits) const {
    return drain_on(impl_->now(), nodes, limits);
}

ClusterChange Cluster::preempt(const std::shared_ptr<const Gang>& gang,
                               SearchLimits limits) const {
    return preempt_on(impl_->now(), gang, limits);
}

ClusterChange Cluster::defragment(const std::shared_ptr<const Gang>& gang,
                                  SearchLimits limits) const {
    return defragment_on(impl_->now(), gang, limits);
}

void Cluster::commit(const ClusterChange& change) {
    const std::scoped_lock lock(impl_->mutex);
    commit_change(change, impl_->data);
}

std::vector<NodeScore> Cluster::scores(const std::shared_ptr<const Request>& request,
                                       SearchLimits limits) const {
    return scores_on(impl_->now(), request, limits);
}

std::uint32_t Cluster::score(const std::string& node,
                             const std::shared_ptr<const Request>& request,
                             SearchLimits limits) const {
    const ClusterData data = impl_->now();
    std::ignore = data.slot_of(node);
    const std::vector<NodeScore> all = scores_on(data, request, limits);
    return std::ranges::find(all, node, &NodeScore::node)->score;
}

std::vector<DomainHeadroom> Cluster::headroom(
    const std::shared_ptr<const Request>& request,
    const std::string& level,
    SearchLimits limits) const {
    const ClusterData data = impl_->now();
    const auto& levels = data.levels();
    const auto it = std::ranges::find(levels, level, &ClusterLevel::name);
    if (it == levels.end() && level != "node") {
        throw InvalidRequestError("level: " + quoted(level) +
                                  " is not declared, want a level of the trees or "
                                  "'node'");
    }
    const auto l = static_cast<std::size_t>(it - levels.begin());
    std::vector<DomainHeadroom> out;
    std::map<std::uint32_t, std::size_t> position;
    for (const std::uint32_t slot : data.order()) {
        const NodeEntry& entry = data.node(slot);
        const std::uint32_t domain = level == "node" ? slot : entry.info->domains[l];
        if (domain == no_index) {
            continue;
        }
        const auto [at, is_new] = position.try_emplace(domain, out.size());
        if (is_new) {
            out.push_back({path_of(*entry.info, levels, l), 0, 0});
        }
        if (!entry.cordoned) {
            const HeadroomResult fits =
                data.pool().headroom(*entry.state, request, limits.max_steps);
            out[at->second].count += fits.count;
            out[at->second].upper += fits.upper;
        }
    }
    return out;
}

std::unique_ptr<Cluster> Cluster::fork() const {
    return std::unique_ptr<Cluster>(
        new Cluster(std::make_unique<Impl>(impl_->now(), impl_->policy)));
}

void Cluster::check_consistency() const {
    impl_->now().check_consistency();
}

}  // namespace topoalloc
