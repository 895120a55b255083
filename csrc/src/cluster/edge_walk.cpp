// SPDX-License-Identifier: Apache-2.0
#include "cluster/edge_walk.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace topoalloc {
namespace {

bool is_placed(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

// The largest number of the last PodSet beside a vector of the others.
struct Edge {
    std::uint32_t attained = 0;
    std::uint32_t possible = 0;
    bool has_any = true;  ///< false: not even none of the last is attained
};

class EdgeWalk {
  public:
    EdgeWalk(const AloneCounts& alone, const AskPods& ask) : alone_(alone), ask_(ask) {}

    void run(CountTable& table) {
        CountVector start(alone_.possible.size() - 1);
        do {
            add(start, table);
        } while (advance(start));
    }

  private:
    // The next vector in lexicographic order; false after the last.
    bool advance(CountVector& start) const {
        for (std::size_t p = start.size(); p-- > 0;) {
            if (start[p] < alone_.possible[p]) {
                ++start[p];
                std::fill(
                    start.begin() + static_cast<std::ptrdiff_t>(p) + 1, start.end(), 0);
                return true;
            }
        }
        return false;
    }

    void add(const CountVector& start, CountTable& table) {
        const std::optional<Edge> edge = find_edge(start);
        if (!edge) {
            return;
        }
        edges_.emplace(start, *edge);
        CountVector pods = start;
        pods.push_back(0);
        for (; pods.back() <= edge->possible; ++pods.back()) {
            table.possible.push_back(pods);
            if (edge->has_any && pods.back() <= edge->attained) {
                table.attained.push_back(pods);
            }
        }
    }

    // Nullopt when the vector is refuted whatever the last.
    std::optional<Edge> find_edge(const CountVector& start) {
        Edge bound{alone_.attained.back(), alone_.possible.back(), true};
        for (std::size_t p = 0; p < start.size(); ++p) {
            if (start[p] == 0) {
                continue;
            }
            CountVector less = start;
            --less[p];
            const auto it = edges_.find(less);
            if (it == edges_.end()) {
                return std::nullopt;
            }
            bound.possible = std::min(bound.possible, it->second.possible);
            bound.attained = std::min(bound.attained, it->second.attained);
            bound.has_any = bound.has_any && it->second.has_any;
        }
        return descend(start, bound);
    }

    std::optional<Edge> descend(const CountVector& start, const Edge& bound) {
        CountVector pods = start;
        pods.push_back(bound.possible);
        std::optional<Edge> edge;
        for (;; --pods.back()) {
            const Status status = ask_(pods);
            if (status != Status::infeasible && !edge) {
                edge = Edge{0, pods.back(), false};
            }
            if (is_placed(status) && bound.has_any && pods.back() <= bound.attained) {
                edge->attained = pods.back();
                edge->has_any = true;
                return edge;
            }
            if (pods.back() == 0) {
                return edge;
            }
        }
    }

    const AloneCounts& alone_;
    const AskPods& ask_;
    std::map<CountVector, Edge> edges_;
};

}  // namespace

void walk_edge(const AloneCounts& alone, const AskPods& ask, CountTable& table) {
    EdgeWalk(alone, ask).run(table);
}

}  // namespace topoalloc
