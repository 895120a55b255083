// SPDX-License-Identifier: Apache-2.0
#include "node/joint_symmetry.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace topoalloc {
namespace {

// Comparing blocks costs the square of the devices; beyond this none are compared.
constexpr std::size_t most_relevant = 256;

bool is_alike(const CompiledAttribute& attribute, std::uint32_t a, std::uint32_t b) {
    return attribute.present.test(a) == attribute.present.test(b) &&
           attribute.values[a] == attribute.values[b];
}

bool is_alike(const DeviceNeed& need, std::uint32_t a, std::uint32_t b) {
    const auto at = [&](std::uint32_t device) {
        return std::ranges::lower_bound(need.candidates, device);
    };
    const auto x = at(a);
    const auto y = at(b);
    const bool has_a = x != need.candidates.end() && *x == a;
    const bool has_b = y != need.candidates.end() && *y == b;
    if (!has_a || !has_b || need.mode != TakeMode::share) {
        return has_a == has_b;
    }
    return need.share_draws[static_cast<std::size_t>(x - need.candidates.begin())] ==
           need.share_draws[static_cast<std::size_t>(y - need.candidates.begin())];
}

}  // namespace

DeviceSymmetry::DeviceSymmetry(const NodeState& state,
                               std::span<const CompiledRequest* const> requests)
    : state_(state), machine_(state.machine()), requests_(requests) {
    find_relevant(requests);
    if (relevant_.size() > most_relevant) {
        return;
    }
    std::map<std::uint32_t, Block> by_root;
    std::map<std::uint32_t, Block> by_switch;
    for (const std::uint32_t device : relevant_) {
        const Device& entry = machine_.devices()[device];
        by_root[entry.root].devices.push_back(device);
        if (entry.switch_index != no_index) {
            by_switch[entry.switch_index].devices.push_back(device);
        }
    }
    for (const auto* blocks : {&by_root, &by_switch}) {
        std::vector<Block> list;
        for (const auto& [key, block] : *blocks) {
            list.push_back(block);
        }
        std::ranges::sort(list, {}, [](const Block& b) { return b.devices.front(); });
        add_class_members(list);
    }
}

void DeviceSymmetry::find_relevant(std::span<const CompiledRequest* const> requests) {
    Bitmap found;
    for (const CompiledRequest* request : requests) {
        for (const DeviceNeed& need : request->needs) {
            for (const std::uint32_t device : need.candidates) {
                found.set(device);
            }
        }
    }
    relevant_ = found.to_vector();
}

void DeviceSymmetry::add_class_members(const std::vector<Block>& blocks) {
    std::vector<std::vector<Block>> found;
    for (const Block& block : blocks) {
        const auto fits = [&](const std::vector<Block>& members) {
            return members.size() < 64 &&
                   std::ranges::all_of(
                       members,
                       [&](const Block& member) { return are_equal(member, block); });
        };
        const auto home = std::ranges::find_if(found, fits);
        if (home == found.end()) {
            found.push_back({block});
        } else {
            home->push_back(block);
        }
    }
    for (auto& members : found) {
        if (members.size() > 1) {
            classes_.push_back(std::move(members));
        }
    }
}

// Whether exchanging a and b, device by device, leaves everything as it is.
bool DeviceSymmetry::are_equal(const Block& a, const Block& b) const {
    if (a.devices.size() != b.devices.size()) {
        return false;
    }
    std::map<std::uint32_t, std::uint32_t> image;
    for (std::size_t i = 0; i < a.devices.size(); ++i) {
        const std::uint32_t x = a.devices[i];
        const std::uint32_t y = b.devices[i];
        if (x >= y || !are_alike(x, y)) {
            return false;
        }
        image[x] = y;
        image[y] = x;
    }
    return moves_whole(image) && keeps_distances(image);
}

bool DeviceSymmetry::keeps_distances(
    const std::map<std::uint32_t, std::uint32_t>& image) const {
    const auto of = [&](std::uint32_t device) {
        const auto entry = image.find(device);
        return entry == image.end() ? device : entry->second;
    };
    for (const auto& [x, y] : image) {
        for (const std::uint32_t other : relevant_) {
            const std::uint32_t moved = of(other);
            if (other != x &&
                (machine_.level(x, other) != machine_.level(y, moved) ||
                 machine_.link_mb_s(x, other) != machine_.link_mb_s(y, moved))) {
                return false;
            }
        }
    }
    return true;
}

// Roots and switches, which are opened as one, move as one.
bool DeviceSymmetry::moves_whole(
    const std::map<std::uint32_t, std::uint32_t>& image) const {
    std::map<std::uint32_t, std::uint32_t> roots;
    std::map<std::uint32_t, std::uint32_t> switches;
    return std::ranges::all_of(relevant_, [&](std::uint32_t device) {
        const auto entry = image.find(device);
        const Device& from = machine_.devices()[device];
        const Device& to =
            machine_.devices()[entry == image.end() ? device : entry->second];
        const auto root = roots.try_emplace(from.root, to.root).first;
        const auto found =
            switches.try_emplace(from.switch_index, to.switch_index).first;
        return root->second == to.root && found->second == to.switch_index;
    });
}

bool DeviceSymmetry::are_alike(std::uint32_t a, std::uint32_t b) const {
    const Device& x = machine_.devices()[a];
    const Device& y = machine_.devices()[b];
    const auto is_open = [this](std::uint32_t index) {
        return index != no_index && state_.switch_holds()[index] != 0;
    };
    return x.device_class == y.device_class && x.localities == y.localities &&
           (x.switch_index == no_index) == (y.switch_index == no_index) &&
           is_open(x.switch_index) == is_open(y.switch_index) &&
           (x.root == a) == (y.root == b) && x.counter_draws == y.counter_draws &&
           have_same_state(a, b) && same_in_requests(a, b);
}

bool DeviceSymmetry::have_same_state(std::uint32_t a, std::uint32_t b) const {
    const std::uint32_t p = machine_.devices()[a].root;
    const std::uint32_t q = machine_.devices()[b].root;
    return state_.is_available(a) == state_.is_available(b) &&
           state_.is_cordoned(a) == state_.is_cordoned(b) &&
           state_.is_held_part(a) == state_.is_held_part(b) &&
           state_.is_held_whole(p) == state_.is_held_whole(q) &&
           (state_.device_holds()[p] == 0) == (state_.device_holds()[q] == 0) &&
           std::ranges::equal(state_.counters_left(p), state_.counters_left(q));
}

bool DeviceSymmetry::same_in_requests(std::uint32_t a, std::uint32_t b) const {
    const auto alike_in = [&](const CompiledConstraint& constraint) {
        if (const auto* near = std::get_if<CompiledNear>(&constraint)) {
            return near->devices.test(a) == near->devices.test(b);
        }
        const auto* attribute = std::get_if<CompiledAttribute>(&constraint);
        return attribute == nullptr || is_alike(*attribute, a, b);
    };
    return std::ranges::all_of(requests_, [&](const CompiledRequest* request) {
        return std::ranges::all_of(
                   request->needs,
                   [&](const DeviceNeed& need) { return is_alike(need, a, b); }) &&
               std::ranges::all_of(request->require, alike_in) &&
               std::ranges::all_of(request->prefer, alike_in);
    });
}

std::vector<std::uint64_t> DeviceSymmetry::touched_by(const Bitmap& devices) const {
    std::vector<std::uint64_t> out;
    for (const auto& members : classes_) {
        std::uint64_t mask = 0;
        for (std::size_t i = 0; i < members.size(); ++i) {
            const bool is_touched = std::ranges::any_of(
                members[i].devices, [&](std::uint32_t d) { return devices.test(d); });
            mask |= std::uint64_t{is_touched ? 1U : 0U} << i;
        }
        out.push_back(mask);
    }
    return out;
}

bool DeviceSymmetry::is_least(const std::vector<std::uint64_t>& touched,
                              const std::vector<std::uint64_t>& next) {
    for (std::size_t i = 0; i < next.size(); ++i) {
        const std::uint64_t fresh = next[i] & ~touched[i];
        if (fresh == 0) {
            continue;
        }
        // All blocks below the highest fresh one are touched before or now.
        const std::uint64_t last = std::bit_floor(fresh);
        if (((touched[i] | next[i]) & (last - 1)) != last - 1) {
            return false;
        }
    }
    return true;
}

}  // namespace topoalloc
