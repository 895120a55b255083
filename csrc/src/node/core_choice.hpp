// SPDX-License-Identifier: Apache-2.0
//
// The cores (or PUs) of a Placement for a given set T of localities: terms 7, 8 and 9e,
// and the least index set. Whole cores by counting over L3s; PUs that may split cores,
// and L3s of several localities of which some must be hit, by the programme of
// pu_choice.hpp. Requires Machine::runs_are_joined().
#pragma once

#include "base/arena.hpp"
#include "base/bits.hpp"
#include "node/compiled_request.hpp"
#include "node/l3_choice.hpp"

#include <cstdint>
#include <span>

namespace topoalloc {

/// What was chosen for one T. The PUs themselves are made by CoreChooser::pus_of(), for
/// the best T alone.
struct CoreChoice {
    CoreChoice(const Machine& machine, Arena& arena)
        : rooms(arena, machine.core_runs().size()) {}
    CoreChoice(const CoreChoice&) = delete;
    CoreChoice& operator=(const CoreChoice& other) {
        found = other.found;
        l3s = other.l3s;
        split_cores = other.split_cores;
        opened_l3s = other.opened_l3s;
        set = other.set;
        localities = other.localities;
        hit = other.hit;
        has_pus = other.has_pus;
        if (has_pus) {
            pus = other.pus;
        }
        rooms.assign(std::span<const L3Room>(other.rooms));
        return *this;
    }
    CoreChoice(CoreChoice&&) = delete;
    CoreChoice& operator=(CoreChoice&&) = delete;
    ~CoreChoice() = default;

    bool found = false;
    std::int64_t l3s = 0, split_cores = 0, opened_l3s = 0;
    std::uint64_t set = 0;         ///< T
    std::uint64_t localities = 0;  ///< that got a PU
    std::uint64_t hit = 0;         ///< that had to get one
    bool has_pus = false;          ///< `pus` holds them already
    Bitmap pus;                    ///< logical
    FixedList<L3Room> rooms;       ///< the chosen L3s, in order
};

class CoreChooser {
  public:
    /// @param steps, limited  as choose_pus() has them
    CoreChooser(const NodeState& state,
                const CompiledRequest& request,
                const SolveOptions& options,
                std::uint64_t& steps,
                bool& limited,
                Arena& arena);

    /// False when the Request asks for PUs in a way that is not counted here.
    [[nodiscard]] bool applies() const { return applies_; }
    /// Whole cores, or PUs when by_pus().
    [[nodiscard]] std::uint32_t wanted() const { return wanted_; }
    [[nodiscard]] bool by_pus() const { return by_pus_; }

    /// A bound: false when the runs that the cores [first, last) lie in hold too
    /// little.
    [[nodiscard]] bool may_suffice(std::uint32_t first_core,
                                   std::uint32_t last_core) const;
    /// Counts what the cores [first, last) can give, at least one.
    void enter(std::uint32_t first_core, std::uint32_t last_core);
    /// By locality: units that it can give.
    [[nodiscard]] std::span<const std::uint32_t> units() const { return units_; }
    [[nodiscard]] std::uint64_t all_units() const { return all_units_; }
    /// By run of the Machine: units that it can give.
    [[nodiscard]] std::span<const std::uint32_t> run_units() const {
        return run_units_;
    }
    /// A bound: no set of so many localities can give more. Where all sets stand in a
    /// table of the Machine.
    [[nodiscard]] std::uint64_t most_units(std::int64_t localities) const {
        return most_units_[static_cast<std::size_t>(localities)];
    }

    /// The best for T in two steps: first its terms, then, of the T weighed last, which
    /// L3s and localities. Both keep the scratch of `out`.
    void weigh(std::uint64_t set, CoreChoice& out);
    void settle(CoreChoice& out);
    /// The best for T with a PU in each locality of `hit`.
    void choose_hitting(std::uint64_t set, std::uint64_t hit, CoreChoice& out);
    [[nodiscard]] Bitmap pus_of(const CoreChoice& choice) const;

  private:
    [[nodiscard]] std::uint32_t first_run() const {
        return machine_.run_of_core()[first_core_];
    }
    [[nodiscard]] std::uint32_t last_run() const {
        return machine_.run_of_core()[last_core_ - 1];
    }
    void count_runs();
    void sum_runs();
    void sum_most();
    [[nodiscard]] std::uint32_t count_free_pus(std::uint32_t first,
                                               std::uint32_t last) const;
    void add_room(std::uint32_t run);
    void collect_rooms();
    void select_rooms(std::uint64_t set);
    void begin(std::uint64_t set, std::uint64_t hit, CoreChoice& out);
    void take_rooms(std::span<const std::uint32_t> positions, CoreChoice& out);
    void note_localities(CoreChoice& out) const;
    void choose_by_programme(std::uint64_t set, std::uint64_t hit, CoreChoice& out);
    void take_lowest(std::span<std::uint64_t> cores,
                     const CoreRun& run,
                     std::uint32_t count) const;
    [[nodiscard]] Bitmap pus_of_cores(const Bitmap& cores) const;
    // Calls f(run) for the runs of the chosen L3s that lie in T, in order, until it
    // returns false.
    template <class F>
    void for_each_chosen_run(const CoreChoice& choice, F&& f) const;

    const NodeState& state_;
    const Machine& machine_;
    const SolveOptions& options_;
    std::uint64_t& steps_;
    bool& limited_;
    bool applies_ = true;
    std::uint32_t wanted_ = 0;
    bool by_pus_ = false;
    std::uint32_t first_core_ = 0, last_core_ = 0;
    std::uint64_t all_units_ = 0;
    FixedList<std::uint32_t> units_, counted_units_;
    std::span<const std::uint32_t> run_units_;  // those of the state, or counted
    FixedList<std::uint64_t> most_units_;
    // L3s with units, in order: all, where those of each locality begin, and those of
    // the T at hand, which are a part of all or joined from several.
    FixedList<L3Room> all_rooms_;
    FixedList<std::uint32_t> first_room_;
    FixedList<L3Room> joined_rooms_;
    std::span<const L3Room> rooms_;
    bool rooms_are_nested_ = true;  // each L3 lies in one locality
    bool set_is_nested_ = true;     // those of the T at hand do
    L3Choice l3_choice_;
    L3Choice::Weight weight_;
};

}  // namespace topoalloc
