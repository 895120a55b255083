// SPDX-License-Identifier: Apache-2.0
//
// Why a change of what runs was refused: docs/design/0005-explanations.md.
#include "cluster/change_question.hpp"
#include "cluster/pod_books.hpp"
#include "explain/change_prober.hpp"
#include "explain/gang_explain_internal.hpp"
#include "explain/request_items.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace topoalloc {
namespace {

// Names that are listed in a text.
constexpr std::size_t most_names = 4;

template <class Names>
std::string list_names(const Names& names) {
    std::vector<std::string> some;
    for (const std::string& name : names) {
        if (some.size() == most_names) {
            return join_words(some) + " and " +
                   std::to_string(names.size() - most_names) + " more";
        }
        some.push_back(name);
    }
    return join_words(some);
}

class ChangeExplainer {
  public:
    ChangeExplainer(const ChangeQuestion& asked, SearchLimits limits)
        : asked_(asked), prober_(asked, limits) {
        for (std::size_t i = 0; i < asked.input.parts.size(); ++i) {
            whole_.emplace_back(explained_gang(asked, i));
        }
    }

    void run(GangExplanation& out) {
        if (out.status == Status::infeasible) {
            find_gangs();
        } else {
            for (std::size_t i = 0; i < whole_.size(); ++i) {
                named_.push_back(i);
            }
        }
        for (const std::size_t i : named_) {
            split_.push_back(split(i));
        }
        add_given(out);
        add_counts(out);
        if (out.status == Status::infeasible) {
            for (const std::size_t i : named_) {
                out.gangs.push_back(name_of(i));
            }
            find_items(out);
            add_domains(out);
            add_relaxations(out);
        }
        out.complete = prober_.is_complete() && out.status == Status::infeasible;
        out.steps = prober_.steps();
    }

  private:
    // A Gang of the conflict.
    struct Split {
        std::size_t part = 0;
        GangParts parts;
        std::vector<bool> kept;  ///< by item
    };

    [[nodiscard]] const JointPart& part(std::size_t i) const {
        return asked_.input.parts[i];
    }
    [[nodiscard]] const std::string& name_of(std::size_t i) const {
        return part(i).gang->name;
    }

    [[nodiscard]] Split split(std::size_t i) {
        GangParts parts = parts_of(*whole_[i], asked_.data);
        // Pods that stay are had.
        std::erase_if(parts.items, [&](const GangItem& item) {
            return item.kind == GangItemKind::count &&
                   part(i).min_counts[item.of] <= staying_pods(part(i), item.of);
        });
        const std::size_t items = parts.items.size();
        return {i, std::move(parts), std::vector<bool>(items, true)};
    }

    [[nodiscard]] Fit fits_with(const std::vector<bool>& kept) {
        ChangeProber::PartGangs gangs(whole_.size());
        for (std::size_t i = 0; i < whole_.size(); ++i) {
            if (kept[i]) {
                gangs[i] = whole_[i];
            }
        }
        prober_.set(std::move(gangs));
        return prober_.fits_as_set();
    }

    // The first that has no place by itself, or a minimal set of those that have none
    // together: the deletion filter, in their order.
    void find_gangs() {
        for (std::size_t i = 0; i < whole_.size(); ++i) {
            std::vector<bool> alone(whole_.size());
            alone[i] = true;
            if (whole_.size() == 1 || fits_with(alone) == Fit::no) {
                named_ = {i};
                return;
            }
        }
        std::vector<bool> kept(whole_.size(), true);
        for (std::size_t i = 0; i < kept.size(); ++i) {
            kept[i] = false;
            kept[i] = fits_with(kept) != Fit::no;
            if (kept[i]) {
                named_.push_back(i);
            }
        }
    }

    // The same filter over what those Gangs ask for.
    void find_items(GangExplanation& out) {
        for (Split& of : split_) {
            for (auto&& is_kept : of.kept) {
                is_kept = false;
                is_kept = fits_as_kept() != Fit::no;
            }
        }
        for (const Split& of : split_) {
            for (const GangItem& item : kept_items(of)) {
                out.conflict.push_back(
                    {prefix_of(of) + path_of(item), text_of_item(of, item)});
            }
        }
    }

    [[nodiscard]] Fit fits_as_kept() {
        ChangeProber::PartGangs gangs(whole_.size());
        for (const Split& of : split_) {
            gangs[of.part] =
                with_items(of.parts.gang, of.parts.items, of.kept, of.parts.plain);
        }
        prober_.set(std::move(gangs));
        return prober_.fits_as_set();
    }

    [[nodiscard]] static std::vector<GangItem> kept_items(const Split& of) {
        std::vector<GangItem> out;
        for (std::size_t i = 0; i < of.kept.size(); ++i) {
            if (of.kept[i]) {
                out.push_back(of.parts.items[i]);
            }
        }
        return out;
    }

    [[nodiscard]] std::string prefix_of(const Split& of) const {
        return is_of_several(asked_.kind) ? "gang:" + name_of(of.part) + "/"
                                          : std::string();
    }

    [[nodiscard]] std::string text_of_item(const Split& of,
                                           const GangItem& item) const {
        const std::string text = text_of(of.parts.gang, item);
        const bool is_count = item.kind == GangItemKind::count;
        const auto stay = is_count ? staying_pods(part(of.part), item.of) : 0;
        return text + (stay == 0 ? ""
                                 : ", " + std::to_string(stay) + " of which " +
                                       (stay == 1 ? "stays" : "stay"));
    }

    void add_given(GangExplanation& out) const {
        if (!asked_.nodes.empty()) {
            out.given.push_back(
                counted(asked_.nodes.size(), "node") +
                (asked_.kind == ChangeKind::drain ? " drained: " : " failed: ") +
                list_names(asked_.nodes));
        }
        if (asked_.kind == ChangeKind::preempt) {
            out.given.push_back(asked_.stopped.empty()
                                    ? "there is no Gang of lower priority"
                                    : "all Gangs of lower priority stop: " +
                                          list_names(asked_.stopped));
        }
        if (asked_.kind == ChangeKind::defragment) {
            out.given.push_back(asked_.moved == 0 ? "no pod may move"
                                                  : "all that may move does: " +
                                                        counted(asked_.moved, "pod"));
        }
        for (const std::size_t i : named_) {
            if (const std::size_t stay = part(i).stays.size(); stay != 0) {
                out.given.push_back(counted(stay, "pod") + " of " + name_of(i) +
                                    (stay == 1 ? " stays" : " stay"));
            }
        }
    }

    void add_counts(GangExplanation& out) {
        for (const Split& of : split_) {
            prober_.focus(of.part);
            std::vector<PodSetCounts> counts = count_nodes(prober_, of.parts.gang);
            for (std::size_t p = 0; p < counts.size(); ++p) {
                const std::uint64_t stay = staying_pods(part(of.part), p);
                counts[p].needed -= std::min(counts[p].needed, stay);
                if (counts[p].needed != 0) {
                    out.counts.push_back(std::move(counts[p]));
                }
            }
        }
    }

    void add_domains(GangExplanation& out) {
        for (const Split& of : split_) {
            prober_.focus(of.part);
            for (DomainFit& fit : find_best_domains(prober_, of.parts)) {
                fit.path.insert(0, prefix_of(of));
                out.domains.push_back(std::move(fit));
            }
        }
    }

    void add_relaxations(GangExplanation& out) {
        // All Gangs are asked for, those of the conflict and the others.
        prober_.set(whole_);
        for (const Split& of : split_) {
            prober_.focus(of.part);
            for (GangRelaxation& change :
                 relax_items(prober_, of.parts, kept_items(of))) {
                change.path.insert(0, prefix_of(of));
                out.relaxations.push_back(std::move(change));
            }
        }
        for (const Split& of : split_) {
            let_all_move(of.part, out);
        }
        leave_a_node(out);
        relax_the_cluster(out);
    }

    // Its pods that were to stay may move, too.
    void let_all_move(std::size_t i, GangExplanation& out) {
        if (part(i).stays.empty()) {
            return;
        }
        ClusterData freed = asked_.data;
        PodBooks books(freed);
        for (const PodPlace& pod : part(i).stays) {
            books.release(*part(i).gang, pod);
        }
        books.apply();
        JointInput input = asked_.input;
        input.parts[i].stays.clear();
        if (prober_.fits(freed, input) == Fit::yes) {
            out.relaxations.push_back({"gang:" + name_of(i),
                                       "move",
                                       "fits if all pods of " + name_of(i) + " move"});
        }
    }

    // The first node, by name, that need not be drained.
    void leave_a_node(GangExplanation& out) {
        if (asked_.kind != ChangeKind::drain || asked_.nodes.size() == 1) {
            return;
        }
        for (const std::string& name : asked_.nodes) {
            std::set<std::string> others = asked_.nodes;
            others.erase(name);
            const ChangeQuestion less = drain_question(asked_.before, others);
            if (prober_.fits(less.data, less.input) == Fit::yes) {
                out.relaxations.push_back(
                    {"node:" + name, "keep", "fits if node " + name + " is kept"});
                return;
            }
        }
    }

    // What helps one Gang of the conflict may be seen from it alone.
    void relax_the_cluster(GangExplanation& out) {
        for (const Split& of : split_) {
            prober_.focus(of.part);
            for (GangRelaxation& change : relax_cluster(prober_, of.parts)) {
                const bool is_new =
                    std::ranges::find(out.relaxations,
                                      change.change,
                                      &GangRelaxation::change) == out.relaxations.end();
                if (is_new) {
                    out.relaxations.push_back(std::move(change));
                }
            }
        }
    }

    const ChangeQuestion& asked_;
    ChangeProber prober_;
    ChangeProber::PartGangs whole_;   ///< by part
    std::vector<std::size_t> named_;  ///< parts that are explained
    std::vector<Split> split_;        ///< by named_
};

}  // namespace

GangExplanation explain(const ClusterChange& change,
                        const std::vector<ClusterTree>& trees,
                        SearchLimits limits) {
    GangExplanation out = start_of(change.verdict);
    if (!change.question) {
        out.cost = terms_of(change.cost, change.members, levels_of(trees));
        return out;
    }
    // A copy of its own: node order is made when it is first asked for.
    const ChangeQuestion asked =
        *static_cast<const ChangeQuestion*>(change.question.get());
    ChangeExplainer(asked, limits).run(out);
    return out;
}

}  // namespace topoalloc
