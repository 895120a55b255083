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
constexpr std::size_t first_width = 256;
constexpr std::size_t wider = 8;
// Steps for bounds, at first; then as many as for the last walk.
constexpr std::uint64_t first_steps = 10'000;

// The least cost of what has no plan.
constexpr PackedCost nothing{{~std::uint64_t{0}, ~std::uint64_t{0}, ~std::uint64_t{0}}};

class FrontierSearch {
  public:
    FrontierSearch(const FrontierModel& model,
                   bool least_cost,
                   const GangCost* start,
                   StepBudget& budget)
        : model_(model),
          least_cost_(least_cost),
          budget_(budget),
          steps_(budget),
          bounds_(model, budget),
          view_(model.view(model.all_podsets(), model.all_levels())) {
        if (start != nullptr) {
            best_ = model.pack(*start);
        }
    }

    FrontierResult run() {
        list_views();
        FrontierResult result;
        std::size_t width = first_width;
        std::size_t views = model_.podsets();
        std::uint64_t views_steps = first_steps;
        while (!budget_.limited) {
            add_bounds(views, views_steps);
            is_whole_ = true;
            const std::uint64_t before = budget_.steps;
            walk(width);
            if (!pods_.empty() && !least_cost_) {
                break;
            }
            if (is_whole_ && !budget_.limited) {
                result.is_proved = true;
                break;
            }
            width *= wider;
            views = views_.size();
            views_steps = std::max(first_steps, budget_.steps - before);
        }
        if (!pods_.empty()) {
            result.pods = std::move(pods_);
        }
        return result;
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
        const auto add = [&](std::uint64_t podsets, std::uint64_t of_levels) {
            const bool is_whole =
                podsets == model_.all_podsets() && of_levels == levels;
            if (!is_whole) {
                views_.push_back({podsets, of_levels});
            }
        };
        const auto add_all = [&](std::uint64_t of_levels) {
            const std::uint32_t podsets = model_.podsets();
            for (std::uint32_t p = 0; p < podsets; ++p) {
                add(bit(p), of_levels);
            }
            const std::uint32_t plain = podsets - (model_.has_weight() ? 1 : 0);
            for (std::uint32_t p = 0; plain > 2 && p < plain; ++p) {
                for (std::uint32_t q = p + 1; q < plain; ++q) {
                    add(bit(p) | bit(q), of_levels);
                }
            }
        };
        add_all(nested);
        if (nested != levels) {
            add_all(levels);
            add(model_.all_podsets(), nested);
        }
    }

    // In all no more than so many steps, and for none more than a part of them.
    void add_bounds(std::size_t views, std::uint64_t most_steps) {
        const std::uint64_t end = budget_.steps + most_steps;
        for (std::size_t i = 0; i < std::min(views, views_.size()); ++i) {
            View& view = views_[i];
            const std::uint64_t before = budget_.steps;
            if (view.is_done || before >= end || view.tried > most_steps / 8) {
                continue;
            }
            view.is_done = bounds_.add(view.podsets,
                                       view.levels,
                                       best_,
                                       std::min(end - before, most_steps / 4));
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
            const std::vector<std::uint32_t> kept = choose(layer, width);
            Layer next;
            for (const std::uint32_t at : kept) {
                if (!steps_.spend(step.options())) {
                    return;
                }
                go_on(layer, at, depth, step, next);
            }
            layer = std::move(next);
        }
        finish(layer);
    }

    // Those that may become the best; others, and the plan may be missed.
    std::vector<std::uint32_t> choose(const Layer& layer, std::size_t width) {
        std::vector<std::uint32_t> kept;
        for (std::uint32_t at = 0; at < layer.walks.size(); ++at) {
            if (layer.walks[at].path != no_index) {
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

    void go_on(const Layer& layer,
               std::uint32_t at,
               std::uint32_t depth,
               const FrontierStep& step,
               Layer& next) {
        for (std::uint32_t option = 0; option < step.options(); ++option) {
            FrontierKey key = layer.keys[at];
            PackedCost cost = layer.walks[at].cost;
            if (!step.place(option, key, cost)) {
                continue;
            }
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
                   is_first(link, links_[walk.path], depth)) {
            links_[walk.path] = link;
        }
    }

    // Term 7 of two paths to a depth: the first node that differs has more pods.
    [[nodiscard]] bool is_first(Link a, Link b, std::uint32_t depth) const {
        std::uint32_t node = no_index;
        bool is_first = false;
        while (true) {
            if (a.option != b.option && model_.order()[depth] < node) {
                node = model_.order()[depth];
                is_first = a.option < b.option;
            }
            if (a.before == b.before) {
                return is_first;
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
                (cost == *best_ && is_first(link, *best, last))) {
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
    StepBudget& budget_;
    FrontierSteps steps_;
    FrontierBounds bounds_;
    FrontierView view_;
    std::vector<View> views_;
    std::vector<Link> links_;
    bool is_whole_ = false;
    std::optional<PackedCost> best_;
    std::vector<CountVector> pods_;
};

}  // namespace

std::optional<FrontierResult> search_frontier(const GangProblem& problem,
                                              bool use_possible,
                                              bool least_cost,
                                              const GangCost* start,
                                              StepBudget& budget) {
    const auto model = frontier_model(problem, use_possible, least_cost);
    if (!model) {
        return std::nullopt;
    }
    return FrontierSearch(*model, least_cost, start, budget).run();
}

}  // namespace topoalloc
