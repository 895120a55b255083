// SPDX-License-Identifier: Apache-2.0
#include "node/core_choice.hpp"

#include "node/pu_choice.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace topoalloc {
namespace {

// Members of [first, first + count) in a Bitmap.
std::uint32_t count_range(const Bitmap& set, std::uint32_t first, std::uint32_t count) {
    std::uint32_t sum = 0;
    while (count != 0) {
        const std::uint32_t offset = first % 64;
        const std::uint32_t taken = std::min(count, 64 - offset);
        sum += static_cast<std::uint32_t>(
            std::popcount((set.word(first / 64) >> offset) & low_bits(taken)));
        first += taken;
        count -= taken;
    }
    return sum;
}

// The lowest `count` members, of more: halves the word that they end in.
std::uint64_t lowest_bits(std::uint64_t word, std::uint32_t count) {
    std::uint32_t end = 0;
    for (std::uint32_t step = 32; step != 0; step /= 2) {
        if (std::cmp_less_equal(std::popcount(word & low_bits(end + step)), count)) {
            end += step;
        }
    }
    return word & low_bits(end);
}

// Each of the low 32 bits as two neighbours.
std::uint64_t each_twice(std::uint64_t word) {
    word = (word | (word << 16)) & 0x0000ffff0000ffffU;
    word = (word | (word << 8)) & 0x00ff00ff00ff00ffU;
    word = (word | (word << 4)) & 0x0f0f0f0f0f0f0f0fU;
    word = (word | (word << 2)) & 0x3333333333333333U;
    word = (word | (word << 1)) & 0x5555555555555555U;
    return word | (word << 1);
}

}  // namespace

CoreChooser::CoreChooser(const NodeState& state,
                         const CompiledRequest& request,
                         const SolveOptions& options,
                         std::uint64_t& steps,
                         bool& limited,
                         Arena& arena)
    : state_(state),
      machine_(*request.machine),
      options_(options),
      steps_(steps),
      limited_(limited),
      units_(arena, machine_.localities().size()),
      counted_units_(arena, machine_.core_runs().size()),
      most_units_(arena, machine_.localities().size() + 1),
      all_rooms_(arena, machine_.core_runs().size()),
      first_room_(arena, machine_.localities().size() + 1),
      joined_rooms_(arena, machine_.core_runs().size()),
      l3_choice_(&arena) {
    units_.assign(machine_.localities().size(), 0);
    const Request& asked = request.request;
    const std::uint32_t size = machine_.core_size();
    if (asked.cores != 0) {
        wanted_ = asked.cores;
    } else if (asked.pus != 0 && asked.whole_cores) {
        applies_ = size != 0 && asked.pus % size == 0;
        wanted_ = applies_ ? asked.pus / size : 0;
    } else {
        wanted_ = asked.pus;
        by_pus_ = asked.pus != 0 && size != 1;
    }
}

// --- what there is ---

void CoreChooser::enter(std::uint32_t first_core, std::uint32_t last_core) {
    first_core_ = first_core;
    last_core_ = last_core;
    if (wanted_ == 0) {
        return;
    }
    count_runs();
    sum_runs();
    if (!by_pus_) {
        collect_rooms();
    }
    if (!machine_.locality_sets().empty()) {
        sum_most();
    }
}

bool CoreChooser::may_suffice(std::uint32_t first_core, std::uint32_t last_core) const {
    const std::uint32_t last = machine_.run_of_core()[last_core - 1];
    std::uint64_t units = 0;
    for (std::uint32_t run = machine_.run_of_core()[first_core]; run <= last; ++run) {
        const CoreRun& cores = machine_.core_runs()[run];
        units += by_pus_ ? count_free_pus(cores.first_core,
                                          cores.first_core + cores.core_count)
                         : state_.whole_cores_of_run()[run];
    }
    return units >= wanted_;
}

// Whole cores of whole runs are counted in the state.
void CoreChooser::count_runs() {
    if (!by_pus_ && first_core_ == 0 && last_core_ == machine_.cores().size()) {
        run_units_ = state_.whole_cores_of_run();
        return;
    }
    counted_units_.assign(machine_.core_runs().size(), 0);
    run_units_ = counted_units_;
    for (std::uint32_t index = first_run(); index <= last_run(); ++index) {
        const CoreRun& run = machine_.core_runs()[index];
        const std::uint32_t first = std::max(run.first_core, first_core_);
        const std::uint32_t last =
            std::min(run.first_core + run.core_count, last_core_);
        if (by_pus_) {
            counted_units_[index] = count_free_pus(first, last);
        } else if (last - first == run.core_count) {
            counted_units_[index] = state_.whole_cores_of_run()[index];
        } else {
            counted_units_[index] =
                count_range(state_.whole_cores(), first, last - first);
        }
    }
}

void CoreChooser::sum_runs() {
    std::ranges::fill(units_, 0);
    all_units_ = 0;
    const std::uint32_t last = last_run();
    for (std::uint32_t run = first_run(); run <= last; ++run) {
        units_[machine_.core_runs()[run].locality] += run_units_[run];
        all_units_ += run_units_[run];
    }
}

std::uint32_t CoreChooser::count_free_pus(std::uint32_t first,
                                          std::uint32_t last) const {
    const auto from = static_cast<std::uint32_t>(machine_.cores()[first].pus.first());
    const auto to =
        static_cast<std::uint32_t>(machine_.cores()[last - 1].pus.last() + 1);
    return count_range(state_.free_pus(), from, to - from);
}

void CoreChooser::sum_most() {
    most_units_.assign(units_.size() + 1, 0);
    std::uint64_t* const largest = most_units_.begin() + 1;
    std::ranges::copy(units_, largest);
    std::ranges::sort(largest, most_units_.end(), std::greater{});
    for (std::size_t n = 1; n < most_units_.size(); ++n) {
        most_units_[n] += most_units_[n - 1];
    }
}

// --- choice ---

void CoreChooser::begin(std::uint64_t set, std::uint64_t hit, CoreChoice& out) {
    out.set = set;
    out.localities = 0;
    out.hit = hit;
    out.split_cores = 0;
    out.has_pus = false;
    out.rooms.clear();
    if (!by_pus_) {
        select_rooms(set);
    }
}

void CoreChooser::weigh(std::uint64_t set, CoreChoice& out) {
    begin(set, 0, out);
    if (by_pus_) {
        choose_by_programme(set, 0, out);
        return;
    }
    weight_ = l3_choice_.weigh(rooms_, wanted_);
    const auto count = static_cast<std::int64_t>(weight_.count);
    const auto favoured = static_cast<std::int64_t>(weight_.favoured);
    out.found = count != 0;
    out.l3s = count;
    // Open ones are favoured when packing, closed ones when spreading.
    const bool pack = options_.policy.packing == Packing::pack;
    out.opened_l3s = pack ? count - favoured : -favoured;
}

void CoreChooser::settle(CoreChoice& out) {
    if (!out.has_pus) {
        take_rooms(l3_choice_.pick(rooms_, wanted_, weight_), out);
    }
}

void CoreChooser::choose_hitting(std::uint64_t set,
                                 std::uint64_t hit,
                                 CoreChoice& out) {
    begin(set, hit, out);
    if (by_pus_ || !set_is_nested_) {
        choose_by_programme(set, hit, out);
        return;
    }
    const std::span<const std::uint32_t> chosen =
        l3_choice_.choose_hitting(rooms_, wanted_, hit);
    out.found = !chosen.empty();
    out.l3s = static_cast<std::int64_t>(chosen.size());
    const bool pack = options_.policy.packing == Packing::pack;
    const std::int64_t opened = pack ? 1 : -1;
    out.opened_l3s = 0;
    for (const std::uint32_t position : chosen) {
        out.opened_l3s += rooms_[position].favoured != pack ? opened : 0;
    }
    take_rooms(chosen, out);
}

void CoreChooser::take_rooms(std::span<const std::uint32_t> positions,
                             CoreChoice& out) {
    for (const std::uint32_t position : positions) {
        out.rooms.push_back(rooms_[position]);
    }
    note_localities(out);
}

// The L3s with what they can give, those of each locality side by side.
void CoreChooser::collect_rooms() {
    const std::size_t localities = units_.size();
    all_rooms_.clear();
    first_room_.assign(localities + 1, 0);
    rooms_are_nested_ = true;
    std::uint32_t locality = 0;
    const std::uint32_t last = last_run();
    for (std::uint32_t run = first_run(); run <= last; ++run) {
        if (run_units_[run] == 0) {
            continue;
        }
        // Localities are numbered by their first PU, so they come in order here.
        for (; locality < machine_.core_runs()[run].locality; ++locality) {
            first_room_[locality + 1] = static_cast<std::uint32_t>(all_rooms_.size());
        }
        add_room(run);
    }
    std::fill(first_room_.begin() + locality + 1,
              first_room_.end(),
              static_cast<std::uint32_t>(all_rooms_.size()));
}

// An L3 of several localities has a room in each.
void CoreChooser::add_room(std::uint32_t run) {
    const CoreRun& cores = machine_.core_runs()[run];
    if (!all_rooms_.empty() && all_rooms_.back().l3 == cores.l3) {
        if (all_rooms_.back().locality == cores.locality) {
            all_rooms_.back().units += run_units_[run];
            return;
        }
        rooms_are_nested_ = false;
    }
    const bool pack = options_.policy.packing == Packing::pack;
    const bool open = state_.l3_holds()[cores.l3] != 0;
    all_rooms_.push_back(
        {cores.l3, run_units_[run], open == pack, cores.locality, run});
}

// The rooms of T.
void CoreChooser::select_rooms(std::uint64_t set) {
    const auto lowest = static_cast<std::size_t>(std::countr_zero(set));
    const auto end = static_cast<std::size_t>(std::bit_width(set));
    set_is_nested_ = true;
    if (rooms_are_nested_ && low_bits(end) == (set | low_bits(lowest))) {
        rooms_ =
            std::span<const L3Room>(all_rooms_)
                .subspan(first_room_[lowest], first_room_[end] - first_room_[lowest]);
        return;
    }
    joined_rooms_.clear();
    for_each_bit(set, [this](std::uint32_t locality) {
        for (std::size_t i = first_room_[locality]; i != first_room_[locality + 1];
             ++i) {
            const L3Room& room = all_rooms_[i];
            if (!rooms_are_nested_ && !joined_rooms_.empty() &&
                joined_rooms_.back().l3 == room.l3) {
                joined_rooms_.back().units += room.units;
                set_is_nested_ = false;
            } else {
                joined_rooms_.push_back(room);
            }
        }
    });
    rooms_ = joined_rooms_;
}

template <class F>
void CoreChooser::for_each_chosen_run(const CoreChoice& choice, F&& f) const {
    const auto& runs = machine_.core_runs();
    for (const L3Room& room : choice.rooms) {
        for (std::uint32_t run = room.first_run;
             run < runs.size() && runs[run].l3 == room.l3;
             ++run) {
            const bool gives =
                run_units_[run] != 0 && has_bit(choice.set, runs[run].locality);
            if (gives && !f(run)) {
                return;
            }
        }
    }
}

void CoreChooser::note_localities(CoreChoice& out) const {
    // Where localities had to be hit every chosen L3 gives a core.
    std::uint32_t missing = out.hit != 0 ? no_index : wanted_;
    for_each_chosen_run(out, [&](std::uint32_t run) {
        out.localities |= bit(machine_.core_runs()[run].locality);
        missing -= std::min(missing, run_units_[run]);
        return missing != 0;
    });
}

void CoreChooser::choose_by_programme(std::uint64_t set,
                                      std::uint64_t hit,
                                      CoreChoice& out) {
    PuQuestion question;
    question.unit = by_pus_ ? PuUnit::pus : PuUnit::cores;
    question.wanted = wanted_;
    for_each_bit(
        set, [&](std::uint32_t l) { question.usable |= machine_.localities()[l].pus; });
    question.usable &= state_.free_pus();
    const std::size_t from = machine_.cores()[first_core_].pus.first();
    const std::size_t to = machine_.cores()[last_core_ - 1].pus.last() + 1;
    question.usable &= Bitmap::range(from, to - from);
    for_each_bit(hit, [&](std::uint32_t l) { question.hit_sets.push_back(bit(l)); });
    question.packing = options_.policy.packing;
    auto found =
        choose_pus(state_, question, steps_, options_.limits.max_steps, limited_);
    out.found = found.has_value();
    if (!found) {
        return;
    }
    out.l3s = found->l3s;
    out.split_cores = found->split_cores;
    out.opened_l3s = found->opened_l3s;
    out.pus = std::move(found->pus);
    out.has_pus = true;
    out.pus.for_each(
        [&](std::size_t pu) { out.localities |= bit(machine_.pus()[pu].locality); });
}

// --- PUs ---

Bitmap CoreChooser::pus_of(const CoreChoice& choice) const {
    if (choice.has_pus) {
        return choice.pus;
    }
    Bitmap cores;
    cores.resize_words((machine_.cores().size() + 63) / 64);
    const std::span<std::uint64_t> words = cores.words();
    std::uint32_t missing = wanted_;
    std::uint64_t to_hit = choice.hit;
    for_each_chosen_run(choice, [&](std::uint32_t index) {
        const CoreRun& run = machine_.core_runs()[index];
        // The lowest cores, less those that later localities to hit will need.
        to_hit &= ~bit(run.locality);
        const auto reserved = static_cast<std::uint32_t>(std::popcount(to_hit));
        const std::uint32_t most = std::min(missing - reserved, run_units_[index]);
        take_lowest(words, run, most);
        missing -= most;
        return missing != 0;
    });
    return machine_.core_size() == 1 ? cores : pus_of_cores(cores);
}

// Takes the lowest `count` whole cores of a run that may be used.
void CoreChooser::take_lowest(std::span<std::uint64_t> cores,
                              const CoreRun& run,
                              std::uint32_t count) const {
    std::uint32_t first = std::max(run.first_core, first_core_);
    const std::uint32_t last = std::min(run.first_core + run.core_count, last_core_);
    while (count != 0 && first < last) {
        const std::uint32_t word = first / 64;
        const std::uint32_t end = std::min(last, (word + 1) * 64);
        std::uint64_t here =
            state_.whole_cores().word(word) & (low_bits(end - first) << (first % 64));
        auto taken = static_cast<std::uint32_t>(std::popcount(here));
        if (taken > count) {
            here = lowest_bits(here, count);
            taken = count;
        }
        cores[word] |= here;
        count -= taken;
        first = end;
    }
}

// PUs are numbered core by core, so cores of two PUs stand at the multiples of two.
Bitmap CoreChooser::pus_of_cores(const Bitmap& cores) const {
    Bitmap pus;
    pus.resize_words((machine_.pus().size() + 63) / 64);
    if (machine_.core_size() != 2) {
        cores.for_each([&](std::size_t core) { pus |= machine_.cores()[core].pus; });
        return pus;
    }
    const std::span<const std::uint64_t> from = cores.words();
    const std::span<std::uint64_t> to = pus.words();
    for (std::size_t word = 0; word < to.size(); ++word) {
        const std::uint64_t half = (from[word / 2] >> (32 * (word % 2))) & low_bits(32);
        to[word] = half != 0 ? each_twice(half) : 0;
    }
    return pus;
}

}  // namespace topoalloc
