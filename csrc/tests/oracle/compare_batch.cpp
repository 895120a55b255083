// SPDX-License-Identifier: Apache-2.0
#include "compare_batch.hpp"

#include "brute_batch.hpp"
#include "core_state.hpp"

#include "topoalloc/allocator.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <memory>

namespace topoalloc::oracle {
namespace {

std::string text_of(const Cost& cost) {
    std::string text;
    for (const std::int64_t term : cost.terms) {
        text += (text.empty() ? "" : " ") + std::to_string(term);
    }
    return "[" + text + "]";
}

// The state of an instance in an Allocator.
class Core {
  public:
    explicit Core(const BatchInstance& batch)
        : instance_(batch.base), machine_(Machine::build(batch.base.spec)) {
        const Policy policy{instance_.spread ? Packing::spread : Packing::pack};
        allocator_ = std::make_unique<Allocator>(
            machine_, machine_->pus_from_os(instance_.state.reserved_pus), policy);
        fill(*allocator_, instance_.spec, instance_.state);
        for (const Request& request : batch.requests) {
            requests_.emplace_back("member" + std::to_string(requests_.size()),
                                   compile(machine_, request));
        }
    }

    [[nodiscard]] BatchVerdict ask(SearchLimits limits) const {
        return allocator_->check_joint(requests_, limits);
    }

    [[nodiscard]] HeadroomResult headroom(SearchLimits limits) const {
        return allocator_->headroom(requests_.front().second, limits);
    }

    [[nodiscard]] std::vector<BatchPart> parts_of(const BatchVerdict& verdict,
                                                  const OracleMachine& m) const {
        std::vector<BatchPart> parts;
        for (const Placement& placement : verdict.placements) {
            parts.push_back(part_of(placement, *machine_, m));
        }
        return parts;
    }

  private:
    const Instance& instance_;
    std::shared_ptr<const Machine> machine_;
    std::unique_ptr<Allocator> allocator_;
    std::vector<Allocator::NamedRequest> requests_;
};

bool is_found(const BatchVerdict& verdict) {
    return verdict.status == Status::optimal || verdict.status == Status::feasible;
}

// What the oracle makes of the Placements given.
void compare_parts(const BatchInstance& instance,
                   const Core& core,
                   const BatchVerdict& verdict,
                   BatchComparison& result) {
    const auto parts = core.parts_of(verdict, derive(instance.base.spec));
    const auto cost = judge_batch(instance, parts);
    if (!cost || *cost != verdict.cost) {
        result.difference = "parts";
        result.detail = "core " + text_of(verdict.cost) + ", to the oracle " +
                        (cost ? text_of(*cost) : "no joint answer");
    }
}

void compare_answers(const BatchInstance& instance,
                     const Core& core,
                     SearchLimits limits,
                     std::uint64_t most,
                     BatchComparison& result) {
    const BatchVerdict verdict = core.ask(limits);
    result.status = verdict.status;
    result.steps = verdict.steps;
    if (is_found(verdict)) {
        compare_parts(instance, core, verdict, result);
        if (!result.difference.empty()) {
            return;
        }
    }
    const BatchAnswer best = brute_batch(instance, most);
    result.is_counted = best.is_counted;
    if (!best.is_counted) {
        return;
    }
    const bool is_proved =
        verdict.status == Status::optimal || verdict.status == Status::infeasible;
    const std::string detail =
        std::string("core ") + (is_found(verdict) ? text_of(verdict.cost) : "none") +
        ", oracle " + (best.feasible ? text_of(best.cost) : "none");
    if ((is_found(verdict) && !best.feasible) ||
        (is_proved && is_found(verdict) != best.feasible)) {
        result.difference = "status";
        result.detail = detail;
    } else if (is_found(verdict) &&
               (verdict.cost < best.cost ||
                (verdict.status == Status::optimal && verdict.cost != best.cost))) {
        result.difference = "cost";
        result.detail = detail;
    }
    const bool are_copies = std::all_of(
        instance.requests.begin(), instance.requests.end(), [&](const Request& r) {
            return r == instance.requests.front();
        });
    if (are_copies && result.difference.empty()) {
        const HeadroomResult room = core.headroom(limits);
        const auto copies = instance.requests.size();
        if (room.count > room.upper || (room.count >= copies && !best.feasible) ||
            (room.upper < copies && best.feasible)) {
            result.difference = "headroom";
            result.detail = "core " + std::to_string(room.count) + " to " +
                            std::to_string(room.upper) +
                            " copies, oracle: " + std::to_string(copies) +
                            (best.feasible ? " fit" : " do not fit");
        }
    }
}

}  // namespace

BatchComparison compare(const BatchInstance& instance,
                        SearchLimits limits,
                        std::uint64_t most) {
    BatchComparison result;
    try {
        const Core core(instance);
        compare_answers(instance, core, limits, most, result);
    } catch (const Error& error) {
        result.difference = "refused";
        result.detail = error.what();
    }
    return result;
}

}  // namespace topoalloc::oracle
