// SPDX-License-Identifier: Apache-2.0
#include "node/joint_devices.hpp"

#include "base/bits.hpp"
#include "node/room.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace topoalloc {
namespace {

// The needs that a constraint speaks of; devices decide these alone but for Align and
// Near.
std::uint64_t needs_of(const CompiledConstraint& constraint, std::size_t needs) {
    if (const auto* align = std::get_if<CompiledAlign>(&constraint)) {
        return align->scope.needs;
    }
    if (const auto* pair = std::get_if<CompiledPair>(&constraint)) {
        return bit(pair->need_a) | bit(pair->need_b);
    }
    if (const auto* link = std::get_if<CompiledLink>(&constraint)) {
        return bit(link->need);
    }
    if (const auto* attribute = std::get_if<CompiledAttribute>(&constraint)) {
        return attribute->needs;
    }
    if (std::holds_alternative<CompiledNear>(constraint)) {
        return low_bits(needs);
    }
    return 0;
}

class DeviceChoices {
  public:
    DeviceChoices(const NodeState& state,
                  const CompiledRequest& request,
                  StepBudget& budget,
                  const std::function<void(DeviceChoice)>& visit)
        : state_(state),
          machine_(*request.machine),
          request_(request),
          budget_(budget),
          visit_(visit),
          ledger_(state),
          chosen_(request.needs.size()) {
        for (const DeviceNeed& need : request.needs) {
            available_.push_back(available_positions(state, need));
        }
    }

    bool run() {
        choose(0, 0);
        return !budget_.limited;
    }

  private:
    void choose(std::size_t need, std::size_t first) {
        if (need == chosen_.size()) {
            finish();
            return;
        }
        const DeviceNeed& wanted = request_.needs[need];
        const std::size_t missing = wanted.count - chosen_[need].size();
        if (missing == 0) {
            if (holds_so_far(need)) {
                choose(need + 1, 0);
            }
            return;
        }
        const auto& positions = available_[need];
        for (std::size_t i = first; i + missing <= positions.size(); ++i) {
            if (!budget_.spend()) {
                return;
            }
            const DeviceUse use = use_of(wanted, positions[i]);
            if (!ledger_.fits(use)) {
                continue;
            }
            ledger_.add(use);
            uses_.push_back(use);
            chosen_[need].push_back(wanted.candidates[positions[i]]);
            if (cliques_hold(need)) {
                choose(need, i + 1);
            }
            chosen_[need].pop_back();
            uses_.pop_back();
            ledger_.remove(use);
        }
    }

    [[nodiscard]] DeviceUse use_of(const DeviceNeed& need, std::size_t position) const {
        DeviceUse use;
        const std::uint32_t device = need.candidates[position];
        const Device& entry = machine_.devices()[device];
        switch (need.mode) {
            case TakeMode::whole:
                use.whole.set(device);
                break;
            case TakeMode::part:
                use.touched.set(entry.root);
                use.parts.set(device);
                use.draws.emplace_back(entry.root, entry.counter_draws);
                break;
            case TakeMode::share:
                use.touched.set(device);
                use.draws.emplace_back(device, need.share_draws[position]);
                break;
        }
        return use;
    }

    // A Link clique and an Align of devices fail as soon as one device is wrong.
    [[nodiscard]] bool cliques_hold(std::size_t need) const {
        return std::ranges::all_of(request_.require, [&](const CompiledConstraint& c) {
            if (const auto* link = std::get_if<CompiledLink>(&c)) {
                return link->need != need || link->mode != LinkMode::clique ||
                       constraint_holds(request_, c, {}, chosen_);
            }
            if (const auto* align = std::get_if<CompiledAlign>(&c)) {
                return !align->scope.has_need(need) ||
                       constraint_holds(request_, c, {}, chosen_);
            }
            return true;
        });
    }

    // Required constraints whose needs are all chosen once this one is.
    [[nodiscard]] bool holds_so_far(std::size_t need) const {
        const std::uint64_t done = low_bits(need + 1);
        return std::ranges::all_of(request_.require, [&](const CompiledConstraint& c) {
            const std::uint64_t needs = needs_of(c, chosen_.size());
            const bool is_due = has_bit(needs, need) && (needs & ~done) == 0;
            return !is_due || constraint_holds(request_, c, {}, chosen_);
        });
    }

    void finish() {
        if (!budget_.spend()) {
            return;
        }
        DeviceChoice choice;
        note_preferences(choice);
        choice.cost[Cost::pair_levels] = pair_levels(request_, chosen_);
        choice.cost[Cost::missing_link] = missing_link(request_, chosen_);
        choice.chosen = chosen_;
        for (const DeviceUse& use : uses_) {
            choice.use.whole |= use.whole;
            choice.use.touched |= use.touched;
            choice.use.parts |= use.parts;
            choice.use.draws.insert(
                choice.use.draws.end(), use.draws.begin(), use.draws.end());
        }
        for (const auto& list : chosen_) {
            for (const std::uint32_t device : list) {
                choice.devices.set(device);
            }
        }
        visit_(std::move(choice));
    }

    // What fails by devices alone is unmet for good; the rest is for the place to mend.
    void note_preferences(DeviceChoice& choice) const {
        std::uint64_t unmet = 0;
        for (std::size_t i = 0; i < request_.prefer.size(); ++i) {
            if (!constraint_holds(request_, request_.prefer[i], {}, chosen_)) {
                const bool is_open = speaks_beyond_devices(request_.prefer[i]);
                (is_open ? choice.broken : unmet) |= bit(i);
            }
        }
        set_unmet(request_, unmet, choice.cost);
    }

    const NodeState& state_;
    const Machine& machine_;
    const CompiledRequest& request_;
    StepBudget& budget_;
    const std::function<void(DeviceChoice)>& visit_;
    DeviceLedger ledger_;
    std::vector<std::vector<std::size_t>> available_;  // positions by need
    ChosenDevices chosen_;
    std::vector<DeviceUse> uses_;
};

}  // namespace

bool speaks_beyond_devices(const CompiledConstraint& constraint) {
    return std::holds_alternative<CompiledAlign>(constraint) ||
           std::holds_alternative<CompiledNear>(constraint);
}

bool DeviceLedger::fits(const DeviceUse& use) const {
    if (use.whole.intersects(whole_) || use.whole.intersects(touched_) ||
        use.touched.intersects(whole_) || use.parts.intersects(parts_)) {
        return false;
    }
    std::map<std::uint32_t, std::vector<std::uint64_t>> sums;
    for (const auto& [root, amounts] : use.draws) {
        const auto before = drawn_.find(root);
        auto& sum = sums[root];
        if (sum.empty() && before != drawn_.end()) {
            sum = before->second;
        }
        sum.resize(std::max(sum.size(), amounts.size()), 0);
        const auto left = state_.counters_left(root);
        for (std::size_t i = 0; i < amounts.size(); ++i) {
            sum[i] += amounts[i];
            if (sum[i] > left[i]) {
                return false;
            }
        }
    }
    return true;
}

void DeviceLedger::add(const DeviceUse& use) {
    whole_ |= use.whole;
    parts_ |= use.parts;
    for (const auto& [root, amounts] : use.draws) {
        if (touches_.size() <= root) {
            touches_.resize(root + std::size_t{1}, 0);
        }
        ++touches_[root];
        touched_.set(root);
        auto& sum = drawn_[root];
        sum.resize(std::max(sum.size(), amounts.size()), 0);
        for (std::size_t i = 0; i < amounts.size(); ++i) {
            sum[i] += amounts[i];
        }
    }
}

void DeviceLedger::remove(const DeviceUse& use) {
    whole_ -= use.whole;
    parts_ -= use.parts;
    for (const auto& [root, amounts] : use.draws) {
        if (--touches_[root] == 0) {
            touched_.reset(root);
        }
        auto& sum = drawn_[root];
        for (std::size_t i = 0; i < amounts.size(); ++i) {
            sum[i] -= amounts[i];
        }
    }
}

bool for_each_device_choice(const NodeState& state,
                            const CompiledRequest& request,
                            StepBudget& budget,
                            const std::function<void(DeviceChoice)>& visit) {
    return DeviceChoices(state, request, budget, visit).run();
}

}  // namespace topoalloc
