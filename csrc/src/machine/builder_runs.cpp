// SPDX-License-Identifier: Apache-2.0
//
// What every question about a node reads of its cores and localities: runs of cores
// alike in place, classes of localities that may be exchanged, all sets of few, and the
// numbers of all domains.
#include "machine/builder.hpp"

#include "base/bits.hpp"

#include <algorithm>
#include <bit>
#include <tuple>

namespace topoalloc {
namespace {

constexpr std::size_t max_tabled_localities = 8;

// True when what `key` tells of the runs changes to a value never to come back to it.
template <class Key>
bool stands_together(const std::vector<CoreRun>& runs, std::size_t count, Key key) {
    std::vector<bool> ended(count, false);
    for (std::size_t i = 0; i < runs.size(); ++i) {
        if (ended[key(runs[i])]) {
            return false;
        }
        if (i + 1 < runs.size() && key(runs[i]) != key(runs[i + 1])) {
            ended[key(runs[i])] = true;
        }
    }
    return true;
}

// True when both lie in the same Packages and are equally far from every other
// locality.
bool are_alike(const Machine& machine, std::uint32_t a, std::uint32_t b) {
    if (!(machine.localities()[a].packages == machine.localities()[b].packages)) {
        return false;
    }
    for (std::uint32_t other = 0; other < machine.localities().size(); ++other) {
        if (other != a && other != b &&
            machine.distance(a, other) != machine.distance(b, other)) {
            return false;
        }
    }
    return true;
}

LocalitySet describe(const Machine& machine, std::uint64_t mask) {
    LocalitySet set{mask, 0, std::popcount(mask), 0};
    Bitmap packages;
    for_each_bit(mask, [&](std::uint32_t a) {
        packages |= machine.localities()[a].packages;
        for_each_bit(mask & ~low_bits(a + 1), [&](std::uint32_t b) {
            set.distance += static_cast<std::int64_t>(machine.distance(a, b));
        });
    });
    set.packages = static_cast<std::int64_t>(packages.count());
    return set;
}

}  // namespace

void MachineBuilder::build_runs() {
    Machine& m = *machine_;
    m.core_size_ = static_cast<std::uint32_t>(m.cores_.front().pus.count());
    m.run_of_core_.reserve(m.cores_.size());
    for (std::uint32_t core = 0; core < m.cores_.size(); ++core) {
        const Pu& pu = m.pus_[m.cores_[core].pus.first()];
        auto& runs = m.core_runs_;
        if (runs.empty() || runs.back().l3 != pu.l3 ||
            runs.back().locality != pu.locality || runs.back().package != pu.package) {
            runs.push_back({pu.l3, pu.locality, pu.package, core, 0, 0});
        }
        ++runs.back().core_count;
        runs.back().end_pu = static_cast<std::uint32_t>(m.cores_[core].pus.last()) + 1;
        m.run_of_core_.push_back(static_cast<std::uint32_t>(runs.size() - 1));
        if (m.cores_[core].pus.count() != m.core_size_) {
            m.core_size_ = 0;
        }
    }
}

void MachineBuilder::join_runs() {
    Machine& m = *machine_;
    m.runs_are_joined_ =
        stands_together(
            m.core_runs_, m.l3s_.size(), [](const CoreRun& run) { return run.l3; }) &&
        stands_together(m.core_runs_, m.localities_.size(), [](const CoreRun& run) {
            return run.locality;
        });
    for (std::uint32_t r = 0; r < m.core_runs_.size(); ++r) {
        Locality& locality = m.localities_[m.core_runs_[r].locality];
        if (locality.run_count++ == 0) {
            locality.first_run = r;
        }
    }
}

void MachineBuilder::classify_localities() {
    std::vector<std::uint32_t> first;  // by class
    for (std::uint32_t l = 0; l < machine_->localities_.size(); ++l) {
        const auto alike = std::ranges::find_if(
            first, [&](std::uint32_t other) { return are_alike(*machine_, other, l); });
        machine_->locality_classes_.push_back(
            static_cast<std::uint32_t>(alike - first.begin()));
        if (alike == first.end()) {
            first.push_back(l);
        }
    }
}

void MachineBuilder::table_locality_sets() {
    const std::size_t count = machine_->localities_.size();
    if (count > max_tabled_localities) {
        return;
    }
    auto& sets = machine_->locality_sets_;
    for (std::uint64_t mask = 1; mask < bit(count); ++mask) {
        sets.push_back(describe(*machine_, mask));
    }
    std::ranges::sort(sets, [](const LocalitySet& a, const LocalitySet& b) {
        const auto terms = [](const LocalitySet& set) {
            return std::tuple(set.packages, set.localities, set.distance);
        };
        return terms(a) != terms(b) ? terms(a) < terms(b)
                                    : least_index_less(a.mask, b.mask);
    });
}

void MachineBuilder::number_domains() {
    Machine& m = *machine_;
    DomainNumbers& numbers = m.domain_numbers_;
    numbers.locality = m.packages_.size();
    numbers.switch_ = numbers.locality + m.localities_.size();
    numbers.device = numbers.switch_ + m.switches_.size();
    numbers.l3 = numbers.device + m.devices_.size();
    numbers.count = numbers.l3 + m.l3s_.size();
    const auto add = [&m](std::size_t domain) {
        m.device_domains_.push_back(static_cast<std::uint32_t>(domain));
    };
    m.first_device_domain_.push_back(0);
    for (const Device& device : m.devices_) {
        device.packages.for_each(add);
        device.localities.for_each(
            [&](std::size_t locality) { add(numbers.locality + locality); });
        if (device.switch_index != no_index) {
            add(numbers.switch_ + device.switch_index);
        }
        add(numbers.device + device.root);
        m.first_device_domain_.push_back(
            static_cast<std::uint32_t>(m.device_domains_.size()));
    }
}

}  // namespace topoalloc
