// SPDX-License-Identifier: Apache-2.0
#include "claim_compare.hpp"

#include "claim_brute.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace topoalloc::oracle {
namespace {

std::string text_of(const ClaimAllocation& allocation) {
    std::string text;
    for (const auto& claim : allocation) {
        text += '{';
        for (const ChosenRequest& request : claim) {
            text += " " + std::to_string(request.demand) + ":";
            for (const ChosenDevice& device : request.devices) {
                text += std::to_string(device.position) + ",";
            }
        }
        text += " }";
    }
    return text;
}

std::string where(std::size_t kind,
                  std::size_t claim,
                  std::size_t request,
                  std::size_t demand,
                  std::size_t position,
                  const std::string& pool) {
    return "fault " + std::to_string(kind) + " of claim " + std::to_string(claim) +
           " request " + std::to_string(request) + " demand " + std::to_string(demand) +
           " position " + std::to_string(position) + " pool " + pool;
}

std::string text_of(const ClaimAnswer& answer) {
    if (answer.fault) {
        return where(static_cast<std::size_t>(answer.fault->kind),
                     answer.fault->claim,
                     answer.fault->request,
                     answer.fault->demand,
                     answer.fault->position,
                     answer.fault->driver + "/" + answer.fault->pool);
    }
    return answer.allocation.empty() ? "none" : text_of(answer.allocation);
}

std::string text_of(const BruteClaims& answer) {
    if (answer.fault) {
        return where(static_cast<std::size_t>(answer.fault->kind),
                     answer.fault->claim,
                     answer.fault->request,
                     answer.fault->demand,
                     answer.fault->position,
                     answer.fault->driver + "/" + answer.fault->pool);
    }
    return answer.allocation ? text_of(*answer.allocation) : "none";
}

std::string_view difference_of(const ClaimAnswer& answer, const BruteClaims& brute) {
    if (answer.status == Status::unknown) {
        return "";
    }
    if (answer.fault.has_value() != brute.fault.has_value()) {
        return "fault";
    }
    if (answer.fault) {
        return text_of(answer) == text_of(brute) ? "" : "fault";
    }
    if ((answer.status == Status::optimal) != brute.allocation.has_value()) {
        return "status";
    }
    return brute.allocation && answer.allocation != *brute.allocation ? "first" : "";
}

}  // namespace

ClaimComparison compare(const ClaimWorld& world,
                        const ClaimQuestion& question,
                        SearchLimits limits,
                        std::uint64_t most) {
    ClaimComparison result;
    result.answer = first_fit(world, question, limits);
    if (result.answer.status == Status::optimal) {
        result.difference = judge_claims(world, question, result.answer.allocation);
    }
    const BruteClaims brute = brute_first_fit(world, question, most);
    result.is_counted = brute.is_counted;
    if (brute.is_counted && result.difference.empty()) {
        result.difference = difference_of(result.answer, brute);
    }
    if (!result.difference.empty()) {
        result.detail =
            "core: " + text_of(result.answer) + "\noracle: " + text_of(brute);
    }
    return result;
}

}  // namespace topoalloc::oracle
