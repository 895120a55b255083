// SPDX-License-Identifier: Apache-2.0
//
// Explanation: why an answer is what it is, as data first and prose from the data.
// Computed from the Verdict alone: the Request, the state that was asked, the policy.
#pragma once

#include "topoalloc/allocator.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace topoalloc {

/// One thing a Request asks for that can be dropped: "cores", "memory",
/// "hugepages.2Mi", "devices.nic", "devices.nic.where[0]", "exclude", "keep",
/// "require[2]".
struct ConflictItem {
    std::string path;
    std::string text;  ///< "nic: 8 devices"
};

/// What there was of a kind and what each filter took.
struct CountStep {
    /// "on the machine", "not cordoned", "free", "where rdma = true".
    std::string filter;
    std::uint64_t left = 0;
};
struct CountLine {
    std::string what;  ///< "cores", "memory", "gpu"
    std::uint64_t needed = 0;
    std::vector<CountStep> steps;
};

/// The smallest single change of one kind that makes the Request feasible, as solved.
struct Relaxation {
    /// Of the thing changed: "devices.nic", "require[0]", "owner:train-3".
    std::string path;
    std::string change;  ///< machine-readable: "count=7", "within=bridges",
                         ///< "level=package", "drop", "release"
    std::string text;    ///< "fits with 7 nic instead of 8"
    Cost cost;
};

struct RunnerUp {
    bool exists = false;
    Placement placement;
    /// term_count: equal cost, larger index set.
    Cost::Term lost_on = Cost::term_count;
};

struct Explanation {
    Status status = Status::infeasible;
    Reason reason = Reason::placed;
    Cost cost;                           ///< of the Placement; for optimal and feasible
    std::vector<ConflictItem> conflict;  ///< minimal; empty unless infeasible
    std::vector<CountLine> counts;
    std::vector<Relaxation> relaxations;
    RunnerUp runner_up;
    bool complete = true;  ///< false: its own step limit came first
    std::uint64_t steps = 0;
    [[nodiscard]] std::string prose(const Machine& machine) const;
};

/// Bytes that are compared, in one unit, as what was asked for is told best; it is the
/// first: {"64Gi", "63.5Gi", "0"}. At most two decimals, and different amounts differ.
[[nodiscard]] std::vector<std::string> describe_amounts(
    const std::vector<std::uint64_t>& amounts);

/// @param holdings  who held what when asked; used for "fits if owner x leaves"
[[nodiscard]] Explanation explain(const Verdict& verdict,
                                  const std::map<std::string, Holding>& holdings,
                                  SearchLimits limits = {});

}  // namespace topoalloc
