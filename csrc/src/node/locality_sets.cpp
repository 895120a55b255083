// SPDX-License-Identifier: Apache-2.0
#include "node/locality_sets.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <tuple>

namespace topoalloc {
namespace {

// Least index first: the set whose lowest differing member is present.
bool holds_least_index(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t differing = a ^ b;
    return differing != 0 && (a & (differing & (~differing + 1))) != 0;
}

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
        const std::size_t package_count = machine_.packages().size();
        const std::size_t least = least_size();
        for (std::size_t packages = 1; packages <= package_count; ++packages) {
            for (std::size_t size = least; size <= useful_.size(); ++size) {
                group_.clear();
                packages_ = packages;
                if (!extend(0, size, LocalitySet{}, Bitmap{}, 0)) {
                    return false;
                }
                if (!visit_group(visit)) {
                    return true;
                }
            }
        }
        return true;
    }

  private:
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
            const bool has_bytes = request_.wants_bytes && sum_bytes(l);
            if (has_bytes || demand_.units[l] != 0 || ((device_localities >> l) & 1U) != 0) {
                useful_.push_back(l);
            }
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

    // True when the empty T may do: no PU, no byte, and devices of unknown locality suffice.
    bool needs_no_locality() const {
        if (request_.wants_pus() || request_.wants_bytes) {
            return false;
        }
        return devices_suffice(0);
    }

    bool devices_suffice(std::uint64_t mask) const {
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
    std::size_t least_size() const {
        std::size_t least = 1;
        std::vector<std::uint64_t> amounts;
        for (const std::uint32_t l : useful_) {
            amounts.push_back(demand_.units[l]);
        }
        least = std::max(least, fewest(amounts, demand_.wanted_units));
        for (std::size_t size = 0; size < request_.bytes.size(); ++size) {
            amounts.clear();
            for (const std::uint32_t l : useful_) {
                amounts.push_back(bytes_[l][size]);
            }
            least = std::max(least, fewest(amounts, request_.bytes[size]));
        }
        return least;
    }

    static std::size_t fewest(std::vector<std::uint64_t>& amounts, std::uint64_t wanted) {
        std::ranges::sort(amounts, std::greater{});
        std::uint64_t sum = 0;
        std::size_t count = 0;
        while (sum < wanted && count < amounts.size()) {
            sum += amounts[count++];
        }
        return sum < wanted ? amounts.size() + 1 : count;
    }

    // Collects the sets of `missing` more localities from useful_[from...] on. False: limit.
    bool extend(std::size_t from,
                std::size_t missing,
                const LocalitySet& set,
                const Bitmap& packages,
                std::uint64_t units) {
        if (missing == 0) {
            if (packages.count() == packages_ && units >= demand_.wanted_units) {
                keep(set);
            }
            return true;
        }
        for (std::size_t i = from; i + missing <= useful_.size(); ++i) {
            if (steps_ >= max_steps_) {
                return false;
            }
            ++steps_;
            const std::uint32_t l = useful_[i];
            Bitmap met = packages | machine_.localities()[l].packages;
            if (met.count() > packages_ || !units_may_suffice(i + 1, missing - 1, units, l)) {
                continue;
            }
            LocalitySet next = set;
            for (std::uint64_t rest = set.mask; rest != 0; rest &= rest - 1) {
                const auto other = static_cast<std::uint32_t>(std::countr_zero(rest));
                next.distance += static_cast<std::int64_t>(machine_.distance(other, l));
            }
            next.mask |= std::uint64_t{1} << l;
            ++next.localities;
            if (!extend(i + 1, missing - 1, next, met, units + demand_.units[l])) {
                return false;
            }
        }
        return true;
    }

    bool units_may_suffice(std::size_t from,
                           std::size_t missing,
                           std::uint64_t units,
                           std::uint32_t taken) const {
        std::uint64_t most = 0;
        for (std::size_t i = from; i < useful_.size(); ++i) {
            most = std::max<std::uint64_t>(most, demand_.units[useful_[i]]);
        }
        return units + demand_.units[taken] + most * missing >= demand_.wanted_units;
    }

    void keep(LocalitySet set) {
        // Bytes of NUMANodes attached to several localities count once for each: a bound.
        for (std::size_t size = 0; size < request_.bytes.size(); ++size) {
            std::uint64_t sum = 0;
            for (std::uint64_t rest = set.mask; rest != 0; rest &= rest - 1) {
                sum += bytes_[static_cast<std::size_t>(std::countr_zero(rest))][size];
            }
            if (sum < request_.bytes[size]) {
                return;
            }
        }
        if (devices_suffice(set.mask)) {
            set.packages = static_cast<std::int64_t>(packages_);
            group_.push_back(set);
        }
    }

    bool visit_group(const std::function<bool(const LocalitySet&)>& visit) {
        std::ranges::sort(group_, comes_before);
        return std::ranges::all_of(group_, visit);
    }

    const NodeState& state_;
    const Machine& machine_;
    const CompiledRequest& request_;
    const LocalityDemand& demand_;
    std::uint64_t& steps_;
    std::uint64_t max_steps_;
    std::vector<std::uint32_t> useful_;             // localities with anything to give
    std::vector<std::vector<std::uint64_t>> bytes_; // by locality and page size
    std::size_t packages_ = 0;
    std::vector<LocalitySet> group_;
};

}  // namespace

bool comes_before(const LocalitySet& a, const LocalitySet& b) {
    const auto terms = [](const LocalitySet& set) {
        return std::tuple(set.packages, set.localities, set.distance);
    };
    return terms(a) != terms(b) ? terms(a) < terms(b) : holds_least_index(a.mask, b.mask);
}

bool for_each_locality_set(const NodeState& state,
                           const CompiledRequest& request,
                           const LocalityDemand& demand,
                           std::uint64_t& steps,
                           std::uint64_t max_steps,
                           const std::function<bool(const LocalitySet&)>& visit) {
    return Enumerator(state, request, demand, steps, max_steps).run(visit);
}

}  // namespace topoalloc
