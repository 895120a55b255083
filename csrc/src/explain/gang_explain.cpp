// SPDX-License-Identifier: Apache-2.0
#include "cluster/gang_shape.hpp"
#include "explain/gang_explain_internal.hpp"

#include <algorithm>

namespace topoalloc {
std::vector<std::string> levels_of(const std::vector<ClusterTree>& trees) {
    std::vector<std::string> levels;
    for (const ClusterTree& tree : trees) {
        levels.insert(levels.end(), tree.levels.begin(), tree.levels.end());
    }
    return levels;
}

GangExplanation start_of(const GangVerdict& verdict) {
    GangExplanation out;
    out.status = verdict.status;
    out.reason = verdict.reason;
    if (verdict.podset != no_index) {
        out.podset = verdict.gang->podsets[verdict.podset].name;
    }
    return out;
}

std::vector<GangCostTerm> terms_of(const GangCost& cost,
                                   const std::vector<std::string>& members,
                                   const std::vector<std::string>& levels) {
    std::vector<GangCostTerm> terms;
    const auto add_all = [&](const std::string& name,
                             const std::vector<std::string>& of,
                             const std::vector<std::int64_t>& values) {
        for (std::size_t i = 0; i < std::min(of.size(), values.size()); ++i) {
            terms.push_back({name + "." + of[i], values[i]});
        }
    };
    terms.push_back({"short", cost.short_pods});
    add_all("unmet", members, cost.unmet);
    add_all("domains", levels, cost.domains);
    terms.push_back({"nodes", cost.nodes});
    terms.push_back({"waste", cost.waste});
    add_all("opened", levels, cost.opened);
    return terms;
}

GangParts parts_of(const Gang& gang, const ClusterData& data) {
    GangParts parts{gang, {}, {}};
    std::vector<bool> has_taints(gang.podsets.size());
    for (std::size_t p = 0; p < gang.podsets.size(); ++p) {
        const PodSet& podset = gang.podsets[p];
        auto plain = std::make_shared<Request>(*podset.request);
        plain->require.clear();
        parts.plain.push_back(std::move(plain));
        has_taints[p] = std::ranges::any_of(data.order(), [&](std::uint32_t slot) {
            const NodeDescription& node = data.node(slot).info->described;
            return !is_eligible({}, podset.tolerations, node.labels, node.taints);
        });
    }
    parts.items = items_of(gang, has_taints);
    return parts;
}

std::vector<GangItem> find_conflict(GangProber& prober, const GangParts& parts) {
    std::vector<bool> kept(parts.items.size(), true);
    for (std::size_t i = 0; i < kept.size(); ++i) {
        kept[i] = false;
        // What is undecided stays: the conflict is then one, and perhaps not minimal.
        const Gang rest = with_items(parts.gang, parts.items, kept, parts.plain);
        kept[i] = prober.fits(rest) != Fit::no;
    }
    std::vector<GangItem> conflict;
    for (std::size_t i = 0; i < kept.size(); ++i) {
        if (kept[i]) {
            conflict.push_back(parts.items[i]);
        }
    }
    return conflict;
}

GangExplanation explain(const GangVerdict& verdict, SearchLimits limits) {
    GangExplanation out = start_of(verdict);
    if (!verdict.snapshot) {
        return out;
    }
    // A copy of its own: node order is made when it is first asked for.
    const ClusterData data = *static_cast<const ClusterData*>(verdict.snapshot.get());
    GangProber prober(data, limits);
    out.counts = count_nodes(prober, *verdict.gang);
    if (verdict.status == Status::infeasible) {
        const GangParts parts = parts_of(*verdict.gang, data);
        const std::vector<GangItem> conflict = find_conflict(prober, parts);
        for (const GangItem& item : conflict) {
            out.conflict.push_back({path_of(item), text_of(parts.gang, item)});
        }
        out.domains = find_best_domains(prober, parts);
        out.relaxations = relax_items(prober, parts, conflict);
        std::ranges::move(relax_cluster(prober, parts),
                          std::back_inserter(out.relaxations));
    }
    out.complete = prober.is_complete() && verdict.status != Status::unknown;
    out.steps = prober.steps();
    return out;
}

GangExplanation explain(const GangPlan& plan,
                        const std::vector<ClusterTree>& trees,
                        SearchLimits limits) {
    GangExplanation out = explain(plan.verdict, limits);
    if (out.status == Status::optimal || out.status == Status::feasible) {
        std::vector<std::string> members;
        for (const PodSet& podset : plan.verdict.gang->podsets) {
            members.push_back(podset.name);
        }
        for (const Group& group : plan.verdict.gang->groups) {
            members.push_back(group.name);
        }
        out.cost = terms_of(plan.cost, members, levels_of(trees));
    }
    return out;
}

}  // namespace topoalloc
