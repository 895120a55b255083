// SPDX-License-Identifier: Apache-2.0
//
// T, PUs and bytes of several Requests at once, once it is known in which localities
// their devices are. Which devices those are no longer matters, so an answer serves all
// device sets of the same signature. Private to the node room.
#pragma once

#include "node/joint_budget.hpp"
#include "node/joint_cells.hpp"
#include "node/joint_devices.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace topoalloc {

/// Something that counts of are chosen: whole cores of a class, or PUs of a cell.
struct JointSlot {
    std::uint32_t index = 0;       ///< of the class, or of the cell
    std::uint32_t units = 1;       ///< that one counts
    std::uint64_t localities = 0;  ///< mask
    std::vector<std::pair<std::uint32_t, std::uint32_t>> takes;  ///< (cell, PUs)
    std::uint32_t home = 0;                                      ///< its first cell
    std::uint32_t rank = 0;  ///< among the slots of that cell
};

/// A T that can hold what a member asks for, with its terms 2 and 3, and those of 1
/// that its devices alone decide.
struct JointSet {
    std::uint64_t mask = 0;
    Cost cost;
};

/// What the places see of a Request and its devices.
struct PlaceSignature {
    const CompiledRequest* request = nullptr;
    ChosenDevices chosen;                    ///< of this signature, stands for all
    std::vector<std::uint64_t> device_sets;  ///< localities of those that have any
    std::vector<JointSet> sets;              ///< best first
    std::vector<bool> may_use;               ///< by cell
    std::uint64_t broken = 0;                ///< as in DeviceChoice
    std::vector<std::uint64_t> breaks;       ///< by cell: what a PU of it breaks
    Cost alone;  ///< no less in terms 1 to 7, whatever the others take
};

struct MemberPlan {
    std::uint64_t localities = 0;
    std::vector<std::uint32_t> counts;  ///< by slot
    std::vector<MemoryGrant> memory;
};
struct PlacePlan {
    Cost cost;  ///< but for what devices alone decide
    std::vector<MemberPlan> members;
};

class JointPlaces {
  public:
    /// @param least_union  no batch has less in terms 8 and 9
    /// @param any          the first plan will do, whatever it costs
    JointPlaces(const NodeState& state,
                std::span<const CompiledRequest* const> groups,
                Packing packing,
                const Cost& least_union,
                bool any,
                StepBudget& budget);

    /// T beyond this are of no use to a member of the group. Before any signature.
    void set_most(std::uint32_t group, const Cost& most) { most_[group] = most; }

    /// The number of a signature; nullopt when it has no place even alone, or the limit
    /// came first.
    [[nodiscard]] std::optional<std::uint32_t> find_signature(
        std::uint32_t group, const DeviceChoice& choice);
    [[nodiscard]] const PlaceSignature& signature(std::uint32_t index) const {
        return *signatures_[index];
    }

    /// The least plan for members of these signatures below a cost; null when there is
    /// none, or the limit came first.
    /// @param relaxed  a bound: terms 1 to 7 alone, wherever the bytes lie
    [[nodiscard]] const PlacePlan* find_least(const std::vector<std::uint32_t>& members,
                                              bool relaxed,
                                              const std::optional<Cost>& below);

    [[nodiscard]] JointCells& cells() { return cells_; }
    [[nodiscard]] const std::vector<JointSlot>& slots_of(
        const CompiledRequest& request) const;

  private:
    friend class PlaceSearch;
    struct Memo {
        std::optional<PlacePlan> plan;
        std::optional<Cost> below;  // without a plan: there is none below this
    };

    void make_slots();
    void find_sets(std::uint32_t group, PlaceSignature& signature);
    void set_may_use(PlaceSignature& signature) const;

    const NodeState& state_;
    const Machine& machine_;
    std::vector<const CompiledRequest*> groups_;
    Packing packing_;
    Cost least_union_;
    bool any_ = false;
    StepBudget& budget_;
    std::vector<std::optional<Cost>> most_;  // by group
    JointCells cells_;
    std::vector<JointSlot> core_slots_, core_pu_slots_, pu_slots_;
    bool l3s_are_slots_ = true;  // no L3 has two slots of a kind
    std::vector<std::unique_ptr<PlaceSignature>> signatures_;
    std::map<std::vector<std::uint64_t>, std::optional<std::uint32_t>> index_of_;
    std::map<std::pair<bool, std::vector<std::uint32_t>>, Memo> memo_;
    NodeState scratch_;  // bytes are taken from it and given back
};

}  // namespace topoalloc
