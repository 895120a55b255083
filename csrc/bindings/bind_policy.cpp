// SPDX-License-Identifier: Apache-2.0
#include "bindings.hpp"

#include "topoalloc/errors.hpp"
#include "topoalloc/solver.hpp"

#include <pybind11/stl.h>
#include <algorithm>

namespace topoalloc::bindings {
namespace {

Packing packing_from(const std::string& text) {
    if (text == "pack") {
        return Packing::pack;
    }
    if (text == "spread") {
        return Packing::spread;
    }
    throw InvalidRequestError("policy.packing: '" + text + "', want pack or spread");
}

TermGroup group_from(const std::string& text) {
    for (const TermGroup group : default_order) {
        if (term_group_name(group) == text) {
            return group;
        }
    }
    throw InvalidRequestError("policy.order: '" + text +
                              "' is no group of terms, want one of topoalloc.Policy's");
}

py::tuple names_of(const TermOrder& order) {
    py::tuple names(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        const std::string_view name = term_group_name(order[i]);
        names[i] = py::str(name.data(), name.size());
    }
    return names;
}

// Names of Cost's terms in the order in which a Policy compares them.
std::vector<std::string> term_names(const PolicyRow& row) {
    std::vector<std::string> names;
    for (const Cost::Term term : terms_in_order(policy_from(row))) {
        names.emplace_back(term_name(term));
    }
    return names;
}

}  // namespace

Policy policy_from(const PolicyRow& row) {
    const auto& [name, version, packing, order] = row;
    Policy policy;
    policy.packing = packing_from(packing);
    policy.version = version;
    if (order.size() != policy.order.size()) {
        throw InvalidRequestError("policy.order: " + std::to_string(order.size()) +
                                  " groups of terms, want all " +
                                  std::to_string(policy.order.size()));
    }
    std::ranges::transform(order, policy.order.begin(), group_from);
    policy.name = PolicyName(name);
    validate(policy);
    if (name == packing) {
        policy.name = {};  // built in
    }
    return policy;
}

py::tuple policy_row(const Policy& policy) {
    const std::string_view name = name_of(policy);
    return py::make_tuple(py::str(name.data(), name.size()),
                          policy.version,
                          policy.packing == Packing::pack ? "pack" : "spread",
                          names_of(policy.order));
}

void bind_policy(py::module_& m) {
    m.attr("TERM_GROUPS") = names_of(default_order);
    m.def("policy_terms", &term_names, py::arg("policy"));
}

}  // namespace topoalloc::bindings
