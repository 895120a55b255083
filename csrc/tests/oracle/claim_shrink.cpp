// SPDX-License-Identifier: Apache-2.0
#include "claim_instances.hpp"

#include "claim_brute.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace topoalloc::oracle {
namespace {

template <class T>
void erase_at(std::vector<T>& values, std::size_t index) {
    values.erase(values.begin() + static_cast<std::ptrdiff_t>(index));
}

class ClaimShrinker {
  public:
    ClaimShrinker(ClaimInstance instance,
                  const std::function<bool(const ClaimInstance&)>& differs)
        : now_(std::move(instance)), differs_(differs) {}

    ClaimInstance run() {
        do {
            changed_ = false;
            shrink_claims();
            shrink_slices();
            shrink_taken();
            shrink_selectors();
            shrink_semantics();
        } while (changed_);
        return std::move(now_);
    }

  private:
    using Edit = std::function<void(ClaimInstance&)>;

    // Keeps what the edit makes of the instance when it still differs.
    bool attempt(const Edit& edit) {
        ClaimInstance next = now_;
        edit(next);
        fit_outcomes(next);
        if (!wrong_with(next).empty() || !differs_(next)) {
            return false;
        }
        now_ = std::move(next);
        changed_ = true;
        return true;
    }

    // What selectors say stays with the device; of a new position they say yes.
    void fit_outcomes(ClaimInstance& next) const {
        std::map<DeviceId, std::size_t> before;
        for (const DeviceId& id : positions_of(now_.world)) {
            before.emplace(id, before.size());
        }
        const auto after = positions_of(next.world);
        for (auto& selector : next.question.outcomes) {
            std::vector<SelectorOutcome> own;
            for (const DeviceId& id : after) {
                const auto at = before.find(id);
                own.push_back(at == before.end() ? SelectorOutcome::yes
                                                 : selector[at->second]);
            }
            selector = std::move(own);
        }
    }

    // Each element of a list goes, the last one first. `list` finds it in an instance.
    template <class List>
    void drop_each(const List& list) {
        for (std::size_t i = list(now_).size(); i > 0; --i) {
            attempt([&](ClaimInstance& next) { erase_at(list(next), i - 1); });
        }
    }

    // Does nothing to what is that way already.
    template <class Find, class Value>
    void set(const Find& find, const Value& value) {
        if (find(now_) != value) {
            attempt([&](ClaimInstance& next) { find(next) = value; });
        }
    }

    template <class Find>
    void drop_keys(const Find& find) {
        std::vector<std::string> names;
        for (const auto& [name, value] : find(now_)) {
            names.push_back(name);
        }
        for (const std::string& name : names) {
            attempt([&](ClaimInstance& next) { find(next).erase(name); });
        }
    }

    void shrink_claims() {
        drop_each([](ClaimInstance& i) -> auto& { return i.question.claims; });
        for (std::size_t c = 0; c < now_.question.claims.size(); ++c) {
            const auto claim = [c](ClaimInstance& i) -> auto& {
                return i.question.claims[c];
            };
            drop_each([&](ClaimInstance& i) -> auto& { return claim(i).constraints; });
            for (std::size_t k = 0; k < claim(now_).constraints.size(); ++k) {
                drop_each([&](ClaimInstance& i) -> auto& {
                    return claim(i).constraints[k].requests;
                });
            }
            drop_each([&](ClaimInstance& i) -> auto& { return claim(i).requests; });
            for (std::size_t r = 0; r < claim(now_).requests.size(); ++r) {
                shrink_request(
                    [&](ClaimInstance& i) -> auto& { return claim(i).requests[r]; });
            }
        }
    }

    template <class Find>
    void shrink_request(const Find& request) {
        drop_each([&](ClaimInstance& i) -> auto& { return request(i).demands; });
        if (request(now_).demands.size() == 1) {
            set([&](ClaimInstance& i) -> auto& { return request(i).is_prioritized; },
                false);
        }
        for (std::size_t d = 0; d < request(now_).demands.size(); ++d) {
            const auto demand = [&](ClaimInstance& i) -> auto& {
                return request(i).demands[d];
            };
            drop_each([&](ClaimInstance& i) -> auto& { return demand(i).selectors; });
            drop_each([&](ClaimInstance& i) -> auto& { return demand(i).tolerations; });
            drop_keys(
                [&](ClaimInstance& i) -> auto& { return demand(i).capacity_requests; });
            set([&](ClaimInstance& i) -> auto& { return demand(i).admin_access; },
                false);
            set([&](ClaimInstance& i) -> auto& { return demand(i).mode; },
                AllocationMode::exact_count);
            while (demand(now_).count > 1 &&
                   attempt([&](ClaimInstance& next) { --demand(next).count; })) {
            }
        }
    }

    void shrink_slices() {
        drop_each([](ClaimInstance& i) -> auto& { return i.world.slices; });
        // Of a pool that stays whole.
        for (std::size_t s = now_.world.slices.size(); s > 0; --s) {
            attempt([s](ClaimInstance& next) { drop_whole(next.world, s - 1); });
        }
        for (std::size_t s = 0; s < now_.world.slices.size(); ++s) {
            const auto slice = [s](ClaimInstance& i) -> auto& {
                return i.world.slices[s];
            };
            drop_each([&](ClaimInstance& i) -> auto& { return slice(i).devices; });
            drop_keys([&](ClaimInstance& i) -> auto& { return slice(i).counter_sets; });
            drop_each([&](ClaimInstance& i) -> auto& {
                return slice(i).repeated_counter_sets;
            });
            set([&](ClaimInstance& i) -> auto& { return slice(i).targets_by_device; },
                false);
            for (std::size_t d = 0; d < slice(now_).devices.size(); ++d) {
                shrink_device(
                    [&](ClaimInstance& i) -> auto& { return slice(i).devices[d]; });
            }
        }
    }

    static void drop_whole(ClaimWorld& world, std::size_t slice) {
        if (slice >= world.slices.size()) {
            return;
        }
        const DeviceSlice gone = world.slices[slice];
        erase_at(world.slices, slice);
        for (DeviceSlice& other : world.slices) {
            if (other.driver == gone.driver && other.pool == gone.pool &&
                other.generation == gone.generation) {
                --other.slice_count;
            }
        }
    }

    template <class Find>
    void shrink_device(const Find& device) {
        drop_keys([&](ClaimInstance& i) -> auto& { return device(i).attributes; });
        drop_keys([&](ClaimInstance& i) -> auto& { return device(i).capacities; });
        drop_each([&](ClaimInstance& i) -> auto& { return device(i).taints; });
        drop_each([&](ClaimInstance& i) -> auto& { return device(i).draws; });
        for (std::size_t d = 0; d < device(now_).draws.size(); ++d) {
            drop_keys(
                [&](ClaimInstance& i) -> auto& { return device(i).draws[d].counters; });
            drop_each([&](ClaimInstance& i) -> auto& {
                return device(i).draws[d].compatibility_groups;
            });
        }
        for (const auto flag : {&SliceDevice::is_shared,
                                &SliceDevice::has_binding_conditions,
                                &SliceDevice::binds_to_node}) {
            set([&](ClaimInstance& i) -> auto& { return device(i).*flag; }, false);
        }
        std::vector<std::string> names;
        for (const auto& [name, capacity] : device(now_).capacities) {
            if (capacity.policy) {
                names.push_back(name);
            }
        }
        for (const std::string& name : names) {
            attempt([&](ClaimInstance& next) {
                device(next).capacities[name].policy.reset();
            });
        }
    }

    void shrink_taken() {
        drop_each([](ClaimInstance& i) -> auto& { return i.world.taken; });
    }

    // Those that nobody asks for.
    void shrink_selectors() {
        for (std::size_t s = now_.question.outcomes.size(); s > 0; --s) {
            attempt([s](ClaimInstance& next) { erase_selector(next, s - 1); });
        }
        for (std::size_t s = 0; s < now_.question.outcomes.size(); ++s) {
            for (std::size_t p = 0; p < now_.question.outcomes[s].size(); ++p) {
                set(
                    [s, p](ClaimInstance& i) -> auto& {
                        return i.question.outcomes[s][p];
                    },
                    SelectorOutcome::yes);
            }
        }
    }

    static void erase_selector(ClaimInstance& next, std::size_t selector) {
        erase_at(next.question.outcomes, selector);
        for (ResourceClaimSpec& claim : next.question.claims) {
            for (ClaimRequest& request : claim.requests) {
                for (ClaimDemand& demand : request.demands) {
                    std::erase(demand.selectors, selector);
                    for (std::size_t& own : demand.selectors) {
                        own -= own > selector ? 1 : 0;
                    }
                }
            }
        }
    }

    void shrink_semantics() {
        for (const auto flag : {&ClaimSemantics::taints,
                                &ClaimSemantics::counters,
                                &ClaimSemantics::consumable_capacity,
                                &ClaimSemantics::binding_conditions,
                                &ClaimSemantics::lists,
                                &ClaimSemantics::compatibility_groups}) {
            set([&](ClaimInstance& i) -> auto& { return i.world.semantics.*flag; },
                true);
        }
    }

    ClaimInstance now_;
    const std::function<bool(const ClaimInstance&)>& differs_;
    bool changed_ = false;
};

}  // namespace

ClaimInstance shrink(ClaimInstance instance,
                     const std::function<bool(const ClaimInstance&)>& differs) {
    return ClaimShrinker(std::move(instance), differs).run();
}

}  // namespace topoalloc::oracle
