// SPDX-License-Identifier: Apache-2.0
//
// An Explanation as plain rows; topoalloc._records makes the frozen objects of them.
#include "bindings.hpp"
#include "topoalloc/explanation.hpp"

#include <pybind11/stl.h>

namespace topoalloc::bindings {
namespace {

py::list count_rows(const std::vector<CountLine>& counts) {
    py::list rows;
    for (const CountLine& line : counts) {
        py::list steps;
        for (const CountStep& step : line.steps) {
            steps.append(py::make_tuple(step.filter, step.left));
        }
        rows.append(py::make_tuple(line.what, line.needed, steps));
    }
    return rows;
}

// (Placement, name of the term it lost on or None), or None when there is no other.
py::object runner_up_row(const RunnerUp& runner_up, const MachineRef& machine) {
    if (!runner_up.exists) {
        return py::none();
    }
    py::object term = py::none();
    if (runner_up.lost_on != Cost::term_count) {
        term = py::str(std::string(term_name(runner_up.lost_on)));
    }
    return py::make_tuple(make_placement({runner_up.placement, machine, {}}), term);
}

}  // namespace

py::dict explanation_rows(const Verdict& verdict,
                          const std::map<std::string, Holding>& holdings,
                          const MachineRef& machine,
                          SearchLimits limits) {
    Explanation explanation;
    std::string prose;
    {
        // Many solves: it can take milliseconds, and no Python object is touched.
        const py::gil_scoped_release release;
        explanation = explain(verdict, holdings, limits);
        prose = explanation.prose(*machine.core);
    }
    py::list conflict;
    for (const ConflictItem& item : explanation.conflict) {
        conflict.append(py::make_tuple(item.path, item.text));
    }
    py::list relaxations;
    for (const Relaxation& change : explanation.relaxations) {
        relaxations.append(py::make_tuple(
            change.path, change.change, change.text, cost_terms(change.cost)));
    }
    py::dict rows;
    rows["status"] = status_object(explanation.status);
    rows["reason"] = std::string(reason_name(explanation.reason));
    rows["conflict"] = conflict;
    rows["counts"] = count_rows(explanation.counts);
    rows["relaxations"] = relaxations;
    rows["runner_up"] = runner_up_row(explanation.runner_up, machine);
    rows["complete"] = explanation.complete;
    rows["steps"] = explanation.steps;
    rows["prose"] = prose;
    return rows;
}

void bind_explanation(py::module_& m) {
    // The default effort of one Explanation, in steps.
    m.attr("EXPLANATION_MAX_STEPS") = SearchLimits{}.max_steps;
    m.def("describe_amounts", &describe_amounts, py::arg("amounts"));
}

}  // namespace topoalloc::bindings
