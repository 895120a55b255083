// SPDX-License-Identifier: Apache-2.0
#include "cluster/least_cover.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

namespace topoalloc {
namespace {

struct CoverElement {
    std::uint32_t element = 0;
    std::uint64_t weight = 0;
    std::vector<std::int64_t> gains;  ///< by kind
};

// Sets of one size after the other, in lexicographic order.
class LeastCover {
  public:
    LeastCover(const RemovalProblem& problem,
               const RemovalRegion& region,
               const std::vector<RemovalSet>& hits,
               StepBudget& budget)
        : budget_(budget), need_(region.need) {
        std::map<std::uint32_t, std::vector<std::int64_t>> useful;
        for (const RemovalGain& gain : region.elements) {
            useful.emplace(gain.element, gain.gains);
        }
        for (const RemovalSet& hit : hits) {
            for (const std::uint32_t element : hit) {
                useful.try_emplace(element, need_.size());
            }
        }
        for (auto& [element, gains] : useful) {
            elements_.push_back({element, problem.weights[element], std::move(gains)});
        }
        for (const RemovalSet& hit : hits) {
            std::vector<bool>& member = hits_.emplace_back(elements_.size());
            for (std::size_t i = 0; i < elements_.size(); ++i) {
                member[i] = std::ranges::binary_search(hit, elements_[i].element);
            }
        }
    }

    std::optional<RemovalSet> run(std::size_t most) {
        most = std::min(most, elements_.size());
        for (std::size_t size = 0; size <= most; ++size) {
            bound_suffixes(size);
            std::vector<std::size_t> unhit(hits_.size());
            for (std::size_t h = 0; h < unhit.size(); ++h) {
                unhit[h] = h;
            }
            visit(0, size, need_, 0, unhit);
            if (budget_.limited) {
                return std::nullopt;
            }
            if (best_) {
                return best_;
            }
        }
        return std::nullopt;
    }

  private:
    // For each place to start, and so many elements: the most they gain, and the least
    // they weigh.
    void bound_suffixes(std::size_t size) {
        const std::size_t places = elements_.size() + 1;
        lightest_.assign(places, std::vector<std::uint64_t>(size + 1));
        best_gain_.assign(need_.size(),
                          std::vector<std::vector<std::int64_t>>(
                              places, std::vector<std::int64_t>(size + 1)));
        std::vector<std::uint64_t> weights;
        std::vector<std::vector<std::int64_t>> gains(need_.size());
        for (std::size_t i = elements_.size(); i-- > 0;) {
            const CoverElement& element = elements_[i];
            insert(weights, element.weight, size, std::less<>());
            sum_up(weights, lightest_[i]);
            for (std::size_t p = 0; p < need_.size(); ++p) {
                insert(gains[p], element.gains[p], size, std::greater<>());
                sum_up(gains[p], best_gain_[p][i]);
            }
        }
    }
    template <class T, class Order>
    static void insert(std::vector<T>& sorted, T value, std::size_t size, Order order) {
        sorted.insert(std::ranges::upper_bound(sorted, value, order), value);
        sorted.resize(std::min(sorted.size(), size));
    }
    template <class T>
    static void sum_up(const std::vector<T>& values, std::vector<T>& sums) {
        T sum{};
        for (std::size_t k = 0; k + 1 < sums.size(); ++k) {
            sum += k < values.size() ? values[k] : T{};
            sums[k + 1] = sum;
        }
    }

    [[nodiscard]] bool can_reach(std::size_t place,
                                 std::size_t size,
                                 const std::vector<std::int64_t>& need,
                                 std::uint64_t weight,
                                 const std::vector<std::size_t>& unhit) const {
        if (elements_.size() - place < size ||
            (best_ && weight + lightest_[place][size] >= best_weight_)) {
            return false;
        }
        for (std::size_t p = 0; p < need.size(); ++p) {
            if (need[p] > best_gain_[p][place][size]) {
                return false;
            }
        }
        return needed_for(place, unhit) <= size;
    }

    // Sets that share no element need one each.
    [[nodiscard]] std::size_t needed_for(std::size_t place,
                                         const std::vector<std::size_t>& unhit) const {
        std::vector<bool> used(elements_.size());
        std::size_t needed = 0;
        for (const std::size_t h : unhit) {
            bool is_apart = true;
            bool is_empty = true;
            for (std::size_t i = place; i < elements_.size(); ++i) {
                is_empty = is_empty && !hits_[h][i];
                is_apart = is_apart && !(hits_[h][i] && used[i]);
            }
            if (is_empty) {
                return std::numeric_limits<std::size_t>::max();
            }
            if (is_apart) {
                ++needed;
                for (std::size_t i = place; i < elements_.size(); ++i) {
                    used[i] = used[i] || hits_[h][i];
                }
            }
        }
        return needed;
    }

    // NOLINTNEXTLINE(misc-no-recursion): as deep as the set is large
    void visit(std::size_t place,
               std::size_t size,
               const std::vector<std::int64_t>& need,
               std::uint64_t weight,
               const std::vector<std::size_t>& unhit) {
        for (;; ++place) {
            if (!budget_.spend() || !can_reach(place, size, need, weight, unhit)) {
                return;
            }
            if (size == 0) {
                best_ = chosen_;
                best_weight_ = weight;
                return;
            }
            const CoverElement& element = elements_[place];
            std::vector<std::int64_t> rest = need;
            for (std::size_t p = 0; p < rest.size(); ++p) {
                rest[p] -= element.gains[p];
            }
            std::vector<std::size_t> left;
            std::ranges::copy_if(unhit, std::back_inserter(left), [&](std::size_t h) {
                return !hits_[h][place];
            });
            chosen_.push_back(element.element);
            visit(place + 1, size - 1, rest, weight + element.weight, left);
            chosen_.pop_back();
        }
    }

    StepBudget& budget_;
    std::vector<std::int64_t> need_;
    std::vector<CoverElement> elements_;
    std::vector<std::vector<bool>> hits_;                            ///< by element
    std::vector<std::vector<std::uint64_t>> lightest_;               ///< [place][size]
    std::vector<std::vector<std::vector<std::int64_t>>> best_gain_;  ///< [kind]...
    RemovalSet chosen_;
    std::optional<RemovalSet> best_;
    std::uint64_t best_weight_ = 0;
};

}  // namespace

std::optional<RemovalSet> least_cover(const RemovalProblem& problem,
                                      const RemovalRegion& region,
                                      const std::vector<RemovalSet>& hits,
                                      std::size_t most,
                                      StepBudget& budget) {
    return LeastCover(problem, region, hits, budget).run(most);
}

}  // namespace topoalloc
