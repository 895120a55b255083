// SPDX-License-Identifier: Apache-2.0
//
// ChangeProber: asks of a change that was refused "and if ...?": several Gangs at once,
// beside pods that stay. One of its parts is in focus: what a GangProber is asked of a
// Gang is asked of that part, with the others as they are set.
#pragma once

#include "cluster/change_question.hpp"
#include "explain/gang_prober.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc {

/// The Gang of a part as one that is explained: how many pods it is to have, and where
/// there are several Gangs, names with that of the Gang.
[[nodiscard]] Gang explained_gang(const ChangeQuestion& asked, std::size_t part);

/// Pods of the PodSet that stay.
[[nodiscard]] std::uint32_t staying_pods(const JointPart& part, std::size_t podset);

class ChangeProber : public GangProber {
  public:
    /// Keeps a reference.
    ChangeProber(const ChangeQuestion& asked, SearchLimits limits)
        : GangProber(asked.data, limits),
          asked_(asked),
          gangs_(asked.input.parts.size()) {}

    /// By part, as explained_gang() made it; none: without this part.
    using PartGangs = std::vector<std::optional<Gang>>;
    void set(PartGangs gangs) { gangs_ = std::move(gangs); }
    void focus(std::size_t part);

    /// The parts that are set.
    [[nodiscard]] Fit fits_as_set() { return ask(gangs_, {}); }
    /// Another question: its own Cluster, parts and nodes.
    [[nodiscard]] Fit fits(const ClusterData& data, const JointInput& input);

    [[nodiscard]] Fit fits(const Gang& gang, const WhatIf& change = {}) override;
    [[nodiscard]] std::optional<CountVector> most_pods(
        const Gang& gang, const std::vector<std::uint32_t>& slots) override;
    [[nodiscard]] std::string bar() const override;
    [[nodiscard]] bool is_barred(std::uint32_t slot) const override {
        return asked_.input.barred.contains(slot);
    }
    [[nodiscard]] std::uint32_t staying(const PodSet& podset,
                                        std::uint32_t slot) const override;
    [[nodiscard]] bool may_leave(const std::string& gang) const override;

  private:
    [[nodiscard]] Fit ask(const PartGangs& gangs, const WhatIf& change);
    [[nodiscard]] JointPart part_of(std::size_t part, const Gang& gang) const;

    const ChangeQuestion& asked_;
    PartGangs gangs_;
    std::size_t focus_ = 0;
    /// Of the part in focus: pods by PodSet and slot.
    std::map<std::pair<std::size_t, std::uint32_t>, std::uint32_t> staying_;
};

}  // namespace topoalloc
