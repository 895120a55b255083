// SPDX-License-Identifier: Apache-2.0
#include "node/tree_search.hpp"

#include "node/class_choice.hpp"
#include "node/definition.hpp"
#include "node/l3_choice.hpp"
#include "node/pu_choice.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

std::uint64_t bit(std::size_t index) {
    return std::uint64_t{1} << index;
}

// Calls f(member) for each bit, ascending.
template <class F>
void for_each_bit(std::uint64_t mask, F&& f) {
    for (; mask != 0; mask &= mask - 1) {
        f(static_cast<std::uint32_t>(std::countr_zero(mask)));
    }
}

std::uint64_t mask_of(const Bitmap& set) {
    return set.word(0);
}

// Members of [first, first + count) in a Bitmap.
std::uint32_t count_range(const Bitmap& set, std::uint32_t first, std::uint32_t count) {
    const std::span<const std::uint64_t> words = set.words();
    std::uint32_t sum = 0;
    while (count != 0) {
        const std::uint32_t offset = first % 64;
        const std::uint32_t taken = std::min(count, 64 - offset);
        const std::size_t word = first / 64;
        if (word < words.size()) {
            const std::uint64_t keep = taken == 64 ? ~std::uint64_t{0} : bit(taken) - 1;
            sum += static_cast<std::uint32_t>(
                std::popcount((words[word] >> offset) & keep));
        }
        first += taken;
        count -= taken;
    }
    return sum;
}

// What is left open by the Align domains and Same values chosen so far.
struct TreeBranch {
    std::uint64_t devices = 0;     // available candidates, by rank
    std::uint32_t first_core = 0;  // cores that may be used: an interval
    std::uint32_t last_core = 0;   // one past
    std::uint64_t byte_localities = ~std::uint64_t{0};  // whose bytes may be used
};

// The cores chosen for one set T.
struct CoreChoice {
    bool found = false;
    std::int64_t l3s = 0, split_cores = 0, opened_l3s = 0;
    std::uint64_t localities = 0;  // that got a PU
    std::uint64_t hit = 0;         // that had to get one
    Bitmap pus;                    // filled by materialize()
    bool has_pus = false;
    std::uint32_t cores = 0;    // whole cores to take from the rooms
    std::vector<L3Room> rooms;  // the chosen ones, in order
};

struct Candidate {
    Cost cost;
    std::uint64_t devices = 0;  // by rank
    std::uint64_t localities = 0;
    Bitmap pus;
};

bool least_index_less(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t differing = a ^ b;
    return (a & (differing & (~differing + 1))) != 0;
}

class TreeSearch {
  public:
    TreeSearch(const NodeState& state,
               const CompiledRequest& request,
               const TreePlan& plan,
               const SolveOptions& options,
               std::uint64_t& steps)
        : state_(state),
          machine_(*request.machine),
          request_(request),
          plan_(plan),
          options_(options),
          steps_(steps),
          programme_(plan.tree),
          opened_(options.policy.packing == Packing::pack ? 1 : -1) {}

    std::optional<SearchResult> run(
        const std::vector<const CompiledConstraint*>& enforced) {
        if (!accept(enforced) || !accept_units()) {
            return std::nullopt;
        }
        SearchResult result;
        if (links_fail_) {
            return result;
        }
        collect_pairs(enforced);
        sum_links();
        TreeBranch branch;
        branch.last_core = static_cast<std::uint32_t>(machine_.cores().size());
        const auto& devices = plan_.tree.devices();
        for (std::size_t rank = 0; rank < devices.size(); ++rank) {
            branch.devices |= state_.is_available(devices[rank]) ? bit(rank) : 0;
        }
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

    bool accept(const std::vector<const CompiledConstraint*>& enforced) {
        for (const CompiledConstraint* constraint : enforced) {
            if (const auto* align = std::get_if<CompiledAlign>(constraint)) {
                aligns_.push_back(align);
            } else if (const auto* attribute =
                           std::get_if<CompiledAttribute>(constraint)) {
                if (!attribute->same) {
                    return false;
                }
                sames_.push_back(attribute);
            } else if (const auto* link = std::get_if<CompiledLink>(constraint)) {
                links_fail_ =
                    links_fail_ || (request_.needs[link->need].count > 1 &&
                                    plan_.tree.link_mb_s(link->need) < link->min_mb_s);
            } else if (std::holds_alternative<CompiledNear>(*constraint)) {
                return false;
            }
        }
        return options_.keep_from == nullptr;
    }

    bool accept_units() {
        const Request& request = request_.request;
        if (request.cores != 0) {
            wanted_ = request.cores;
        } else if (request.pus != 0 && request.whole_cores) {
            if (plan_.core_size == 0 || request.pus % plan_.core_size != 0) {
                return false;
            }
            wanted_ = request.pus / plan_.core_size;
        } else {
            wanted_ = request.pus;
            by_pus_ = request.pus != 0 && plan_.core_size != 1;
        }
        return true;
    }

    void collect_pairs(const std::vector<const CompiledConstraint*>& enforced) {
        for (const auto* list : {&request_.require, &request_.prefer}) {
            for (const CompiledConstraint& constraint : *list) {
                if (const auto* pair = std::get_if<CompiledPair>(&constraint)) {
                    pairs_.push_back(price(*pair));
                    pairs_.back().enforced =
                        std::ranges::find(enforced, &constraint) != enforced.end();
                }
            }
        }
    }

    [[nodiscard]] TreePair price(const CompiledPair& pair) const {
        const bool a_is_many = pair.ratio_b == 1;
        TreePair priced;
        priced.many = a_is_many ? pair.need_a : pair.need_b;
        priced.one = a_is_many ? pair.need_b : pair.need_a;
        priced.ratio = a_is_many ? pair.ratio_a : pair.ratio_b;
        priced.within = pair.within;
        priced.least = plan_.least_level(priced.many, priced.one);
        return priced;
    }

    void sum_links() {
        for (std::size_t need = 0; need < request_.needs.size(); ++need) {
            const auto count = static_cast<std::int64_t>(request_.needs[need].count);
            counts_[need] = request_.needs[need].count;
            device_count_ += count;
            if (machine_.class_has_links(request_.request.devices[need].device_class)) {
                missing_link_ += count * (count - 1) / 2 *
                                 static_cast<std::int64_t>(machine_.max_link_mb_s() -
                                                           plan_.tree.link_mb_s(need));
            }
        }
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
            localities = mask_of(domain.localities);
            pus = &domain.pus;
        }
        if (align.scope.pus) {
            const std::uint32_t first = machine_.pus()[pus->first()].core;
            const std::uint32_t last = machine_.pus()[pus->last()].core + 1;
            branch.first_core = std::max(branch.first_core, first);
            branch.last_core = std::min(branch.last_core, last);
            if (branch.first_core >= branch.last_core) {
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
                              counts_[need])) {
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
                if (((same.needs >> plan_.tree.need_of(rank)) & 1U) != 0 &&
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
        branch_ = branch;
        ++steps_;
        count_units();
        std::uint64_t units = 0;
        for (const std::uint32_t u : units_) {
            units += u;
        }
        if (units < wanted_ || !devices_suffice(branch.devices)) {
            return;
        }
        match_is_known_ = std::ranges::none_of(pairs_, &TreePair::enforced);
        can_match_ = true;
        if (wanted_ == 0 && !request_.wants_bytes &&
            devices_suffice(branch.devices & plan_.tree.unknown_mask()) &&
            !visit(LocalitySet{})) {
            return;
        }
        if (!plan_.sets.empty()) {
            // Stops at the first set that visit() refuses.
            [[maybe_unused]] const bool all =
                std::ranges::all_of(plan_.sets, [this](const LocalitySet& set) {
                    return !set_suffices(set.mask) || visit(set);
                });
        } else if (sets_differ_in_cores_alone()) {
            choose_by_class();
        } else {
            enumerate_sets();
        }
    }

    void enumerate_sets() {
        LocalityDemand demand;
        demand.units = units_;
        sign_localities(demand);
        demand.wanted_units = wanted_;
        demand.candidates.resize(request_.needs.size());
        for_each_bit(branch_.devices, [&](std::uint32_t rank) {
            demand.candidates[plan_.tree.need_of(rank)].push_back(
                mask_of(machine_.devices()[plan_.tree.devices()[rank]].localities));
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
        if (!plan_.l3_is_locality || device_count_ != 0 || wanted_ == 0 || by_pus_) {
            return false;
        }
        for (std::uint32_t l = 0; l < units_.size(); ++l) {
            const bool is_open = state_.locality_holds()[l] != 0;
            if (units_[l] != 0 &&
                (is_open != (state_.l3_holds()[plan_.pieces[l].l3] != 0) ||
                 !holds_all_bytes(l))) {
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
        return !request_.wants_bytes ||
               ((branch_.byte_localities >> locality) & 1U) != 0;
    }

    void choose_by_class() {
        std::vector<ClassRoom> rooms;
        std::vector<std::uint32_t> most;
        std::vector<std::uint32_t> largest;
        for (std::uint32_t l = 0; l < units_.size(); ++l) {
            const std::uint32_t index = request_.locality_classes[l];
            most.resize(std::max<std::size_t>(most.size(), index + 1U), 0);
            if (units_[l] != 0) {
                const bool open = state_.locality_holds()[l] != 0;
                rooms.push_back({l, index, units_[l], open == (opened_ == 1)});
                ++most[index];
                largest.push_back(units_[l]);
            }
        }
        std::ranges::sort(largest, std::greater{});
        std::size_t least = 0;
        for (std::uint64_t sum = 0; sum < wanted_; ++least) {
            sum += largest[least];
        }
        ClassChoice choice(rooms, most.size());
        for (std::size_t packages = 1; packages <= machine_.packages().size();
             ++packages) {
            for (std::size_t size = least; size <= rooms.size(); ++size) {
                if (!for_each_class_counts(machine_,
                                           request_.locality_classes,
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
        const std::vector<std::uint32_t> chosen = choice.choose(counts.counts, wanted_);
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
        demand.signatures.resize(units_.size());
        std::uint64_t unlike = 0;
        for (std::size_t i = 0; i < plan_.pieces.size(); ++i) {
            const CorePiece& piece = plan_.pieces[i];
            auto& signature = demand.signatures[piece.locality];
            signature.push_back(piece_units_[i]);
            signature.push_back(state_.l3_holds()[piece.l3] != 0 ? 1 : 0);
            unlike |= can_be_told(i) ? 0 : bit(piece.locality);
        }
        for (std::uint32_t l = 0; l < units_.size(); ++l) {
            auto& signature = demand.signatures[l];
            if (((unlike >> l) & 1U) != 0 ||
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
    [[nodiscard]] bool can_be_told(std::size_t index) const {
        const CorePiece& piece = plan_.pieces[index];
        return machine_.l3s()[piece.l3].localities.count() == 1 &&
               (!by_pus_ || piece_units_[index] == piece.core_count * plan_.core_size);
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
        TreeQuestion question;
        question.available = available;
        question.remote = remote;
        question.counts = counts_;
        question.pairs = pairs_;
        question.switch_holds = &state_.switch_holds();
        question.opened = opened_;
        if (device_count_ == 0) {
            TreeAnswer none;
            none.found = true;
            return none;
        }
        return programme_.ask(question, steps_);
    }

    void count_units() {
        units_.assign(machine_.localities().size(), 0);
        piece_units_.assign(plan_.pieces.size(), 0);
        if (wanted_ == 0) {
            return;
        }
        for (std::size_t i = 0; i < plan_.pieces.size(); ++i) {
            const CorePiece& piece = plan_.pieces[i];
            const std::uint32_t first = std::max(piece.first_core, branch_.first_core);
            const std::uint32_t last =
                std::min(piece.first_core + piece.core_count, branch_.last_core);
            if (first >= last) {
                continue;
            }
            piece_units_[i] =
                by_pus_ ? count_free_pus(first, last)
                        : count_range(state_.whole_cores(), first, last - first);
            units_[piece.locality] += piece_units_[i];
        }
    }

    [[nodiscard]] std::uint32_t count_free_pus(std::uint32_t first,
                                               std::uint32_t last) const {
        const auto from =
            static_cast<std::uint32_t>(machine_.cores()[first].pus.first());
        const auto to =
            static_cast<std::uint32_t>(machine_.cores()[last - 1].pus.last() + 1);
        return count_range(state_.free_pus(), from, to - from);
    }

    [[nodiscard]] bool set_suffices(std::uint64_t mask) const {
        std::uint64_t units = 0;
        for_each_bit(mask, [&](std::uint32_t l) { units += units_[l]; });
        return units >= wanted_ && devices_suffice(devices_of(mask));
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
                    bails_ = bails_ || ((branch_.byte_localities >> l) & 1U) == 0;
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
        if (wanted_ == 0) {
            if (!is_hopeless(set, devices, no_cores())) {
                consider(set, ask_tree(devices, 0), no_cores());
            }
            return;
        }
        std::uint64_t usable = 0;  // localities of T with units
        std::uint64_t with_devices = 0;
        std::uint64_t remote = 0;  // devices that no PU can be beside
        for_each_bit(set.mask, [&](std::uint32_t l) {
            const std::uint64_t here = plan_.tree.locality_mask(l) & devices;
            usable |= units_[l] != 0 ? bit(l) : 0;
            with_devices |= here != 0 ? bit(l) : 0;
            remote |= units_[l] == 0 ? here : 0;
        });
        const CoreChoice cores = choose_cores(set.mask, 0);
        if (!cores.found || is_hopeless(set, devices, cores)) {
            return;
        }
        const std::uint64_t open = with_devices & usable & ~cores.localities;
        if (open == 0) {
            consider(set, ask_tree(devices, remote), cores);
            return;
        }
        consider_footprints(set, devices, remote, with_devices & usable, cores);
    }

    // Covering every locality with devices costs more than covering none: so each set
    // of localities that may have devices is a question of its own.
    void consider_footprints(const LocalitySet& set,
                             std::uint64_t devices,
                             std::uint64_t remote,
                             std::uint64_t with_devices,
                             const CoreChoice& free_choice) {
        const auto members = static_cast<std::uint32_t>(std::popcount(with_devices));
        if (members > max_footprint || members > wanted_) {
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
                const bool covered = (footprint & ~free_choice.localities) == 0;
                const CoreChoice cores =
                    covered ? free_choice : choose_cores(set.mask, footprint);
                if (cores.found) {
                    consider(set, ask_tree(devices & ~left_out, remote), cores);
                }
            }
            footprint = (footprint - with_devices) & with_devices;  // the next subset
        } while (footprint != 0 && !stops());
    }

    // --- cores ---

    static CoreChoice no_cores() {
        CoreChoice choice;
        choice.found = true;
        choice.has_pus = true;
        return choice;
    }

    CoreChoice choose_cores(std::uint64_t localities, std::uint64_t hit) {
        if (by_pus_) {
            return choose_by_programme(localities, hit);
        }
        if (!collect_rooms(localities) && hit != 0) {
            return choose_by_programme(localities, hit);
        }
        const std::vector<std::uint32_t>& chosen =
            hit == 0 ? l3_choice_.choose(rooms_, wanted_)
                     : l3_choice_.choose_hitting(rooms_, wanted_, hit);
        CoreChoice choice;
        choice.found = !chosen.empty();
        choice.hit = hit;
        choice.cores = wanted_;
        choice.l3s = static_cast<std::int64_t>(chosen.size());
        for (const std::uint32_t position : chosen) {
            choice.rooms.push_back(rooms_[position]);
            choice.opened_l3s +=
                rooms_[position].favoured != (opened_ == 1) ? opened_ : 0;
        }
        note_localities(localities, choice);
        return choice;
    }

    // The L3s of T with what they can give; false when one lies in several localities.
    bool collect_rooms(std::uint64_t localities) {
        rooms_.clear();
        bool nested = true;
        for (std::size_t i = 0; i < plan_.pieces.size(); ++i) {
            const CorePiece& piece = plan_.pieces[i];
            if (piece_units_[i] == 0 || ((localities >> piece.locality) & 1U) == 0) {
                continue;
            }
            if (rooms_.empty() || rooms_.back().l3 != piece.l3) {
                const bool open = state_.l3_holds()[piece.l3] != 0;
                rooms_.push_back({piece.l3, 0, open == (opened_ == 1), piece.locality});
            }
            nested = nested && rooms_.back().locality == piece.locality;
            rooms_.back().units += piece_units_[i];
        }
        return nested;
    }

    // Calls f(piece position) for the pieces of the chosen L3s that lie in T, in order,
    // until it returns false.
    template <class F>
    void for_each_chosen_piece(std::uint64_t localities,
                               const CoreChoice& choice,
                               F&& f) const {
        std::size_t i = 0;
        for (const L3Room& room : choice.rooms) {
            while (plan_.pieces[i].l3 != room.l3) {
                ++i;
            }
            for (; i < plan_.pieces.size() && plan_.pieces[i].l3 == room.l3; ++i) {
                const bool gives = piece_units_[i] != 0 &&
                                   ((localities >> plan_.pieces[i].locality) & 1U) != 0;
                if (gives && !f(i)) {
                    return;
                }
            }
        }
    }

    void note_localities(std::uint64_t localities, CoreChoice& choice) const {
        // Where localities had to be hit every chosen L3 gives a core.
        std::uint32_t missing = choice.hit != 0 ? no_index : choice.cores;
        for_each_chosen_piece(localities, choice, [&](std::size_t i) {
            choice.localities |= bit(plan_.pieces[i].locality);
            missing -= std::min(missing, piece_units_[i]);
            return missing != 0;
        });
    }

    // The lowest cores of the chosen L3s, less those that later localities to hit will
    // need.
    void materialize(std::uint64_t localities, CoreChoice& choice) const {
        if (choice.has_pus) {
            return;
        }
        choice.has_pus = true;
        choice.pus.resize_words((machine_.pus().size() + 63) / 64);
        std::uint32_t missing = choice.cores;
        std::uint64_t to_hit = choice.hit;
        for_each_chosen_piece(localities, choice, [&](std::size_t i) {
            const CorePiece& piece = plan_.pieces[i];
            const std::uint32_t first = std::max(piece.first_core, branch_.first_core);
            const std::uint32_t last =
                std::min(piece.first_core + piece.core_count, branch_.last_core);
            for (std::uint32_t core = first; core < last && missing != 0; ++core) {
                if (!state_.whole_cores().test(core)) {
                    continue;
                }
                const bool hits = ((to_hit >> piece.locality) & 1U) != 0;
                if (hits || std::cmp_greater(missing, std::popcount(to_hit))) {
                    choice.pus |= machine_.cores()[core].pus;
                    to_hit &= ~bit(piece.locality);
                    --missing;
                }
            }
            return missing != 0;
        });
    }

    CoreChoice choose_by_programme(std::uint64_t localities, std::uint64_t hit) {
        PuQuestion question;
        question.unit = by_pus_ ? PuUnit::pus : PuUnit::cores;
        question.wanted = wanted_;
        for_each_bit(localities, [&](std::uint32_t l) {
            question.usable |= machine_.localities()[l].pus;
        });
        question.usable &= state_.free_pus();
        const std::size_t from = machine_.cores()[branch_.first_core].pus.first();
        const std::size_t to = machine_.cores()[branch_.last_core - 1].pus.last() + 1;
        question.usable &= Bitmap::range(from, to - from);
        for_each_bit(hit,
                     [&](std::uint32_t l) { question.hit_sets.push_back(bit(l)); });
        question.packing = options_.policy.packing;
        CoreChoice choice;
        auto found =
            choose_pus(state_, question, steps_, options_.limits.max_steps, limited_);
        if (!found) {
            return choice;
        }
        choice.found = true;
        choice.l3s = found->l3s;
        choice.split_cores = found->split_cores;
        choice.opened_l3s = found->opened_l3s;
        choice.pus = std::move(found->pus);
        choice.has_pus = true;
        choice.pus.for_each([&](std::size_t pu) {
            choice.localities |= bit(machine_.pus()[pu].locality);
        });
        return choice;
    }

    // --- one candidate ---

    void consider(const LocalitySet& set, const TreeAnswer& devices, CoreChoice cores) {
        if (!devices.found) {
            note_unmatched();
            return;
        }
        const Cost cost = cost_of(set, devices, cores);
        if (best_ && cost > best_->cost) {
            return;
        }
        materialize(set.mask, cores);
        Candidate candidate{cost, devices.devices, set.mask, std::move(cores.pus)};
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
        cost[Cost::missing_link] = missing_link_;
        cost[Cost::remote_devices] = devices.remote_devices;
        cost[Cost::l3s] = cores.l3s;
        cost[Cost::split_cores] = cores.split_cores;
        std::uint64_t packages = 0;
        for_each_bit(set.mask, [&](std::uint32_t l) {
            // Every locality of the best T holds something, so each closed one is
            // opened.
            cost[Cost::opened_localities] +=
                state_.locality_holds()[l] == 0 ? opened_ : 0;
            const std::uint64_t package = plan_.package_of[l];
            if (state_.package_holds()[package] == 0 &&
                ((packages >> package % 64) & 1U) == 0) {
                packages |= bit(package % 64);
                cost[Cost::opened_packages] += opened_;
            }
        });
        cost[Cost::opened_switches] = devices.opened_switches;
        cost[Cost::opened_devices] = opened_ * device_count_;
        cost[Cost::opened_l3s] = cores.opened_l3s;
        return cost;
    }

    // True when no choice of devices of T can be better than the best so far: not even
    // at the least levels and the fewest new switches that any choice has, and all its
    // indices are higher.
    [[nodiscard]] bool is_hopeless(const LocalitySet& set,
                                   std::uint64_t devices,
                                   const CoreChoice& cores) const {
        if (!best_ || opened_ != 1 || devices == 0 || best_->devices == 0) {
            return false;
        }
        TreeAnswer bound;
        for (const TreePair& pair : pairs_) {
            bound.pair_levels += pair.least * counts_[pair.many];
        }
        bound.opened_switches = fewest_new_switches(devices);
        const Cost cost = cost_of(set, bound, cores);
        return cost > best_->cost ||
               (cost == best_->cost &&
                std::countr_zero(devices) > std::countr_zero(best_->devices));
    }

    // Devices of open switches, or of none, come first; the rest needs a new switch for
    // every `most_per_switch` of its need.
    [[nodiscard]] std::int64_t fewest_new_switches(std::uint64_t devices) const {
        std::uint64_t free_of_charge = devices & plan_.without_switch;
        for (const SwitchMembers& members : plan_.switches) {
            if (state_.switch_holds()[members.index] != 0) {
                free_of_charge |= members.devices & devices;
            }
        }
        std::int64_t fewest = 0;
        for (std::size_t need = 0; need < request_.needs.size(); ++need) {
            const auto have = static_cast<std::uint32_t>(
                std::popcount(free_of_charge & plan_.tree.need_mask(need)));
            const std::uint32_t missing =
                counts_[need] > have ? counts_[need] - have : 0;
            const std::uint32_t per_switch = std::max(plan_.most_per_switch[need], 1U);
            fewest =
                std::max<std::int64_t>(fewest, (missing + per_switch - 1) / per_switch);
        }
        return fewest;
    }

    static bool is_better(const Candidate& a, const Candidate& b) {
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

    [[nodiscard]] Placement to_placement() const {
        Placement placement;
        placement.pus = best_->pus;
        placement.localities.set_word(0, best_->localities);
        placement.cost = best_->cost;
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
    const SolveOptions& options_;
    std::uint64_t& steps_;
    TreeProgramme programme_;
    L3Choice l3_choice_;

    std::vector<const CompiledAlign*> aligns_;
    std::vector<const CompiledAttribute*> sames_;
    std::vector<TreePair> pairs_;
    std::array<std::uint32_t, DeviceTree::max_needs> counts_{};
    std::int64_t device_count_ = 0;
    std::int64_t missing_link_ = 0;
    std::int64_t opened_ = 1;
    std::uint32_t wanted_ = 0;  // units: whole cores, or PUs
    bool by_pus_ = false;
    bool links_fail_ = false;
    bool limited_ = false;
    bool bails_ = false;
    bool match_is_known_ = true;
    bool can_match_ = true;

    TreeBranch branch_;
    std::vector<std::uint32_t> units_;        // by locality
    std::vector<std::uint32_t> piece_units_;  // by piece
    std::vector<L3Room> rooms_;
    std::optional<Candidate> best_;
};

}  // namespace

std::optional<SearchResult> tree_search(
    const NodeState& state,
    const CompiledRequest& request,
    const TreePlan& plan,
    const std::vector<const CompiledConstraint*>& enforced,
    const SolveOptions& options,
    std::uint64_t& steps) {
    return TreeSearch(state, request, plan, options, steps).run(enforced);
}

}  // namespace topoalloc
