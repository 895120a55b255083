// SPDX-License-Identifier: Apache-2.0
#include "claim/selector_outcomes.hpp"

#include "claim/byte_text.hpp"

#include <algorithm>
#include <variant>

namespace topoalloc {
namespace {

void put_scalar(std::string& text, const Scalar& value) {
    put(text, value.index());
    std::visit([&](const auto& own) { put(text, own); }, value);
}

// Everything that a selector can read, as bytes.
std::string text_of(const SliceDevice& device, const std::string& driver) {
    std::string text;
    put(text, driver);
    put(text, device.is_shared);
    put(text, device.attributes.size());
    for (const auto& [name, values] : device.attributes) {
        put(text, name);
        put(text, values.kind);
        put(text, values.is_list);
        put(text, values.values.size());
        for (const Scalar& value : values.values) {
            put_scalar(text, value);
        }
    }
    for (const auto& [name, capacity] : device.capacities) {
        put(text, name);
        put(text, capacity.value);
    }
    return text;
}

std::size_t number_of(const std::pair<std::size_t, SelectorOutcome>& entry) {
    return entry.first;
}

}  // namespace

std::optional<SelectorOutcome> OutcomeRecord::of(std::size_t selector) const {
    const auto it = std::ranges::lower_bound(outcomes_, selector, {}, number_of);
    return it == outcomes_.end() || it->first != selector ? std::nullopt
                                                          : std::optional(it->second);
}

void OutcomeRecord::set(std::size_t selector, SelectorOutcome outcome) {
    const auto it = std::ranges::lower_bound(outcomes_, selector, {}, number_of);
    if (it != outcomes_.end() && it->first == selector) {
        it->second = outcome;
    } else {
        outcomes_.emplace(it, selector, outcome);
    }
}

OutcomeRecordPtr OutcomeRecords::of(const SliceDevice& device,
                                    const std::string& driver) {
    if (known_.size() >= purge_at_) {
        std::erase_if(known_, [](const auto& entry) { return entry.second.expired(); });
        purge_at_ = std::max<std::size_t>(1024, 2 * known_.size());
    }
    std::weak_ptr<OutcomeRecord>& known = known_[text_of(device, driver)];
    OutcomeRecordPtr record = known.lock();
    if (!record) {
        record = std::make_shared<OutcomeRecord>();
        known = record;
    }
    return record;
}

void OutcomeRecords::clear() {
    for (const auto& [text, known] : known_) {
        if (const OutcomeRecordPtr record = known.lock()) {
            record->clear();
        }
    }
}

}  // namespace topoalloc
