// SPDX-License-Identifier: Apache-2.0
#include "cluster/node_class.hpp"

#include "cluster/count_table.hpp"
#include "node/joint.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

// Enough for every Request that runs on a Cluster; beyond it all are numbered, and
// compiled, anew.
constexpr std::size_t most_requests = 1U << 14U;
// Classes that are kept though no node is in them.
constexpr std::size_t most_recent = 1'024;
// What is kept with one class of each kind.
constexpr std::size_t most_known = 256;

template <class T>
void keep(std::vector<T>& known, T made) {
    if (known.size() >= most_known) {
        known.clear();
    }
    known.push_back(std::move(made));
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

std::size_t hash_of(const Request& request) {
    std::size_t hash = request.cores;
    mix(hash, request.pus);
    mix(hash, request.memory);
    for (const auto& [size, bytes] : request.hugepages) {
        mix(hash, bytes);
    }
    for (const DeviceRequest& device : request.devices) {
        mix(hash, std::hash<std::string>()(device.device_class));
        mix(hash, device.count);
    }
    mix(hash, request.require.size());
    mix(hash, request.prefer.size());
    return hash;
}

}  // namespace

std::uint32_t NumberStock::take() {
    const std::scoped_lock lock(mutex_);
    if (free_.empty()) {
        return next_++;
    }
    const std::uint32_t number = free_.back();
    free_.pop_back();
    return number;
}

void NumberStock::give_back(std::uint32_t number) {
    const std::scoped_lock lock(mutex_);
    free_.push_back(number);
}

NodeClassPtr ClassPool::intern(std::shared_ptr<NodeState> state) {
    const std::size_t hash = hash_of(*state);
    const std::scoped_lock lock(mutex_);
    const auto [begin, end] = classes_.equal_range(hash);
    for (auto it = begin; it != end;) {
        NodeClassPtr known = it->second.lock();
        if (known && known->state->machine_ptr() == state->machine_ptr() &&
            *known->state == *state) {
            return known;
        }
        it = known ? std::next(it) : classes_.erase(it);
    }
    if (classes_.size() >= purge_at_) {
        std::erase_if(classes_,
                      [](const auto& entry) { return entry.second.expired(); });
        purge_at_ = std::max<std::size_t>(1024, 2 * classes_.size());
    }
    auto made = std::make_shared<const NodeClass>(std::move(state), numbers_);
    classes_.emplace(hash, made);
    if (recent_.size() < most_recent) {
        recent_.push_back(made);
    } else {
        recent_[next_recent_] = made;
        next_recent_ = (next_recent_ + 1) % most_recent;
    }
    return made;
}

KnownRequest ClassPool::known(const std::shared_ptr<const Request>& request) {
    const std::scoped_lock lock(requests_mutex_);
    if (const auto it = by_identity_.find(request.get()); it != by_identity_.end()) {
        return {it->second.request, it->second.number};
    }
    request->validate();
    if (by_identity_.size() >= most_requests) {
        by_identity_.clear();
    }
    if (by_content_.size() >= most_requests) {
        by_content_.clear();
        by_identity_.clear();
        compiled_.clear();
    }
    const std::size_t hash = hash_of(*request);
    const auto [begin, end] = by_content_.equal_range(hash);
    Numbered found{request, 0};
    const auto same = std::find_if(begin, end, [&](const auto& entry) {
        return *entry.second.request == *request;
    });
    if (same == end) {
        found.number = next_request_++;
        by_content_.emplace(hash, found);
    } else {
        found.number = same->second.number;
    }
    by_identity_.emplace(request.get(), found);
    return {request, found.number};
}

std::vector<std::uint64_t> ClassPool::numbers_of(const Requests& requests) {
    std::vector<std::uint64_t> numbers;
    for (const auto& request : requests) {
        numbers.push_back(known(request).number);
    }
    return numbers;
}

std::shared_ptr<const CompiledRequest> ClassPool::compiled(
    const std::shared_ptr<const Machine>& machine,
    const std::shared_ptr<const Request>& request) {
    return compiled(machine, known(request));
}

std::shared_ptr<const CompiledRequest> ClassPool::compiled(
    const std::shared_ptr<const Machine>& machine, const KnownRequest& request) {
    const std::pair key(machine.get(), request.number);
    {
        const std::scoped_lock lock(requests_mutex_);
        if (const auto it = compiled_.find(key); it != compiled_.end()) {
            return it->second.compiled;
        }
    }
    std::shared_ptr<const CompiledRequest> made;
    try {
        made = compile(machine, *request.request);
    } catch (const InvalidRequestError&) {
        // It has a meaning, so it names a device that this Machine lacks.
        made = nullptr;
    }
    const std::scoped_lock lock(requests_mutex_);
    if (compiled_.size() >= most_requests) {
        compiled_.clear();
    }
    // The Machine is kept, so that no other one gets its address.
    return compiled_.try_emplace(key, Compiled{machine, made}).first->second.compiled;
}

HeadroomResult ClassPool::headroom(const NodeClass& of,
                                   const KnownRequest& request,
                                   std::uint64_t max_steps) {
    {
        const std::scoped_lock lock(of.mutex);
        for (const KnownHeadroom& known : of.headrooms) {
            if (known.request == request.number && known.max_steps == max_steps) {
                return known.result;
            }
        }
    }
    HeadroomResult result;
    if (const auto ready = compiled(of.state->machine_ptr(), request)) {
        result = solve_headroom(*of.state, *ready, policy_, {max_steps});
    }
    const std::scoped_lock lock(of.mutex);
    keep(of.headrooms, {request.number, max_steps, result});
    return result;
}

CountTable ClassPool::table(const NodeClass& of,
                            const Requests& requests,
                            const CountVector& most,
                            std::uint64_t max_steps,
                            std::uint64_t& steps) {
    const std::vector<std::uint64_t> numbers = numbers_of(requests);
    const auto is_it = [&](const KnownTable& known) {
        return known.max_steps == max_steps && known.most == most &&
               known.requests == numbers;
    };
    {
        const std::scoped_lock lock(of.mutex);
        const auto it = std::ranges::find_if(of.tables, is_it);
        if (it != of.tables.end()) {
            steps += it->steps;
            return it->table;
        }
    }
    KnownTable made{numbers, most, max_steps, {}, 0};
    made.table = make_count_table(*this, of, requests, most, max_steps, made.steps);
    steps += made.steps;
    const std::scoped_lock lock(of.mutex);
    keep(of.tables, made);
    return std::move(made.table);
}

std::optional<Placements> ClassPool::placements(const NodeClass& of,
                                                const Requests& requests,
                                                const CountVector& pods) {
    const std::vector<std::uint64_t> numbers = numbers_of(requests);
    const auto find = [&] {
        return std::ranges::find_if(of.placements, [&](const KnownPlacements& known) {
            return known.pods == pods && known.requests == numbers;
        });
    };
    {
        const std::scoped_lock lock(of.mutex);
        if (const auto it = find(); it != of.placements.end()) {
            return it->placements;
        }
    }
    KnownPlacements made{numbers, pods, make_placements(of, requests, pods)};
    const std::scoped_lock lock(of.mutex);
    if (const auto it = find(); it != of.placements.end()) {
        return it->placements;
    }
    keep(of.placements, made);
    return std::move(made.placements);
}

std::optional<Placements> ClassPool::make_placements(const NodeClass& of,
                                                     const Requests& requests,
                                                     const CountVector& pods) {
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

NodeClassPtr ClassPool::after(const NodeClass& of,
                              const Placements& placements,
                              bool is_release) {
    {
        const std::scoped_lock lock(of.mutex);
        for (const KnownNext& known : of.next) {
            if (known.is_release == is_release && known.placements == placements) {
                if (NodeClassPtr next = known.next.lock()) {
                    return next;
                }
            }
        }
    }
    auto state = std::make_shared<NodeState>(*of.state);
    for (const auto& placement : placements) {
        if (is_release) {
            state->release(*placement);
        } else if (state->can_take(*placement, false)) {
            state->take(*placement);
        } else {
            return nullptr;
        }
    }
    NodeClassPtr made = intern(std::move(state));
    const std::scoped_lock lock(of.mutex);
    std::erase_if(of.next, [](const KnownNext& known) { return known.next.expired(); });
    keep(of.next, {is_release, placements, made});
    return made;
}

}  // namespace topoalloc
