// SPDX-License-Identifier: Apache-2.0
//
// Conflicts and owners' leaving, held to brute force: the deletion filter written again
// in the plainest way, with the oracle to say what is feasible.
#include "topoalloc/explanation.hpp"

#include "oracle/brute_force.hpp"
#include "oracle/instances.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace topoalloc {
namespace {

using oracle::Instance;

// A Request by parts that can be taken away; what speaks of a class that is gone holds,
// as docs/objective.md says, so nothing else has to be done.
class Ask {
  public:
    explicit Ask(const Request& request) : request_(request) {
        for (std::size_t i = 0; i < request.require.size(); ++i) {
            order_.push_back("require[" + std::to_string(i) + "]");
        }
        for (const DeviceRequest& wanted : request.devices) {
            const std::string path = "devices." + wanted.device_class;
            for (std::size_t i = 0; i < wanted.where.size(); ++i) {
                order_.push_back(path + ".where[" + std::to_string(i) + "]");
            }
            if (wanted.eligible) {
                order_.push_back(path + ".eligible");
            }
        }
        if (!request.exclude.empty()) {
            order_.emplace_back("exclude");
        }
        if (!request.keep.empty()) {
            order_.emplace_back("keep");
        }
        if (request.cores != 0 || request.pus != 0) {
            order_.emplace_back(request.cores != 0 ? "cores" : "pus");
        }
        if (request.memory != 0) {
            order_.emplace_back("memory");
        }
        for (const auto& [size, bytes] : request.hugepages) {
            if (bytes != 0) {
                order_.push_back(hugepages_path(size));
            }
        }
        for (const DeviceRequest& wanted : request.devices) {
            order_.push_back("devices." + wanted.device_class);
        }
    }

    [[nodiscard]] const std::vector<std::string>& order() const { return order_; }

    [[nodiscard]] Request without(const std::set<std::string>& gone) const {
        Request out = request_;
        out.prefer.clear();
        out.require.clear();
        for (std::size_t i = 0; i < request_.require.size(); ++i) {
            if (!gone.contains("require[" + std::to_string(i) + "]")) {
                out.require.push_back(request_.require[i]);
            }
        }
        out.devices.clear();
        for (const DeviceRequest& wanted : request_.devices) {
            const std::string path = "devices." + wanted.device_class;
            if (gone.contains(path)) {
                std::erase(out.keep, wanted.device_class);
                continue;
            }
            DeviceRequest left = wanted;
            left.where.clear();
            for (std::size_t i = 0; i < wanted.where.size(); ++i) {
                if (!gone.contains(path + ".where[" + std::to_string(i) + "]")) {
                    left.where.push_back(wanted.where[i]);
                }
            }
            if (gone.contains(path + ".eligible")) {
                left.eligible.reset();
            }
            out.devices.push_back(left);
        }
        if (gone.contains("exclude")) {
            out.exclude.clear();
        }
        if (gone.contains("keep")) {
            out.keep.clear();
        }
        if (gone.contains("cores") || gone.contains("pus")) {
            out.cores = out.pus = 0;
            out.whole_cores = false;
            std::erase(out.keep, "pus");
        }
        if (gone.contains("memory")) {
            out.memory = 0;
        }
        std::erase_if(out.hugepages, [&](const auto& entry) {
            return gone.contains(hugepages_path(entry.first));
        });
        return out;
    }

  private:
    static std::string hugepages_path(std::uint64_t size) {
        std::string unit;
        for (const char* next : {"Ki", "Mi", "Gi"}) {
            if (size % 1024 == 0) {
                size /= 1024;
                unit = next;
            }
        }
        return "hugepages." + std::to_string(size) + (unit.empty() ? " bytes" : unit);
    }

    Request request_;
    std::vector<std::string> order_;
};

bool asks_for_nothing(const Request& request) {
    return request.cores == 0 && request.pus == 0 && request.memory == 0 &&
           request.devices.empty() &&
           std::ranges::all_of(request.hugepages,
                               [](const auto& e) { return e.second == 0; });
}

bool is_feasible(const Instance& instance,
                 const oracle::OracleState& state,
                 const Request& request) {
    return asks_for_nothing(request) ||
           oracle::brute_force(instance.spec,
                               state,
                               request,
                               instance.spread,
                               instance.keep_from ? &*instance.keep_from : nullptr)
               .feasible;
}

std::vector<std::string> conflict_of(const Instance& instance) {
    const Ask ask(instance.request);
    std::set<std::string> gone;
    for (const std::string& path : ask.order()) {
        gone.insert(path);
        if (is_feasible(instance, instance.state, ask.without(gone))) {
            gone.erase(path);
        }
    }
    std::vector<std::string> conflict;
    std::ranges::copy_if(ask.order(),
                         std::back_inserter(conflict),
                         [&](const auto& path) { return !gone.contains(path); });
    return conflict;
}

// The instance as the core knows it.
struct Core {
    explicit Core(const Instance& instance) : machine(Machine::build(instance.spec)) {
        Bitmap reserved = machine->pus_from_os(instance.state.reserved_pus);
        allocator = std::make_unique<Allocator>(
            machine,
            reserved,
            Policy{instance.spread ? Packing::spread : Packing::pack});
        machine->pus_from_os(instance.state.cordoned_pus).for_each([&](std::size_t pu) {
            allocator->cordon_pu(static_cast<std::uint32_t>(pu), true);
        });
        for (const std::uint32_t device : instance.state.cordoned_devices) {
            allocator->cordon_device(device_of(instance, device), true);
        }
        for (const oracle::Holding& held : instance.state.holdings) {
            allocator->restore_holding(held.owner,
                                       {nullptr, placement_of(instance, held)});
        }
    }

    [[nodiscard]] std::uint32_t device_of(const Instance& instance,
                                          std::uint32_t index) const {
        return machine->find_device(instance.spec.devices[index].name);
    }

    [[nodiscard]] Placement placement_of(const Instance& instance,
                                         const oracle::Holding& held) const {
        Placement out;
        out.pus = machine->pus_from_os(held.pus);
        for (const auto& [key, bytes] : held.bytes) {
            const auto size = std::ranges::find(machine->page_sizes(), key.second);
            out.memory.push_back(
                {machine->numa_node_of_os_index(key.first),
                 static_cast<std::uint32_t>(size - machine->page_sizes().begin()),
                 bytes});
        }
        for (const oracle::HeldDevice& device : held.devices) {
            out.devices.push_back(
                {device_of(instance, device.spec_index), device.share});
        }
        return out;
    }

    [[nodiscard]] Verdict ask(const Instance& instance) const {
        Verdict verdict = allocator->check(compile(machine, instance.request));
        if (instance.keep_from) {
            verdict.keep_from = std::make_shared<Placement>(
                placement_of(instance, *instance.keep_from));
            verdict.answer = solve(*verdict.state,
                                   *verdict.request,
                                   {verdict.policy, {}, verdict.keep_from.get()});
        }
        return verdict;
    }

    std::shared_ptr<const Machine> machine;
    std::unique_ptr<Allocator> allocator;
};

// The Allocator takes no GPU memory back: it never gave any.
bool holds_gpu_memory(const Instance& instance) {
    return std::ranges::any_of(
        instance.state.holdings, [&](const oracle::Holding& held) {
            return std::ranges::any_of(held.bytes, [&](const auto& entry) {
                const auto node = std::ranges::find(instance.spec.numa_nodes,
                                                    entry.first.first,
                                                    &NumaNodeSpec::os_index);
                return node->kind == MemoryKind::gpu;
            });
        });
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) {
        out += word + " ";
    }
    return out;
}

TEST(ExplainOracle, FindsTheSameConflictAndTheSameOwners) {
    int infeasible = 0;
    int with_owner = 0;
    for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
        const Instance instance = oracle::make_instance(seed);
        if (holds_gpu_memory(instance)) {
            continue;
        }
        const Core core(instance);
        const Verdict verdict = core.ask(instance);
        if (verdict.answer.status != Status::infeasible) {
            continue;
        }
        ++infeasible;
        const Explanation explanation = explain(verdict, *verdict.holdings);
        ASSERT_TRUE(explanation.complete) << "seed " << seed;
        std::vector<std::string> found;
        for (const ConflictItem& item : explanation.conflict) {
            found.push_back(item.path);
        }
        ASSERT_EQ(joined(conflict_of(instance)), joined(found)) << "seed " << seed;

        std::set<std::string> leaving;
        for (const Relaxation& relaxation : explanation.relaxations) {
            if (relaxation.change == "release") {
                leaving.insert(relaxation.path);
            }
        }
        for (std::size_t i = 0; i < instance.state.holdings.size(); ++i) {
            oracle::OracleState state = instance.state;
            state.holdings.erase(state.holdings.begin() +
                                 static_cast<std::ptrdiff_t>(i));
            const std::string& owner = instance.state.holdings[i].owner;
            const bool helps = is_feasible(instance, state, instance.request);
            ASSERT_EQ(helps, leaving.contains("owner:" + owner))
                << "seed " << seed << " owner " << owner;
            with_owner += helps ? 1 : 0;
        }
    }
    EXPECT_GT(infeasible, 300);
    EXPECT_GT(with_owner, 30);
}

}  // namespace
}  // namespace topoalloc
