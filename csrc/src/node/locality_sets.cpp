// SPDX-License-Identifier: Apache-2.0
#include "node/locality_sets.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <functional>

namespace topoalloc {
namespace {

class Enumerator {
  public:
    Enumerator(const NodeState& state,
               const CompiledRequest& request,
               const LocalityDemand& demand,
               std::uint64_t& steps,
               std::uint64_t max_steps)
        : state_(state),
          machine_(*request.machine),
          request_(request),
          demand_(demand),
          steps_(steps),
          max_steps_(max_steps) {}

    bool run(const std::function<bool(const LocalitySet&)>& visit) {
        prepare();
        if (needs_no_locality() && !visit(LocalitySet{})) {
            return true;
        }
        visit_ = &visit;
        const std::size_t package_count = machine_.packages().size();
        const std::size_t least = least_size();
        for (std::size_t i = 1; i <= package_count; ++i) {
            const std::size_t packages =
                demand_.largest_first ? package_count + 1 - i : i;
            if (!visit_sizes(packages, least)) {
                return !limited_;
            }
        }
        return true;
    }

  private:
    // All sets over so many Packages. False: as visit_sets().
    bool visit_sizes(std::size_t packages, std::size_t least) {
        for (std::size_t k = least; k <= useful_count_; ++k) {
            const std::size_t size =
                demand_.largest_first ? useful_count_ + least - k : k;
            const bool needs_visit =
                !demand_.may_win || demand_.may_win(packages, size);
            if (needs_visit && !visit_sets(packages, size)) {
                return false;
            }
        }
        return true;
    }

    // All sets of so many. False: visit() stopped, or the step limit came first.
    bool visit_sets(std::size_t packages, std::size_t size) {
        bool limited = false;
        const bool goes_on = for_each_class_counts(
            machine_,
            most_,
            packages,
            size,
            steps_,
            max_steps_,
            limited,
            [this](const ClassCounts& counts) { return choose_members(counts); });
        limited_ = limited_ || limited;
        return goes_on && !limited_;
    }

    void prepare() {
        const std::size_t count = machine_.localities().size();
        bytes_.assign(count, std::vector<std::uint64_t>(request_.bytes.size(), 0));
        std::uint64_t device_localities = 0;
        for (const auto& list : demand_.candidates) {
            for (const std::uint64_t localities : list) {
                device_localities |= localities;
            }
        }
        for (std::uint32_t l = 0; l < count; ++l) {
            const std::uint32_t index = machine_.locality_classes()[l];
            if (index >= members_.size()) {
                members_.resize(index + 1);
            }
            const bool has_bytes = request_.wants_bytes && sum_bytes(l);
            if (has_bytes || demand_.units[l] != 0 || has_bit(device_localities, l)) {
                members_[index].push_back(l);
                ++useful_count_;
            }
        }
        for (const auto& members : members_) {
            most_.push_back(static_cast<std::uint32_t>(members.size()));
        }
    }

    bool sum_bytes(std::uint32_t locality) {
        bool any = false;
        for (const std::uint32_t node : machine_.localities()[locality].numa_nodes) {
            if (machine_.numa_nodes()[node].kind != request_.request.kind) {
                continue;
            }
            for (std::uint32_t size = 0; size < request_.bytes.size(); ++size) {
                if (request_.bytes[size] != 0) {
                    bytes_[locality][size] += state_.free_bytes(node, size);
                    any = any || state_.free_bytes(node, size) != 0;
                }
            }
        }
        return any;
    }

    // True when the empty T may do: no PU, no byte, and devices of unknown locality
    // suffice.
    [[nodiscard]] bool needs_no_locality() const {
        if (request_.wants_pus() || request_.wants_bytes) {
            return false;
        }
        return devices_suffice(0);
    }

    [[nodiscard]] bool devices_suffice(std::uint64_t mask) const {
        for (std::size_t i = 0; i < demand_.candidates.size(); ++i) {
            std::uint32_t count = 0;
            for (const std::uint64_t localities : demand_.candidates[i]) {
                count += (localities == 0 || (localities & mask) != 0) ? 1U : 0U;
            }
            if (count < request_.needs[i].count) {
                return false;
            }
        }
        return true;
    }

    // The fewest localities that could hold the units, and each page size.
    [[nodiscard]] std::size_t least_size() const {
        std::vector<std::uint64_t> amounts;
        const auto collect = [&](auto amount_of) {
            amounts.clear();
            for (const auto& members : members_) {
                for (const std::uint32_t l : members) {
                    amounts.push_back(amount_of(l));
                }
            }
        };
        collect([&](std::uint32_t l) { return demand_.units[l]; });
        std::size_t least =
            std::max<std::size_t>(1, fewest(amounts, demand_.wanted_units));
        for (std::size_t size = 0; size < request_.bytes.size(); ++size) {
            collect([&](std::uint32_t l) { return bytes_[l][size]; });
            least = std::max(least, fewest(amounts, request_.bytes[size]));
        }
        return least;
    }

    static std::size_t fewest(std::vector<std::uint64_t>& amounts,
                              std::uint64_t wanted) {
        std::ranges::sort(amounts, std::greater{});
        std::uint64_t sum = 0;
        std::size_t count = 0;
        while (sum < wanted && count < amounts.size()) {
            sum += amounts[count++];
        }
        return sum < wanted ? amounts.size() + 1 : count;
    }

    // Every set with these counts; false when visit said so or the limit came.
    bool choose_members(const ClassCounts& counts) {
        counts_ = &counts;
        // Units that the classes from each on can hold at most.
        most_units_.assign(members_.size() + 1, 0);
        for (std::size_t c = members_.size(); c-- > 0;) {
            std::vector<std::uint64_t> units;
            for (const std::uint32_t l : members_[c]) {
                units.push_back(demand_.units[l]);
            }
            std::ranges::sort(units, std::greater{});
            most_units_[c] = most_units_[c + 1];
            for (std::uint32_t i = 0; i < counts.counts[c]; ++i) {
                most_units_[c] += units[i];
            }
        }
        if (most_units_[0] < demand_.wanted_units) {
            return true;
        }
        return extend(0, 0, 0, 0, 0);
    }

    // Adds members to `mask`: `taken` of class c are in it, the next is
    // members_[c][from] or later.
    bool extend(std::size_t c,
                std::size_t from,
                std::uint32_t taken,
                std::uint64_t mask,
                std::uint64_t units) {
        if (c == members_.size()) {
            return keep(mask);
        }
        if (taken == counts_->counts[c]) {
            return extend(c + 1, 0, 0, mask, units);
        }
        const auto& members = members_[c];
        const std::uint32_t missing = counts_->counts[c] - taken;
        for (std::size_t i = from; i + missing <= members.size(); ++i) {
            if (steps_ >= max_steps_) {
                limited_ = true;
                return false;
            }
            ++steps_;
            if (skips_equal(members, i, mask) ||
                !units_may_suffice(c, i, missing, units)) {
                continue;
            }
            if (!extend(c,
                        i + 1,
                        taken + 1,
                        mask | bit(members[i]),
                        units + demand_.units[members[i]])) {
                return false;
            }
        }
        return true;
    }

    // An equal member of lower index was left out: taking this one instead gains
    // nothing.
    [[nodiscard]] bool skips_equal(const std::vector<std::uint32_t>& members,
                                   std::size_t i,
                                   std::uint64_t mask) const {
        if (demand_.signatures.empty() || demand_.signatures[members[i]].empty()) {
            return false;
        }
        for (std::size_t before = i; before-- > 0;) {
            if (demand_.signatures[members[before]] == demand_.signatures[members[i]]) {
                return !has_bit(mask, members[before]);
            }
        }
        return false;
    }

    [[nodiscard]] bool units_may_suffice(std::size_t c,
                                         std::size_t from,
                                         std::uint32_t missing,
                                         std::uint64_t units) const {
        std::uint64_t most = 0;
        for (std::size_t i = from; i < members_[c].size(); ++i) {
            most = std::max<std::uint64_t>(most, demand_.units[members_[c][i]]);
        }
        return units + demand_.units[members_[c][from]] + most * (missing - 1) +
                   most_units_[c + 1] >=
               demand_.wanted_units;
    }

    [[nodiscard]] bool keep(std::uint64_t mask) const {
        std::uint64_t units = 0;
        for_each_bit(mask, [&](std::uint32_t l) { units += demand_.units[l]; });
        if (units < demand_.wanted_units) {
            return true;
        }
        // Bytes of NUMANodes attached to several localities count once for each: a
        // bound.
        for (std::size_t size = 0; size < request_.bytes.size(); ++size) {
            std::uint64_t sum = 0;
            for_each_bit(mask, [&](std::uint32_t l) { sum += bytes_[l][size]; });
            if (sum < request_.bytes[size]) {
                return true;
            }
        }
        return !devices_suffice(mask) ||
               (*visit_)(LocalitySet{
                   mask, counts_->packages, counts_->localities, counts_->distance});
    }

    const NodeState& state_;
    const Machine& machine_;
    const CompiledRequest& request_;
    const LocalityDemand& demand_;
    std::uint64_t& steps_;
    std::uint64_t max_steps_;
    std::vector<std::vector<std::uint32_t>>
        members_;                      // by class, with anything to give
    std::vector<std::uint32_t> most_;  // by class, how many
    std::size_t useful_count_ = 0;
    std::vector<std::vector<std::uint64_t>> bytes_;  // by locality and page size
    std::vector<std::uint64_t> most_units_;
    const ClassCounts* counts_ = nullptr;
    const std::function<bool(const LocalitySet&)>* visit_ = nullptr;
    bool limited_ = false;
};

}  // namespace

bool for_each_locality_set(const NodeState& state,
                           const CompiledRequest& request,
                           const LocalityDemand& demand,
                           std::uint64_t& steps,
                           std::uint64_t max_steps,
                           const std::function<bool(const LocalitySet&)>& visit) {
    return Enumerator(state, request, demand, steps, max_steps).run(visit);
}

}  // namespace topoalloc
