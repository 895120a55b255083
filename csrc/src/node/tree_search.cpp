// SPDX-License-Identifier: Apache-2.0
#include "node/tree_search.hpp"

#include "base/bits.hpp"
#include "node/class_choice.hpp"
#include "node/core_choice.hpp"
#include "node/definition.hpp"
#include "node/locality_sets.hpp"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

// What is left open by the Align domains and Same values chosen so far.
struct TreeBranch {
    std::uint64_t devices = 0;     // available candidates, by rank
    std::uint32_t first_core = 0;  // cores that may be used: an interval
    std::uint32_t last_core = 0;   // one past
    std::uint64_t byte_localities = ~std::uint64_t{0};  // whose bytes may be used
};

struct Candidate {
    Cost cost;
    std::uint64_t devices = 0;  // by rank
    std::uint64_t localities = 0;
    Bitmap pus;
};

bool is_better(const Candidate& a, const Candidate& b) {
    if (a.cost != b.cost) {
        return a.cost < b.cost;
    }
    if (a.devices != b.devices) {
        return least_index_less(a.devices, b.devices);
    }
    if (const auto order = a.pus.compare_least_index(b.pus); order != 0) {
        return order < 0;
    }
    return least_index_less(a.localities, b.localities);
}

class TreeSearch {
  public:
    TreeSearch(const NodeState& state,
               const CompiledRequest& request,
               const TreePlan& plan,
               std::uint32_t unmet,
               const SolveOptions& options,
               std::uint64_t& steps,
               std::pmr::memory_resource* scratch)
        : state_(state),
          machine_(*request.machine),
          request_(request),
          plan_(plan),
          unmet_(unmet),
          options_(options),
          steps_(steps),
          programme_(plan_.tree, plan_.tables, scratch),
          chooser_(state, request, options, steps, limited_, scratch),
          aligns_(scratch),
          sames_(scratch),
          opened_(options.policy.packing == Packing::pack ? 1 : -1),
          free_choice_(scratch),
          hit_choice_(scratch) {}

    std::optional<SearchResult> run() {
        if (!accept()) {
            return std::nullopt;
        }
        SearchResult result;
        if (links_fail_) {
            return result;
        }
        TreeBranch branch;
        branch.last_core = static_cast<std::uint32_t>(machine_.cores().size());
        branch.devices = plan_.tree.ranks_of(state_.available_devices());
        collect_free_of_charge();
        fix_align(0, branch);
        if (bails_) {
            return std::nullopt;
        }
        result.limited = limited_;
        if (best_) {
            result.best = to_placement();
        }
        return result;
    }

  private:
    // --- what applies ---

    bool accept() {
        if (!chooser_.applies() || options_.keep_from != nullptr) {
            return false;
        }
        for (std::size_t i = 0; i < plan_.pairs.size(); ++i) {
            const std::uint32_t preferred = plan_.pairs[i].preferred;
            if (preferred == no_index || !has_bit(unmet_, preferred)) {
                enforced_pairs_ |= 1U << i;
            }
        }
        return for_each_enforced(
            request_, unmet_, [this](const CompiledConstraint& constraint) {
                return accept(constraint);
            });
    }

    bool accept(const CompiledConstraint& constraint) {
        if (const auto* align = std::get_if<CompiledAlign>(&constraint)) {
            aligns_.push_back(align);
        } else if (const auto* attribute =
                       std::get_if<CompiledAttribute>(&constraint)) {
            sames_.push_back(attribute);
            return attribute->same;
        } else if (const auto* link = std::get_if<CompiledLink>(&constraint)) {
            links_fail_ =
                links_fail_ || (plan_.counts[link->need] > 1 &&
                                plan_.tree.link_mb_s(link->need) < link->min_mb_s);
        }
        return !std::holds_alternative<CompiledNear>(constraint);
    }

    // --- branches ---

    void fix_align(std::size_t index, const TreeBranch& branch) {
        if (index == aligns_.size()) {
            fix_same(0, branch);
            return;
        }
        const CompiledAlign& align = *aligns_[index];
        const std::size_t count = domain_count(align.level);
        for (std::uint32_t d = 0; d < count && !stops(); ++d) {
            ++steps_;
            TreeBranch inner = branch;
            if (narrow(inner, align, d)) {
                fix_align(index + 1, inner);
            }
        }
    }

    [[nodiscard]] std::size_t domain_count(AlignLevel level) const {
        if (level == AlignLevel::numa) {
            return machine_.localities().size();
        }
        return level == AlignLevel::l3 ? machine_.l3s().size()
                                       : machine_.packages().size();
    }

    // The domain as an interval of cores and a mask of localities that are or meet it.
    bool narrow(TreeBranch& branch,
                const CompiledAlign& align,
                std::uint32_t index) const {
        std::uint64_t localities = bit(index % 64);
        const Bitmap* pus = nullptr;
        if (align.level == AlignLevel::numa) {
            pus = &machine_.localities()[index].pus;
        } else {
            const Domain& domain = align.level == AlignLevel::l3
                                       ? machine_.l3s()[index]
                                       : machine_.packages()[index];
            localities = domain.localities.word(0);
            pus = &domain.pus;
        }
        if (align.scope.pus) {
            const std::uint32_t first = machine_.pus()[pus->first()].core;
            const std::uint32_t last = machine_.pus()[pus->last()].core + 1;
            branch.first_core = std::max(branch.first_core, first);
            branch.last_core = std::min(branch.last_core, last);
            if (branch.first_core >= branch.last_core ||
                !chooser_.may_suffice(branch.first_core, branch.last_core)) {
                return false;
            }
        }
        if (align.scope.memory) {
            branch.byte_localities &= localities;
        }
        std::uint64_t near = 0;
        for_each_bit(localities,
                     [&](std::uint32_t l) { near |= plan_.tree.locality_mask(l); });
        for (std::size_t need = 0; need < request_.needs.size(); ++need) {
            if (align.scope.has_need(need)) {
                branch.devices &= ~plan_.tree.need_mask(need) | near;
            }
        }
        return devices_suffice(branch.devices);
    }

    [[nodiscard]] bool devices_suffice(std::uint64_t available) const {
        for (std::size_t need = 0; need < request_.needs.size(); ++need) {
            if (std::cmp_less(std::popcount(available & plan_.tree.need_mask(need)),
                              plan_.counts[need])) {
                return false;
            }
        }
        return true;
    }

    void fix_same(std::size_t index, const TreeBranch& branch) {
        if (index == sames_.size()) {
            run_branch(branch);
            return;
        }
        const CompiledAttribute& same = *sames_[index];
        for (std::uint32_t value = 0; value < same.value_count && !stops(); ++value) {
            ++steps_;
            TreeBranch inner = branch;
            for_each_bit(branch.devices, [&](std::uint32_t rank) {
                const auto& values = same.values[plan_.tree.devices()[rank]];
                if (has_bit(same.needs, plan_.tree.need_of(rank)) &&
                    std::ranges::find(values, value) == values.end()) {
                    inner.devices &= ~bit(rank);
                }
            });
            if (devices_suffice(inner.devices)) {
                fix_same(index + 1, inner);
            }
        }
    }

    [[nodiscard]] bool stops() const { return limited_ || bails_; }

    // --- sets T ---

    void run_branch(const TreeBranch& branch) {
        if (steps_ >= options_.limits.max_steps) {
            limited_ = true;
            return;
        }
        branch_ = branch;
        ++steps_;
        chooser_.enter(branch.first_core, branch.last_core);
        if (chooser_.all_units() < chooser_.wanted() ||
            !devices_suffice(branch.devices)) {
            return;
        }
        match_is_known_ = enforced_pairs_ == 0;
        can_match_ = true;
        if (chooser_.wanted() == 0 && !request_.wants_bytes &&
            devices_suffice(branch.devices & plan_.tree.unknown_mask()) &&
            !visit(LocalitySet{})) {
            return;
        }
        if (!plan_.devices_of_set.empty()) {
            visit_tabled_sets();
        } else if (const std::uint64_t useful = useful_localities();
                   std::has_single_bit(useful)) {
            visit({useful, 1, 1, 0});
        } else if (sets_differ_in_cores_alone()) {
            choose_by_class();
        } else {
            enumerate_sets();
        }
    }

    // Those that can give a core, a device or a byte: no other is in the best T.
    [[nodiscard]] std::uint64_t useful_localities() const {
        std::uint64_t useful =
            request_.wants_bytes
                ? branch_.byte_localities & low_bits(machine_.localities().size())
                : 0;
        for (std::uint32_t l = 0; l < machine_.localities().size(); ++l) {
            const bool gives = chooser_.units()[l] != 0 ||
                               (plan_.tree.locality_mask(l) & branch_.devices) != 0;
            useful |= gives ? bit(l) : 0;
        }
        return useful;
    }

    void visit_tabled_sets() {
        const auto& sets = machine_.locality_sets();
        for (std::size_t i = 0; i < sets.size(); ++i) {
            if (set_suffices(sets[i], plan_.devices_of_set[i]) && !visit(sets[i])) {
                return;
            }
        }
    }

    [[nodiscard]] bool set_suffices(const LocalitySet& set,
                                    std::uint64_t devices) const {
        if (chooser_.wanted() != 0) {
            if (chooser_.most_units(set.localities) < chooser_.wanted()) {
                return false;
            }
            std::uint64_t units = 0;
            for_each_bit(set.mask,
                         [&](std::uint32_t l) { units += chooser_.units()[l]; });
            if (units < chooser_.wanted()) {
                return false;
            }
        }
        return devices_suffice(devices & branch_.devices);
    }

    void enumerate_sets() {
        LocalityDemand demand;
        demand.units.assign(chooser_.units().begin(), chooser_.units().end());
        sign_localities(demand);
        demand.wanted_units = chooser_.wanted();
        demand.candidates.resize(request_.needs.size());
        for_each_bit(branch_.devices, [&](std::uint32_t rank) {
            demand.candidates[plan_.tree.need_of(rank)].push_back(
                machine_.devices()[plan_.tree.devices()[rank]].localities.word(0));
        });
        const bool ended = for_each_locality_set(
            state_,
            request_,
            demand,
            steps_,
            options_.limits.max_steps,
            [this](const LocalitySet& set) { return visit(set); });
        limited_ = limited_ || !ended;
    }

    // True when T is a choice of L3s by their cores: no devices, and bytes anywhere
    // suffice.
    [[nodiscard]] bool sets_differ_in_cores_alone() const {
        if (!plan_.l3_is_locality || plan_.device_count != 0 ||
            chooser_.wanted() == 0 || chooser_.by_pus()) {
            return false;
        }
        for (std::uint32_t l = 0; l < machine_.localities().size(); ++l) {
            const bool is_open = state_.locality_holds()[l] != 0;
            const CoreRun& run =
                machine_.core_runs()[machine_.localities()[l].first_run];
            if (chooser_.units()[l] != 0 &&
                (is_open != (state_.l3_holds()[run.l3] != 0) || !holds_all_bytes(l))) {
                return false;
            }
        }
        return true;
    }

    [[nodiscard]] bool holds_all_bytes(std::uint32_t locality) const {
        for (std::uint32_t size = 0; size < request_.bytes.size(); ++size) {
            std::uint64_t free = 0;
            for (const std::uint32_t node :
                 machine_.localities()[locality].numa_nodes) {
                free += machine_.numa_nodes()[node].kind == request_.request.kind
                            ? state_.free_bytes(node, size)
                            : 0;
            }
            if (free < request_.bytes[size]) {
                return false;
            }
        }
        return !request_.wants_bytes || has_bit(branch_.byte_localities, locality);
    }

    void choose_by_class() {
        const std::span<const std::uint32_t> units = chooser_.units();
        std::vector<ClassRoom> rooms;
        std::vector<std::uint32_t> most;
        std::vector<std::uint32_t> largest;
        for (std::uint32_t l = 0; l < units.size(); ++l) {
            const std::uint32_t index = machine_.locality_classes()[l];
            most.resize(std::max<std::size_t>(most.size(), index + 1U), 0);
            if (units[l] != 0) {
                const bool open = state_.locality_holds()[l] != 0;
                rooms.push_back({l, index, units[l], open == (opened_ == 1)});
                ++most[index];
                largest.push_back(units[l]);
            }
        }
        std::ranges::sort(largest, std::greater{});
        std::size_t least = 0;
        for (std::uint64_t sum = 0; sum < chooser_.wanted(); ++least) {
            sum += largest[least];
        }
        ClassChoice choice(rooms, most.size());
        for (std::size_t packages = 1; packages <= machine_.packages().size();
             ++packages) {
            for (std::size_t size = least; size <= rooms.size(); ++size) {
                if (!for_each_class_counts(machine_,
                                           most,
                                           packages,
                                           size,
                                           steps_,
                                           options_.limits.max_steps,
                                           limited_,
                                           [&](const ClassCounts& counts) {
                                               return try_counts(choice, counts);
                                           })) {
                    return;
                }
            }
        }
    }

    bool try_counts(ClassChoice& choice, const ClassCounts& counts) {
        if (best_ && std::tuple(counts.packages, counts.localities, counts.distance) >
                         std::tuple(best_->cost[Cost::packages],
                                    best_->cost[Cost::localities],
                                    best_->cost[Cost::distance])) {
            return false;
        }
        const std::vector<std::uint32_t> chosen =
            choice.choose(counts.counts, chooser_.wanted());
        steps_ += 1 + chosen.size();
        if (!chosen.empty()) {
            LocalitySet set{0, counts.packages, counts.localities, counts.distance};
            for (const std::uint32_t l : chosen) {
                set.mask |= bit(l);
            }
            consider_set(set);
        }
        return !stops();
    }

    // Localities without candidates whose cores and bytes are alike may be exchanged.
    void sign_localities(LocalityDemand& demand) const {
        demand.signatures.resize(machine_.localities().size());
        std::uint64_t unlike = 0;
        for (std::uint32_t i = 0; i < machine_.core_runs().size(); ++i) {
            const CoreRun& run = machine_.core_runs()[i];
            auto& signature = demand.signatures[run.locality];
            signature.push_back(chooser_.run_units()[i]);
            signature.push_back(state_.l3_holds()[run.l3] != 0 ? 1 : 0);
            unlike |= can_be_told(i) ? 0 : bit(run.locality);
        }
        for (std::uint32_t l = 0; l < demand.signatures.size(); ++l) {
            auto& signature = demand.signatures[l];
            if (has_bit(unlike, l) ||
                (plan_.tree.locality_mask(l) & branch_.devices) != 0) {
                signature.clear();
                continue;
            }
            signature.push_back(state_.locality_holds()[l] != 0 ? 1 : 0);
            sign_bytes(l, signature);
        }
    }

    // Free PUs of partly taken cores are not told apart, and an L3 of several
    // localities is more than its part here.
    [[nodiscard]] bool can_be_told(std::uint32_t index) const {
        const CoreRun& run = machine_.core_runs()[index];
        return machine_.l3s()[run.l3].localities.count() == 1 &&
               (!chooser_.by_pus() ||
                chooser_.run_units()[index] == run.core_count * machine_.core_size());
    }

    void sign_bytes(std::uint32_t locality,
                    std::vector<std::uint64_t>& signature) const {
        for (const std::uint32_t node : machine_.localities()[locality].numa_nodes) {
            const bool counts =
                machine_.numa_nodes()[node].kind == request_.request.kind;
            for (std::uint32_t size = 0; size < request_.bytes.size(); ++size) {
                signature.push_back(counts ? state_.free_bytes(node, size) : 0);
            }
        }
    }

    bool visit(const LocalitySet& set) {
        if (steps_ >= options_.limits.max_steps) {
            limited_ = true;
            return false;
        }
        ++steps_;
        if (best_ && std::tuple(set.packages, set.localities, set.distance) >
                         std::tuple(best_->cost[Cost::packages],
                                    best_->cost[Cost::localities],
                                    best_->cost[Cost::distance])) {
            return false;
        }
        consider_set(set);
        return !stops() && can_match_;
    }

    // Once a set T has no matching: whether the devices of the branch have one at all.
    // A larger T only adds devices, so "no" here is "no" for every T.
    void note_unmatched() {
        if (!match_is_known_) {
            match_is_known_ = true;
            can_match_ = ask_tree(branch_.devices, 0).found;
        }
    }

    TreeAnswer ask_tree(std::uint64_t available, std::uint64_t remote) {
        if (plan_.device_count == 0) {
            return {.found = true};
        }
        return programme_.ask(
            {available, remote, enforced_pairs_, &state_.switch_holds(), opened_},
            steps_);
    }

    [[nodiscard]] std::uint64_t devices_of(std::uint64_t localities) const {
        std::uint64_t devices = plan_.tree.unknown_mask();
        for_each_bit(localities,
                     [&](std::uint32_t l) { devices |= plan_.tree.locality_mask(l); });
        return devices & branch_.devices;
    }

    bool bytes_suffice(std::uint64_t mask) {
        if (!request_.wants_bytes) {
            return true;
        }
        for (std::uint32_t size = 0; size < request_.bytes.size(); ++size) {
            std::uint64_t missing = request_.bytes[size];
            for_each_bit(mask, [&](std::uint32_t l) {
                for (const std::uint32_t node : machine_.localities()[l].numa_nodes) {
                    if (machine_.numa_nodes()[node].kind != request_.request.kind) {
                        continue;
                    }
                    // Some bytes of T may not be used: the general search knows how.
                    bails_ = bails_ || !has_bit(branch_.byte_localities, l);
                    missing -= std::min(missing, state_.free_bytes(node, size));
                }
            });
            if (missing != 0) {
                return false;
            }
        }
        return true;
    }

    // --- one set T ---

    void consider_set(const LocalitySet& set) {
        if (!bytes_suffice(set.mask) || bails_) {
            return;
        }
        const std::uint64_t devices = devices_of(set.mask);
        if (chooser_.wanted() == 0) {
            free_choice_.found = true;
            free_choice_.has_pus = true;
            if (!is_hopeless(set, devices, free_choice_)) {
                consider(set, ask_tree(devices, 0), free_choice_);
            }
            return;
        }
        std::uint64_t usable = 0;  // localities of T with units
        std::uint64_t with_devices = 0;
        std::uint64_t remote = 0;  // devices that no PU can be beside
        for_each_bit(set.mask, [&](std::uint32_t l) {
            const std::uint64_t here = plan_.tree.locality_mask(l) & devices;
            const bool has_units = chooser_.units()[l] != 0;
            usable |= has_units ? bit(l) : 0;
            with_devices |= here != 0 ? bit(l) : 0;
            remote |= has_units ? 0 : here;
        });
        chooser_.choose(set.mask, 0, free_choice_);
        if (!free_choice_.found || is_hopeless(set, devices, free_choice_)) {
            return;
        }
        const std::uint64_t open = with_devices & usable & ~free_choice_.localities;
        if (open == 0) {
            consider(set, ask_tree(devices, remote), free_choice_);
            return;
        }
        consider_footprints(set, devices, remote, with_devices & usable);
    }

    // Covering every locality with devices costs more than covering none: so each set
    // of localities that may have devices is a question of its own.
    void consider_footprints(const LocalitySet& set,
                             std::uint64_t devices,
                             std::uint64_t remote,
                             std::uint64_t with_devices) {
        const auto members = static_cast<std::uint32_t>(std::popcount(with_devices));
        if (members > max_footprint || members > chooser_.wanted()) {
            bails_ = true;
            return;
        }
        std::uint64_t footprint = 0;
        do {
            std::uint64_t left_out = 0;
            for_each_bit(with_devices & ~footprint, [&](std::uint32_t l) {
                left_out |= plan_.tree.locality_mask(l);
            });
            if (devices_suffice(devices & ~left_out)) {
                consider_footprint(set, devices & ~left_out, remote, footprint);
            }
            footprint = (footprint - with_devices) & with_devices;  // the next subset
        } while (footprint != 0 && !stops());
    }

    void consider_footprint(const LocalitySet& set,
                            std::uint64_t devices,
                            std::uint64_t remote,
                            std::uint64_t footprint) {
        const bool covered = (footprint & ~free_choice_.localities) == 0;
        const CoreChoice& cores = covered ? free_choice_ : hit_choice_;
        if (!covered) {
            chooser_.choose(set.mask, footprint, hit_choice_);
        }
        if (cores.found) {
            consider(set, ask_tree(devices, remote), cores);
        }
    }

    // --- one candidate ---

    void consider(const LocalitySet& set,
                  const TreeAnswer& devices,
                  const CoreChoice& cores) {
        if (!devices.found) {
            note_unmatched();
            return;
        }
        const Cost cost = cost_of(set, devices, cores);
        if (best_ && cost > best_->cost) {
            return;
        }
        Candidate candidate{cost,
                            devices.devices,
                            set.mask,
                            chooser_.wanted() == 0 ? Bitmap() : chooser_.pus_of(cores)};
        if (!best_ || is_better(candidate, *best_)) {
            best_ = std::move(candidate);
        }
    }

    [[nodiscard]] Cost cost_of(const LocalitySet& set,
                               const TreeAnswer& devices,
                               const CoreChoice& cores) const {
        Cost cost;
        cost[Cost::packages] = set.packages;
        cost[Cost::localities] = set.localities;
        cost[Cost::distance] = set.distance;
        cost[Cost::pair_levels] = devices.pair_levels;
        cost[Cost::missing_link] = plan_.missing_link;
        cost[Cost::remote_devices] = devices.remote_devices;
        cost[Cost::l3s] = cores.l3s;
        cost[Cost::split_cores] = cores.split_cores;
        std::uint64_t packages = 0;
        for_each_bit(set.mask, [&](std::uint32_t l) {
            // Every locality of the best T holds something, so each closed one is
            // opened.
            cost[Cost::opened_localities] +=
                state_.locality_holds()[l] == 0 ? opened_ : 0;
            const std::uint32_t package = plan_.package_of[l];
            if (state_.package_holds()[package] == 0 &&
                !has_bit(packages, package % 64)) {
                packages |= bit(package % 64);
                cost[Cost::opened_packages] += opened_;
            }
        });
        cost[Cost::opened_switches] = devices.opened_switches;
        cost[Cost::opened_devices] = opened_ * plan_.device_count;
        cost[Cost::opened_l3s] = cores.opened_l3s;
        return cost;
    }

    // True when no choice of devices of T can be better than the best so far: not even
    // at the least levels and the fewest new switches that any choice has, with the
    // lowest indices.
    [[nodiscard]] bool is_hopeless(const LocalitySet& set,
                                   std::uint64_t devices,
                                   const CoreChoice& cores) const {
        if (!best_ || opened_ != 1 || plan_.device_count == 0) {
            return false;
        }
        TreeAnswer bound;
        bound.pair_levels = plan_.least_pair_levels;
        bound.opened_switches = fewest_new_switches(devices);
        const Cost cost = cost_of(set, bound, cores);
        return cost > best_->cost ||
               (cost == best_->cost &&
                least_index_less(best_->devices, lowest_choice(devices)));
    }

    // No choice of devices among these holds the least index not in both.
    [[nodiscard]] std::uint64_t lowest_choice(std::uint64_t devices) const {
        std::uint64_t lowest = 0;
        for (std::size_t need = 0; need < plan_.counts.size(); ++need) {
            const std::uint64_t all = devices & plan_.tree.need_mask(need);
            std::uint64_t rest = all;
            for (std::uint32_t i = 0; i < plan_.counts[need]; ++i) {
                rest &= rest - 1;
            }
            lowest |= all & ~rest;
        }
        return lowest;
    }

    // Devices of open switches, or of none, come first; the rest needs a new switch for
    // every `most_per_switch` of its need.
    [[nodiscard]] std::int64_t fewest_new_switches(std::uint64_t devices) const {
        std::int64_t fewest = 0;
        for (std::size_t need = 0; need < plan_.counts.size(); ++need) {
            const auto have = static_cast<std::uint32_t>(
                std::popcount(devices & free_of_charge_ & plan_.tree.need_mask(need)));
            const std::uint32_t missing =
                plan_.counts[need] > have ? plan_.counts[need] - have : 0;
            const std::uint32_t per_switch = std::max(plan_.most_per_switch[need], 1U);
            fewest =
                std::max<std::int64_t>(fewest, (missing + per_switch - 1) / per_switch);
        }
        return fewest;
    }

    void collect_free_of_charge() {
        free_of_charge_ = plan_.without_switch;
        for (const SwitchMembers& members : plan_.switches) {
            if (state_.switch_holds()[members.index] != 0) {
                free_of_charge_ |= members.devices;
            }
        }
    }

    [[nodiscard]] Placement to_placement() {
        Placement placement;
        placement.pus = std::move(best_->pus);
        placement.localities.set_word(0, best_->localities);
        placement.cost = best_->cost;
        placement.devices.reserve(static_cast<std::size_t>(plan_.device_count));
        for_each_bit(best_->devices, [&](std::uint32_t rank) {
            placement.devices.push_back({plan_.tree.devices()[rank], {}});
        });
        if (request_.wants_bytes) {
            std::vector<std::uint32_t> counts(machine_.localities().size(), 0);
            placement.pus.for_each(
                [&](std::size_t pu) { ++counts[machine_.pus()[pu].locality]; });
            placement.memory =
                fill_memory(state_, request_, placement.localities, counts).value();
        }
        return placement;
    }

    // Footprints are tried one by one: at most 2^6 questions a set T.
    static constexpr std::uint32_t max_footprint = 6;

    const NodeState& state_;
    const Machine& machine_;
    const CompiledRequest& request_;
    const TreePlan& plan_;
    std::uint32_t unmet_;
    const SolveOptions& options_;
    std::uint64_t& steps_;
    bool limited_ = false;
    TreeProgramme programme_;
    CoreChooser chooser_;

    std::pmr::vector<const CompiledAlign*> aligns_;
    std::pmr::vector<const CompiledAttribute*> sames_;
    std::uint32_t enforced_pairs_ = 0;  // bit i is plan_.pairs[i]
    std::int64_t opened_ = 1;
    bool links_fail_ = false;
    bool bails_ = false;
    bool match_is_known_ = true;
    bool can_match_ = true;

    TreeBranch branch_;
    std::uint64_t free_of_charge_ = 0;  // candidates whose switch need not be opened
    CoreChoice free_choice_;            // the cores of the T at hand, as they come
    CoreChoice hit_choice_;             // and with localities to hit
    std::optional<Candidate> best_;
};

}  // namespace

std::optional<SearchResult> tree_search(const NodeState& state,
                                        const CompiledRequest& request,
                                        const TreePlan& plan,
                                        std::uint32_t unmet,
                                        const SolveOptions& options,
                                        std::uint64_t& steps,
                                        std::pmr::memory_resource* scratch) {
    return TreeSearch(state, request, plan, unmet, options, steps, scratch).run();
}

}  // namespace topoalloc
