// SPDX-License-Identifier: Apache-2.0
//
// A branch of the search: what is left to choose from once every Align has its domain
// and every Same its value. Constraints that only filter (Align, Same, Near,
// conditions, state, keep) are spent here; Pair, Link and Distinct remain for the
// device search.
#pragma once

#include "node/compiled_request.hpp"
#include "node/pu_choice.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace topoalloc {

/// A device that may be chosen for a need.
struct Candidate {
    std::uint32_t device = 0;
    std::uint64_t localities = 0;   ///< mask; 0: unknown
    std::uint32_t share_index = 0;  ///< into DeviceNeed::share_draws
    std::int32_t twin = -1;         ///< position of the previous equal candidate, or -1
    bool forced = false;            ///< keep: must be chosen
    std::vector<std::int64_t>
        pair_least;  ///< by enforced or priced Pair: least level across
};

/// A Pair whose levels are paid (term 4) and perhaps enforced.
struct PricedPair {
    CompiledPair pair;
    Level bound = Level::machine;  ///< matchings must stay within (required Pairs)
    bool enforced = false;         ///< and one must exist within pair.within
    std::int64_t least = 0;        ///< least level of any two candidates
};

struct Branch {
    PuUnit unit = PuUnit::cores;
    std::uint32_t wanted_units = 0;
    Bitmap usable_pus;
    Bitmap forced_pus;
    std::vector<std::uint32_t> units;  ///< usable, by locality
    Bitmap numa_nodes;                 ///< that may give bytes
    bool any_numa_node = true;         ///< every NUMANode may
    std::vector<std::vector<Candidate>> needs;
    std::size_t forced_devices = 0;  ///< that must stay among the candidates
};

/// What is enforced, sorted by how it is used.
struct Enforced {
    std::vector<const CompiledAlign*> aligns;
    std::vector<const CompiledAttribute*> sames, distincts;
    std::vector<const CompiledNear*> nears;
    std::vector<const CompiledLink*> links;
    std::vector<PricedPair> pairs;  ///< every Pair of require, then of prefer
};

[[nodiscard]] Enforced sort_enforced(
    const CompiledRequest& request,
    const std::vector<const CompiledConstraint*>& enforced);

/// The steps of a search and their limit; `limited` becomes true when it came first.
struct BranchSteps {
    std::uint64_t& taken;
    std::uint64_t most;
    bool& limited;
};

/// Calls visit(branch) for every branch that passes the counts; visit returns false to
/// stop.
/// @returns false when visit did
bool for_each_branch(const NodeState& state,
                     const CompiledRequest& request,
                     Enforced& enforced,
                     const Placement* keep_from,
                     BranchSteps steps,
                     const std::function<bool(Branch&)>& visit);

}  // namespace topoalloc
