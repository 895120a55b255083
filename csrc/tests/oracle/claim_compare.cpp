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

// Of fault or none, and allocation or none; nothing is known where the limit came
// first.
std::string_view difference_of(const ClaimAnswer& answer, const BruteClaims& brute) {
    if (answer.status == Status::unknown) {
        return "";
    }
    if (answer.fault || brute.fault) {
        return text_of(answer) == text_of(brute) ? "" : "fault";
    }
    const bool is_found =
        answer.status == Status::optimal || answer.status == Status::feasible;
    return is_found == brute.allocation.has_value() ? "" : "status";
}

bool has_allocation(const ClaimAnswer& answer) {
    return !answer.fault &&
           (answer.status == Status::optimal || answer.status == Status::feasible);
}

struct Pair {
    const ClaimWorld& world;
    const ClaimQuestion& question;
    SearchLimits limits;
    std::uint64_t most = 0;
};

void compare_first(const Pair& of, ClaimComparison& result) {
    const ClaimAnswer& answer = result.first =
        first_fit(of.world, of.question, of.limits);
    if (has_allocation(answer)) {
        result.difference = judge_claims(of.world, of.question, answer.allocation);
    }
    const BruteClaims brute = brute_first_fit(of.world, of.question, of.most);
    result.is_first_counted = brute.is_counted;
    if (brute.is_counted && result.difference.empty()) {
        result.difference = difference_of(answer, brute);
        if (result.difference.empty() && has_allocation(answer) &&
            answer.allocation != *brute.allocation) {
            result.difference = "first";
        }
    }
    if (!result.difference.empty()) {
        result.detail = "core: " + text_of(answer) + "\noracle: " + text_of(brute);
    }
}

std::string difference_of_best(const Pair& of,
                               const ClaimAnswer& answer,
                               const BruteClaims& brute) {
    if (has_allocation(answer)) {
        std::string broken = judge_claims(of.world, of.question, answer.allocation);
        if (!broken.empty()) {
            return broken;
        }
        if (terms_of(*answer.cost) !=
            cost_of_claims(read_world(of.world), of.question, answer.allocation)) {
            return "cost";
        }
    }
    if (!brute.is_counted) {
        return "";
    }
    if (const auto different = difference_of(answer, brute);
        !different.empty() || !has_allocation(answer)) {
        return std::string(different);
    }
    const bool is_best =
        terms_of(*answer.cost) == brute.cost && answer.allocation == *brute.allocation;
    return is_best || (answer.status == Status::feasible &&
                       terms_of(*answer.cost) >= brute.cost)
               ? ""
               : "best";
}

void compare_best(const Pair& of, ClaimComparison& result) {
    result.best = best_fit(of.world, of.question, of.limits);
    const BruteClaims brute = brute_best_fit(of.world, of.question, of.most);
    result.is_best_counted = brute.is_counted;
    result.difference = difference_of_best(of, result.best, brute);
    if (!result.difference.empty()) {
        result.detail = "core: " + text_of(result.best) + "\noracle: " + text_of(brute);
    }
}

}  // namespace

ClaimComparison compare(const ClaimWorld& world,
                        const ClaimQuestion& question,
                        SearchLimits limits,
                        std::uint64_t most) {
    const Pair of{world, question, limits, most};
    ClaimComparison result;
    compare_first(of, result);
    if (result.difference.empty()) {
        compare_best(of, result);
    }
    return result;
}

}  // namespace topoalloc::oracle
