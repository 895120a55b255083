// SPDX-License-Identifier: Apache-2.0
#include "claim/claim_symmetry.hpp"

#include "claim/byte_text.hpp"
#include "claim/value_tree.hpp"

#include <unordered_map>
#include <utility>

namespace topoalloc {
namespace {

// Beyond it what has failed is forgotten: memory stays bounded.
constexpr std::size_t most_failed = 100'000;

}  // namespace

ClaimSymmetry::ClaimSymmetry(const ClaimProblem& problem) : problem_(problem) {}

ClaimSymmetry::~ClaimSymmetry() = default;

void ClaimSymmetry::classify() {
    std::unordered_map<std::string, std::uint32_t> known;
    for (std::uint32_t d = 0; d < problem_.node->devices.size(); ++d) {
        std::string text = kind_of(problem_, d);
        for (const ProblemAttribute& attribute : problem_.attributes) {
            put(text, attribute.values[d].has_value());
            if (attribute.values[d]) {
                put(text, *attribute.values[d]);
            }
        }
        for (const SetDraw& draw : problem_.node->devices[d].draws) {
            put(text, draw.counter_set);
        }
        classes_.push_back(
            known.try_emplace(std::move(text), static_cast<std::uint32_t>(known.size()))
                .first->second);
    }
}

bool ClaimSymmetry::are_alike(const ClaimState& state,
                              std::uint32_t device,
                              std::uint32_t other) {
    if (classes_.empty()) {
        classify();
    }
    return classes_[device] == classes_[other] &&
           state.is_chosen(device) == state.is_chosen(other) &&
           state.claim_of(device) == state.claim_of(other) &&
           state.left_of(device) == state.left_of(other);
}

bool ClaimSymmetry::has_failed(const ClaimState& state, std::uint32_t request) {
    return !failed_.empty() && failed_.contains(tree_->text_of(state, request));
}

void ClaimSymmetry::fail(const ClaimState& state, std::uint32_t request) {
    if (!tree_) {
        tree_ = std::make_unique<ValueTree>(problem_);
    }
    if (failed_.size() >= most_failed) {
        failed_.clear();
    }
    failed_.insert(tree_->text_of(state, request));
}

}  // namespace topoalloc
