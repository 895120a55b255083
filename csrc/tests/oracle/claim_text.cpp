// SPDX-License-Identifier: Apache-2.0
#include "claim_text.hpp"

namespace topoalloc::oracle {
namespace {

std::string text_of(const BruteFault& fault) {
    using Kind = BruteFault::Kind;
    const std::string at = std::to_string(fault.claim) + "." +
                           std::to_string(fault.request) + "." +
                           std::to_string(fault.demand);
    const std::string position = " @" + std::to_string(fault.position);
    const std::string pool = fault.driver + "/" + fault.pool;
    switch (fault.kind) {
        case Kind::too_many_devices:
            return "too_many_devices " + std::to_string(fault.claim);
        case Kind::capacity_twice:
            return "capacity_twice " + at + position;
        case Kind::all_on_broken_pool:
            return "all_on_broken_pool " + at + " " + pool;
        case Kind::selector_failed:
            return "selector_failed " + at + position;
        case Kind::invalid_pool:
            return "invalid_pool " + pool;
    }
    return "";
}

std::string text_of(const ClaimRequest& request, const ChosenRequest& chosen) {
    std::string text =
        request.is_prioritized ? std::to_string(chosen.demand) + ":" : "";
    for (std::size_t d = 0; d < chosen.devices.size(); ++d) {
        text += (d == 0 ? "" : ",") + std::to_string(chosen.devices[d].position);
    }
    return text;
}

}  // namespace

std::string text_of(const ClaimQuestion& question, const ClaimAllocation& allocation) {
    std::string text;
    for (std::size_t c = 0; c < allocation.size(); ++c) {
        text += c == 0 ? "" : ";";
        for (std::size_t r = 0; r < allocation[c].size(); ++r) {
            text += (r == 0 ? "" : "|") +
                    text_of(question.claims[c].requests[r], allocation[c][r]);
        }
    }
    return text;
}

std::string text_of(const ClaimQuestion& question, const BruteClaims& answer) {
    if (!answer.is_counted) {
        return "too many tries";
    }
    if (answer.fault) {
        return text_of(*answer.fault);
    }
    return answer.allocation ? text_of(question, *answer.allocation) : "none";
}

}  // namespace topoalloc::oracle
