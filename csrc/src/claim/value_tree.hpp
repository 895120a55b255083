// SPDX-License-Identifier: Apache-2.0
//
// ValueTree: the values of attributes and the counter sets as sets of devices, one
// inside the other, and a text for a state of a search that is the same for states that
// some exchange of like sets leads into each other. Private to the claim room.
#pragma once

#include "claim/claim_problem.hpp"
#include "claim/claim_state.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc {

/// What the demands see of a device but for which values and counter sets are its own.
[[nodiscard]] std::string kind_of(const ClaimProblem& problem, std::uint32_t device);

/// A search amid the devices of a demand: those from one candidate on are still open.
struct OpenDemand {
    const ProblemDemand* demand = nullptr;
    std::uint64_t had = 0;
    std::size_t from = 0;
    [[nodiscard]] bool has(std::uint32_t device) const;
};

class ValueTree {
  public:
    /// @param sees_all  every device counts, not only what later requests can see
    explicit ValueTree(const ClaimProblem& problem, bool sees_all = false);

    /// Of what the requests from this one on can see.
    [[nodiscard]] std::string text_of(const ClaimState& state,
                                      std::uint32_t request,
                                      const OpenDemand& open = {}) const;

  private:
    /// A value of an attribute, or a counter set.
    struct Label {
        bool is_counter_set = false;
        std::uint32_t attribute = 0;
        std::uint32_t number = 0;             ///< of the value or the counter set
        std::vector<std::uint32_t> devices;   ///< ascending
        std::vector<std::uint32_t> counters;  ///< ascending
    };
    struct Node {
        std::size_t size = 0;                ///< devices, those of children too
        std::vector<std::uint32_t> labels;   ///< of equal sets
        std::vector<std::uint32_t> devices;  ///< in none of the children
        std::vector<std::uint32_t> children;
    };

    void find_demands();
    void find_kinds();
    void find_simple();
    void add_values();
    void add_counter_sets();
    void build();
    [[nodiscard]] std::string mark_of(const Label& label,
                                      const ClaimState& state,
                                      std::uint32_t request) const;
    void put_device(std::string& text,
                    std::uint32_t device,
                    const ClaimState& state,
                    std::uint32_t request,
                    const OpenDemand& open) const;
    [[nodiscard]] std::string text_of_node(std::uint32_t node,
                                           const ClaimState& state,
                                           std::uint32_t request,
                                           const OpenDemand& open) const;
    void put_without_tree(std::string& text,
                          const ClaimState& state,
                          std::uint32_t request,
                          const OpenDemand& open) const;
    [[nodiscard]] bool counts(std::uint32_t device, std::uint32_t request) const {
        return sees_all_ || std::cmp_greater_equal(last_of_device_[device], request);
    }
    [[nodiscard]] std::string name_of(std::uint32_t constraint,
                                      const ClaimState& state,
                                      std::uint32_t request) const;
    [[nodiscard]] bool is_seen(std::uint32_t constraint, std::uint32_t request) const {
        return std::cmp_greater_equal(last_of_constraint_[constraint], request);
    }

    const ClaimProblem& problem_;
    bool sees_all_;
    std::vector<std::int64_t> last_of_device_;      // request; -1: none
    std::vector<std::int64_t> last_of_constraint_;  // request; -1: none
    std::vector<std::uint32_t> kinds_;              // by device
    std::vector<std::uint32_t> lists_;              // by demand: of candidates
    std::vector<bool> is_simple_;                   // by constraint
    std::vector<bool> may_pass_limit_;              // by claim: over 32 results
    bool has_admin_access_ = false;
    bool is_tree_ = true;
    std::vector<Label> labels_;
    std::vector<Node> nodes_;  // the first is the root
};

}  // namespace topoalloc
