// SPDX-License-Identifier: Apache-2.0
//
// indexes= of the synthetic form: a list "0,2,1,3"; loops "step*count:step*count"; or
// loops named by the levels that they run over, "numa:core". Where hwloc warns and goes
// on with other indexes than those written, this is an error.
#include "machine/synthetic_internal.hpp"
#include "topoalloc/machine.hpp"

#include <algorithm>
#include <numeric>

namespace topoalloc::synthetic {
namespace {

struct Loop {
    std::uint64_t step = 1;
    std::uint64_t count = 1;
};

class Expander {
  public:
    // `end`: where the indexes end in the text, which reading must not pass.
    Expander(const Description& description,
             std::uint32_t total,
             std::string_view indexes,
             std::size_t at)
        : description_(description),
          text_(description.text.substr(0, at + indexes.size())),
          total_(total),
          begin_(at),
          at_(at) {}

    std::vector<std::uint32_t> expand() {
        const std::string_view written = text_.substr(begin_);
        std::vector<std::uint32_t> result;
        if (written.find_first_not_of("0123456789,") == std::string_view::npos) {
            result = read_list();
        } else {
            std::vector<Loop> loops =
                written[0] >= '0' && written[0] <= '9' ? read_loops() : read_types();
            result = run(complete(std::move(loops)));
        }
        check_unique(result);
        return result;
    }

  private:
    [[noreturn]] void fail_at(std::size_t at,
                              const std::string& what,
                              const std::string& want) const {
        fail(description_.text, at, what, want);
    }

    // Lists are decimal, also with leading zeros.
    std::vector<std::uint32_t> read_list() {
        std::vector<std::uint32_t> result;
        while (at_ <= text_.size()) {
            const std::size_t first = at_;
            std::uint64_t value = 0;
            for (; at_ < text_.size() && text_[at_] != ','; ++at_) {
                value = std::min<std::uint64_t>(
                    value * 10 + static_cast<std::uint64_t>(text_[at_] - '0'),
                    MachineLimits::os_index);
            }
            if (at_ == first) {
                fail_at(at_, "no index", "a number");
            }
            if (value >= MachineLimits::os_index) {
                fail_at(first,
                        "too large an index",
                        "a number below " + std::to_string(MachineLimits::os_index));
            }
            if (result.size() == total_) {
                break;
            }
            result.push_back(static_cast<std::uint32_t>(value));
            ++at_;
        }
        if (result.size() != total_ || at_ <= text_.size()) {
            fail_at(begin_,
                    "a list of another length",
                    std::to_string(total_) + " indexes");
        }
        return result;
    }

    std::vector<Loop> read_loops() {
        std::vector<Loop> loops;
        for (;;) {
            const std::size_t first = at_;
            Loop loop;
            loop.step = read_number(text_, at_);
            expect('*');
            loop.count = read_number(text_, at_);
            if (loop.step == 0 || loop.count == 0) {
                fail_at(first, "a loop with 0", "step*count, both 1 or more");
            }
            loops.push_back(loop);
            if (at_ == text_.size()) {
                return loops;
            }
            expect(':');
        }
    }

    std::vector<Loop> read_types() {
        std::vector<std::size_t> depths;
        for (;;) {
            const std::size_t first = at_;
            const std::size_t depth = level_of(read_type(text_, at_));
            if (depth == 0) {
                fail_at(first, "no level of that type above", "a type of the text");
            }
            if (std::find(depths.begin(), depths.end(), depth) != depths.end()) {
                fail_at(first, "the same level twice", "each level once");
            }
            depths.push_back(depth);
            if (at_ == text_.size()) {
                break;
            }
            expect(':');
        }
        std::vector<Loop> loops;
        for (const std::size_t depth : depths) {
            std::size_t above = 0;
            for (const std::size_t other : depths) {
                above = other < depth ? std::max(above, other) : above;
            }
            const std::uint64_t width = description_.levels[depth].width;
            loops.push_back({total_ / width, width / description_.levels[above].width});
        }
        return loops;
    }

    // 0: there is none whose objects are those that are numbered, or hold them.
    [[nodiscard]] std::size_t level_of(const TypeName& name) const {
        const auto& levels = description_.levels;
        for (std::size_t i = 1; i + 1 < levels.size(); ++i) {
            const TypeName& other = levels[i].name;
            const bool is_group = name.type == Type::group;
            const bool same_number =
                other.number == name.number || (is_group && name.number == 0);
            if (name.type != Type::none && other.type == name.type && same_number &&
                other.is_instruction_cache == name.is_instruction_cache) {
                return total_ % levels[i].width == 0 ? i : 0;
            }
        }
        return 0;
    }

    void expect(char wanted) {
        if (at_ >= text_.size() || text_[at_] != wanted) {
            fail_at(at_, "unknown indexes", std::string("'") + wanted + "'");
        }
        ++at_;
    }

    // The innermost loop may be left out.
    [[nodiscard]] std::vector<Loop> complete(std::vector<Loop> loops) const {
        std::uint64_t product = 1;
        std::uint64_t least_step = total_;
        for (const Loop& loop : loops) {
            if (loop.count > total_ / product) {
                fail_at(begin_, "loops over more objects", std::to_string(total_));
            }
            product *= loop.count;
            least_step = std::min(least_step, loop.step);
        }
        if (product != total_) {
            if (total_ % product != 0 || least_step != total_ / product) {
                fail_at(begin_,
                        "loops over " + std::to_string(product) + " objects",
                        std::to_string(total_));
            }
            loops.push_back({1, total_ / product});
        }
        return loops;
    }

    [[nodiscard]] std::vector<std::uint32_t> run(const std::vector<Loop>& loops) const {
        std::vector<std::uint32_t> result(total_, 0);
        std::uint64_t factor = 1;
        for (const Loop& loop : loops) {
            for (std::uint32_t i = 0; i < total_; ++i) {
                // At most total_ - 1 in the end: the counts multiply to total_.
                result[i] +=
                    static_cast<std::uint32_t>((i / loop.step) % loop.count * factor);
            }
            factor *= loop.count;
        }
        return result;
    }

    void check_unique(std::vector<std::uint32_t> indexes) const {
        std::sort(indexes.begin(), indexes.end());
        const auto twice = std::adjacent_find(indexes.begin(), indexes.end());
        if (twice != indexes.end()) {
            fail_at(
                begin_, "index " + std::to_string(*twice) + " twice", "unique indexes");
        }
    }

    const Description& description_;
    std::string_view text_;
    std::uint32_t total_;
    std::size_t begin_;
    std::size_t at_;
};

}  // namespace

std::vector<std::uint32_t> expand_indexes(const Description& description,
                                          std::uint32_t total,
                                          std::string_view indexes,
                                          std::size_t at) {
    if (!indexes.empty()) {
        return Expander(description, total, indexes, at).expand();
    }
    std::vector<std::uint32_t> result(total);
    std::iota(result.begin(), result.end(), 0U);
    return result;
}

}  // namespace topoalloc::synthetic
