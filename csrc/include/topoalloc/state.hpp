// SPDX-License-Identifier: Apache-2.0
//
// NodeState: what is free on one node now, as docs/objective.md section 2 defines it. A
// value: copy it to ask "what if". It knows amounts and how many owners hold something
// in each domain, not who they are; Allocator keeps the owners.
#pragma once

#include "topoalloc/verdict.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace topoalloc {

class NodeState {
  public:
    explicit NodeState(std::shared_ptr<const Machine> machine);

    [[nodiscard]] const Machine& machine() const { return *machine_; }
    [[nodiscard]] const std::shared_ptr<const Machine>& machine_ptr() const {
        return machine_;
    }

    /// Takes PUs (logical) out for ever, before anything is placed, or for a while.
    /// Requires: none of the PUs is owned (reserve). Cordoning an owned PU is fine.
    void reserve_pus(const Bitmap& pus);
    void cordon_pu(std::uint32_t pu, bool cordoned);
    void cordon_device(std::uint32_t device, bool cordoned);

    /// Requires: can_take(placement). Ensures: release is its exact inverse.
    void take(const Placement& placement);
    void release(const Placement& placement);
    /// True when everything in the placement is free, or free but for cordons.
    [[nodiscard]] bool can_take(const Placement& placement, bool ignore_cordons) const;

    [[nodiscard]] const Bitmap& free_pus() const { return free_pus_; }
    [[nodiscard]] const Bitmap& owned_pus() const { return owned_pus_; }
    [[nodiscard]] const Bitmap& reserved_pus() const { return reserved_pus_; }
    [[nodiscard]] const Bitmap& cordoned_pus() const { return cordoned_pus_; }
    [[nodiscard]] const Bitmap& cordoned_devices() const { return cordoned_devices_; }
    /// Cores all of whose PUs are free. Logical core indices.
    [[nodiscard]] const Bitmap& whole_cores() const { return whole_cores_; }
    /// Their number by run, as Machine::core_runs().
    [[nodiscard]] const std::vector<std::uint32_t>& whole_cores_of_run() const {
        return whole_cores_of_run_;
    }
    [[nodiscard]] std::uint64_t free_bytes(std::uint32_t numa_node,
                                           std::uint32_t page_size_index) const {
        return free_bytes_[numa_node * page_sizes_ + page_size_index];
    }
    /// A root wholly free and not cordoned; or a part that can be held now.
    [[nodiscard]] bool is_available(std::uint32_t device) const {
        return available_devices_.test(device);
    }
    [[nodiscard]] const Bitmap& available_devices() const { return available_devices_; }
    /// Left on the counters of a root, in the order of Device::counter_names.
    [[nodiscard]] std::span<const std::uint64_t> counters_left(
        std::uint32_t root) const {
        const Device& device = machine_->devices()[root];
        return {counters_left_.data() + device.first_counter,
                device.counter_totals.size()};
    }
    [[nodiscard]] bool is_held_whole(std::uint32_t root) const {
        return held_whole_.test(root);
    }
    [[nodiscard]] bool is_held_part(std::uint32_t part) const {
        return held_parts_.test(part);
    }
    [[nodiscard]] bool is_cordoned(std::uint32_t device) const;  ///< it or its root

    /// Owners' holdings in each domain: open means more than 0.
    [[nodiscard]] std::span<const std::uint32_t> package_holds() const {
        return holds_of(0, machine_->domain_numbers().locality);
    }
    [[nodiscard]] std::span<const std::uint32_t> locality_holds() const {
        const DomainNumbers& numbers = machine_->domain_numbers();
        return holds_of(numbers.locality, numbers.switch_);
    }
    [[nodiscard]] std::span<const std::uint32_t> switch_holds() const {
        const DomainNumbers& numbers = machine_->domain_numbers();
        return holds_of(numbers.switch_, numbers.device);
    }
    [[nodiscard]] std::span<const std::uint32_t> device_holds() const {
        const DomainNumbers& numbers = machine_->domain_numbers();
        return holds_of(numbers.device, numbers.l3);
    }
    [[nodiscard]] std::span<const std::uint32_t> l3_holds() const {
        const DomainNumbers& numbers = machine_->domain_numbers();
        return holds_of(numbers.l3, numbers.count);
    }

    /// Recomputes every derived member from the PU sets and compares.
    /// @throws InternalError
    void check_consistency() const;
    [[nodiscard]] bool operator==(const NodeState& other) const;

  private:
    void set_pus_free(const Bitmap& pus);
    void refresh_core(std::uint32_t core);
    void refresh_cores_of_word(std::size_t pu_word);
    void refresh_root(std::uint32_t root);
    void set_available(std::uint32_t device, bool available);
    [[nodiscard]] bool can_be_held(std::uint32_t device) const;
    [[nodiscard]] bool can_hold_root(std::uint32_t root) const {
        // Held whole it has a holder.
        return device_holds()[root] == 0 && !cordoned_devices_.test(root);
    }
    [[nodiscard]] std::span<const std::uint32_t> holds_of(std::size_t first,
                                                          std::size_t end) const {
        return {holds_.data() + first, end - first};
    }
    class Touched;
    struct TouchedWord;
    template <class Domains>
    void touch(const Placement& placement, Domains& touched) const;
    void count_holds(const Placement& placement, bool add);

    std::shared_ptr<const Machine> machine_;
    std::size_t page_sizes_ = 0;
    Bitmap owned_pus_, reserved_pus_, cordoned_pus_;  // decisions
    Bitmap cordoned_devices_, held_whole_, held_parts_;
    std::vector<std::uint64_t> free_bytes_;     // numa_nodes x page_sizes
    std::vector<std::uint64_t> counters_left_;  // of all roots, see first_counter
    Bitmap free_pus_, whole_cores_;             // derived from the PU sets
    std::vector<std::uint32_t> whole_cores_of_run_;
    Bitmap available_devices_;          // derived from cordons, holds and counters
    std::vector<std::uint32_t> holds_;  // of each domain, as Machine::domain_numbers()
};

}  // namespace topoalloc
