// SPDX-License-Identifier: Apache-2.0
//
// Seeded random instances of the node problem, small enough for brute force. Every
// figure comes from raw std::mt19937_64 outputs by integer remainder, so a seed names
// the same instance on every machine.
#pragma once

#include "brute_force.hpp"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace topoalloc::oracle {

/// Integers from raw engine outputs; the standard distributions differ between
/// libraries.
class Rng {
  public:
    explicit Rng(std::uint64_t seed) : engine_(seed) {}
    /// 0 to bound - 1. Requires: bound > 0.
    [[nodiscard]] std::uint32_t below(std::uint64_t bound) {
        return static_cast<std::uint32_t>(engine_() % bound);
    }
    /// first to last, both included.
    [[nodiscard]] std::uint32_t between(std::uint32_t first, std::uint32_t last) {
        return first + below(std::uint64_t{last} - first + 1);
    }
    [[nodiscard]] bool percent(std::uint32_t chance) { return below(100) < chance; }
    /// An index, as likely as its weight says. Requires: the weights sum to 100.
    [[nodiscard]] std::uint32_t weighted(std::initializer_list<std::uint32_t> weights) {
        std::uint32_t roll = below(100);
        std::uint32_t index = 0;
        for (const std::uint32_t weight : weights) {
            if (roll < weight) {
                return index;
            }
            roll -= weight;
            ++index;
        }
        return index;
    }
    template <class T>
    [[nodiscard]] const T& pick(const std::vector<T>& choices) {
        return choices[below(choices.size())];
    }
    template <class T>
    void shuffle(std::vector<T>& values) {
        for (std::size_t i = values.size(); i > 1; --i) {
            std::swap(values[i - 1], values[below(i)]);
        }
    }

  private:
    std::mt19937_64 engine_;
};

struct Instance {
    std::uint64_t seed = 0;
    MachineSpec spec;
    OracleState state;
    Request request;
    bool spread = false;
    // NOLINTNEXTLINE(readability-redundant-member-init): GCC warns without it.
    std::vector<TermGroup> order{};  ///< empty: the default one
    std::optional<Holding> keep_from;
};

/// Several Requests at once; the Request of `base` is not read.
struct BatchInstance {
    Instance base;
    std::vector<Request> requests;
};

[[nodiscard]] MachineSpec make_machine(Rng& rng);
[[nodiscard]] Instance make_instance(std::uint64_t seed);
/// The instance of that seed under an order of the terms: any, or the default one with
/// one group moved to the front.
[[nodiscard]] Instance make_ordered_instance(std::uint64_t seed);

/// Two or three Requests, some of them equal, most of them less than half of what there
/// is.
[[nodiscard]] BatchInstance make_batch_instance(std::uint64_t seed);

/// Everything of the instance as text, to read and to rebuild by hand.
[[nodiscard]] std::string dump(const Instance& instance);

/// Drops one part after the other while `differs` still says true; a local minimum.
[[nodiscard]] Instance shrink(Instance instance,
                              const std::function<bool(const Instance&)>& differs);

[[nodiscard]] std::string dump(const BatchInstance& instance);
[[nodiscard]] BatchInstance shrink(
    BatchInstance instance, const std::function<bool(const BatchInstance&)>& differs);

}  // namespace topoalloc::oracle
