// SPDX-License-Identifier: Apache-2.0
//
// Nodes that claims can not tell apart. A form is a text that two nodes share only if
// their devices, position by position, are equal in all that it speaks of; texts are
// numbered, so that comparing them is comparing numbers. Private to the claim room.
#pragma once

#include "claim/node_devices.hpp"
#include "claim/selector_outcomes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace topoalloc {

class FormNumbers {
  public:
    [[nodiscard]] std::uint32_t of(std::string text);
    [[nodiscard]] std::size_t size() const { return numbers_.size(); }
    void clear() { numbers_.clear(); }

  private:
    std::unordered_map<std::string, std::uint32_t> numbers_;
};

/// The forms of one node, worked out when they are asked for first.
class NodeForms {
  public:
    /// Of everything but names and attributes.
    [[nodiscard]] std::uint32_t fixed(const NodeDevices& node, FormNumbers& numbers);
    /// Of an attribute; its name has its domain.
    [[nodiscard]] std::uint32_t attribute(const NodeDevices& node,
                                          const std::string& name,
                                          FormNumbers& numbers);
    /// Of what selectors say that are asked one after the other, up to the first that
    /// is not true. Nullopt: one of them was not asked yet.
    /// @param records   of the devices
    /// @param revision  of the records: another one with every change
    [[nodiscard]] std::optional<std::uint32_t> outcomes(
        const std::vector<OutcomeRecordPtr>& records,
        const std::vector<std::size_t>& selectors,
        std::uint64_t revision,
        FormNumbers& numbers);

  private:
    std::vector<std::pair<std::string, std::uint32_t>> attributes_;
    std::vector<std::pair<std::vector<std::size_t>, std::uint32_t>> outcomes_;
    std::uint64_t revision_ = 0;  ///< that `outcomes_` is of
    std::uint32_t fixed_ = 0;
    bool has_fixed_ = false;
};

}  // namespace topoalloc
