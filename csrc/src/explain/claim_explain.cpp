// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/claim_explanation.hpp"

#include "claim/first_fit.hpp"
#include "claim/node_view.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace topoalloc {
namespace {

// Names of requests that constraints use: "r", or "r/entry".
bool names_request(const std::string& name, const std::string& request) {
    return name == request || name.starts_with(request + "/");
}

// The claims without some requests and constraints. A constraint that named none but
// requests that are gone is gone, too: no name would stand for all of them.
ResourceClaimSpec without(const ResourceClaimSpec& claim,
                          const std::vector<bool>& requests,
                          const std::vector<bool>& constraints) {
    ResourceClaimSpec out{claim.name, {}, {}};
    for (std::size_t r = 0; r < claim.requests.size(); ++r) {
        if (requests[r]) {
            out.requests.push_back(claim.requests[r]);
        }
    }
    for (std::size_t c = 0; c < claim.constraints.size(); ++c) {
        if (!constraints[c]) {
            continue;
        }
        ClaimConstraint kept = claim.constraints[c];
        const bool is_of_all = kept.requests.empty();
        for (std::size_t r = 0; r < claim.requests.size(); ++r) {
            if (!requests[r]) {
                std::erase_if(kept.requests, [&](const std::string& name) {
                    return names_request(name, claim.requests[r].name);
                });
            }
        }
        if (is_of_all || !kept.requests.empty()) {
            out.constraints.push_back(std::move(kept));
        }
    }
    return out;
}

DemandCounts counts_of(const ProblemDemand& demand) {
    const CandidateCounts& counts = demand.counts;
    return {demand.claim,
            demand.request,
            demand.entry,
            demand.need,
            counts.devices,
            counts.match,
            counts.suit,
            counts.free,
            counts.tolerated,
            counts.open};
}

class ClaimExplainer {
  public:
    ClaimExplainer(const InventoryAnswer& answer,
                   const PreparedClaims& claims,
                   SearchLimits limits)
        : answer_(answer.answer),
          view_(*answer.view),
          outcomes_(answer.outcomes),
          claims_(claims.claims),
          limits_(limits) {}

    ClaimExplanation run() {
        list_items();
        std::vector<bool> kept(items_.size(), true);
        const ClaimAnswer again = ask(kept, claims_, &out_.counts);
        // An error is not explained: it says itself what is wrong.
        if (!answer_.fault && answer_.status == Status::infeasible &&
            again.status == Status::infeasible) {
            relax();
            find_conflict(kept);
        }
        return std::move(out_);
    }

  private:
    // In the order in which a conflict does without them, if it can.
    void list_items() {
        std::set<std::string> holders;
        for (const auto& [claim, devices] : view_.taken) {
            holders.insert(claim);
        }
        for (const std::string& holder : holders) {
            items_.push_back({ClaimItem::Kind::holder, 0, 0, holder});
        }
        items_.push_back({ClaimItem::Kind::taints, 0, 0, {}});
        for (std::size_t c = 0; c < claims_.size(); ++c) {
            for (std::size_t i = 0; i < claims_[c].constraints.size(); ++i) {
                items_.push_back({ClaimItem::Kind::constraint, c, i, {}});
            }
        }
        for (std::size_t c = 0; c < claims_.size(); ++c) {
            for (std::size_t i = 0; i < claims_[c].requests.size(); ++i) {
                items_.push_back({ClaimItem::Kind::request, c, i, {}});
            }
        }
    }

    // What is left of a question without some items.
    struct Rest {
        std::vector<std::string> holders;  ///< left out
        bool has_taints = true;
        std::vector<std::vector<bool>> requests, constraints;  ///< kept, by claim
    };
    [[nodiscard]] Rest rest_of(const std::vector<bool>& kept) const {
        Rest out;
        for (const ResourceClaimSpec& claim : claims_) {
            out.requests.emplace_back(claim.requests.size(), true);
            out.constraints.emplace_back(claim.constraints.size(), true);
        }
        for (std::size_t i = 0; i < items_.size(); ++i) {
            const ClaimItem& item = items_[i];
            if (kept[i]) {
                continue;
            }
            switch (item.kind) {
                case ClaimItem::Kind::holder:
                    out.holders.push_back(item.holder);
                    break;
                case ClaimItem::Kind::taints:
                    out.has_taints = false;
                    break;
                case ClaimItem::Kind::constraint:
                    out.constraints[item.claim][item.index] = false;
                    break;
                case ClaimItem::Kind::request:
                    out.requests[item.claim][item.index] = false;
                    break;
            }
        }
        return out;
    }

    ClaimAnswer ask(const std::vector<bool>& kept,
                    const std::vector<ResourceClaimSpec>& claims,
                    std::vector<DemandCounts>* counts = nullptr) {
        const Rest rest = rest_of(kept);
        std::vector<ResourceClaimSpec> asked;
        for (std::size_t c = 0; c < claims.size(); ++c) {
            asked.push_back(without(claims[c], rest.requests[c], rest.constraints[c]));
        }
        NodeDevices other;
        if (!rest.holders.empty()) {
            other = devices_without(view_, rest.holders);
        }
        ClaimSemantics semantics = view_.semantics;
        semantics.taints = semantics.taints && rest.has_taints;
        CompiledClaims compiled = compile_claims(
            rest.holders.empty() ? view_.node : other, asked, outcomes_, semantics);
        for (const ProblemDemand& demand : compiled.problem.demands) {
            if (counts != nullptr) {
                counts->push_back(counts_of(demand));
            }
        }
        ClaimAnswer answer = first_fit_of(std::move(compiled), left());
        out_.steps += answer.steps;
        out_.is_complete = out_.is_complete && answer.status != Status::unknown;
        return answer;
    }

    [[nodiscard]] SearchLimits left() const {
        SearchLimits out = limits_;
        out.max_steps -= std::min(out.max_steps, out_.steps);
        return out;
    }

    [[nodiscard]] static bool is_found(const ClaimAnswer& answer) {
        return answer.status == Status::optimal;
    }

    // The changes of one item each that help.
    void relax() {
        std::vector<bool> kept(items_.size(), true);
        for (std::size_t i = 0; i < items_.size(); ++i) {
            kept[i] = false;
            if (is_found(ask(kept, claims_))) {
                add_fewer(i);
                out_.relaxations.push_back({ClaimRelaxation::Kind::drop, items_[i], 0});
            }
            kept[i] = true;
        }
    }

    // Of a request that could be left out: the most devices that it can have.
    void add_fewer(std::size_t i) {
        const ClaimItem& item = items_[i];
        if (item.kind != ClaimItem::Kind::request) {
            return;
        }
        const ClaimRequest& request = claims_[item.claim].requests[item.index];
        const ClaimDemand& demand = request.demands.front();
        if (request.is_prioritized || demand.mode == AllocationMode::all) {
            return;
        }
        // Fewer devices of an allocation are an allocation.
        std::int64_t fits = 0;
        std::int64_t refused = demand.count;
        while (refused - fits > 1) {
            const std::int64_t count = (fits + refused) / 2;
            std::vector<ResourceClaimSpec> claims = claims_;
            claims[item.claim].requests[item.index].demands.front().count = count;
            (is_found(ask(std::vector<bool>(items_.size(), true), claims)) ? fits
                                                                           : refused) =
                count;
        }
        if (fits > 0) {
            out_.relaxations.push_back({ClaimRelaxation::Kind::count, item, fits});
        }
    }

    // A deletion filter: what the "no" does without is left out, one item after the
    // other.
    void find_conflict(std::vector<bool>& kept) {
        for (std::size_t i = 0; i < items_.size(); ++i) {
            kept[i] = false;
            kept[i] = is_found(ask(kept, claims_));
        }
        if (!out_.is_complete) {
            return;
        }
        for (std::size_t i = 0; i < items_.size(); ++i) {
            if (kept[i]) {
                out_.conflict.push_back(items_[i]);
            }
        }
    }

    const ClaimAnswer& answer_;
    const NodeView& view_;
    const SelectorOutcomes& outcomes_;
    const std::vector<ResourceClaimSpec>& claims_;
    SearchLimits limits_;
    std::vector<ClaimItem> items_;
    ClaimExplanation out_;
};

}  // namespace

ClaimExplanation explain(const InventoryAnswer& answer,
                         const PreparedClaims& claims,
                         SearchLimits limits) {
    return ClaimExplainer(answer, claims, limits).run();
}

}  // namespace topoalloc
