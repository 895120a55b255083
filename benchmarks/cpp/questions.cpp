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
std::vector<std::vector<std::uint32_t>> free_of(const Allocator& allocator,
                                                const Leave& left) {
    const auto state = allocator.state();
    const Machine& machine = state->machine();
    std::vector<std::vector<std::uint32_t>> free(
        left.each_locality ? machine.localities().size() : 1);
    const auto add = [&](std::size_t locality, std::size_t member) {
        free[left.each_locality ? locality : 0].push_back(
            static_cast<std::uint32_t>(member));
    };
    if (left.kind == "cores") {
        state->whole_cores().for_each([&](std::size_t core) {
            const std::size_t pu = machine.cores()[core].pus.first();
            add(machine.pus()[pu].locality, pu);
        });
        return free;
    }
    for (std::uint32_t d = 0; d < machine.devices().size(); ++d) {
        const Device& device = machine.devices()[d];
        if (device.device_class == left.kind && state->is_available(d)) {
            add(device.localities.first(), d);
        }
    }
    return free;
}

void cordon_down_to(Allocator& allocator, std::mt19937_64& random, const Leave& left) {
    for (std::vector<std::uint32_t>& members : free_of(allocator, left)) {
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

// Takes the NIC beside the first free GPU.
void cordon_a_partner(Allocator& allocator) {
    const Machine& machine = *allocator.machine();
    const Leave every{"gpu", 0, false};
    const std::uint32_t gpu = free_of(allocator, every).front().front();
    for (std::uint32_t d = 0; d < machine.devices().size(); ++d) {
        if (machine.devices()[d].device_class == "nic" &&
            machine.level(gpu, d) <= Level::bridges) {
            allocator.cordon_device(d, true);
        }
    }
}

Bitmap all_devices(const Machine& machine) {
    return Bitmap::range(0, machine.devices().size());
}

Question question_on(const std::shared_ptr<const Machine>& machine,
                     Request request,
                     std::vector<Leave> left) {
    Question question;
    question.machine = machine;
    question.request = std::move(request);
    question.fill.core_percent = 10;
    question.fill.spared_devices = all_devices(*machine);
    question.want = Status::infeasible;
    question.prepare = leave(std::move(left));
    return question;
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

std::function<void(Allocator&, std::mt19937_64&)> leave(std::vector<Leave> left) {
    return [left = std::move(left)](Allocator& allocator, std::mt19937_64& random) {
        uncordon_all(allocator);
        for (const Leave& one : left) {
            cordon_down_to(allocator, random, one);
        }
    };
}

std::vector<NamedQuestion> slow_elsewhere() {
    const auto dgx = make_machine(dgx_h100());
    const auto eight = make_machine(eight_localities());
    const auto many = make_machine(wide());
    const auto aligned =
        [](std::uint32_t gpus, std::uint32_t nics, std::uint32_t cores) {
            return in_one_numa_node(devices_and_cores(gpus, nics, cores));
        };
    const Leave three_nics{"nic", 3, true};
    std::vector<NamedQuestion> out;
    const auto add = [&](std::string name,
                         const std::shared_ptr<const Machine>& machine,
                         Request request,
                         std::vector<Leave> left) {
        out.push_back({std::move(name),
                       question_on(machine, std::move(request), std::move(left))});
    };
    add("8_pairs_of_7_nics", dgx, paired(8, 0), {{"nic", 7, false}});
    add("8_gpus_of_7", dgx, devices_and_cores(8, 0, 0), {{"gpu", 7, false}});
    add("4_gpus_4_nics_numa_of_3_gpus", dgx, aligned(4, 4, 0), {{"gpu", 3, true}});
    add("4_gpus_4_nics_numa_of_3_nics", dgx, aligned(4, 4, 0), {three_nics});
    add("4_pairs_of_3_with_7_nics", dgx, paired(4, 0), {{"gpu", 4, false}});
    out.back().question.prepare = [lift = out.back().question.prepare](
                                      Allocator& allocator, std::mt19937_64& random) {
        lift(allocator, random);
        cordon_a_partner(allocator);
    };
    add("2_cores_2_gpus_4_nics_numa_of_3_nics", dgx, aligned(2, 4, 2), {three_nics});
    add("3_cores_2_gpus_4_nics_numa_of_3_nics", dgx, aligned(2, 4, 3), {three_nics});
    add("4_cores_2_gpus_4_nics_numa_of_3_nics", dgx, aligned(2, 4, 4), {three_nics});
    for (const std::uint32_t cores : {8U, 12U, 13U, 16U, 20U, 24U, 32U}) {
        add(std::to_string(cores) + "_cores_numa_one_short",
            dgx,
            aligned(0, 0, cores),
            {{"cores", cores - 1, true}});
    }
    add("13_cores_1_gpu_numa_one_short", dgx, aligned(1, 0, 13), {{"cores", 12, true}});
    add("12_cores_numa_one_short_on_8_localities",
        eight,
        aligned(0, 0, 12),
        {{"cores", 11, true}});
    add("32_cores_numa_one_short_on_768_pus",
        many,
        aligned(0, 0, 32),
        {{"cores", 31, true}});
    return out;
}

}  // namespace topoalloc::bench
