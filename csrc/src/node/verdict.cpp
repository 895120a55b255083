// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/verdict.hpp"

#include <string_view>

namespace topoalloc {

std::string_view reason_name(Reason reason) {
    switch (reason) {
        case Reason::placed:
            return "Placed";
        case Reason::step_limit:
            return "StepLimit";
        case Reason::not_enough_cores:
            return "NotEnoughCores";
        case Reason::not_enough_pus:
            return "NotEnoughPus";
        case Reason::not_enough_memory:
            return "NotEnoughMemory";
        case Reason::not_enough_hugepages:
            return "NotEnoughHugepages";
        case Reason::not_enough_devices:
            return "NotEnoughDevices";
        case Reason::align_unsatisfiable:
            return "AlignUnsatisfiable";
        case Reason::pair_unsatisfiable:
            return "PairUnsatisfiable";
        case Reason::link_unsatisfiable:
            return "LinkUnsatisfiable";
        case Reason::same_unsatisfiable:
            return "SameUnsatisfiable";
        case Reason::distinct_unsatisfiable:
            return "DistinctUnsatisfiable";
        case Reason::near_unsatisfiable:
            return "NearUnsatisfiable";
        case Reason::requirements_conflict:
            return "RequirementsConflict";
    }
    return "Unknown";
}

std::string_view term_name(Cost::Term term) {
    static constexpr std::array<std::string_view, Cost::term_count> names{
        "unmet_count",
        "unmet_vector",
        "packages",
        "localities",
        "distance",
        "pair_levels",
        "missing_link",
        "remote_devices",
        "l3s",
        "split_cores",
        "opened_packages",
        "opened_localities",
        "opened_switches",
        "opened_devices",
        "opened_l3s",
    };
    return term < Cost::term_count ? names[term] : std::string_view("term_count");
}

}  // namespace topoalloc
