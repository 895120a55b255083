// SPDX-License-Identifier: Apache-2.0
//
// The way back down: from the best vector of the whole to the pods of each node. All
// ways of equal cost are followed side by side, and at each node those with the largest
// vector stay, which is term 7 of docs/cluster-objective.md.
#include "cluster/gang_programme.hpp"

#include <algorithm>
#include <compare>
#include <utility>

namespace topoalloc {
namespace {

// Shares that one step stands for: each is looked up.
constexpr std::uint64_t shares_of_step = 16;

// A Domain on the way down: the children before `child` have been given their pods.
struct Frame {
    std::uint32_t of = 0;  ///< class
    std::uint32_t child = 0;
    std::uint32_t left = 0;  ///< pods for the other children, by index
    [[nodiscard]] auto operator<=>(const Frame&) const = default;
};
using Path = std::vector<Frame>;

class Descent {
  public:
    Descent(const GangProgramme& programme, std::size_t nodes, StepBudget& budget)
        : programme_(programme), budget_(budget) {
        plan_.reserve(nodes);
    }

    std::optional<std::vector<CountVector>> run(
        std::span<const GangCell* const> totals) {
        std::vector<Path> paths;
        for (const GangCell* total : totals) {
            enter({}, programme_.root(), *total, paths);
        }
        while (!budget_.limited && !paths.front().empty()) {
            if (!advance(paths)) {
                return std::nullopt;
            }
        }
        if (budget_.limited) {
            return std::nullopt;
        }
        return std::move(plan_);
    }

  private:
    [[nodiscard]] const GangClass& class_of(std::uint32_t id) const {
        return programme_.classes()[id];
    }

    // Goes into a Domain that is to hold these pods, down to the first node of it.
    // NOLINTNEXTLINE(misc-no-recursion): as deep as the tree of Domains
    void enter(Path path,
               std::uint32_t id,
               const GangCell& total,
               std::vector<Path>& out) {
        path.push_back({id, 0, total.index});
        settle(std::move(path), out);
    }

    // Leaves Domains that are done and enters the next one, until a node comes.
    // NOLINTNEXTLINE(misc-no-recursion): as deep as the tree of Domains
    void settle(Path path, std::vector<Path>& out) {
        while (!path.empty() &&
               path.back().child == class_of(path.back().of).children.size()) {
            path.pop_back();
        }
        if (path.empty() ||
            class_of(class_of(path.back().of).children[path.back().child]).is_node) {
            out.push_back(std::move(path));
            return;
        }
        const std::uint32_t child =
            class_of(path.back().of).children[path.back().child];
        for_each_share(path.back(), [&](const GangCell& share, std::uint32_t left) {
            Path next = path;
            ++next.back().child;
            next.back().left = left;
            enter(std::move(next), child, share, out);
        });
    }

    // The pods of the next child and, for each, what is left to those after it. None
    // when the budget ended.
    template <class F>
    void for_each_share(const Frame& frame, F&& f) {
        const GangClass& of = class_of(frame.of);
        const GangCell& total = *find_cell(of.rest[frame.child], frame.left);
        const GangCells& rest = of.rest[frame.child + 1];
        const GangCells& shares = class_of(of.children[frame.child]).cells;
        if (!budget_.spend(1 + shares.size() / shares_of_step)) {
            return;
        }
        for (const GangCell& share : shares) {
            if (share.index > total.index) {
                break;
            }
            const GangCell* left = find_cell(rest, total.index - share.index);
            if (left != nullptr && left->packed + share.packed == total.packed &&
                left->cost + share.cost == total.cost &&
                (left->touched & share.touched & of.split) == 0) {
                f(share, left->index);
            }
        }
    }

    // Gives one node its pods, or many nodes none. False when the budget ended.
    bool advance(std::vector<Path>& paths) {
        if (paths.size() == 1 && paths.front().back().left == 0) {
            skip_rest(paths);
            return budget_.spend();
        }
        std::vector<Path> next;
        CountVector best;
        for (const Path& path : paths) {
            for_each_share(path.back(), [&](const GangCell& share, std::uint32_t left) {
                CountVector pods = programme_.counts().unpack(share.packed);
                if (!next.empty() && pods < best) {
                    return;
                }
                if (next.empty() || best < pods) {
                    next.clear();
                    best = std::move(pods);
                }
                Path after = path;
                ++after.back().child;
                after.back().left = left;
                next.push_back(std::move(after));
            });
        }
        plan_.push_back(std::move(best));
        paths.clear();
        if (budget_.limited) {
            return false;
        }
        for (Path& path : next) {
            settle(std::move(path), paths);
        }
        std::ranges::sort(paths);
        const auto same = std::ranges::unique(paths);
        paths.erase(same.begin(), same.end());
        return !budget_.limited;
    }

    // The other children of the Domain hold nothing.
    void skip_rest(std::vector<Path>& paths) {
        Path path = std::move(paths.front());
        paths.clear();
        Frame& frame = path.back();
        const GangClass& of = class_of(frame.of);
        const CountVector none = programme_.counts().unpack(0);
        for (; frame.child < of.children.size(); ++frame.child) {
            plan_.insert(plan_.end(), class_of(of.children[frame.child]).nodes, none);
        }
        settle(std::move(path), paths);
    }

    const GangProgramme& programme_;
    StepBudget& budget_;
    std::vector<CountVector> plan_;
};

}  // namespace

std::optional<std::vector<CountVector>> plan_of(const GangProgramme& programme,
                                                std::span<const GangCell* const> totals,
                                                std::size_t nodes,
                                                StepBudget& budget) {
    return Descent(programme, nodes, budget).run(totals);
}

}  // namespace topoalloc
