// SPDX-License-Identifier: Apache-2.0
//
// The search behind JointPlaces::find_least: member by member a T, then counts of cores
// or PUs slot by slot, then the bytes in every order that matters. Private to the node
// room.
#pragma once

#include "node/joint_places.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace topoalloc {

class PlaceSearch {
  public:
    PlaceSearch(JointPlaces& places,
                const std::vector<std::uint32_t>& members,
                bool relaxed,
                const std::optional<Cost>& below);

    [[nodiscard]] std::optional<PlacePlan> run();

  private:
    // A member while it is placed.
    struct Member {
        const PlaceSignature* signature = nullptr;
        const std::vector<JointSlot>* slots = nullptr;
        std::uint32_t wanted = 0;
        bool repeats = false;               // the member before has the same signature
        std::size_t set = 0;                // position in signature->sets
        std::vector<std::uint32_t> counts;  // by slot
        std::vector<std::uint64_t> room_after;  // units in the slots from one on
        std::vector<std::uint64_t> open_after;  // localities of those slots with room
        std::vector<std::uint64_t> l3_rooms;    // units, largest first
        std::vector<std::uint32_t>
            twin;  // by cell: an equal one before it, or no_index
        std::vector<std::uint32_t> used_cells;
        std::int64_t l3s = 0;
        std::vector<std::uint32_t> pu_counts;  // by locality
        Placement placement;                   // one PU stands for each cell
        Cost cost;
    };

    void choose_set(std::size_t index, const Cost& sum);
    void begin_counts(std::size_t index, const Cost& sum);
    void choose_count(std::size_t index,
                      std::size_t slot,
                      std::uint32_t missing,
                      const Cost& sum);
    [[nodiscard]] std::uint32_t most_of(const Member& member, std::size_t index) const;
    [[nodiscard]] std::uint32_t room_of(const Member& member, std::size_t index) const;
    [[nodiscard]] bool repeats_earlier(std::size_t index) const;
    void find_twins(Member& member) const;
    void take(Member& member, std::size_t index, std::uint32_t count, bool give_back);
    [[nodiscard]] static bool may_use(const Member& member, const JointSlot& slot);
    [[nodiscard]] bool stays_aligned(const Member& member) const;
    void use_cells(Member& member, const JointSlot& slot) const;
    void finish_member(std::size_t index, const Cost& sum);
    [[nodiscard]] static std::uint64_t localities_with_pus(const Member& member);
    [[nodiscard]] static bool needs_all_localities(const Member& member);
    [[nodiscard]] static std::optional<Cost> cost_of(const Member& member,
                                                     const Placement& placement);
    [[nodiscard]] Cost least_of(const Member& member,
                                std::size_t slot,
                                std::uint64_t missing) const;
    [[nodiscard]] std::uint64_t broken_by(const Member& member) const;
    [[nodiscard]] std::int64_t least_l3s(const Member& member,
                                         std::size_t slot,
                                         std::uint64_t missing) const;
    [[nodiscard]] std::int64_t least_remote(const Member& member,
                                            std::size_t slot) const;
    void measure_rooms(Member& member) const;
    [[nodiscard]] bool is_beaten(std::size_t index, Cost sum) const;
    void note_opened(std::size_t index);

    void finish_all(const Cost& sum);
    void give_bytes(const std::vector<std::uint32_t>& order, Cost cost);
    [[nodiscard]] bool order_is_free(const std::vector<std::uint32_t>& order) const;
    void offer(const Cost& cost);

    JointPlaces& places_;
    const Machine& machine_;
    bool relaxed_ = false;
    StepBudget& budget_;
    std::vector<Member> members_;
    std::vector<Cost> rest_;  // the least that the members from one on add
    // Domains that the devices of all and the PUs of the members before one open; bytes
    // may open more.
    std::vector<Placement> so_far_;
    std::vector<Cost> least_union_;
    std::optional<Cost> below_;
    std::optional<PlacePlan> best_;
    std::vector<std::uint32_t> whole_left_, pus_left_;    // by class, by cell
    std::vector<std::uint32_t> whole_taken_, pus_taken_;  // pus: not in whole cores
    std::vector<std::vector<MemoryGrant>> memory_;  // by member, while bytes are given
};

}  // namespace topoalloc
