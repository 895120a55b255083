// SPDX-License-Identifier: Apache-2.0
#include "questions.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc::bench {
namespace {

void uncordon_all(Allocator& allocator) {
    std::vector<std::uint32_t> devices;
    std::vector<std::uint32_t> pus;
    {
        const auto state = allocator.state();
        devices = state->cordoned_devices().to_vector();
        pus = state->cordoned_pus().to_vector();
    }
    for (const std::uint32_t device : devices) {
        allocator.cordon_device(device, false);
    }
    for (const std::uint32_t pu : pus) {
        allocator.cordon_pu(pu, false);
    }
}

// What is free of a kind, by locality or all in one: first PUs of whole cores, or
// devices.
std::vector<std::vector<std::uint32_t>> free_of(const NodeState& state,
                                                const Leave& left) {
    const Machine& machine = state.machine();
    std::vector<std::vector<std::uint32_t>> free(
        left.each_locality ? machine.localities().size() : 1);
    const auto add = [&](std::size_t locality, std::size_t member) {
        free[left.each_locality ? locality : 0].push_back(
            static_cast<std::uint32_t>(member));
    };
    if (left.kind == "cores") {
        state.whole_cores().for_each([&](std::size_t core) {
            const std::size_t pu = machine.cores()[core].pus.first();
            add(machine.pus()[pu].locality, pu);
        });
        return free;
    }
    for (std::uint32_t d = 0; d < machine.devices().size(); ++d) {
        const Device& device = machine.devices()[d];
        if (device.device_class == left.kind && state.is_available(d)) {
            add(device.localities.first(), d);
        }
    }
    return free;
}

void cordon_down_to(Allocator& allocator, std::mt19937_64& random, const Leave& left) {
    for (std::vector<std::uint32_t>& members : free_of(*allocator.state(), left)) {
        while (members.size() > left.count) {
            const std::size_t at = random() % members.size();
            if (left.kind == "cores") {
                allocator.cordon_pu(members[at], true);
            } else {
                allocator.cordon_device(members[at], true);
            }
            members.erase(members.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }
}

bool has_free_partner(const NodeState& state, std::uint32_t gpu) {
    const Machine& machine = state.machine();
    for (std::uint32_t d = 0; d < machine.devices().size(); ++d) {
        if (machine.devices()[d].device_class == "nic" && state.is_available(d) &&
            machine.level(gpu, d) <= Level::bridges) {
            return true;
        }
    }
    return false;
}

std::vector<std::uint32_t> free_gpus(const NodeState& state) {
    return free_of(state, {"gpu", 0, false}).front();
}

// Takes the NICs beside the first free GPU.
void cordon_a_partner(Allocator& allocator) {
    const Machine& machine = *allocator.machine();
    const std::uint32_t gpu = free_gpus(*allocator.state()).front();
    for (std::uint32_t d = 0; d < machine.devices().size(); ++d) {
        if (machine.devices()[d].device_class == "nic" &&
            machine.level(gpu, d) <= Level::bridges) {
            allocator.cordon_device(d, true);
        }
    }
}

}  // namespace

Shape eight_localities() {
    Shape shape;
    shape.numa_per_package = 4;
    shape.l3_per_numa = 2;
    shape.cores_per_l3 = 8;
    shape.gpus = 8;
    shape.nics = 8;
    shape.gpus_per_switch = 2;
    shape.link_mb_s = 300'000;
    return shape;
}

Shape wide() {
    Shape shape;
    shape.l3_per_numa = 12;
    shape.cores_per_l3 = 16;
    shape.gpus = 8;
    shape.nics = 8;
    shape.link_mb_s = 450'000;
    return shape;
}

Request devices_and_cores(std::uint32_t gpus, std::uint32_t nics, std::uint32_t cores) {
    Request request;
    request.cores = cores;
    for (const auto& [name, count] : {std::pair("gpu", gpus), std::pair("nic", nics)}) {
        if (count != 0) {
            DeviceRequest device;
            device.device_class = name;
            device.count = count;
            request.devices.push_back(std::move(device));
        }
    }
    return request;
}

Request paired(std::uint32_t pairs, std::uint32_t cores) {
    Request request = devices_and_cores(pairs, pairs, cores);
    request.require.emplace_back(Pair{"gpu", "nic", Level::bridges, 1, 1});
    return request;
}

Request in_one_numa_node(Request request) {
    request.require.emplace_back(Align{AlignLevel::numa, {}});
    return request;
}

Question plain(std::shared_ptr<const Machine> machine, Request request) {
    Question question;
    question.fill.core_percent = 10;
    question.fill.spared_devices = Bitmap::range(0, machine->devices().size());
    question.machine = std::move(machine);
    question.request = std::move(request);
    return question;
}

Question one_short(std::shared_ptr<const Machine> machine,
                   Request request,
                   const Leave& left) {
    Question question = plain(std::move(machine), std::move(request));
    question.want = Status::infeasible;
    question.prepare = [left](Allocator& allocator, std::mt19937_64& random) {
        uncordon_all(allocator);
        cordon_down_to(allocator, random, left);
    };
    std::size_t needed = question.request.cores;
    for (const DeviceRequest& device : question.request.devices) {
        if (device.device_class == left.kind) {
            needed = device.count;
        }
    }
    question.cannot_fit = [left, needed](const NodeState& state) {
        return std::ranges::all_of(free_of(state, left), [needed](const auto& members) {
            return members.size() < needed;
        });
    };
    return question;
}

Question one_partner_short(std::shared_ptr<const Machine> machine,
                           std::uint32_t pairs,
                           std::uint32_t cores) {
    Question question =
        one_short(std::move(machine), paired(pairs, cores), {"gpu", pairs, false});
    question.prepare = [leave_gpus = question.prepare](Allocator& allocator,
                                                       std::mt19937_64& random) {
        leave_gpus(allocator, random);
        cordon_a_partner(allocator);
    };
    question.cannot_fit = [pairs](const NodeState& state) {
        const auto gpus = free_gpus(state);
        const auto paired = std::ranges::count_if(
            gpus, [&](std::uint32_t gpu) { return has_free_partner(state, gpu); });
        return static_cast<std::uint32_t>(paired) < pairs;
    };
    return question;
}

std::vector<NamedQuestion> slow_elsewhere() {
    const auto dgx = make_machine(dgx_h100());
    const auto eight = make_machine(eight_localities());
    const auto many = make_machine(wide());
    const auto aligned =
        [](std::uint32_t gpus, std::uint32_t nics, std::uint32_t cores) {
            return in_one_numa_node(devices_and_cores(gpus, nics, cores));
        };
    const Leave three_gpus{"gpu", 3, true};
    const Leave three_nics{"nic", 3, true};
    std::vector<NamedQuestion> out{
        {"8_pairs_of_7_nics", one_short(dgx, paired(8, 0), {"nic", 7, false})},
        {"8_gpus_of_7", one_short(dgx, devices_and_cores(8, 0, 0), {"gpu", 7, false})},
        {"4_pairs_of_3", one_partner_short(dgx, 4, 0)},
        {"4_gpus_4_nics_numa_of_3_gpus", one_short(dgx, aligned(4, 4, 0), three_gpus)},
        {"4_gpus_4_nics_numa_of_3_nics", one_short(dgx, aligned(4, 4, 0), three_nics)},
    };
    for (const std::uint32_t cores : {2U, 3U, 4U}) {
        out.push_back({std::to_string(cores) + "_cores_2_gpus_4_nics_numa_of_3_nics",
                       one_short(dgx, aligned(2, 4, cores), three_nics)});
    }
    const auto add_cores = [&](const std::string& name,
                               const std::shared_ptr<const Machine>& machine,
                               std::uint32_t gpus,
                               std::uint32_t cores) {
        out.push_back(
            {std::to_string(cores) + "_cores_" + name,
             one_short(machine, aligned(gpus, 0, cores), {"cores", cores - 1, true})});
    };
    for (const std::uint32_t cores : {8U, 12U, 13U, 16U, 20U, 24U, 32U}) {
        add_cores("numa_of_1_less", dgx, 0, cores);
    }
    add_cores("1_gpu_numa_of_1_less", dgx, 1, 13);
    add_cores("numa_of_1_less_on_8_localities", eight, 0, 12);
    add_cores("numa_of_1_less_on_768_pus", many, 0, 32);
    return out;
}

}  // namespace topoalloc::bench
