// SPDX-License-Identifier: Apache-2.0
//
// Nodes with GPUs and NICs as their drivers publish them, and claims for some of these.
#pragma once

#include "topoalloc/claim.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc::claim_node {

inline constexpr std::size_t gpu = 0;
inline constexpr std::size_t nic = 1;
inline constexpr const char* numa = "resource.kubernetes.io/numaNode";
inline constexpr const char* root = "resource.kubernetes.io/pcieRoot";

inline SliceDevice device(const std::string& name,
                          std::int64_t of_numa,
                          std::uint32_t of_root) {
    SliceDevice out;
    out.name = name;
    out.attributes[numa] = {AttributeKind::integer, {Scalar{of_numa}}, false};
    out.attributes[root] = {
        AttributeKind::text, {Scalar{"pci" + std::to_string(of_root)}}, false};
    return out;
}

// So many devices of each of two drivers on node n1, four to a NUMANode and one to a
// PCI root; selector 0 is true of the first driver's, selector 1 of the second's.
class Node {
  public:
    explicit Node(std::uint32_t gpus, std::uint32_t nics = 0) {
        world_.node.name = "n1";
        add("gpu", gpus);
        add("nic", nics);
        question_.outcomes.resize(2);
        for (std::uint32_t d = 0; d < gpus + nics; ++d) {
            const bool is_gpu = d < gpus;
            question_.outcomes[gpu].push_back(is_gpu ? SelectorOutcome::yes
                                                     : SelectorOutcome::no);
            question_.outcomes[nic].push_back(is_gpu ? SelectorOutcome::no
                                                     : SelectorOutcome::yes);
        }
    }

    ClaimWorld& world() { return world_; }
    ClaimQuestion& question() { return question_; }

    void take(const std::string& driver, std::uint32_t index) {
        world_.taken.push_back(
            {{driver, "n1", driver + std::to_string(index)}, std::nullopt});
    }

    void ask(std::vector<ClaimRequest> requests,
             std::vector<ClaimConstraint> constraints) {
        question_.claims = {{"claim", std::move(requests), std::move(constraints)}};
    }

    [[nodiscard]] ClaimAnswer answer(SearchLimits limits = {}) const {
        return first_fit(world_, question_, limits);
    }
    [[nodiscard]] ClaimAnswer best(SearchLimits limits = {}) const {
        return best_fit(world_, question_, limits);
    }

  private:
    void add(const std::string& driver, std::uint32_t count) {
        DeviceSlice slice;
        slice.name = "n1-" + driver;
        slice.driver = driver;
        slice.pool = "n1";
        slice.target.kind = NodeTarget::Kind::name;
        slice.target.name = "n1";
        for (std::uint32_t i = 0; i < count; ++i) {
            slice.devices.push_back(device(driver + std::to_string(i), i / 4, i));
        }
        world_.slices.push_back(std::move(slice));
    }

    ClaimWorld world_;
    ClaimQuestion question_;
};

inline ClaimRequest want(const std::string& name,
                         std::size_t selector,
                         std::int64_t count) {
    ClaimDemand demand;
    demand.selectors = {selector};
    demand.count = count;
    ClaimRequest request;
    request.name = name;
    request.demands = {demand};
    return request;
}

inline ClaimConstraint match(const char* attribute,
                             std::vector<std::string> requests = {}) {
    return {false, attribute, std::move(requests)};
}

// GPU and NIC requests under one matchAttribute each, side by side or one kind first.
inline void ask_pairs(Node& node, std::uint32_t pairs, bool are_grouped) {
    std::vector<ClaimRequest> requests;
    std::vector<ClaimConstraint> constraints;
    for (std::uint32_t i = 0; i < pairs; ++i) {
        const std::string number = std::to_string(i);
        requests.push_back(want("g" + number, gpu, 1));
        if (!are_grouped) {
            requests.push_back(want("n" + number, nic, 1));
        }
        constraints.push_back(match(root, {"g" + number, "n" + number}));
    }
    for (std::uint32_t i = 0; are_grouped && i < pairs; ++i) {
        requests.push_back(want("n" + std::to_string(i), nic, 1));
    }
    node.ask(std::move(requests), std::move(constraints));
}

inline std::vector<std::size_t> positions(const ClaimAnswer& answer) {
    std::vector<std::size_t> out;
    for (const auto& claim : answer.allocation) {
        for (const ChosenRequest& request : claim) {
            for (const ChosenDevice& chosen : request.devices) {
                out.push_back(chosen.position);
            }
        }
    }
    return out;
}

using Positions = std::vector<std::size_t>;

}  // namespace topoalloc::claim_node
