// SPDX-License-Identifier: Apache-2.0
//
// A Request made ready for one Machine: names are indices, conditions are evaluated,
// values of Same and Distinct are numbered. Private to the node room.
#pragma once

#include "topoalloc/solver.hpp"

#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

namespace topoalloc {

/// How devices of one class are taken.
enum class TakeMode : std::uint8_t { whole, part, share };

struct DeviceNeed {
    std::uint32_t count = 0;
    TakeMode mode = TakeMode::whole;
    /// Devices that the Request may take on any state: class, conditions, `eligible`,
    /// `exclude`. Ascending.
    std::vector<std::uint32_t> candidates;
    /// share: by candidate, the amount on each counter of the device.
    std::vector<std::vector<std::uint64_t>> share_draws;
    Amounts share;
    bool counts_links = false;  ///< its missing links are part of term 5
};

/// What a constraint speaks of: PUs, bytes, and needs (bit i is needs[i]).
struct Scope {
    bool pus = false;
    bool memory = false;
    std::uint64_t needs = 0;
    [[nodiscard]] bool has_need(std::size_t need) const {
        return ((needs >> need) & 1U) != 0;
    }
};

struct CompiledAlign {
    AlignLevel level = AlignLevel::numa;
    Scope scope;
};
struct CompiledPair {
    std::uint32_t need_a = 0, need_b = 0;
    Level within = Level::machine;
    std::uint32_t ratio_a = 1, ratio_b = 1;
    [[nodiscard]] bool operator==(const CompiledPair&) const = default;
};
struct CompiledLink {
    std::uint32_t need = 0;
    LinkMode mode = LinkMode::clique;
    std::uint64_t min_mb_s = 1;
};
/// Same and Distinct: the numbered values of each device (by device index).
struct CompiledAttribute {
    bool same = true;
    std::uint64_t needs = 0;
    Bitmap present;  ///< devices that have the attribute, be it an empty list
    std::vector<std::vector<std::uint32_t>> values;
    std::uint32_t value_count = 0;
};
struct CompiledNear {
    std::vector<std::uint32_t> anchors;
    Bitmap devices;     ///< that may be chosen
    Bitmap pus;         ///< PUs that are near enough
    Bitmap numa_nodes;  ///< whose bytes are near enough
};
/// monostate: it speaks of what is not asked for, so it holds.
using CompiledConstraint = std::variant<std::monostate,
                                        CompiledAlign,
                                        CompiledPair,
                                        CompiledLink,
                                        CompiledAttribute,
                                        CompiledNear>;

class LazyTreePlan;

class CompiledRequest {
  public:
    std::shared_ptr<const Machine> machine;
    Request request;
    std::vector<DeviceNeed> needs;  ///< as request.devices
    std::vector<CompiledConstraint> require, prefer;
    /// By page size index of the Machine: bytes asked for. A page size that the Machine
    /// lacks makes `lacks_page_size` true: never feasible.
    std::vector<std::uint64_t> bytes;
    bool lacks_page_size = false;
    bool has_pairs = false;  ///< in require or prefer, of classes asked for
    bool wants_bytes = false;
    std::shared_ptr<LazyTreePlan> tree;  ///< shared by copies of the Request

    [[nodiscard]] bool wants_pus() const {
        return request.cores != 0 || request.pus != 0;
    }
    /// True where only PUs of whole cores are chosen.
    [[nodiscard]] bool counts_whole_cores() const {
        return request.cores != 0 || request.whole_cores;
    }
    /// Index of the need of a class, or no_index.
    [[nodiscard]] std::uint32_t need_of(std::string_view device_class) const;
};

/// compile(), for who changes what it made before anyone shares it.
[[nodiscard]] std::shared_ptr<CompiledRequest> compile_to_change(
    std::shared_ptr<const Machine> machine, const Request& request);

/// Calls f(constraint) for what must hold when the preferences `unmet` (bit i is
/// prefer[i]) need not, until it returns false. @returns false when f did
template <class F>
bool for_each_enforced(const CompiledRequest& request, std::uint32_t unmet, F&& f) {
    for (const CompiledConstraint& constraint : request.require) {
        if (!f(constraint)) {
            return false;
        }
    }
    for (std::size_t i = 0; i < request.prefer.size(); ++i) {
        if (((unmet >> i) & 1U) == 0 && !f(request.prefer[i])) {
            return false;
        }
    }
    return true;
}

}  // namespace topoalloc
