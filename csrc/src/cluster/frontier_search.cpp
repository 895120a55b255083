// SPDX-License-Identifier: Apache-2.0
#include "cluster/frontier_search.hpp"

#include "base/bits.hpp"
#include "cluster/frontier_bounds.hpp"
#include "cluster/frontier_model.hpp"

#include <algorithm>
#include <cstddef>
#include <tuple>
#include <utility>

namespace topoalloc {
namespace {

// Walks side by side, at first, and how much wider each time.
constexpr std::size_t first_width = 512;
constexpr std::size_t wider = 8;
// Steps for a bound, at first, and the least for all of them later; then so many for
// each of the walks side by side, about what these take.
constexpr std::uint64_t first_steps = 16'000;
constexpr std::uint64_t steps_of_walk = 8;

// The least cost of what has no plan.
constexpr PackedCost nothing{{~std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}}};

// The best so far, of all orders of the nodes.
struct KnownPlan {
    std::optional<PackedCost> cost;
    std::vector<CountVector> pods;  // none where only the cost is known
};

class FrontierSearch {
  public:
    FrontierSearch(const FrontierModel& model,
                   bool least_cost,
                   KnownPlan& known,
                   StepBudget& budget)
        : model_(model),
          least_cost_(least_cost),
          best_(known.cost),
          pods_(known.pods),
          budget_(budget),
          steps_(budget),
          bounds_(model, budget),
          view_(model.view(model.all_podsets(), model.all_levels())),
          spare_pods_(model.spare_pods()),
          least_to_come_(model.order()) {
        for (std::size_t i = least_to_come_.size(); i-- > 1;) {
            least_to_come_[i - 1] = std::min(least_to_come_[i - 1], least_to_come_[i]);
        }
        list_views();
    }

    /// So many walks side by side. True when nothing better was missed.
    bool run(std::size_t width) {
        if (is_first_) {
            add_first_bounds();
        } else {
            add_bounds(std::max(first_steps, steps_of_walk * width));
        }
        is_first_ = false;
        is_whole_ = true;
        walk(width);
        return is_whole_ && !budget_.limited;
    }

  private:
    struct Walk {
        PackedCost cost;                // so far
        PackedCost least;               // of all plans that go on from it
        std::uint32_t path = no_index;  // none: nothing good goes on from it
    };
    struct Layer {
        FrontierKeys keys;
        std::vector<Walk> walks;  // by key
    };
    // One node more on the path of another.
    struct Link {
        std::uint32_t before = no_index;
        std::uint32_t option = 0;
    };

    struct View {
        std::uint64_t podsets = 0, levels = 0;
        bool is_done = false;
        std::uint64_t tried = 0;  // steps, in vain
    };

    // From those that see little to those that see nearly all.
    void list_views() {
        const std::uint64_t nested = model_.nested_levels();
        const std::uint64_t levels = model_.all_levels();
        add_single_views(nested);
        if (nested != levels) {
            add_single_views(levels);
        }
        add_pair_views(nested);
        if (nested != levels) {
            add_view(model_.all_podsets(), nested);
            add_pair_views(levels);
        }
    }

    void add_view(std::uint64_t podsets, std::uint64_t levels) {
        if (podsets != model_.all_podsets() || levels != model_.all_levels()) {
            views_.push_back({podsets, levels});
        }
    }

    void add_single_views(std::uint64_t levels) {
        // The weight of all, the last one, says most.
        for (std::uint32_t p = model_.podsets(); p-- > 0;) {
            add_view(bit(p), levels);
        }
    }

    void add_pair_views(std::uint64_t levels) {
        const std::uint32_t podsets = model_.podsets() - (model_.has_weight() ? 1 : 0);
        for (std::uint32_t p = 0; podsets > 2 && p < podsets; ++p) {
            for (std::uint32_t q = p + 1; q < podsets; ++q) {
                add_view(bit(p) | bit(q), levels);
            }
        }
    }

    // Of single PodSets over nested levels, and of the weight.
    void add_first_bounds() {
        for (std::size_t i = 0; i < views_.size() && i < model_.podsets(); ++i) {
            add_bound(views_[i], first_steps);
        }
    }

    // None gets more than a part of the steps, nor those that were given up lately.
    void add_bounds(std::uint64_t steps) {
        const std::uint64_t end = budget_.steps + steps;
        for (View& view : views_) {
            if (budget_.steps < end && view.tried <= steps / 8) {
                add_bound(view, steps / 4);
            }
        }
    }

    void add_bound(View& view, std::uint64_t most_steps) {
        if (!view.is_done) {
            const std::uint64_t before = budget_.steps;
            view.is_done = bounds_.add(view.podsets, view.levels, best_, most_steps);
            view.tried = budget_.steps - before;
        }
    }

    void walk(std::size_t width) {
        links_.assign(1, {});
        Layer layer;
        layer.keys.add({});
        layer.walks.push_back({{}, {}, 0});
        for (std::uint32_t depth = 0; depth < model_.depth(); ++depth) {
            const FrontierStep step(model_, view_, depth);
            const std::vector<std::uint32_t> kept = choose(layer, depth, width);
            Layer next;
            for (const std::uint32_t at : kept) {
                if (!steps_.spend(step.options(),
                                  go_on(layer, at, depth, step, next))) {
                    return;
                }
            }
            layer = std::move(next);
        }
        finish(layer);
    }

    // Those that may become the best; others, and the plan may be missed.
    std::vector<std::uint32_t> choose(const Layer& layer,
                                      std::uint32_t depth,
                                      std::size_t width) {
        std::vector<std::uint32_t> kept;
        for (std::uint32_t at = 0; at < layer.walks.size(); ++at) {
            if (layer.walks[at].path != no_index && !is_dominated(layer, at, depth)) {
                kept.push_back(at);
            }
        }
        if (kept.size() > width) {
            is_whole_ = false;
            std::ranges::nth_element(kept,
                                     kept.begin() + static_cast<std::ptrdiff_t>(width),
                                     [&](std::uint32_t a, std::uint32_t b) {
                                         return std::tie(layer.walks[a].least, a) <
                                                std::tie(layer.walks[b].least, b);
                                     });
            kept.resize(width);
            std::ranges::sort(kept);
        }
        return kept;
    }

    // Another one placed a pod more, and all else is equal: however this one goes on,
    // that one does with a pod less, for no higher cost.
    [[nodiscard]] bool is_dominated(const Layer& layer,
                                    std::uint32_t at,
                                    std::uint32_t depth) const {
        return std::ranges::any_of(spare_pods_, [&](std::uint64_t pod) {
            FrontierKey key = layer.keys[at];
            key.words[0] += pod;
            const std::uint32_t more = layer.keys.find(key);
            return more != no_index &&
                   is_better(layer.walks[more], layer.walks[at], depth);
        });
    }

    // Whatever comes, if the same comes. The first one may have no path: nothing good
    // goes on from it.
    [[nodiscard]] bool is_better(const Walk& a,
                                 const Walk& b,
                                 std::uint32_t depth) const {
        if (a.cost != b.cost || a.path == no_index || !least_cost_) {
            return !(b.cost < a.cost);
        }
        const auto [node, is_first] =
            first_difference(links_[a.path], links_[b.path], depth - 1);
        return is_first && node < least_to_come_[depth];
    }

    // How many of the options were possible.
    std::size_t go_on(const Layer& layer,
                      std::uint32_t at,
                      std::uint32_t depth,
                      const FrontierStep& step,
                      Layer& next) {
        std::size_t placed = 0;
        for (std::uint32_t option = 0; option < step.options(); ++option) {
            FrontierKey key = layer.keys[at];
            PackedCost cost = layer.walks[at].cost;
            if (!step.place(option, key, cost)) {
                continue;
            }
            ++placed;
            const Link link{layer.walks[at].path, option};
            const std::uint32_t known = next.keys.find(key);
            if (known != no_index) {
                improve(next.walks[known], cost, link, depth);
                continue;
            }
            next.keys.add(key);
            const auto least = bounds_.lower(view_, depth + 1, key, cost);
            next.walks.push_back({cost, least.value_or(nothing), no_index});
            add_path(next.walks.back(), link);
        }
        return placed;
    }

    void add_path(Walk& walk, const Link& link) {
        if (walk.least != nothing && (!best_ || !(*best_ < walk.least))) {
            walk.path = static_cast<std::uint32_t>(links_.size());
            links_.push_back(link);
        }
    }

    void improve(Walk& walk,
                 const PackedCost& cost,
                 const Link& link,
                 std::uint32_t depth) {
        if (cost < walk.cost && walk.least != nothing) {
            walk.least = walk.least - walk.cost + cost;
            walk.cost = cost;
            if (walk.path == no_index) {
                add_path(walk, link);
            } else {
                links_[walk.path] = link;
            }
        } else if (cost == walk.cost && walk.path != no_index && least_cost_ &&
                   first_difference(link, links_[walk.path], depth).second) {
            links_[walk.path] = link;
        }
    }

    // Term 7 of two paths to a depth: the first node that differs, and whether the
    // first path has more pods there.
    [[nodiscard]] std::pair<std::uint32_t, bool> first_difference(
        Link a, Link b, std::uint32_t depth) const {
        std::uint32_t node = no_index;
        bool is_first = false;
        while (true) {
            if (a.option != b.option && model_.order()[depth] < node) {
                node = model_.order()[depth];
                is_first = a.option < b.option;
            }
            if (a.before == b.before) {
                return {node, is_first};
            }
            a = links_[a.before];
            b = links_[b.before];
            --depth;
        }
    }

    void finish(const Layer& layer) {
        const std::uint32_t last = model_.depth() - 1;
        std::optional<Link> best;
        for (std::size_t at = 0; at < layer.walks.size(); ++at) {
            PackedCost cost = layer.walks[at].cost;
            if (layer.walks[at].path == no_index ||
                !model_.end(view_, layer.keys[at], cost)) {
                continue;
            }
            const Link link = links_[layer.walks[at].path];
            if (!best_ || cost < *best_ || !best ||
                (cost == *best_ && first_difference(link, *best, last).second)) {
                if (best_ && *best_ < cost) {
                    continue;
                }
                best_ = cost;
                best = link;
            }
        }
        if (best) {
            write_down(*best);
        }
    }

    void write_down(Link link) {
        pods_.resize(model_.depth());
        for (std::uint32_t depth = model_.depth(); depth-- > 0;) {
            pods_[model_.order()[depth]] = model_.vectors_at(depth)[link.option];
            link = links_[link.before];
        }
    }

    const FrontierModel& model_;
    bool least_cost_;
    std::optional<PackedCost>& best_;
    std::vector<CountVector>& pods_;
    StepBudget& budget_;
    FrontierSteps steps_;
    FrontierBounds bounds_;
    FrontierView view_;
    std::vector<std::uint64_t> spare_pods_;     // FrontierModel::spare_pods
    std::vector<std::uint32_t> least_to_come_;  // by depth: the first in node order
    std::vector<View> views_;
    std::vector<Link> links_;
    bool is_first_ = true;
    bool is_whole_ = false;
};

}  // namespace

std::optional<FrontierResult> search_frontier(const GangProblem& problem,
                                              bool use_possible,
                                              bool least_cost,
                                              const GangCost* start,
                                              StepBudget& budget) {
    const std::vector<FrontierModel> models =
        frontier_models(problem, use_possible, least_cost);
    if (models.empty()) {
        return std::nullopt;
    }
    KnownPlan known;
    if (start != nullptr) {
        known.cost = models.front().pack(*start);
    }
    std::vector<FrontierSearch> searches;
    for (const FrontierModel& model : models) {
        searches.emplace_back(model, least_cost, known, budget);
    }
    FrontierResult result;
    const auto is_done = [&] {
        return result.is_proved || budget.limited ||
               (!least_cost && !known.pods.empty());
    };
    // Most are proved in the first order. Others follow with fewer walks: where one of
    // them is much better, these are enough.
    for (std::size_t width = first_width; !is_done(); width *= wider) {
        for (std::size_t i = 0; i < searches.size() && !is_done(); ++i) {
            const std::size_t own = i == 0 ? width : width / wider;
            result.is_proved = own >= first_width && searches[i].run(own);
        }
    }
    if (!known.pods.empty()) {
        result.pods = std::move(known.pods);
    }
    return result;
}

}  // namespace topoalloc
