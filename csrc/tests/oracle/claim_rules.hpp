// SPDX-License-Identifier: Apache-2.0
//
// docs/claim-objective.md, sections 2 and 3, for choices that may be a part of an
// allocation: what more is chosen never mends a rule that is broken.
#pragma once

#include "claim_pools.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace topoalloc::oracle {

/// One device for one demand.
struct ClaimChoice {
    std::size_t claim = 0, request = 0, demand = 0, position = 0;
};

class ClaimRules {
  public:
    /// Both stay where they are.
    ClaimRules(const ClaimWorld& world, const ClaimQuestion& question);

    [[nodiscard]] const ClaimInventory& inventory() const { return inventory_; }
    [[nodiscard]] const ClaimDemand& demand_of(const ClaimChoice& choice) const;

    /// Of the selectors in order, that of the first one that is not true.
    [[nodiscard]] SelectorOutcome outcome(const ClaimDemand& demand,
                                          std::size_t position) const;
    [[nodiscard]] bool matches_and_suits(const ClaimDemand& demand,
                                         std::size_t position) const;
    /// Of every capacity; empty for a dedicated device.
    [[nodiscard]] std::map<std::string, Nanos> consumed(const ClaimDemand& demand,
                                                        std::size_t position) const;
    /// The devices of a demand with All. Requires: no selector fails.
    [[nodiscard]] std::vector<std::size_t> fixed(const ClaimDemand& demand) const;

    /// "", or "rule 1" to "rule 8": the first one that is broken.
    [[nodiscard]] std::string_view broken(
        const std::vector<ClaimChoice>& choices) const;
    [[nodiscard]] bool keeps_rule_2(const std::vector<ClaimChoice>& choices) const;

  private:
    using Choices = std::vector<ClaimChoice>;

    [[nodiscard]] bool keeps_rule_1(const Choices& choices) const;
    [[nodiscard]] bool keeps_rule_3(const Choices& choices) const;
    [[nodiscard]] bool keeps_rule_4(const Choices& choices) const;
    [[nodiscard]] static bool keeps_rule_5(const Choices& choices);
    [[nodiscard]] bool keeps_constraints(const Choices& choices,
                                         bool is_distinct) const;
    [[nodiscard]] bool keeps_rule_8(const Choices& choices) const;

    [[nodiscard]] bool is_choosable(const SliceDevice& device) const;
    [[nodiscard]] bool tolerates_all(const ClaimDemand& demand,
                                     const SliceDevice& device) const;
    [[nodiscard]] bool is_of(const ClaimConstraint& constraint,
                             const ClaimChoice& choice) const;
    [[nodiscard]] bool suits(const ClaimDemand& demand, std::size_t position) const;
    [[nodiscard]] bool is_admin(const ClaimChoice& choice) const {
        return demand_of(choice).admin_access;
    }
    [[nodiscard]] const NodeDevice& device_of(const ClaimChoice& choice) const {
        return inventory_.devices[choice.position];
    }

    const ClaimWorld& world_;
    const ClaimQuestion& question_;
    ClaimInventory inventory_;
};

}  // namespace topoalloc::oracle
