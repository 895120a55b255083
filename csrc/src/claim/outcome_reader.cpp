// SPDX-License-Identifier: Apache-2.0
#include "claim/outcome_reader.hpp"

namespace topoalloc {

SelectorOutcomes OutcomeReader::of(const NodeView& view) {
    SelectorOutcomes out(claims_.selectors.size(),
                         std::vector<SelectorOutcome>(view.outcomes.size()));
    for (const ResourceClaimSpec& claim : claims_.claims) {
        for (const ClaimRequest& request : claim.requests) {
            for (const ClaimDemand& demand : request.demands) {
                read(view, demand, out);
            }
        }
    }
    return out;
}

void OutcomeReader::read(const NodeView& view,
                         const ClaimDemand& demand,
                         SelectorOutcomes& out) {
    for (std::size_t d = 0; d < view.outcomes.size(); ++d) {
        for (const std::size_t selector : demand.selectors) {
            const std::size_t number = claims_.selectors[selector];
            const auto outcome = view.outcomes[d]->of(number);
            if (!outcome && asked_.insert({number, view.outcomes[d].get()}).second) {
                gaps_.push_back({number, place_of(view, d)});
            }
            out[selector][d] = outcome.value_or(SelectorOutcome::no);
            if (outcome != SelectorOutcome::yes) {
                break;
            }
        }
    }
}

}  // namespace topoalloc
