// SPDX-License-Identifier: Apache-2.0
//
// FrontierModel: a plan as a walk over the nodes, one after the other. What is still to
// come depends on little of what was chosen: pods placed, and of each Domain with nodes
// on both sides only what a rule or a term asks of it. That is a FrontierKey, and plans
// of equal key are one. docs/design/0008-gang-solver.md. Private to the cluster room.
#pragma once

#include "cluster/gang_problem.hpp"
#include "cluster/packed_cost.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace topoalloc {

struct FrontierKey {
    std::array<std::uint64_t, 4> words{};
    [[nodiscard]] bool operator==(const FrontierKey& other) const {
        std::uint64_t differs = 0;
        for (std::size_t w = 0; w < words.size(); ++w) {
            differs |= words[w] ^ other.words[w];
        }
        return differs == 0;
    }
    [[nodiscard]] friend FrontierKey operator&(FrontierKey a, const FrontierKey& b) {
        for (std::size_t w = 0; w < a.words.size(); ++w) {
            a.words[w] &= b.words[w];
        }
        return a;
    }
};

/// Some bits of a key.
struct KeyField {
    std::uint32_t word = 0, shift = 0;
    std::uint64_t mask = 0;  ///< before it is shifted
    [[nodiscard]] std::uint64_t get(const FrontierKey& key) const {
        return (key.words[word] >> shift) & mask;
    }
    void set(FrontierKey& key, std::uint64_t value) const {
        key.words[word] = (key.words[word] & ~(mask << shift)) | (value << shift);
    }
};

/// Pods for one node, as far as a view sees them.
struct FrontierOption {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> parts;  ///< PodSet, pods
    std::uint64_t podsets = 0;  ///< of the parts, the weight left out
    std::uint64_t packed = 0;   ///< what it adds to the first word of a key
    bool any = false;           ///< the node holds a pod, seen or not
};

/// What of a plan is looked at: some PodSets and levels, and the rules and terms that
/// speak of these alone. Its least cost is a lower bound for the whole.
struct FrontierView {
    std::uint64_t podsets = 0;  ///< bits
    std::uint64_t levels = 0;   ///< bits; bit GangProblem::levels is "node"
    std::uint64_t rules = 0;    ///< bits
    FrontierKey kept;           ///< bits of a key that it keeps
    /// By list of options (FrontierModel::options_at).
    std::vector<std::vector<FrontierOption>> options;
};

class FrontierModel {
  public:
    /// Keeps a reference. `order`: in which the nodes are walked.
    /// @returns nullopt when a key or a cost has too few bits
    [[nodiscard]] static std::optional<FrontierModel> make(
        const GangProblem& problem,
        std::vector<std::uint32_t> order,
        bool use_possible,
        bool least_cost);

    [[nodiscard]] std::uint32_t depth() const {
        return static_cast<std::uint32_t>(order_.size());
    }
    [[nodiscard]] const std::vector<std::uint32_t>& order() const { return order_; }
    /// A PodSet more than the problem has, where it has several: the weight of all pods
    /// of a node together, as large as the room that they take.
    [[nodiscard]] bool has_weight() const { return weights_.size() > 1; }
    [[nodiscard]] bool is_weight(std::uint64_t podsets) const {
        return has_weight() && podsets == std::uint64_t{1} << weights_.size();
    }
    [[nodiscard]] std::uint32_t podsets() const {
        return static_cast<std::uint32_t>(counts_.size());
    }
    /// Levels of whose Domains no two have nodes on both sides of any point.
    [[nodiscard]] std::uint64_t nested_levels() const { return nested_levels_; }
    /// A guess at how many keys there are, for the same counts of pods.
    [[nodiscard]] std::uint64_t expected_keys() const;
    [[nodiscard]] std::uint64_t all_levels() const;
    [[nodiscard]] std::uint64_t all_podsets() const;

    [[nodiscard]] FrontierView view(std::uint64_t podsets, std::uint64_t levels) const;
    /// The list of options of the node at a depth.
    [[nodiscard]] std::uint32_t options_at(std::uint32_t depth) const {
        return lists_[depth];
    }
    [[nodiscard]] const std::vector<CountVector>& vectors_at(
        std::uint32_t depth) const {
        return vectors_[lists_[depth]];
    }

    /// What one pod more adds to the first word of a key, of PodSets whose pods may be
    /// taken away from any plan.
    [[nodiscard]] std::vector<std::uint64_t> spare_pods() const;

    /// What the end adds to the cost. False when pods are missing that must not.
    [[nodiscard]] bool end(const FrontierView& view,
                           const FrontierKey& key,
                           PackedCost& cost) const;

    /// Terms 1 and 2 are the head of a cost, and add up over PodSets.
    [[nodiscard]] PackedCost head(const PackedCost& cost) const;
    /// What a given cost is in these numbers.
    [[nodiscard]] PackedCost pack(const GangCost& cost) const;

  private:
    enum class RuleType : std::uint8_t { within, multiple, at_most, balanced };
    struct Rule {
        RuleType type = RuleType::within;
        std::uint64_t podsets = 0;
        std::uint32_t podset = 0;  ///< the only one, but for within
        std::uint32_t level = 0;
        std::uint32_t number = 0;
        std::uint32_t unmet = no_index;  ///< of a preference: where it counts
        std::uint64_t broken = 0;        ///< the largest value of its field
        KeyField field;
    };
    // What of the pods of a PodSet in a Domain is kept.
    enum class Memory : std::uint8_t {
        none,
        some,       // 1 for any
        remainder,  // from 1 to the modulus; 0 for none
        count,
    };
    struct LocalField {
        Memory memory = Memory::none;
        /// What is kept once the `counting` rules, all preferred, are broken.
        Memory later = Memory::none;
        std::vector<std::uint32_t> counting;
        std::uint32_t shift = 0, modulus = 1;
        std::uint64_t mask = 0;
        [[nodiscard]] std::uint64_t keep(Memory how, std::uint64_t pods) const {
            if (pods == 0 || how == Memory::none) {
                return 0;
            }
            if (how == Memory::remainder) {
                return (pods - 1) % modulus + 1;
            }
            return how == Memory::some ? 1 : pods;
        }
    };
    struct LevelLayout {
        std::vector<LocalField> podsets;
        std::uint32_t width = 1;  ///< bit 0: holds a pod
        std::uint32_t slots = 0;  ///< Domains with nodes on both sides, at most
        std::vector<KeyField> fields;
    };
    // A node at a level.
    struct Place {
        bool alone = true;  ///< no other node is in the Domain
        bool real = true;
        bool open = false;
        bool last = false;  ///< of the Domain, which is not alone
        std::uint32_t domain = 0, slot = 0;
        std::vector<std::uint32_t> copies;  ///< of the Domain, by PodSet
    };

    FrontierModel(const GangProblem& problem, std::vector<std::uint32_t> order);
    void add_rules();
    void add_level_rule(RuleType type, const LevelRule& rule, std::uint32_t unmet);
    void add_within(const WithinRule& rule, std::uint32_t unmet);
    void add_required(const WithinRule& rule);
    void add_preferred(const PreferRule& rule);
    void find_places();
    void find_places(std::uint32_t level);
    void find_slots(std::uint32_t level);
    [[nodiscard]] std::uint64_t room_of(const std::vector<std::uint32_t>& weights,
                                        bool use_possible) const;
    void weigh(bool use_possible);
    void collect_options(bool use_possible);
    [[nodiscard]] std::vector<CountVector> vectors_of(const GangNode& node,
                                                      bool use_possible) const;
    [[nodiscard]] LocalField local_field(std::uint32_t level,
                                         std::uint32_t podset) const;
    void lay_out_level(std::uint32_t level);
    [[nodiscard]] bool lay_out_key();
    [[nodiscard]] std::uint64_t broken_of(const Rule& rule) const;
    [[nodiscard]] bool lay_out_cost();
    [[nodiscard]] FrontierOption option_of(const CountVector& pods,
                                           std::uint64_t podsets) const;

    [[nodiscard]] std::vector<FrontierOption> options_of(
        const std::vector<CountVector>& vectors, std::uint64_t podsets) const;
    [[nodiscard]] std::optional<std::uint64_t> missing_weight(
        const FrontierKey& key) const;
    // Fields of a cost: short, unmet, domains by level, nodes, waste, opened by level.
    static constexpr std::size_t short_field = 0;
    static constexpr std::size_t unmet_fields = 1;
    [[nodiscard]] std::size_t domains_field() const {
        return unmet_fields + problem_.podsets.size() + problem_.groups;
    }
    [[nodiscard]] PackedCost charge(const Place& at, std::uint32_t level) const;
    [[nodiscard]] PackedCost charge_waste(const Place& at, std::uint32_t podset) const;
    friend class FrontierStep;

    const GangProblem& problem_;
    std::vector<std::uint32_t> order_;
    std::uint32_t levels_ = 0;
    bool has_cost_ = true;
    std::uint64_t nested_levels_ = 0;
    std::vector<std::uint32_t> counts_;   ///< by PodSet, the weight last
    std::vector<std::uint32_t> weights_;  ///< of a pod, by PodSet
    std::vector<KeyField> placed_;        ///< by PodSet, all in the first word
    std::uint64_t limits_ = 0, guards_ = 0, counts_mask_ = 0;
    std::vector<Rule> rules_;
    std::vector<std::vector<std::uint32_t>> rules_at_;  ///< by level
    std::vector<LevelLayout> layouts_;                  ///< by level
    std::vector<std::vector<Place>> places_;            ///< by depth and level
    std::vector<std::uint32_t> domains_;                ///< by level: how many
    std::vector<std::vector<CountVector>> vectors_;     ///< by list, the largest first
    std::vector<std::uint32_t> lists_;                  ///< by depth
    CostFields costs_;
    PackedCost head_mask_;
};

/// One node of the walk: what its pods make of a key and a cost.
class FrontierStep {
  public:
    /// Keeps references.
    FrontierStep(const FrontierModel& model,
                 const FrontierView& view,
                 std::uint32_t depth);

    /// How many ways there are to give the node pods, by FrontierView::options.
    [[nodiscard]] std::size_t options() const { return options_.size(); }

    /// False when there are too many pods, or a rule is broken.
    [[nodiscard]] bool place(std::size_t option,
                             FrontierKey& key,
                             PackedCost& cost) const;

  private:
    using Rule = FrontierModel::Rule;
    using RuleType = FrontierModel::RuleType;
    using Place = FrontierModel::Place;
    // The node at a level that the view sees.
    struct Level {
        std::uint32_t level = 0;
        const Place* at = nullptr;
        KeyField field;  // of the Domain, where the node is not alone in it
        PackedCost charge;
        std::vector<const Rule*> rules;  // that the view sees
    };
    [[nodiscard]] PackedCost charge_alone(const FrontierOption& option) const;
    bool enter(const Level& level,
               const FrontierOption& option,
               FrontierKey& key,
               PackedCost& cost) const;
    bool count_alone(const Level& level,
                     const FrontierOption& option,
                     FrontierKey& key,
                     PackedCost& cost) const;
    bool count(const Level& level,
               const FrontierOption& option,
               FrontierKey& key,
               PackedCost& cost) const;
    bool count_podset(const Level& level,
                      const FrontierModel::LocalField& field,
                      std::uint32_t podset,
                      std::uint64_t pods,
                      FrontierKey& key,
                      PackedCost& cost) const;
    bool close(const Level& level, FrontierKey& key, PackedCost& cost) const;
    [[nodiscard]] FrontierModel::Memory memory_of(
        const FrontierModel::LocalField& field, const FrontierKey& key) const;
    bool lose(const Rule& rule, FrontierKey& key, PackedCost& cost) const;
    void forget(const Rule& rule, FrontierKey& key) const;
    bool go_within(const Rule& rule,
                   const Place& at,
                   FrontierKey& key,
                   PackedCost& cost) const;
    bool count_balanced(const Rule& rule,
                        std::uint64_t pods,
                        FrontierKey& key,
                        PackedCost& cost) const;

    const FrontierModel& model_;
    const std::vector<FrontierOption>& options_;
    std::vector<Level> levels_;        // with a field or a rule
    std::vector<PackedCost> charges_;  // by option: what no key changes
};

/// Models over orders of the nodes that differ, those first in which the fewest keys
/// are to be expected: which is the best shows only in the search.
[[nodiscard]] std::vector<FrontierModel> frontier_models(const GangProblem& problem,
                                                         bool use_possible,
                                                         bool least_cost);

}  // namespace topoalloc
