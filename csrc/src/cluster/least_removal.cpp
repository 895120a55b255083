// SPDX-License-Identifier: Apache-2.0
#include "cluster/least_removal.hpp"

#include "cluster/least_cover.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

// Questions that one proof of "not enough" is widened by.
constexpr int most_widenings = 64;
// Regions in which a first set is sought.
constexpr std::size_t most_first_regions = 8;

bool makes_room(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

// The least set by what is known of one region; it was found when there were so many
// sets to hit.
struct RegionSet {
    std::size_t region = 0;
    std::size_t hits = 0;
    RemovalSet set;
};

class LeastRemoval {
  public:
    LeastRemoval(const RemovalProblem& problem, StepBudget& budget)
        : problem_(problem), budget_(budget), all_(problem.weights.size()) {
        std::iota(all_.begin(), all_.end(), 0);
        for (const RemovalRegion& region : problem.regions) {
            for (const RemovalGain& gain : region.elements) {
                gains_[gain.element] +=
                    std::accumulate(gain.gains.begin(), gain.gains.end(), 0LL);
            }
        }
    }

    RemovalAnswer run() {
        const Status nothing = ask({});
        if (makes_room(nothing)) {
            return {Status::optimal, {}, 0};
        }
        note_doubt(nothing, 0);
        hits_.push_back(all_);
        const Status everything = ask(all_);
        if (everything == Status::infeasible) {
            return {Status::infeasible, {}, 0};
        }
        if (makes_room(everything)) {
            shrink(all_);
        } else {
            shrink_regions();
        }
        return search();
    }

  private:
    using Key = std::tuple<std::size_t, std::uint64_t, RemovalSet>;

    [[nodiscard]] Key key_of(const RemovalSet& set) const {
        std::uint64_t weight = 0;
        for (const std::uint32_t element : set) {
            weight += problem_.weights[element];
        }
        return {set.size(), weight, set};
    }

    // An equal question is asked once.
    Status ask(const RemovalSet& removed) {
        const auto known = asked_.find(removed);
        if (known != asked_.end()) {
            return known->second;
        }
        if (!budget_.spend()) {
            return Status::unknown;
        }
        const RoomAnswer answer = problem_.ask(removed);
        std::ignore =
            budget_.spend(std::min(answer.steps, budget_.max_steps - budget_.steps));
        asked_.emplace(removed, answer.status);
        if (makes_room(answer.status) && (!best_ || key_of(removed) < key_of(*best_))) {
            best_ = removed;
        }
        return answer.status;
    }

    // From here on nothing is proved of sets that are larger.
    void note_doubt(Status status, std::uint64_t size) {
        if (status == Status::unknown && !doubt_) {
            doubt_ = size;
        }
    }

    // A first set from the regions that seem to need least, where all elements are too
    // many to ask of.
    void shrink_regions() {
        std::vector<std::pair<std::size_t, const RemovalRegion*>> regions;
        for (const RemovalRegion& region : problem_.regions) {
            const auto set = least_cover(problem_, region, {}, all_.size(), budget_);
            if (set) {
                regions.emplace_back(set->size(), &region);
            }
        }
        std::ranges::stable_sort(
            regions, {}, [](const auto& one) { return one.first; });
        regions.resize(std::min(regions.size(), most_first_regions));
        for (const auto& [size, region] : regions) {
            RemovalSet inside;
            for (const RemovalGain& gain : region->elements) {
                inside.push_back(gain.element);
            }
            if (makes_room(ask(inside))) {
                shrink(std::move(inside));
            }
        }
    }

    // A set from which no element can be left out, those with the largest gains first.
    // Requires: all in `order` make room.
    void shrink(RemovalSet order) {
        std::ranges::stable_sort(order, [this](std::uint32_t a, std::uint32_t b) {
            return gain_of(a) * static_cast<std::int64_t>(problem_.weights[b]) >
                   gain_of(b) * static_cast<std::int64_t>(problem_.weights[a]);
        });
        RemovalSet kept;
        for (;;) {
            std::size_t few = 0;
            std::size_t enough = order.size();
            while (few < enough) {
                const std::size_t middle = few + (enough - few) / 2;
                if (makes_room(ask(join(kept, order, middle)))) {
                    enough = middle;
                } else {
                    few = middle + 1;
                }
            }
            if (enough == 0 || budget_.limited) {
                return;
            }
            kept.push_back(order[enough - 1]);
            order.resize(enough - 1);
        }
    }
    [[nodiscard]] std::int64_t gain_of(std::uint32_t element) const {
        const auto it = gains_.find(element);
        return it == gains_.end() ? 0 : it->second;
    }
    static RemovalSet join(RemovalSet set, const RemovalSet& order, std::size_t count) {
        set.insert(set.end(),
                   order.begin(),
                   order.begin() + static_cast<std::ptrdiff_t>(count));
        std::ranges::sort(set);
        return set;
    }

    RemovalAnswer search() {
        std::set<std::pair<Key, std::size_t>> queue;
        std::vector<RegionSet> sets;
        for (std::size_t r = 0; r < problem_.regions.size(); ++r) {
            sets.push_back({r, 0, {}});
            queue.emplace(Key{}, r);
        }
        while (!queue.empty()) {
            const auto first = *queue.begin();
            if (best_ && first.first >= key_of(*best_)) {
                break;
            }
            RegionSet& region = sets[first.second];
            if (region.hits == hits_.size() && first.first != Key{}) {
                try_set(region.set);
            }
            queue.erase(queue.begin());
            if (!settle(region, first.first, queue)) {
                queue.insert(first);
                return conclude(std::get<0>(first.first), true);
            }
        }
        return conclude(
            queue.empty() ? all_.size() + 1 : std::get<0>(queue.begin()->first), false);
    }

    // The set of a region by all that is known now. False when the budget ended.
    bool settle(RegionSet& region,
                const Key& before,
                std::set<std::pair<Key, std::size_t>>& queue) {
        if (budget_.limited) {
            return false;
        }
        if (best_ && key_of(*best_) <= before) {
            queue.emplace(before, region.region);
            return true;
        }
        const std::size_t most = best_ ? best_->size() : all_.size();
        auto found = least_cover(
            problem_, problem_.regions[region.region], hits_, most, budget_);
        if (budget_.limited) {
            return false;
        }
        region.hits = hits_.size();
        if (found) {
            region.set = std::move(*found);
            queue.emplace(key_of(region.set), region.region);
        }
        return true;
    }

    void try_set(const RemovalSet& set) {
        const Status status = ask(set);
        if (status == Status::infeasible) {
            hits_.push_back(widen(set));
        } else if (!makes_room(status)) {
            note_doubt(status, set.size());
            hits_.push_back(without(set));
        }
    }

    [[nodiscard]] RemovalSet without(const RemovalSet& set) const {
        RemovalSet out;
        std::ranges::set_difference(all_, set, std::back_inserter(out));
        return out;
    }

    // Elements one of which must be removed: those outside a larger set that does not
    // make room either. What gains least comes into it first.
    RemovalSet widen(RemovalSet set) {
        RemovalSet rest = without(set);
        std::ranges::stable_sort(
            rest, {}, [this](std::uint32_t element) { return gain_of(element); });
        std::size_t next = 0;
        std::size_t step = rest.size();
        for (int i = 0; i < most_widenings && next < rest.size(); ++i) {
            step = std::min(step, rest.size() - next);
            RemovalSet trial = set;
            trial.insert(trial.end(),
                         rest.begin() + static_cast<std::ptrdiff_t>(next),
                         rest.begin() + static_cast<std::ptrdiff_t>(next + step));
            std::ranges::sort(trial);
            if (ask(trial) == Status::infeasible) {
                set = std::move(trial);
                next += step;
                step *= 2;
            } else if (step == 1) {
                ++next;
            } else {
                step /= 2;
            }
        }
        return without(set);
    }

    // `bound`: no set that is left to try is smaller.
    [[nodiscard]] RemovalAnswer conclude(std::uint64_t bound, bool is_limited) const {
        RemovalAnswer out;
        bound = std::max<std::uint64_t>(bound, 1);
        out.least = std::min<std::uint64_t>(doubt_.value_or(bound), bound);
        if (best_) {
            out.set = *best_;
            out.least = std::min<std::uint64_t>(out.least, best_->size());
            out.status = is_limited || doubt_ ? Status::feasible : Status::optimal;
        } else if (!is_limited && !doubt_) {
            out.status = Status::infeasible;
            out.least = 0;
        } else {
            out.least = std::min<std::uint64_t>(out.least, all_.size());
        }
        return out;
    }

    const RemovalProblem& problem_;
    StepBudget& budget_;
    RemovalSet all_;
    std::map<std::uint32_t, std::int64_t> gains_;
    std::map<RemovalSet, Status> asked_;
    std::vector<RemovalSet> hits_;
    std::optional<RemovalSet> best_;
    std::optional<std::uint64_t> doubt_;  ///< size of the first set of no answer
};

}  // namespace

RemovalAnswer least_removal(const RemovalProblem& problem, StepBudget& budget) {
    return LeastRemoval(problem, budget).run();
}

}  // namespace topoalloc
