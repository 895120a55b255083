// SPDX-License-Identifier: Apache-2.0
//
// Claim problems in a few words, and what the oracle answers.
#pragma once

#include "oracle/claim_brute.hpp"
#include "oracle/claim_instances.hpp"
#include "oracle/claim_text.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc::oracle {

inline constexpr std::uint64_t most = 1'000'000;
inline constexpr Nanos unit = 1'000'000'000;
inline constexpr auto no = SelectorOutcome::no;
inline constexpr auto yes = SelectorOutcome::yes;
inline constexpr auto error = SelectorOutcome::error;

using Devices = std::vector<SliceDevice>;
using Names = std::vector<std::string>;

inline NodeTarget on(const std::string& node) {
    return {NodeTarget::Kind::name, node, {}};
}

inline SliceDevice named(const std::string& name) {
    SliceDevice device;
    device.name = name;
    return device;
}

inline Devices devices(std::size_t count) {
    Devices result;
    for (std::size_t d = 0; d < count; ++d) {
        result.push_back(named("d" + std::to_string(d)));
    }
    return result;
}

inline DeviceSlice& add_slice(ClaimInstance& instance,
                              const std::string& name,
                              Devices own,
                              const std::string& driver = "a.io") {
    DeviceSlice& slice = instance.world.slices.emplace_back();
    slice.name = name;
    slice.driver = driver;
    slice.pool = "p";
    slice.target = on("n0");
    slice.devices = std::move(own);
    return slice;
}

// Node n0 with one slice of the pool a.io/p, and one claim that asks for nothing yet.
inline ClaimInstance with(Devices own) {
    ClaimInstance instance;
    instance.world.node = {"n0", {{"zone", "a"}, {"gen", "3"}}};
    add_slice(instance, "s", std::move(own));
    instance.question.claims.resize(1);
    return instance;
}

inline DeviceSlice& slice_of(ClaimInstance& instance) {
    return instance.world.slices.front();
}

inline SliceDevice& device_of(ClaimInstance& instance, std::size_t device) {
    return slice_of(instance).devices[device];
}

// A request of the last claim, named r0, r1, ...
inline ClaimDemand& ask(ClaimInstance& instance, std::int64_t count) {
    auto& requests = instance.question.claims.back().requests;
    ClaimRequest& request = requests.emplace_back();
    request.name = "r" + std::to_string(requests.size() - 1);
    ClaimDemand& demand = request.demands.emplace_back();
    demand.count = count;
    return demand;
}

inline ClaimDemand& ask_for_all(ClaimInstance& instance) {
    ClaimDemand& demand = ask(instance, 1);
    demand.mode = AllocationMode::all;
    return demand;
}

// An entry more of the last request, named e1, ...; the first one becomes e0.
inline ClaimDemand& ask_else(ClaimInstance& instance, std::int64_t count) {
    ClaimRequest& request = instance.question.claims.back().requests.back();
    request.is_prioritized = true;
    request.demands[0].name = "e0";
    ClaimDemand demand;
    demand.name = "e" + std::to_string(request.demands.size());
    demand.count = count;
    request.demands.push_back(demand);
    return request.demands.back();
}

inline void next_claim(ClaimInstance& instance) {
    instance.question.claims.emplace_back();
}

inline void constrain(ClaimInstance& instance,
                      const std::string& attribute,
                      bool is_distinct = false,
                      const Names& requests = {}) {
    instance.question.claims.back().constraints.push_back(
        {is_distinct, attribute, requests});
}

inline void take(ClaimInstance& instance,
                 const std::string& device,
                 const std::optional<std::map<std::string, Nanos>>& consumed = {}) {
    instance.world.taken.push_back({{"a.io", "p", device}, consumed});
}

// What first_fit answers. An allocation keeps the rules, and what optimal has of the
// answer does not contradict it.
inline std::string answer(const ClaimInstance& instance) {
    EXPECT_EQ(wrong_with(instance), "") << dump(instance);
    const auto& [world, question] = instance;
    const BruteClaims first = brute_first_fit(world, question, most);
    const BruteClaims any = brute_best_fit(world, question, most / 50);
    if (first.allocation) {
        EXPECT_EQ(judge_claims(world, question, *first.allocation), "");
        EXPECT_TRUE(any.allocation || !any.is_counted);
    }
    EXPECT_FALSE(any.allocation && !first.allocation && !first.fault);
    return text_of(question, first);
}

inline std::string optimal_answer(const ClaimInstance& instance) {
    return text_of(instance.question,
                   brute_best_fit(instance.world, instance.question, most));
}

inline DeviceValues text(const Names& values, bool is_list = false) {
    return {AttributeKind::text, {values.begin(), values.end()}, is_list};
}

// Devices whose attribute "k" is each of these.
inline ClaimInstance with_values(const std::vector<DeviceValues>& values) {
    ClaimInstance instance = with(devices(values.size()));
    for (std::size_t d = 0; d < values.size(); ++d) {
        device_of(instance, d).attributes["k"] = values[d];
    }
    return instance;
}

inline Names names_of(const ClaimInstance& instance) {
    Names result;
    for (const DeviceId& id : positions_of(instance.world)) {
        result.push_back(id.driver + "/" + id.device);
    }
    return result;
}

}  // namespace topoalloc::oracle
