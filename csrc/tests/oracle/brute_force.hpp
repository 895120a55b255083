// SPDX-License-Identifier: Apache-2.0
//
// The node problem by enumeration: docs/objective.md, sections 2 to 4, one candidate
// after the other. Judge holds a candidate (device set, PU set, T) to the definition;
// brute_force tries them all. For small Machines: about 16 PUs, 4 + 4 devices, 4
// localities.
#pragma once

#include "model.hpp"

#include "topoalloc/solver.hpp"
#include "topoalloc/verdict.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc::oracle {

/// A device held: whole, a partition, or a share when `share` is not empty.
struct HeldDevice {
    std::uint32_t spec_index = 0;
    Amounts share;
};

/// What one owner holds; also the Placement that a resize starts from.
struct Holding {
    std::string owner;
    Bitmap pus;  ///< OS indices
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t>
        bytes;  ///< (NUMANode os_index, page size)
    std::vector<HeldDevice> devices;
};

struct OracleState {
    Bitmap reserved_pus, cordoned_pus;            ///< OS indices
    std::vector<std::uint32_t> cordoned_devices;  ///< spec indices
    std::vector<Holding> holdings;
};

struct OracleGrant {
    std::uint32_t numa = 0;  ///< index into OracleMachine::numa_nodes
    std::uint64_t page_size = 0;
    std::uint64_t bytes = 0;
    [[nodiscard]] auto operator<=>(const OracleGrant&) const = default;
};

using Pairing =
    std::vector<std::pair<std::uint32_t, std::uint32_t>>;  ///< (a, b) devices

struct OracleAnswer {
    bool feasible = false;
    Set devices = 0, pus = 0, localities = 0;  ///< logical
    std::vector<OracleGrant> memory;           ///< by NUMANode, then page size
    std::map<std::uint32_t, Pairing>
        pairs;  ///< by index in require, then prefer; ascending
    Cost cost;
};

/// What depends on the chosen devices alone.
struct DeviceFacts {
    Set devices = 0;
    std::vector<std::uint32_t> list;
    std::vector<Set> locality_sets;  ///< of the devices, ascending; unknown is 0
    /// By constraint, require then prefer: what it says of the devices alone (Align:
    /// true).
    std::vector<bool> holds;
    std::int64_t pair_levels = 0, missing_link = 0, opened_switches = 0,
                 opened_devices = 0;
    Set opened_packages = 0, opened_localities = 0;
};

/// What is open only after a Placement, by kind.
struct Opened {
    Set packages = 0, localities = 0, switches = 0, devices = 0, l3s = 0;
};

/// One problem, made ready. Keeps references to nothing.
class Judge {
  public:
    Judge(const MachineSpec& spec,
          const OracleState& state,
          Request request,
          bool spread,
          const Holding* keep_from);

    [[nodiscard]] const OracleMachine& machine() const { return m_; }
    /// Every PU set of the right kind and amount, `keep` met.
    [[nodiscard]] std::vector<Set> pu_sets() const;
    /// Every device set of the right classes and counts that is available, `keep` met.
    [[nodiscard]] std::vector<Set> device_sets() const;
    [[nodiscard]] DeviceFacts facts(Set devices) const;
    /// Memory as a function of T and the PUs; nullopt when T can not hold it.
    /// @param taken  what others were given before
    [[nodiscard]] std::optional<std::vector<OracleGrant>> memory(
        Set t, Set pus, const std::vector<OracleGrant>& taken = {}) const;
    [[nodiscard]] Opened opened_by(Set devices,
                                   Set pus,
                                   const std::vector<OracleGrant>& grants) const;
    [[nodiscard]] const Amounts& counters_left(std::uint32_t root) const {
        return counters_left_[root];
    }
    /// The cost, or nullopt when T does not fit or a required constraint does not hold.
    /// Requires: `pus` and `devices` are of pu_sets() and device_sets().
    [[nodiscard]] std::optional<Cost> cost(
        const DeviceFacts& devices,
        Set pus,
        Set t,
        const std::vector<OracleGrant>& grants) const;
    /// The matchings made, of the Pairs that hold.
    [[nodiscard]] std::map<std::uint32_t, Pairing> made_pairs(Set devices) const;
    /// The whole definition for one Placement, from scratch; nullopt when it is none.
    [[nodiscard]] std::optional<Cost> judge(Set devices, Set pus, Set t) const;

  private:
    void read_state(const OracleState& state);
    void hold(const Holding& holding);
    void open(Set pus, Set localities_of_bytes, Set devices);
    void read_request();
    [[nodiscard]] bool is_candidate(const DeviceRequest& wanted,
                                    std::uint32_t device) const;
    [[nodiscard]] bool meets(const Condition& condition, std::uint32_t device) const;
    [[nodiscard]] bool is_available(const DeviceRequest& wanted,
                                    std::uint32_t device) const;
    [[nodiscard]] bool fit_together(Set devices) const;
    [[nodiscard]] static bool keeps(Set old_set, Set new_set);
    [[nodiscard]] Set of_class(Set devices, const std::string& cls) const;
    [[nodiscard]] Set of_classes(Set devices,
                                 const std::vector<std::string>& classes) const;
    [[nodiscard]] bool is_asked(const std::string& what) const;
    [[nodiscard]] const AttributeValue* attribute(std::uint32_t device,
                                                  const std::string& name) const;

    [[nodiscard]] bool devices_hold(const Constraint& constraint, Set devices) const;
    [[nodiscard]] bool pair_holds(const Pair& pair, Set devices) const;
    [[nodiscard]] bool link_holds(const Link& link, Set devices) const;
    [[nodiscard]] bool same_holds(const Same& same, Set devices) const;
    [[nodiscard]] bool distinct_holds(const Distinct& distinct, Set devices) const;
    [[nodiscard]] bool near_devices_hold(const Near& near, Set devices) const;
    [[nodiscard]] bool near_rest_holds(const Near& near,
                                       Set pus,
                                       const std::vector<OracleGrant>& grants) const;
    [[nodiscard]] bool align_holds(const Align& align,
                                   Set devices,
                                   Set pus,
                                   const std::vector<OracleGrant>& grants) const;
    [[nodiscard]] const std::vector<Set>& domains_of(AlignLevel level) const;
    [[nodiscard]] bool set_unmet(const DeviceFacts& devices,
                                 Set pus,
                                 const std::vector<OracleGrant>& grants,
                                 Cost& cost) const;
    void set_opened(const DeviceFacts& devices,
                    Set pus,
                    const std::vector<OracleGrant>& grants,
                    Cost& cost) const;
    [[nodiscard]] int pair_limit(const Pair& pair) const;
    /// Every matching in the ratio with levels at most `limit`.
    [[nodiscard]] std::vector<Pairing> matchings(const Pair& pair,
                                                 Set devices,
                                                 int limit) const;
    [[nodiscard]] std::int64_t level_sum(const Pairing& pairing) const;
    [[nodiscard]] std::int64_t missing_link(Set devices) const;
    [[nodiscard]] int near_level(std::uint32_t device, std::uint32_t locality) const;
    [[nodiscard]] Set localities_of(Set pus) const;
    [[nodiscard]] std::int64_t distance_within(Set t) const;

    OracleMachine m_;
    Request request_;
    bool spread_ = false;
    // The state: free amounts, and what is open.
    Set free_pus_ = 0, cordoned_devices_ = 0, held_whole_ = 0, held_parts_ = 0,
        shared_ = 0;
    std::vector<std::map<std::uint64_t, std::uint64_t>> free_bytes_;  // by NUMANode
    std::vector<Amounts> counters_left_;                              // by root
    Set open_packages_ = 0, open_localities_ = 0, open_switches_ = 0, open_devices_ = 0,
        open_l3s_ = 0;
    bool has_keep_from_ = false;
    Set old_pus_ = 0, old_devices_ = 0;
    // The Request with names resolved.
    std::vector<Constraint> constraints_;  // require, then prefer
    std::map<std::string, Set> named_;     // devices named in exclude, eligible, Near
    Set excluded_ = 0;
};

/// Less by the groups of terms in this order, preferences first. Empty: the default
/// order.
[[nodiscard]] bool costs_less(const Cost& a,
                              const Cost& b,
                              const std::vector<TermGroup>& order);

struct BruteForceOptions {
    /// Sets that the definition can not tell apart but by their indices count as one.
    bool group = true;
    /// Groups of terms, the first compared first. Empty: the default order.
    // NOLINTNEXTLINE(readability-redundant-member-init): GCC warns without it.
    std::vector<TermGroup> order{};
};

[[nodiscard]] OracleAnswer brute_force(const MachineSpec& spec,
                                       const OracleState& state,
                                       const Request& request,
                                       bool spread,
                                       const Holding* keep_from,
                                       const BruteForceOptions& options = {});

}  // namespace topoalloc::oracle
