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
                         std::pmr::memory_resource* scratch)
    : state_(state),
      machine_(*request.machine),
      options_(options),
      steps_(steps),
      limited_(limited),
      units_(machine_.localities().size(), scratch),
      run_units_(machine_.core_runs().size(), scratch),
      most_units_(machine_.localities().size() + 1, scratch),
      rooms_(scratch),
      l3_choice_(scratch) {
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
    std::ranges::fill(units_, 0);
    std::ranges::fill(run_units_, 0);
    all_units_ = 0;
    for (std::uint32_t run = first_run(); run <= last_run(); ++run) {
        count_run(run);
        units_[machine_.core_runs()[run].locality] += run_units_[run];
        all_units_ += run_units_[run];
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

void CoreChooser::count_run(std::uint32_t index) {
    const CoreRun& run = machine_.core_runs()[index];
    const std::uint32_t first = std::max(run.first_core, first_core_);
    const std::uint32_t last = std::min(run.first_core + run.core_count, last_core_);
    if (by_pus_) {
        run_units_[index] = count_free_pus(first, last);
    } else if (last - first == run.core_count) {
        run_units_[index] = state_.whole_cores_of_run()[index];
    } else {
        run_units_[index] = count_range(state_.whole_cores(), first, last - first);
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
    const auto largest = most_units_.begin() + 1;
    std::ranges::copy(units_, largest);
    std::ranges::sort(largest, most_units_.end(), std::greater{});
    for (std::size_t n = 1; n < most_units_.size(); ++n) {
        most_units_[n] += most_units_[n - 1];
    }
}

// --- choice ---

void CoreChooser::choose(std::uint64_t set, std::uint64_t hit, CoreChoice& out) {
    out.set = set;
    out.localities = 0;
    out.hit = hit;
    out.has_pus = false;
    out.rooms.clear();
    if (by_pus_ || (!collect_rooms(set) && hit != 0)) {
        choose_by_programme(set, hit, out);
        return;
    }
    const std::span<const std::uint32_t> chosen =
        hit == 0 ? l3_choice_.choose(rooms_, wanted_)
                 : l3_choice_.choose_hitting(rooms_, wanted_, hit);
    out.found = !chosen.empty();
    out.l3s = static_cast<std::int64_t>(chosen.size());
    out.split_cores = 0;
    out.opened_l3s = 0;
    const bool pack = options_.policy.packing == Packing::pack;
    const std::int64_t opened = pack ? 1 : -1;
    for (const std::uint32_t position : chosen) {
        out.rooms.push_back(rooms_[position]);
        out.opened_l3s += rooms_[position].favoured != pack ? opened : 0;
    }
    note_localities(out);
}

// The L3s of T with what they can give; false when one lies in several localities.
bool CoreChooser::collect_rooms(std::uint64_t set) {
    rooms_.clear();
    bool nested = true;
    const bool pack = options_.policy.packing == Packing::pack;
    for_each_bit(set, [&](std::uint32_t l) {
        const Locality& locality = machine_.localities()[l];
        for (std::uint32_t i = 0; i < locality.run_count; ++i) {
            const std::uint32_t run = locality.first_run + i;
            if (run_units_[run] == 0) {
                continue;
            }
            const std::uint32_t l3 = machine_.core_runs()[run].l3;
            if (rooms_.empty() || rooms_.back().l3 != l3) {
                const bool open = state_.l3_holds()[l3] != 0;
                rooms_.push_back({l3, 0, open == pack, l, run});
            }
            nested = nested && rooms_.back().locality == l;
            rooms_.back().units += run_units_[run];
        }
    });
    return nested;
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
    Bitmap pus;
    pus.resize_words((machine_.pus().size() + 63) / 64);
    std::uint32_t missing = wanted_;
    std::uint64_t to_hit = choice.hit;
    for_each_chosen_run(choice, [&](std::uint32_t index) {
        const CoreRun& run = machine_.core_runs()[index];
        const std::uint32_t first = std::max(run.first_core, first_core_);
        const std::uint32_t last =
            std::min(run.first_core + run.core_count, last_core_);
        // The lowest cores, less those that later localities to hit will need.
        to_hit &= ~bit(run.locality);
        const auto reserved = static_cast<std::uint32_t>(std::popcount(to_hit));
        const std::uint32_t most = std::min(missing - reserved, run_units_[index]);
        take_lowest(pus, first, last, most);
        missing -= most;
        return missing != 0;
    });
    return pus;
}

// Takes the lowest `count` whole cores of [first, last).
void CoreChooser::take_lowest(Bitmap& pus,
                              std::uint32_t first,
                              std::uint32_t last,
                              std::uint32_t count) const {
    while (count != 0 && first < last) {
        const std::uint32_t offset = first % 64;
        const std::uint32_t width = std::min(last - first, 64 - offset);
        std::uint64_t cores =
            state_.whole_cores().word(first / 64) & (low_bits(width) << offset);
        if (std::cmp_greater(std::popcount(cores), count)) {
            cores = lowest_bits(cores, count);
        }
        take_cores(pus, first / 64, cores);
        count -= static_cast<std::uint32_t>(std::popcount(cores));
        first += width;
    }
}

// PUs are numbered core by core, so cores of one size stand at its multiples.
void CoreChooser::take_cores(Bitmap& pus,
                             std::size_t core_word,
                             std::uint64_t cores) const {
    if (machine_.core_size() == 1) {
        pus.set_word(core_word, pus.word(core_word) | cores);
    } else if (machine_.core_size() == 2) {
        for (const std::size_t half : {0U, 1U}) {
            const std::uint64_t both =
                each_twice((cores >> (32 * half)) & low_bits(32));
            const std::size_t word = 2 * core_word + half;
            if (both != 0) {
                pus.set_word(word, pus.word(word) | both);
            }
        }
    } else {
        for_each_bit(cores, [&](std::uint32_t core) {
            pus |= machine_.cores()[core_word * 64 + core].pus;
        });
    }
}

}  // namespace topoalloc
