// SPDX-License-Identifier: Apache-2.0
#include "node/joint_cells.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

namespace topoalloc {

// The fewest cores to split, core after core: a table over the PUs that are still to be
// taken from each cell of one component, as a mixed-radix number.
class JointCells::SplitTable {
  public:
    SplitTable(const JointCells& cells,
               const Component& component,
               const std::vector<std::uint32_t>& whole_taken,
               const std::vector<std::uint32_t>& pus_taken)
        : component_(component) {
        for (const std::uint32_t cell : component.cells) {
            stride_.push_back(states_);
            wanted_.push_back(pus_taken[cell]);
            states_ *= std::size_t{pus_taken[cell]} + 1;
        }
        for (const std::uint32_t index : component.classes) {
            const JointCoreClass& kind = cells.classes_[index];
            const std::size_t taken = whole_taken[index];
            for (std::size_t i = taken; i < kind.cores.size(); ++i) {
                cores_.emplace_back(kind.cores[i], &kind);
            }
        }
    }

    [[nodiscard]] std::uint64_t work() const { return states_ * (cores_.size() + 1); }

    std::int64_t fill() {
        least_.assign((cores_.size() + 1) * states_, unreachable);
        least_[cores_.size() * states_] = 0;  // nothing left to take
        for (std::size_t core = cores_.size(); core-- > 0;) {
            for (std::size_t state = 0; state < states_; ++state) {
                at(core, state) = best_from(core, state).first;
            }
        }
        return at(0, states_ - 1);
    }

    // Calls visit(core, cell, count) for what is taken. Requires: filled, reachable.
    template <class F>
    void trace(F&& visit) const {
        std::size_t state = states_ - 1;
        for (std::size_t core = 0; core < cores_.size(); ++core) {
            const std::size_t next = best_from(core, state).second;
            const auto& free = cores_[core].second->free;
            for (const auto& [cell, most] : free) {
                const std::size_t position = position_of(cell);
                const std::size_t count =
                    digit(state, position) - digit(next, position);
                visit(cores_[core].first, cell, count);
            }
            state = next;
        }
    }

  private:
    static constexpr std::int64_t unreachable =
        std::numeric_limits<std::int64_t>::max() / 2;

    std::int64_t& at(std::size_t core, std::size_t state) {
        return least_[core * states_ + state];
    }
    [[nodiscard]] std::int64_t at(std::size_t core, std::size_t state) const {
        return least_[core * states_ + state];
    }
    [[nodiscard]] std::size_t digit(std::size_t state, std::size_t position) const {
        return state / stride_[position] % (std::size_t{wanted_[position]} + 1);
    }
    [[nodiscard]] std::size_t position_of(std::uint32_t cell) const {
        return static_cast<std::size_t>(std::ranges::find(component_.cells, cell) -
                                        component_.cells.begin());
    }

    // The least from this core on, and the state that it leaves.
    [[nodiscard]] std::pair<std::int64_t, std::size_t> best_from(
        std::size_t core, std::size_t state) const {
        std::pair<std::int64_t, std::size_t> best{unreachable, state};
        take_cells(core, 0, 0, state, best);
        return best;
    }

    void take_cells(std::size_t core,
                    std::size_t index,
                    std::size_t taken,
                    std::size_t state,
                    std::pair<std::int64_t, std::size_t>& best) const {
        const JointCoreClass& kind = *cores_[core].second;
        if (index == kind.free.size()) {
            const std::int64_t split = taken != 0 && taken != kind.size ? 1 : 0;
            const std::int64_t sum = at(core + 1, state) + split;
            best = std::min(best, std::pair(sum, state));
            return;
        }
        const auto& [cell, free] = kind.free[index];
        const std::size_t position = position_of(cell);
        const std::size_t most = std::min<std::size_t>(free, digit(state, position));
        for (std::size_t count = 0; count <= most; ++count) {
            take_cells(core,
                       index + 1,
                       taken + count,
                       state - count * stride_[position],
                       best);
        }
    }

    const Component& component_;
    std::vector<std::size_t> stride_;
    std::vector<std::uint32_t> wanted_;
    std::size_t states_ = 1;
    std::vector<std::pair<std::uint32_t, const JointCoreClass*>> cores_;
    std::vector<std::int64_t> least_;  // [core][state]
};

JointCells::JointCells(const NodeState& state,
                       std::span<const CompiledNear* const> nears)
    : state_(state), machine_(state.machine()) {
    read_pus(nears);
    read_cores();
    join_components();
    find_twins();
}

void JointCells::read_pus(std::span<const CompiledNear* const> nears) {
    using Key =
        std::tuple<std::uint32_t, std::uint32_t, std::uint32_t, std::vector<bool>>;
    std::map<Key, std::uint32_t> index_of;
    cell_of_pu_.assign(machine_.pus().size(), no_index);
    state_.free_pus().for_each([&](std::size_t index) {
        const Pu& pu = machine_.pus()[index];
        std::vector<bool> near;
        for (const CompiledNear* constraint : nears) {
            near.push_back(constraint->pus.test(index));
        }
        const auto [entry, is_new] =
            index_of.try_emplace({pu.l3, pu.locality, pu.package, near},
                                 static_cast<std::uint32_t>(cells_.size()));
        if (is_new) {
            JointCell& cell = cells_.emplace_back();
            cell.l3 = pu.l3;
            cell.locality = pu.locality;
            cell.package = pu.package;
            cell.near = std::move(near);
            cell.first_pu = static_cast<std::uint32_t>(index);
        }
        ++cells_[entry->second].free;
        cell_of_pu_[index] = entry->second;
    });
}

void JointCells::read_cores() {
    std::map<std::tuple<std::uint32_t,
                        bool,
                        std::vector<std::pair<std::uint32_t, std::uint32_t>>>,
             std::uint32_t>
        index_of;
    for (std::uint32_t core = 0; core < machine_.cores().size(); ++core) {
        std::map<std::uint32_t, std::uint32_t> free;
        machine_.cores()[core].pus.for_each([&](std::size_t pu) {
            if (cell_of_pu_[pu] != no_index) {
                ++free[cell_of_pu_[pu]];
            }
        });
        if (free.empty()) {
            continue;
        }
        JointCoreClass kind;
        kind.size = static_cast<std::uint32_t>(machine_.cores()[core].pus.count());
        kind.free.assign(free.begin(), free.end());
        kind.is_whole = state_.whole_cores().test(core);
        const auto [entry, is_new] =
            index_of.try_emplace({kind.size, kind.is_whole, kind.free},
                                 static_cast<std::uint32_t>(classes_.size()));
        if (is_new) {
            classes_.push_back(std::move(kind));
        }
        classes_[entry->second].cores.push_back(core);
    }
    for (std::uint32_t index = 0; index < classes_.size(); ++index) {
        for (const auto& [cell, count] : classes_[index].free) {
            cells_[cell].classes.push_back(index);
        }
    }
    // One order for all cells, so that the classes of twins stand in equal places.
    for (JointCell& cell : cells_) {
        std::ranges::sort(cell.classes, {}, [this](std::uint32_t index) {
            const JointCoreClass& kind = classes_[index];
            return std::tuple(!kind.is_whole, kind.size, kind.free.front().second);
        });
    }
}

void JointCells::join_components() {
    std::vector<std::uint32_t> root(cells_.size());
    std::iota(root.begin(), root.end(), 0U);
    for (const JointCoreClass& kind : classes_) {
        const std::uint32_t to = root[kind.free.front().first];
        for (const auto& [cell, count] : kind.free) {
            std::ranges::replace(root, std::uint32_t{root[cell]}, to);
        }
    }
    std::map<std::uint32_t, std::uint32_t> index_of;
    for (std::uint32_t cell = 0; cell < cells_.size(); ++cell) {
        const auto [entry, is_new] = index_of.try_emplace(
            root[cell], static_cast<std::uint32_t>(components_.size()));
        if (is_new) {
            components_.emplace_back();
        }
        cells_[cell].component = entry->second;
        components_[entry->second].cells.push_back(cell);
    }
    for (std::uint32_t index = 0; index < classes_.size(); ++index) {
        const std::uint32_t component =
            cells_[classes_[index].free.front().first].component;
        components_[component].classes.push_back(index);
    }
}

void JointCells::find_twins() {
    std::map<std::uint32_t, std::uint32_t> cells_of_l3;
    for (const JointCell& cell : cells_) {
        ++cells_of_l3[cell.l3];
    }
    for (std::uint32_t b = 0; b < cells_.size(); ++b) {
        for (std::uint32_t a = 0; a < b; ++a) {
            if (cells_of_l3[cells_[a].l3] == 1 && cells_of_l3[cells_[b].l3] == 1 &&
                are_twins(cells_[a], cells_[b])) {
                cells_[b].twins.push_back(a);
            }
        }
    }
}

bool JointCells::are_twins(const JointCell& a, const JointCell& b) const {
    return a.locality == b.locality && a.package == b.package && a.near == b.near &&
           (state_.l3_holds()[a.l3] == 0) == (state_.l3_holds()[b.l3] == 0) &&
           machine_.l3s()[a.l3].localities == machine_.l3s()[b.l3].localities &&
           std::ranges::equal(
               a.classes, b.classes, [this](std::uint32_t x, std::uint32_t y) {
                   const JointCoreClass& p = classes_[x];
                   const JointCoreClass& q = classes_[y];
                   return p.size == q.size && p.is_whole == q.is_whole &&
                          p.free.size() == 1 && q.free.size() == 1 &&
                          p.free.front().second == q.free.front().second &&
                          p.cores.size() == q.cores.size();
               });
}

std::optional<std::int64_t> JointCells::least_split(
    const std::vector<std::uint32_t>& whole_taken,
    const std::vector<std::uint32_t>& pus_taken,
    StepBudget& budget) {
    std::int64_t sum = 0;
    for (std::uint32_t index = 0; index < components_.size(); ++index) {
        const Component& component = components_[index];
        if (std::ranges::all_of(component.cells,
                                [&](std::uint32_t c) { return pus_taken[c] == 0; })) {
            continue;
        }
        std::vector<std::uint32_t> key{index};
        for (const std::uint32_t kind : component.classes) {
            key.push_back(whole_taken[kind]);
        }
        for (const std::uint32_t cell : component.cells) {
            key.push_back(pus_taken[cell]);
        }
        const auto [entry, is_new] = split_memo_.try_emplace(std::move(key), 0);
        if (is_new) {
            SplitTable table(*this, component, whole_taken, pus_taken);
            // A cell of the table is less work than a step of the search.
            if (!budget.spend(table.work() / 16 + 1)) {
                split_memo_.erase(entry);
                return std::nullopt;
            }
            entry->second = table.fill();
        }
        sum += entry->second;
    }
    return sum;
}

std::vector<std::vector<std::uint32_t>> JointCells::choose_pus(
    const std::vector<std::uint32_t>& whole_taken,
    const std::vector<std::uint32_t>& pus_taken) const {
    std::vector<std::vector<std::uint32_t>> out(cells_.size());
    for (const Component& component : components_) {
        SplitTable table(*this, component, whole_taken, pus_taken);
        table.fill();
        table.trace([&](std::uint32_t core, std::uint32_t cell, std::size_t count) {
            machine_.cores()[core].pus.for_each([&](std::size_t pu) {
                if (count != 0 && cell_of_pu_[pu] == cell) {
                    out[cell].push_back(static_cast<std::uint32_t>(pu));
                    --count;
                }
            });
        });
    }
    return out;
}

}  // namespace topoalloc
