// SPDX-License-Identifier: Apache-2.0
//
// Links of one need as its devices are chosen one by one: what each candidate adds to
// term 5, the least that a choice can come to, and which candidates a clique leaves.
// Candidates are named by their position.
//
// A row a device chosen: for each candidate the links missing to all chosen so far, and
// from each position on the least of that and how many can still be chosen. A step
// takes O(candidates), a bound O(1).
#pragma once

#include "node/branch.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace topoalloc {

class LinkBound {
  public:
    /// Of these candidates, of which no two with a smaller link may be chosen. Where
    /// the need counts no links, no candidate adds anything.
    void begin_branch(const Machine& machine,
                      const DeviceNeed& need,
                      const std::vector<Candidate>& candidates,
                      std::uint64_t clique_mb_s);
    /// Only candidates of T, or of unknown locality, will be chosen.
    void begin_set(std::uint64_t localities);

    /// Chooses a candidate behind those chosen before.
    void push(std::size_t position);
    void pop() { --chosen_; }

    /// What a candidate adds to the term beside those chosen so far.
    [[nodiscard]] std::int64_t added_by(std::size_t position) const {
        return has_rows_ ? row(chosen_)[position] : 0;
    }
    /// Whether it can be chosen next, and enough of the rest can be behind it.
    [[nodiscard]] bool is_possible(std::size_t position) const;
    /// What is still added then, at least.
    [[nodiscard]] std::int64_t least_with(std::size_t position) const;

  private:
    [[nodiscard]] const std::int64_t* row(std::size_t chosen) const {
        return rows_.data() + chosen * planes * width_;
    }
    void note_rest(std::size_t first);

    static constexpr std::size_t planes = 3;  // sums, least, how many

    const Machine* machine_ = nullptr;
    const std::vector<Candidate>* candidates_ = nullptr;
    std::uint64_t clique_mb_s_ = 0;
    bool is_counted_ = false;
    bool has_rows_ = false;
    std::size_t count_ = 0;   // devices to choose
    std::size_t chosen_ = 0;  // so far
    std::size_t width_ = 0;   // candidates, and one beyond
    // By devices chosen: sums by position, then from each position on the least of them
    // and how many can be chosen.
    std::vector<std::int64_t> rows_;
};

}  // namespace topoalloc
