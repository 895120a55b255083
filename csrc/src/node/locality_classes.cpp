// SPDX-License-Identifier: Apache-2.0
#include "node/locality_sets.hpp"

#include <algorithm>

namespace topoalloc {
namespace {

// Enumerates counts by class; then sorts them by distance.
class ClassCounter {
  public:
    ClassCounter(const Machine& machine,
                 const std::vector<std::uint32_t>& most,
                 std::size_t packages,
                 std::uint64_t& steps,
                 std::uint64_t max_steps)
        : machine_(machine),
          most_(most),
          packages_(packages),
          steps_(steps),
          max_steps_(max_steps) {
        const auto& classes = machine.locality_classes();
        for (std::uint32_t l = 0; l < classes.size(); ++l) {
            if (classes[l] == first_.size()) {
                first_.push_back(l);
                second_.push_back(l);
            } else if (second_[classes[l]] == first_[classes[l]]) {
                second_[classes[l]] = l;
            }
        }
        now_.counts.assign(first_.size(), 0);
    }

    // False: the step limit came first.
    bool run(std::size_t size) {
        now_.localities = static_cast<std::int64_t>(size);
        now_.packages = static_cast<std::int64_t>(packages_);
        if (!extend(0, size, Bitmap{})) {
            return false;
        }
        std::ranges::stable_sort(found_, {}, &ClassCounts::distance);
        return true;
    }

    [[nodiscard]] const std::vector<ClassCounts>& found() const { return found_; }

  private:
    bool extend(std::size_t index, std::size_t missing, const Bitmap& packages) {
        if (steps_ >= max_steps_) {
            return false;
        }
        ++steps_;
        if (missing == 0 || index == first_.size()) {
            if (missing == 0 && packages.count() == packages_) {
                now_.distance = distance();
                found_.push_back(now_);
            }
            return true;
        }
        const std::size_t most = std::min<std::size_t>(missing, most_[index]);
        for (std::size_t count = 0; count <= most; ++count) {
            Bitmap met = packages;
            if (count != 0) {
                met |= machine_.localities()[first_[index]].packages;
            }
            if (met.count() > packages_) {
                break;
            }
            now_.counts[index] = static_cast<std::uint32_t>(count);
            if (!extend(index + 1, missing - count, met)) {
                return false;
            }
        }
        now_.counts[index] = 0;
        return true;
    }

    [[nodiscard]] std::int64_t distance() const {
        std::int64_t sum = 0;
        for (std::size_t i = 0; i < first_.size(); ++i) {
            const auto count = static_cast<std::int64_t>(now_.counts[i]);
            sum += count * (count - 1) / 2 *
                   static_cast<std::int64_t>(machine_.distance(first_[i], second_[i]));
            for (std::size_t j = i + 1; j < first_.size(); ++j) {
                sum +=
                    count * static_cast<std::int64_t>(now_.counts[j]) *
                    static_cast<std::int64_t>(machine_.distance(first_[i], first_[j]));
            }
        }
        return sum;
    }

    const Machine& machine_;
    const std::vector<std::uint32_t>& most_;
    std::size_t packages_;
    std::uint64_t& steps_;
    std::uint64_t max_steps_;
    std::vector<std::uint32_t> first_,
        second_;  // two members of each class, or one twice
    ClassCounts now_;
    std::vector<ClassCounts> found_;
};

}  // namespace

bool for_each_class_counts(const Machine& machine,
                           const std::vector<std::uint32_t>& most,
                           std::size_t packages,
                           std::size_t size,
                           std::uint64_t& steps,
                           std::uint64_t max_steps,
                           bool& limited,
                           const std::function<bool(const ClassCounts&)>& visit) {
    ClassCounter counter(machine, most, packages, steps, max_steps);
    if (!counter.run(size)) {
        limited = true;
        return false;
    }
    return std::ranges::all_of(counter.found(), visit);
}

}  // namespace topoalloc
