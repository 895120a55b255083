// SPDX-License-Identifier: Apache-2.0
#include "node/pu_choice.hpp"

#include "base/bits.hpp"
#include "node/l3_choice.hpp"

#include <algorithm>
#include <limits>
#include <span>

namespace topoalloc {
namespace {

// One core with usable PUs.
struct CoreItem {
    std::uint32_t core = 0;
    std::uint32_t l3 = 0;
    std::uint32_t package = 0;
    std::uint32_t locality = 0;
    std::uint32_t size = 0;    // PUs of the core
    std::uint32_t usable = 0;  // of them usable
    std::uint32_t forced = 0;  // of them forced
};

std::vector<CoreItem> collect_cores(const Machine& machine,
                                    const PuQuestion& question) {
    std::vector<CoreItem> items;
    std::uint32_t last = no_index;
    question.usable.for_each([&](std::size_t index) {
        const Pu& pu = machine.pus()[index];
        if (pu.core != last) {
            last = pu.core;
            const auto size =
                static_cast<std::uint32_t>(machine.cores()[pu.core].pus.count());
            items.push_back({pu.core, pu.l3, pu.package, pu.locality, size, 0, 0});
        }
        ++items.back().usable;
        items.back().forced += question.forced.test(index) ? 1U : 0U;
    });
    if (question.unit != PuUnit::pus) {
        std::erase_if(items,
                      [](const CoreItem& item) { return item.usable != item.size; });
    }
    return items;
}

// Units that a core can give at most.
std::uint32_t units_of(const CoreItem& item, PuUnit unit) {
    return unit == PuUnit::cores ? 1 : item.usable;
}

// Domains whose cores do not stand side by side: some PUs of the Machine lack the kind
// and are stood in for around those that have it.
template <class Key>
std::vector<std::uint32_t> scattered(const std::vector<CoreItem>& items, Key key) {
    std::vector<std::uint32_t> ended;
    std::vector<std::uint32_t> found;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const std::uint32_t here = key(items[i]);
        if (i > 0 && key(items[i - 1]) != here) {
            ended.push_back(key(items[i - 1]));
            if (std::ranges::find(ended, here) != ended.end() &&
                std::ranges::find(found, here) == found.end()) {
                found.push_back(here);
            }
        }
    }
    return found;
}

// L3s with what they can give, in order.
std::vector<L3Room> collect_l3s(const NodeState& state,
                                const PuQuestion& question,
                                const std::vector<CoreItem>& items) {
    std::vector<L3Room> rooms;
    for (const CoreItem& item : items) {
        if (rooms.empty() || rooms.back().l3 != item.l3) {
            const bool open = state.l3_holds()[item.l3] != 0;
            rooms.push_back({item.l3, 0, open == (question.packing == Packing::pack)});
        }
        rooms.back().units += units_of(item, question.unit);
    }
    return rooms;
}

void take_core(const Machine& machine,
               const PuQuestion& question,
               std::uint32_t core,
               std::uint32_t count,
               Bitmap& pus) {
    const Bitmap& all = machine.cores()[core].pus;
    std::uint32_t missing = count;
    all.for_each([&](std::size_t pu) {
        if (question.forced.test(pu)) {
            pus.set(pu);
            --missing;
        }
    });
    all.for_each([&](std::size_t pu) {
        if (missing != 0 && question.usable.test(pu) && !question.forced.test(pu)) {
            pus.set(pu);
            --missing;
        }
    });
}

// The lowest cores of the chosen rooms. Rooms stand in the order of the cores.
PuChoice finish_counting(const NodeState& state,
                         const PuQuestion& question,
                         const std::vector<CoreItem>& items,
                         const std::vector<L3Room>& rooms,
                         std::span<const std::uint32_t> chosen) {
    PuChoice choice;
    const bool pack = question.packing == Packing::pack;
    const std::int64_t sign = pack ? 1 : -1;
    std::vector<bool> is_chosen(rooms.size(), false);
    for (const std::uint32_t position : chosen) {
        is_chosen[position] = true;
        ++choice.l3s;
        choice.opened_l3s += rooms[position].favoured == pack ? 0 : sign;
    }
    std::uint32_t missing = question.wanted;
    std::size_t room = 0;
    for (auto item = items.begin(); item != items.end() && missing != 0; ++item) {
        room += item->l3 == rooms[room].l3 ? 0U : 1U;
        if (is_chosen[room]) {
            choice.pus |= state.machine().cores()[item->core].pus;
            missing -= units_of(*item, question.unit);
        }
    }
    return choice;
}

bool hits_all(const Machine& machine, const PuQuestion& question, const Bitmap& pus) {
    if (question.hit_sets.empty()) {
        return true;
    }
    std::uint64_t localities = 0;
    pus.for_each(
        [&](std::size_t pu) { localities |= bit(machine.pus()[pu].locality); });
    return std::ranges::all_of(
        question.hit_sets, [&](std::uint64_t set) { return (set & localities) != 0; });
}

// Counting takes the fewest L3s and only then looks at what they open. Whole cores are
// never split, so where split cores stand in the order is of no account.
bool counts_l3s_first(const PuQuestion& question) {
    return std::ranges::find(question.order, TermGroup::l3s) <
           std::ranges::find(question.order, TermGroup::opened);
}

bool counting_applies(const PuQuestion& question, const std::vector<CoreItem>& items) {
    if (question.unit == PuUnit::pus || !counts_l3s_first(question) ||
        !question.forced.empty() || !question.charged_packages.empty() ||
        !question.exact_counts.empty()) {
        return false;
    }
    if (!scattered(items, [](const CoreItem& item) { return item.l3; }).empty()) {
        return false;
    }
    if (question.unit == PuUnit::cores || items.empty()) {
        return true;
    }
    const std::uint32_t size = items.front().size;
    return question.wanted % size == 0 &&
           std::ranges::all_of(items,
                               [&](const CoreItem& item) { return item.size == size; });
}

// The general programme, from the last core to the first. A state says what the domains
// of the core at hand have already got: bit 0 its L3, bit 1 its Package where Packages
// are charged; and above them which hit sets have been hit, then which scattered L3s
// and Packages have been used.
class CoreProgramme {
  public:
    CoreProgramme(const NodeState& state,
                  const PuQuestion& question,
                  const std::vector<CoreItem>& items)
        : state_(state),
          question_(question),
          items_(items),
          units_(question.order),
          width_(question.wanted + 1U),
          l3s_(scattered(items, [](const CoreItem& item) { return item.l3; })),
          packages_(question.charged_packages.empty()
                        ? std::vector<std::uint32_t>{}
                        : scattered(items,
                                    [](const CoreItem& item) { return item.package; })),
          scattered_localities_(
              !scattered(items, [](const CoreItem& item) { return item.locality; })
                   .empty()),
          full_hits_((1U << std::min(question.hit_sets.size(), max_marks)) - 1U),
          plain_(question.charged_packages.empty() ? 2U : 4U),
          states_(plain_ << std::min(marks(), max_marks)) {}

    // A state of more marks would be too large; counts a locality need it side by side.
    [[nodiscard]] bool applies() const {
        return marks() <= max_marks &&
               std::min<std::size_t>(items_.size(), question_.wanted) < most_cores &&
               (question_.exact_counts.empty() || !scattered_localities_);
    }

    [[nodiscard]] std::uint64_t cells() const {
        return (items_.size() + 1) * std::uint64_t{states_} * width_;
    }

    std::optional<PuChoice> run() {
        best_.assign(cells(), unreachable);
        fill_last();
        for (std::size_t i = items_.size(); i-- > 0;) {
            fill(i);
        }
        const std::int64_t value =
            items_.empty() ? unreachable : at(0, 0, question_.wanted);
        if (value >= unreachable / 2) {
            return std::nullopt;
        }
        return read_back();
    }

  private:
    // A value packs four sums, in the order of the question; in the default one, most
    // significant first: L3s, split cores, opened Packages, opened L3s. The last two
    // may be negative. Each counts chosen cores, or fewer things, so applies() keeps it
    // below 2^13 in size.
    struct Units {
        explicit Units(const std::array<TermGroup, 3>& order) {
            std::int64_t next = 1;
            for (std::size_t i = order.size(); i-- > 0;) {
                if (order[i] == TermGroup::l3s) {
                    l3 = next;
                    next <<= 14;
                } else if (order[i] == TermGroup::split_cores) {
                    split = next;
                    next <<= 16;
                } else {
                    opened_l3 = next;
                    package = next << 14;
                    next <<= 28;
                }
            }
        }
        std::int64_t l3 = 0, split = 0, package = 0, opened_l3 = 0;
    };
    static constexpr std::size_t max_marks = 12;
    static constexpr std::size_t most_cores = 1U << 13;
    static constexpr std::int64_t unreachable =
        std::numeric_limits<std::int64_t>::max() / 2;

    std::int64_t& at(std::size_t i, std::uint32_t state, std::size_t missing) {
        return best_[(i * states_ + state) * width_ + missing];
    }

    // Where a locality with an exact count ends: what the later ones must hold, which
    // is all that may still be missing.
    [[nodiscard]] std::optional<std::uint64_t> missing_after(std::size_t i) const {
        if (question_.exact_counts.empty() || !ends_locality(i)) {
            return std::nullopt;
        }
        std::uint64_t later = 0;
        std::uint32_t last = items_[i].locality;
        for (std::size_t next = i + 1; next < items_.size(); ++next) {
            if (items_[next].locality != last) {
                last = items_[next].locality;
                later += question_.exact_counts[last];
            }
        }
        return later;
    }

    void fill_last() {
        if (items_.empty()) {
            return;
        }
        const std::size_t end = items_.size();
        for (std::uint32_t state = 0; state < states_; ++state) {
            if (((state / plain_) & full_hits_) == full_hits_) {
                at(end, state, 0) = 0;
            }
        }
    }

    // The state in which core i + 1 is met, when core i leaves `state`.
    [[nodiscard]] std::uint32_t carry(std::size_t i, std::uint32_t state) const {
        if (i + 1 == items_.size()) {
            return state;
        }
        const CoreItem& here = items_[i];
        const CoreItem& next = items_[i + 1];
        std::uint32_t kept = state & ~(plain_ - 1U);
        kept |= here.l3 == next.l3 ? state & 1U : 0U;
        kept |= here.package == next.package ? state & (plain_ - 2U) : 0U;
        return kept;
    }

    [[nodiscard]] bool ends_locality(std::size_t i) const {
        return i + 1 == items_.size() || items_[i].locality != items_[i + 1].locality;
    }

    [[nodiscard]] std::size_t marks() const {
        return question_.hit_sets.size() + l3s_.size() + packages_.size();
    }

    // The bit of a domain in a state: a mark of its own when it is scattered.
    [[nodiscard]] std::uint32_t used_bit(const std::vector<std::uint32_t>& marked,
                                         std::uint32_t domain,
                                         std::uint32_t plain,
                                         std::size_t first_mark) const {
        const auto it = std::ranges::find(marked, domain);
        return it == marked.end()
                   ? plain
                   : plain_ << (first_mark +
                                static_cast<std::size_t>(it - marked.begin()));
    }
    [[nodiscard]] std::uint32_t l3_bit(const CoreItem& item) const {
        return used_bit(l3s_, item.l3, 1U, question_.hit_sets.size());
    }
    [[nodiscard]] std::uint32_t package_bit(const CoreItem& item) const {
        return used_bit(packages_,
                        item.package,
                        plain_ - 2U,
                        question_.hit_sets.size() + l3s_.size());
    }

    // What a core that gives a PU adds to the state.
    [[nodiscard]] std::uint32_t use_of(const CoreItem& item) const {
        std::uint32_t hits = 0;
        for (std::size_t i = 0; i < question_.hit_sets.size(); ++i) {
            hits |= has_bit(question_.hit_sets[i], item.locality) ? plain_ << i : 0U;
        }
        return hits | l3_bit(item) | package_bit(item);
    }

    [[nodiscard]] std::int64_t price(const CoreItem& item,
                                     std::uint32_t state,
                                     std::uint32_t pus) const {
        if (pus == 0) {
            return 0;
        }
        const std::int64_t sign = question_.packing == Packing::pack ? 1 : -1;
        std::int64_t value = pus < item.size ? units_.split : 0;
        if ((state & l3_bit(item)) == 0) {
            value += units_.l3 +
                     (state_.l3_holds()[item.l3] == 0 ? sign * units_.opened_l3 : 0);
        }
        if ((state & package_bit(item)) == 0 &&
            question_.charged_packages.test(item.package)) {
            value += sign * units_.package;
        }
        return value;
    }

    // Calls f(PUs taken, units) for every number of PUs that the core may give, more
    // first.
    template <class F>
    void for_each_option(const CoreItem& item, F&& f) const {
        if (question_.unit == PuUnit::pus) {
            for (std::uint32_t pus = item.usable + 1; pus-- > item.forced;) {
                f(pus, pus);
            }
            return;
        }
        f(item.size, question_.unit == PuUnit::cores ? 1U : item.size);
        if (item.forced == 0) {
            f(0U, 0U);
        }
    }

    // What a choice at core i costs from here on; unreachable when it can not be
    // completed.
    std::int64_t value_of(std::size_t i,
                          std::uint32_t state,
                          std::size_t missing,
                          std::uint32_t pus,
                          std::uint32_t units) {
        const auto left = missing_after(i);
        if (units > missing || (left && missing - units != *left)) {
            return unreachable;
        }
        const std::int64_t later =
            at(i + 1, state_after(i, state, pus), missing - units);
        return later >= unreachable / 2 ? unreachable
                                        : later + price(items_[i], state, pus);
    }

    [[nodiscard]] std::uint32_t state_after(std::size_t i,
                                            std::uint32_t state,
                                            std::uint32_t pus) const {
        return carry(i, pus == 0 ? state : (state | use_of(items_[i])));
    }

    // What can not be completed stays above unreachable / 2: all prices together are
    // far below that.
    void fill(std::size_t i) {
        const auto left = missing_after(i);
        for (std::uint32_t state = 0; state < states_; ++state) {
            std::int64_t* least = &at(i, state, 0);
            for_each_option(items_[i], [&](std::uint32_t pus, std::uint32_t units) {
                const std::int64_t* later = &at(i + 1, state_after(i, state, pus), 0);
                const std::int64_t own = price(items_[i], state, pus);
                // The units still missing after this core.
                const std::size_t first = left ? *left : 0;
                const std::size_t most = width_ - std::min<std::size_t>(units, width_);
                const std::size_t last = left ? std::min(first + 1, most) : most;
                for (std::size_t rest = first; rest < last; ++rest) {
                    least[rest + units] =
                        std::min(least[rest + units], later[rest] + own);
                }
            });
        }
    }

    PuChoice read_back() {
        PuChoice choice;
        std::uint32_t state = 0;
        std::size_t missing = question_.wanted;
        Bitmap l3s;
        Bitmap packages;
        for (std::size_t i = 0; i < items_.size(); ++i) {
            const std::int64_t value = at(i, state, missing);
            std::uint32_t taken = no_index;
            std::uint32_t taken_units = 0;
            // More PUs first: a larger set of the same core holds the least index not
            // in both.
            for_each_option(items_[i], [&](std::uint32_t pus, std::uint32_t units) {
                if (taken == no_index &&
                    value_of(i, state, missing, pus, units) == value) {
                    taken = pus;
                    taken_units = units;
                }
            });
            if (taken != 0) {
                note(items_[i], taken, choice, l3s, packages);
                state |= use_of(items_[i]);
            }
            state = carry(i, state);
            missing -= taken_units;
        }
        return choice;
    }

    void note(const CoreItem& item,
              std::uint32_t taken,
              PuChoice& choice,
              Bitmap& l3s,
              Bitmap& packages) const {
        const std::int64_t sign = question_.packing == Packing::pack ? 1 : -1;
        take_core(state_.machine(), question_, item.core, taken, choice.pus);
        choice.split_cores += taken < item.size ? 1 : 0;
        if (!l3s.test(item.l3)) {
            l3s.set(item.l3);
            ++choice.l3s;
            choice.opened_l3s += state_.l3_holds()[item.l3] == 0 ? sign : 0;
        }
        if (!packages.test(item.package) &&
            question_.charged_packages.test(item.package)) {
            packages.set(item.package);
            choice.opened_packages += sign;
        }
    }

    const NodeState& state_;
    const PuQuestion& question_;
    const std::vector<CoreItem>& items_;
    Units units_;
    std::size_t width_;
    std::vector<std::uint32_t> l3s_, packages_;  // scattered ones
    bool scattered_localities_;
    std::uint32_t full_hits_;
    std::uint32_t plain_;  // states of the bits of L3 and Package
    std::uint32_t states_;
    std::vector<std::int64_t> best_;
};

}  // namespace

std::optional<PuChoice> choose_pus(const NodeState& state,
                                   const PuQuestion& question,
                                   std::uint64_t& steps,
                                   std::uint64_t max_steps,
                                   bool& limited) {
    if (!question.forced.is_subset_of(question.usable)) {
        return std::nullopt;
    }
    ++steps;
    const std::vector<CoreItem> items = collect_cores(state.machine(), question);
    std::size_t forced = 0;
    for (const CoreItem& item : items) {
        forced += item.forced;
    }
    if (forced != question.forced.count()) {
        return std::nullopt;  // a PU to keep lies in a core that is no longer whole
    }
    if (counting_applies(question, items)) {
        const std::vector<L3Room> rooms = collect_l3s(state, question, items);
        L3Choice l3s;
        const std::span<const std::uint32_t> chosen =
            l3s.choose(rooms, question.wanted);
        if (chosen.empty()) {
            return std::nullopt;
        }
        PuChoice choice = finish_counting(state, question, items, rooms, chosen);
        if (hits_all(state.machine(), question, choice.pus)) {
            return choice;
        }
    }
    CoreProgramme programme(state, question, items);
    if (!programme.applies()) {
        limited = true;
        return std::nullopt;
    }
    // Sixty-four cells are about the work of one search node.
    const std::uint64_t work = programme.cells() / 64;
    if (work > max_steps || steps > max_steps - work) {
        limited = true;
        return std::nullopt;
    }
    steps += work;
    return programme.run();
}

}  // namespace topoalloc
