// SPDX-License-Identifier: Apache-2.0
//
// ClaimState: the devices chosen so far, what they leave of capacities and counters,
// and what they make of the constraints; chosen and given back in the order of a stack.
// Private to the claim room.
#pragma once

#include "claim/claim_problem.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace topoalloc {

class ClaimState {
  public:
    explicit ClaimState(const ClaimProblem& problem);

    /// Chooses the candidate of that place in the demand's list. False, and nothing is
    /// changed, when a rule of section 3 forbids it beside what is chosen.
    [[nodiscard]] bool choose(std::uint32_t demand_number, std::size_t candidate);
    /// Gives back what was chosen last.
    void give_back();

    /// Rule 2 alone: a dedicated device that is chosen already.
    [[nodiscard]] bool is_passed_over(const ProblemDemand& demand,
                                      std::uint32_t device) const;

    [[nodiscard]] std::uint64_t results(std::uint32_t claim) const {
        return results_[claim];
    }

    // For those that compare states.
    [[nodiscard]] bool is_chosen(std::uint32_t device) const {
        return chosen_[device] > 0;
    }
    /// That chose it last; no_index for none.
    [[nodiscard]] std::uint32_t claim_of(std::uint32_t device) const {
        return of_claim_[device];
    }
    [[nodiscard]] const Consumption& left_of(std::uint32_t device) const {
        return capacity_[device];
    }
    [[nodiscard]] Nanos left(std::uint32_t counter) const { return counters_[counter]; }
    [[nodiscard]] const CommonGroups& groups(std::uint32_t counter_set) const {
        return groups_[counter_set];
    }
    [[nodiscard]] std::uint32_t members(std::uint32_t constraint) const {
        return members_[constraint];
    }
    /// Of matchAttribute: values that all members have.
    [[nodiscard]] const std::vector<std::uint32_t>& common(
        std::uint32_t constraint) const {
        return common_[constraint];
    }
    /// Of distinctAttribute: does a member have it?
    [[nodiscard]] bool is_used(std::uint32_t constraint, std::uint32_t value) const {
        return used_[constraint][value];
    }
    /// Would the constraints of the demand take the device?
    [[nodiscard]] bool would_match(const ProblemDemand& demand,
                                   std::uint32_t device) const;

  private:
    struct Choice {
        std::uint32_t demand = 0, device = 0;
        std::size_t candidate = 0;
        std::uint32_t claim_before = no_index;
        bool draws = false;
        /// By constraint of the demand: what was common before; empty for distinct.
        std::vector<std::vector<std::uint32_t>> common;
        std::vector<CommonGroups> groups;  ///< by draw
    };

    [[nodiscard]] bool has_room(const ProblemDemand& demand,
                                std::size_t candidate,
                                std::uint32_t device) const;
    [[nodiscard]] bool is_on_broken_set(std::uint32_t device) const;
    [[nodiscard]] bool takes(std::uint32_t constraint, std::uint32_t device) const;
    [[nodiscard]] bool draw(std::uint32_t device, Choice& choice);
    void undraw(std::uint32_t device, Choice& choice);
    void join(std::uint32_t constraint, std::uint32_t device, Choice& choice);

    const ClaimProblem& problem_;
    std::vector<Choice> stack_;
    std::vector<std::uint64_t> results_;   // by claim
    std::vector<std::uint32_t> chosen_;    // by device: without adminAccess
    std::vector<std::uint32_t> of_claim_;  // by dedicated device: chosen last by
    std::vector<Consumption> capacity_;    // by device, as LeftCapacity
    std::vector<Nanos> counters_;          // as NodeDevices::left
    std::vector<CommonGroups> groups_;     // by counter set
    std::vector<std::uint32_t> members_;   // by constraint
    std::vector<std::vector<std::uint32_t>> common_;
    std::vector<std::vector<bool>> used_;
};

}  // namespace topoalloc
