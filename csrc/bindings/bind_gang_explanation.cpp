// SPDX-License-Identifier: Apache-2.0
//
// Explanations of Gangs as plain rows; topoalloc._gang_explanation makes the frozen
// objects of them.
#include "bindings.hpp"
#include "topoalloc/gang_explanation.hpp"

#include <pybind11/stl.h>

namespace topoalloc::bindings {
namespace {

/// What an Explanation is made of: a plan without its pods, or a Verdict alone.
struct GangSource {
    GangPlan plan;
    std::vector<ClusterTree> trees;  ///< none: of a Verdict
};

py::list conflict_rows(const GangExplanation& explanation) {
    py::list rows;
    for (const ConflictItem& item : explanation.conflict) {
        rows.append(py::make_tuple(item.path, item.text));
    }
    return rows;
}

// (PodSet, needed, [(filter, nodes)], copies)
py::list count_rows(const GangExplanation& explanation) {
    py::list rows;
    for (const PodSetCounts& counts : explanation.counts) {
        py::list steps;
        for (const CountStep& step : counts.nodes) {
            steps.append(py::make_tuple(step.filter, step.left));
        }
        rows.append(py::make_tuple(counts.podset, counts.needed, steps, counts.copies));
    }
    return rows;
}

// (path, who, level, Domain, wanted, fits, [(text, nodes)])
py::list domain_rows(const GangExplanation& explanation) {
    py::list rows;
    for (const DomainFit& fit : explanation.domains) {
        py::list misses;
        for (const NearMiss& miss : fit.near_misses) {
            misses.append(py::make_tuple(miss.text, py::tuple(py::cast(miss.nodes))));
        }
        rows.append(py::make_tuple(fit.path,
                                   fit.who,
                                   fit.level,
                                   py::tuple(py::cast(fit.domain)),
                                   fit.wanted,
                                   fit.fits,
                                   misses));
    }
    return rows;
}

py::list relaxation_rows(const GangExplanation& explanation) {
    py::list rows;
    for (const GangRelaxation& change : explanation.relaxations) {
        rows.append(py::make_tuple(change.path, change.change, change.text));
    }
    return rows;
}

py::dict rows_of(const GangExplanation& explanation, const std::string& prose) {
    py::list cost;
    for (const GangCostTerm& term : explanation.cost) {
        cost.append(py::make_tuple(term.name, term.value));
    }
    py::dict rows;
    rows["status"] = status_object(explanation.status);
    rows["reason"] = std::string(gang_reason_name(explanation.reason));
    rows["podset"] = explanation.podset.empty()
                         ? py::object(py::none())
                         : py::object(py::str(explanation.podset));
    rows["gangs"] = py::tuple(py::cast(explanation.gangs));
    rows["given"] = py::tuple(py::cast(explanation.given));
    rows["cost"] = cost;
    rows["conflict"] = conflict_rows(explanation);
    rows["counts"] = count_rows(explanation);
    rows["domains"] = domain_rows(explanation);
    rows["relaxations"] = relaxation_rows(explanation);
    rows["complete"] = explanation.complete;
    rows["steps"] = explanation.steps;
    rows["prose"] = prose;
    return rows;
}

template <class Explain>
py::dict explained(const Explain& find) {
    GangExplanation explanation;
    std::string prose;
    {
        // Many solves: it can take milliseconds, and no Python object is touched.
        const py::gil_scoped_release release;
        explanation = find();
        prose = explanation.prose();
    }
    return rows_of(explanation, prose);
}

py::dict explain_rows(const GangSource& source, std::uint64_t max_steps) {
    return explained([&] {
        return source.trees.empty() ? explain(source.plan.verdict, {max_steps})
                                    : explain(source.plan, source.trees, {max_steps});
    });
}

}  // namespace

py::object make_gang_source(const GangVerdict& verdict,
                            const GangCost* cost,
                            const std::vector<ClusterTree>& trees) {
    auto source = std::make_unique<GangSource>();
    source->plan.verdict = verdict;
    if (cost != nullptr) {
        source->plan.cost = *cost;
        source->trees = trees;
    }
    return py::cast(std::move(source));
}

py::dict change_explanation_rows(const ClusterChange& change,
                                 const std::vector<ClusterTree>& trees,
                                 SearchLimits limits) {
    return explained([&] { return explain(change, trees, limits); });
}

void bind_gang_explanation(py::module_& m) {
    py::class_<GangSource>(m, "GangSource")
        .def("explain_rows", &explain_rows, py::arg("max_steps"));
}

}  // namespace topoalloc::bindings
