// SPDX-License-Identifier: Apache-2.0
#include "claim_cost.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>

namespace topoalloc::oracle {
namespace {

using Positions = std::set<std::size_t>;

template <class T>
std::vector<T> values_of(const NodeDevice& device,
                         const std::string& name,
                         AttributeKind kind) {
    std::vector<T> result;
    const auto it = device.attributes.find("resource.kubernetes.io/" + name);
    if (it != device.attributes.end() && it->second.kind == kind) {
        for (const Scalar& value : it->second.values) {
            result.push_back(std::get<T>(value));
        }
    }
    return result;
}

std::vector<std::int64_t> numas_of(const NodeDevice& device) {
    return values_of<std::int64_t>(device, "numaNode", AttributeKind::integer);
}

std::vector<std::string> roots_of(const NodeDevice& device) {
    return values_of<std::string>(device, "pcieRoot", AttributeKind::text);
}

std::optional<std::string> slot_of(const NodeDevice& device) {
    const auto it = device.attributes.find("resource.kubernetes.io/pciBusID");
    if (it == device.attributes.end() || it->second.kind != AttributeKind::text ||
        it->second.is_list) {
        return std::nullopt;
    }
    const auto& address = std::get<std::string>(it->second.values.at(0));
    const auto end = address.find_last_of('.');
    if (end == std::string::npos) {
        return std::nullopt;
    }
    return address.substr(0, end);
}

template <class T>
bool have_common(const std::vector<T>& a, const std::vector<T>& b) {
    return std::any_of(a.begin(), a.end(), [&](const T& value) {
        return std::find(b.begin(), b.end(), value) != b.end();
    });
}

std::int64_t level(const NodeDevice& a, const NodeDevice& b) {
    if (slot_of(a) && slot_of(a) == slot_of(b)) {
        return 0;
    }
    if (have_common(roots_of(a), roots_of(b))) {
        return 3;
    }
    return have_common(numas_of(a), numas_of(b)) ? 4 : 6;
}

class CostReader {
  public:
    CostReader(const ClaimInventory& inventory, Positions chosen)
        : inventory_(inventory), chosen_(std::move(chosen)) {}

    void read(ClaimTerms& terms) const {
        std::set<std::int64_t> own;
        std::set<std::int64_t> own_taken;
        std::set<std::string> roots;
        std::set<std::string> roots_taken;
        for (std::size_t p = 0; p < inventory_.devices.size(); ++p) {
            const NodeDevice& device = inventory_.devices[p];
            const auto numas = numas_of(device);
            const auto of = roots_of(device);
            if (chosen_.contains(p)) {
                own.insert(numas.begin(), numas.begin() + (numas.empty() ? 0 : 1));
                roots.insert(of.begin(), of.end());
            }
            if (device.is_drawing) {
                own_taken.insert(numas.begin(),
                                 numas.begin() + (numas.empty() ? 0 : 1));
                roots_taken.insert(of.begin(), of.end());
            }
        }
        terms.push_back(static_cast<std::int64_t>(own.size()));
        terms.push_back(levels());
        terms.push_back(without(own, own_taken));
        terms.push_back(without(roots, roots_taken));
        terms.push_back(broken());
        terms.push_back(
            std::count_if(chosen_.begin(), chosen_.end(), [&](std::size_t p) {
                const NodeDevice& device = inventory_.devices[p];
                return device.is_shared && !device.is_drawing;
            }));
    }

  private:
    template <class T>
    static std::int64_t without(const std::set<T>& values, const std::set<T>& others) {
        return std::count_if(values.begin(), values.end(), [&](const T& value) {
            return others.count(value) == 0;
        });
    }

    [[nodiscard]] std::int64_t levels() const {
        std::int64_t sum = 0;
        for (const std::size_t a : chosen_) {
            for (const std::size_t b : chosen_) {
                sum += a < b ? level(inventory_.devices[a], inventory_.devices[b]) : 0;
            }
        }
        return sum;
    }

    // What is left of the counters of each pool when those have drawn.
    [[nodiscard]] std::vector<CounterAmounts> left_after(const Positions& drawn) const {
        std::vector<CounterAmounts> left;
        for (const NodePool& pool : inventory_.pools) {
            left.push_back(pool.counters_left);
        }
        for (const std::size_t p : drawn) {
            const NodeDevice& device = inventory_.devices[p];
            for (const CounterDraw& draw : device.device->draws) {
                for (const auto& [counter, amount] : draw.counters) {
                    if (!device.is_drawing) {
                        left[device.pool][draw.counter_set][counter] -= amount;
                    }
                }
            }
        }
        return left;
    }

    [[nodiscard]] static bool can_draw(const NodeDevice& device,
                                       const std::vector<CounterAmounts>& left) {
        for (const CounterDraw& draw : device.device->draws) {
            for (const auto& [counter, amount] : draw.counters) {
                if (amount > left[device.pool].at(draw.counter_set).at(counter)) {
                    return false;
                }
            }
        }
        return true;
    }

    [[nodiscard]] std::int64_t broken() const {
        Positions drawn;
        for (const std::size_t p : chosen_) {
            if (!inventory_.devices[p].device->draws.empty()) {
                drawn.insert(p);
            }
        }
        if (drawn.empty()) {
            return 0;
        }
        const auto before = left_after({});
        const auto after = left_after(drawn);
        std::int64_t result = 0;
        for (std::size_t p = 0; p < inventory_.devices.size(); ++p) {
            const NodeDevice& device = inventory_.devices[p];
            if (!device.is_drawing && !chosen_.contains(p) &&
                can_draw(device, before) && !can_draw(device, after)) {
                ++result;
            }
        }
        return result;
    }

    const ClaimInventory& inventory_;
    Positions chosen_;
};

}  // namespace

ClaimTerms cost_of_claims(const ClaimInventory& inventory,
                          const ClaimQuestion& question,
                          const ClaimAllocation& allocation) {
    ClaimTerms terms;
    Positions chosen;
    for (std::size_t c = 0; c < allocation.size(); ++c) {
        for (std::size_t r = 0; r < allocation[c].size(); ++r) {
            const ChosenRequest& made = allocation[c][r];
            terms.push_back(static_cast<std::int64_t>(made.demand));
            if (!question.claims[c].requests[r].demands[made.demand].admin_access) {
                for (const ChosenDevice& device : made.devices) {
                    chosen.insert(device.position);
                }
            }
        }
    }
    CostReader(inventory, std::move(chosen)).read(terms);
    return terms;
}

ClaimTerms terms_of(const ClaimCost& cost) {
    ClaimTerms terms(cost.entries.begin(), cost.entries.end());
    terms.insert(terms.end(),
                 {cost.localities,
                  cost.levels,
                  cost.opened_localities,
                  cost.opened_roots,
                  cost.broken,
                  cost.shares});
    return terms;
}

}  // namespace topoalloc::oracle
