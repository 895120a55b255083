// SPDX-License-Identifier: Apache-2.0
#include "cluster/node_class.hpp"

#include "cluster/count_table.hpp"
#include "node/joint.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

// Enough for every Request that runs on a Cluster; beyond it all are compiled anew.
constexpr std::size_t most_compiled = 1U << 14U;

bool is_same(const std::shared_ptr<const Request>& a,
             const std::shared_ptr<const Request>& b) {
    return a == b || *a == *b;
}

void mix(std::size_t& hash, std::uint64_t value) {
    // The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    value += hash + 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
    hash = static_cast<std::size_t>(value ^ (value >> 31U));
}

std::size_t hash_of(const NodeState& state) {
    const Machine& machine = state.machine();
    std::size_t hash = std::hash<const Machine*>()(&machine);
    for (const Bitmap* set : {&state.owned_pus(),
                              &state.reserved_pus(),
                              &state.cordoned_pus(),
                              &state.available_devices()}) {
        for (const std::uint64_t word : set->words()) {
            mix(hash, word);
        }
    }
    for (std::uint32_t n = 0; n < machine.numa_nodes().size(); ++n) {
        for (std::uint32_t s = 0; s < machine.page_sizes().size(); ++s) {
            mix(hash, state.free_bytes(n, s));
        }
    }
    return hash;
}

}  // namespace

NodeClassPtr ClassPool::intern(std::shared_ptr<NodeState> state) {
    const std::size_t hash = hash_of(*state);
    const std::scoped_lock lock(mutex_);
    const auto [begin, end] = classes_.equal_range(hash);
    for (auto it = begin; it != end; ++it) {
        NodeClassPtr known = it->second.lock();
        if (known && known->state->machine_ptr() == state->machine_ptr() &&
            *known->state == *state) {
            return known;
        }
    }
    if (classes_.size() >= purge_at_) {
        std::erase_if(classes_,
                      [](const auto& entry) { return entry.second.expired(); });
        purge_at_ = std::max<std::size_t>(1024, 2 * classes_.size());
    }
    auto made = std::make_shared<NodeClass>();
    made->state = std::move(state);
    made->hash = hash;
    classes_.emplace(hash, made);
    return made;
}

std::shared_ptr<const CompiledRequest> ClassPool::compiled(
    const std::shared_ptr<const Machine>& machine,
    const std::shared_ptr<const Request>& request) {
    const std::scoped_lock lock(mutex_);
    const auto [begin, end] = compiled_.equal_range(machine.get());
    for (auto it = begin; it != end; ++it) {
        if (is_same(it->second.request, request)) {
            return it->second.compiled;
        }
    }
    request->validate();
    std::shared_ptr<const CompiledRequest> made;
    try {
        made = compile(machine, *request);
    } catch (const InvalidRequestError&) {
        // It has a meaning, so it names a device that this Machine lacks.
        made = nullptr;
    }
    if (compiled_.size() >= most_compiled) {
        compiled_.clear();
    }
    compiled_.emplace(machine.get(), Compiled{machine, request, made});
    return made;
}

HeadroomResult ClassPool::headroom(const NodeClass& of,
                                   const std::shared_ptr<const Request>& request,
                                   std::uint64_t max_steps) {
    {
        const std::scoped_lock lock(of.mutex);
        for (const KnownHeadroom& known : of.headrooms) {
            if (known.max_steps == max_steps && is_same(known.request, request)) {
                return known.result;
            }
        }
    }
    HeadroomResult result;
    if (const auto ready = compiled(of.state->machine_ptr(), request)) {
        result = solve_headroom(*of.state, *ready, policy_, {max_steps});
    }
    const std::scoped_lock lock(of.mutex);
    of.headrooms.push_back({request, max_steps, result});
    return result;
}

CountTable ClassPool::table(const NodeClass& of,
                            const Requests& requests,
                            const CountVector& most,
                            std::uint64_t max_steps,
                            std::uint64_t& steps) {
    const auto is_it = [&](const KnownTable& known) {
        return known.max_steps == max_steps && known.most == most &&
               std::ranges::equal(known.requests, requests, is_same);
    };
    {
        const std::scoped_lock lock(of.mutex);
        const auto it = std::ranges::find_if(of.tables, is_it);
        if (it != of.tables.end()) {
            steps += it->steps;
            return it->table;
        }
    }
    KnownTable made{requests, most, max_steps, {}, 0};
    made.table = make_count_table(*this, of, requests, most, max_steps, made.steps);
    steps += made.steps;
    const std::scoped_lock lock(of.mutex);
    of.tables.push_back(made);
    return std::move(made.table);
}

std::optional<std::vector<std::shared_ptr<const Placement>>> ClassPool::placements(
    const NodeClass& of, const Requests& requests, const CountVector& pods) {
    std::vector<std::shared_ptr<const CompiledRequest>> wanted;
    for (std::size_t p = 0; p < pods.size(); ++p) {
        if (pods[p] != 0) {
            const auto ready = compiled(of.state->machine_ptr(), requests[p]);
            if (!ready) {
                return std::nullopt;
            }
            wanted.insert(wanted.end(), pods[p], ready);
        }
    }
    return place_together(*of.state, wanted, policy_);
}

}  // namespace topoalloc
