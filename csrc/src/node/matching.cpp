// SPDX-License-Identifier: Apache-2.0
#include "node/matching.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

namespace topoalloc {
namespace {

// Above any sum of levels: at most 65536 devices times level 6 stays below it.
constexpr std::int64_t forbidden = std::int64_t{1} << 32;

// Augmenting-path matching of `many` into `one`, each of which takes `ratio`.
class Augmenter {
  public:
    Augmenter(const Machine& machine, const MatchingSides& sides, Level within)
        : machine_(machine),
          sides_(sides),
          within_(within),
          taken_by_(sides.one.size()) {}

    std::size_t run() {
        std::size_t matched = 0;
        for (std::uint32_t i = 0; i < sides_.many.size(); ++i) {
            visited_.assign(sides_.one.size(), false);
            matched += augment(i) ? 1U : 0U;
        }
        return matched;
    }

  private:
    // Recursion is as deep as an augmenting path: at most the members of `one`.
    bool augment(std::uint32_t i) {
        for (std::uint32_t j = 0; j < sides_.one.size(); ++j) {
            if (visited_[j] ||
                machine_.level(sides_.many[i], sides_.one[j]) > within_) {
                continue;
            }
            visited_[j] = true;
            if (taken_by_[j].size() < sides_.ratio) {
                taken_by_[j].push_back(i);
                return true;
            }
            for (std::uint32_t& holder : taken_by_[j]) {
                if (augment(holder)) {
                    holder = i;
                    return true;
                }
            }
        }
        return false;
    }

    const Machine& machine_;
    const MatchingSides& sides_;
    Level within_;
    std::vector<std::vector<std::uint32_t>> taken_by_;
    std::vector<bool> visited_;
};

// The Hungarian method with potentials; rows are `many`, columns `one` repeated.
class Assignment {
  public:
    Assignment(const Machine& machine, const MatchingSides& sides, Level within)
        : size_(sides.many.size()), cost_(size_ * size_) {
        for (std::size_t row = 0; row < size_; ++row) {
            for (std::size_t column = 0; column < size_; ++column) {
                const Level level =
                    machine.level(sides.many[row], sides.one[column / sides.ratio]);
                at(row, column) =
                    level <= within ? static_cast<std::int64_t>(level) : forbidden;
            }
        }
    }

    std::int64_t& at(std::size_t row, std::size_t column) {
        return cost_[row * size_ + column];
    }

    // The least sum; at least `forbidden` when no matching avoids forbidden cells.
    std::int64_t solve() {
        row_potential_.assign(size_ + 1, 0);
        column_potential_.assign(size_ + 1, 0);
        row_of_.assign(size_ + 1, 0);
        for (std::size_t row = 1; row <= size_; ++row) {
            add_row(row);
        }
        std::int64_t sum = 0;
        for (std::size_t column = 1; column <= size_; ++column) {
            sum += at(row_of_[column] - 1, column - 1);
        }
        return sum;
    }

  private:
    // One shortest augmenting path from `row` over reduced costs; indices from 1,
    // column 0 is the start.
    void add_row(std::size_t row) {
        std::vector<std::int64_t> least(size_ + 1,
                                        std::numeric_limits<std::int64_t>::max());
        std::vector<std::size_t> way(size_ + 1, 0);
        std::vector<bool> done(size_ + 1, false);
        row_of_[0] = row;
        std::size_t column = 0;
        do {
            done[column] = true;
            column = relax(column, least, way, done);
        } while (row_of_[column] != 0);
        while (column != 0) {
            row_of_[column] = row_of_[way[column]];
            column = way[column];
        }
    }

    std::size_t relax(std::size_t from,
                      std::vector<std::int64_t>& least,
                      std::vector<std::size_t>& way,
                      const std::vector<bool>& done) {
        const std::size_t row = row_of_[from];
        std::int64_t delta = std::numeric_limits<std::int64_t>::max();
        std::size_t next = 0;
        for (std::size_t column = 1; column <= size_; ++column) {
            if (done[column]) {
                continue;
            }
            const std::int64_t reduced = at(row - 1, column - 1) - row_potential_[row] -
                                         column_potential_[column];
            if (reduced < least[column]) {
                least[column] = reduced;
                way[column] = from;
            }
            if (least[column] < delta) {
                delta = least[column];
                next = column;
            }
        }
        for (std::size_t column = 0; column <= size_; ++column) {
            if (done[column]) {
                row_potential_[row_of_[column]] += delta;
                column_potential_[column] -= delta;
            } else {
                least[column] -= delta;
            }
        }
        return next;
    }

    std::size_t size_;
    std::vector<std::int64_t> cost_;
    std::vector<std::int64_t> row_potential_, column_potential_;
    std::vector<std::size_t> row_of_;
};

// Where levels are ultrametric, matching whatever can be matched at the least level
// first is optimal: devices within a level of each other are alike to all farther ones.
// Rows are `many`, columns `one` repeated; sets of them are words.
class NestedMatching {
  public:
    static bool applies(const Machine& machine, const MatchingSides& sides) {
        return machine.levels_are_ultrametric() && sides.many.size() <= max_size;
    }

    // Rows beyond `many` stay unset.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
    NestedMatching(const Machine& machine, const MatchingSides& sides, Level within)
        : machine_(machine), sides_(sides), within_(static_cast<std::size_t>(within)) {
        for (std::size_t i = 0; i < sides.many.size(); ++i) {
            near_[i].fill(0);
            for (std::size_t j = 0; j < sides.one.size(); ++j) {
                near_[i][level_of(i, j)] |= columns_of(j);
            }
        }
    }

    // The least sum of all rows; at least `forbidden`: none.
    [[nodiscard]] std::int64_t sum() const {
        const std::uint64_t all = low_bits(sides_.many.size());
        return sum_of(all, all);
    }

    void least_list(std::span<std::uint32_t> chosen) const {
        std::uint64_t rows = low_bits(sides_.many.size());
        std::uint64_t columns = rows;
        std::int64_t rest = sum_of(rows, columns);
        for (std::uint32_t i = 0; i < chosen.size(); ++i) {
            rows &= ~bit(i);
            for (std::uint32_t j = 0; j < sides_.one.size(); ++j) {
                const std::size_t level = level_of(i, j);
                const std::uint64_t own = columns & columns_of(j);
                if (own == 0 || level > within_) {
                    continue;
                }
                const std::uint64_t without = columns & ~(own & (~own + 1));
                const std::int64_t after = sum_of(rows, without);
                if (after + static_cast<std::int64_t>(level) == rest) {
                    chosen[i] = j;
                    columns = without;
                    rest = after;
                    break;
                }
            }
        }
    }

  private:
    static constexpr std::size_t max_size = 64;

    [[nodiscard]] std::size_t level_of(std::size_t i, std::size_t j) const {
        return static_cast<std::size_t>(machine_.level(sides_.many[i], sides_.one[j]));
    }

    // The columns of one[j]: as many as it can be used times.
    [[nodiscard]] std::uint64_t columns_of(std::size_t j) const {
        return low_bits((j + 1) * sides_.ratio) & ~low_bits(j * sides_.ratio);
    }

    [[nodiscard]] std::int64_t sum_of(std::uint64_t rows, std::uint64_t columns) const {
        std::int64_t sum = 0;
        for (std::size_t level = 0; level <= within_ && rows != 0; ++level) {
            for_each_bit(rows, [&](std::uint32_t i) {
                if (const std::uint64_t open = near_[i][level] & columns; open != 0) {
                    columns &= ~(open & (~open + 1));
                    rows &= ~bit(i);
                    sum += static_cast<std::int64_t>(level);
                }
            });
        }
        return rows == 0 ? sum : forbidden;
    }

    const Machine& machine_;
    const MatchingSides& sides_;
    std::size_t within_;
    // By row and level: the columns at exactly that level. Rows beyond `many` are
    // unset.
    std::array<std::array<std::uint64_t, level_count>, max_size> near_;
};

// Gives each of `many` in turn the first of the nearest ones that is left. True when
// all of them got one at the least level that they have to any: no sum is less then,
// and no list of that sum either, since each had to be at its least level.
bool match_nearest(const Machine& machine,
                   const MatchingSides& sides,
                   Level within,
                   std::span<std::uint32_t> chosen) {
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        const auto before = chosen.first(i);
        Level least = within;
        std::uint32_t first = no_index;
        for (std::uint32_t j = 0; j < sides.one.size(); ++j) {
            const Level level = machine.level(sides.many[i], sides.one[j]);
            if (level > least || (level == least && first != no_index)) {
                continue;
            }
            least = level;
            first = std::cmp_less(std::ranges::count(before, j), sides.ratio)
                        ? j
                        : no_index;
        }
        if (first == no_index) {
            return false;
        }
        chosen[i] = first;
    }
    return true;
}

}  // namespace

std::size_t largest_matching(const Machine& machine,
                             const MatchingSides& sides,
                             Level within) {
    return Augmenter(machine, sides, within).run();
}

bool has_matching(const Machine& machine, const MatchingSides& sides, Level within) {
    if (sides.many.size() != sides.one.size() * sides.ratio) {
        return false;
    }
    return NestedMatching::applies(machine, sides)
               ? NestedMatching(machine, sides, within).sum() < forbidden
               : largest_matching(machine, sides, within) == sides.many.size();
}

std::optional<std::int64_t> least_level_sum(const Machine& machine,
                                            const MatchingSides& sides,
                                            Level within) {
    if (sides.many.size() != sides.one.size() * sides.ratio) {
        return std::nullopt;
    }
    if (sides.many.size() == 1) {
        const Level level = machine.level(sides.many[0], sides.one[0]);
        return level <= within ? std::optional(static_cast<std::int64_t>(level))
                               : std::nullopt;
    }
    const std::int64_t sum = NestedMatching::applies(machine, sides)
                                 ? NestedMatching(machine, sides, within).sum()
                                 : Assignment(machine, sides, within).solve();
    return sum < forbidden ? std::optional(sum) : std::nullopt;
}

void least_matching(const Machine& machine,
                    const MatchingSides& sides,
                    Level within,
                    std::span<std::uint32_t> chosen) {
    if (match_nearest(machine, sides, within, chosen)) {
        return;
    }
    if (NestedMatching::applies(machine, sides)) {
        NestedMatching(machine, sides, within).least_list(chosen);
        return;
    }
    const std::size_t size = sides.many.size();
    Assignment table(machine, sides, within);
    const std::int64_t least = table.solve();
    // Fix the members one after the other: forbid every other partner, keep the least
    // sum.
    for (std::size_t row = 0; row < size; ++row) {
        for (std::uint32_t j = 0; j < sides.one.size(); ++j) {
            Assignment trial = table;
            for (std::size_t column = 0; column < size; ++column) {
                if (column / sides.ratio != j) {
                    trial.at(row, column) = forbidden;
                }
            }
            if (trial.solve() == least) {
                chosen[row] = j;
                table = std::move(trial);
                break;
            }
        }
    }
}

}  // namespace topoalloc
