// SPDX-License-Identifier: Apache-2.0
//
// What selectors say of devices. They see a driver, attributes and capacities, no name:
// devices that are equal in these share one record, and each selector is asked once.
// Private to the claim room.
#pragma once

#include "topoalloc/claim.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace topoalloc {

class OutcomeRecord {
  public:
    /// Nullopt: it was not asked yet.
    [[nodiscard]] std::optional<SelectorOutcome> of(std::size_t selector) const;
    void set(std::size_t selector, SelectorOutcome outcome);
    void clear() { outcomes_.clear(); }

  private:
    /// Ascending by selector: a device meets few of all that there are.
    std::vector<std::pair<std::size_t, SelectorOutcome>> outcomes_;
};
using OutcomeRecordPtr = std::shared_ptr<OutcomeRecord>;

class OutcomeRecords {
  public:
    [[nodiscard]] OutcomeRecordPtr of(const SliceDevice& device,
                                      const std::string& driver);
    void clear();

  private:
    std::unordered_map<std::string, std::weak_ptr<OutcomeRecord>> known_;
    std::size_t purge_at_ = 1024;
};

}  // namespace topoalloc
