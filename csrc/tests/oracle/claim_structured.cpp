// SPDX-License-Identifier: Apache-2.0
#include "claim_instances.hpp"

#include "claim_brute.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc::oracle {
namespace {

constexpr std::uint64_t structured_stream = 0x510e527fade682d1;
constexpr Nanos unit = 1'000'000'000;

class StructuredMaker {
  public:
    explicit StructuredMaker(std::uint64_t seed) : rng_(seed ^ structured_stream) {}

    ClaimInstance make() {
        world().node.name = "n0";
        const std::uint32_t kind = rng_.below(3);
        if (kind == 0) {
            make_pairs();
        } else if (kind == 1) {
            make_pus();
        } else {
            make_partitions();
        }
        return std::move(out_);
    }

  private:
    [[nodiscard]] ClaimWorld& world() { return out_.world; }
    [[nodiscard]] ClaimQuestion& question() { return out_.question; }

    DeviceSlice& add_slice(const std::string& driver) {
        world().slices.emplace_back();
        DeviceSlice& slice = world().slices.back();
        slice.name = "s" + std::to_string(world().slices.size());
        slice.driver = driver;
        slice.pool = "n0";
        slice.target.kind = NodeTarget::Kind::name;
        slice.target.name = "n0";
        return slice;
    }

    static DeviceValues integer(std::uint32_t value) {
        return {AttributeKind::integer, {Scalar(std::int64_t{value})}, false};
    }
    static DeviceValues text(const std::string& value) {
        return {AttributeKind::text, {Scalar(value)}, false};
    }

    // A class for each driver: what is_of says of the names of devices.
    template <class IsOf>
    std::size_t add_selector(const IsOf& is_of) {
        question().outcomes.emplace_back();
        for (const DeviceId& id : positions_of(world())) {
            question().outcomes.back().push_back(is_of(id) ? SelectorOutcome::yes
                                                           : SelectorOutcome::no);
        }
        return question().outcomes.size() - 1;
    }

    std::size_t add_driver_class(const std::string& driver) {
        return add_selector([&](const DeviceId& id) { return id.driver == driver; });
    }

    void take_some(std::uint32_t chance) {
        for (const DeviceSlice& slice : world().slices) {
            for (const SliceDevice& device : slice.devices) {
                if (rng_.percent(chance)) {
                    world().taken.push_back(
                        {{slice.driver, slice.pool, device.name}, std::nullopt});
                }
            }
        }
    }

    static ClaimRequest& add_request(ResourceClaimSpec& claim,
                                     const std::string& name,
                                     std::size_t selector,
                                     std::int64_t count) {
        ClaimRequest request;
        request.name = name;
        request.demands.emplace_back();
        request.demands[0].selectors = {selector};
        request.demands[0].count = count;
        claim.requests.push_back(std::move(request));
        return claim.requests.back();
    }

    // Roots in two to four; a GPU and a NIC for each pair are of one.
    void make_pairs() {
        const std::uint32_t roots = rng_.between(2, 4);
        const std::uint32_t pairs = rng_.between(2, 4);
        for (const std::string driver : {"gpu.io", "nic.io"}) {
            const std::uint32_t devices = pairs + rng_.below(3);
            DeviceSlice& slice = add_slice(driver);
            for (std::uint32_t d = 0; d < devices; ++d) {
                const std::uint32_t root =
                    rng_.percent(70) ? d % roots : rng_.below(roots);
                SliceDevice device;
                device.name = "d" + std::to_string(d);
                device.attributes["resource.kubernetes.io/pcieRoot"] =
                    text("pci" + std::to_string(root));
                device.attributes["resource.kubernetes.io/numaNode"] =
                    integer(root / 2);
                slice.devices.push_back(std::move(device));
            }
        }
        take_some(rng_.pick(std::vector<std::uint32_t>{0, 10, 20}));
        const std::size_t gpu = add_driver_class("gpu.io");
        const std::size_t nic = add_driver_class("nic.io");
        const bool are_apart = rng_.percent(30);  // a claim for each pair
        const bool are_near = !are_apart && rng_.percent(25);
        for (std::uint32_t p = 0; p < pairs; ++p) {
            if (p == 0 || are_apart) {
                add_claim();
            }
            ResourceClaimSpec& claim = question().claims.back();
            const std::string number = std::to_string(p);
            add_request(claim, "gpu" + number, gpu, 1);
            add_request(claim, "nic" + number, nic, 1);
            claim.constraints.push_back({false,
                                         "resource.kubernetes.io/pcieRoot",
                                         {"gpu" + number, "nic" + number}});
        }
        if (are_near) {
            question().claims[0].constraints.push_back(
                {false, "resource.kubernetes.io/numaNode", {}});
        }
        if (!are_apart && rng_.percent(25)) {  // each pair of a root of its own
            ClaimConstraint apart{true, "resource.kubernetes.io/pcieRoot", {}};
            for (std::uint32_t p = 0; p < pairs; ++p) {
                apart.requests.push_back("gpu" + std::to_string(p));
            }
            question().claims[0].constraints.push_back(std::move(apart));
        }
    }

    void add_claim() {
        question().claims.emplace_back();
        question().claims.back().name =
            "ns/c" + std::to_string(question().claims.size());
    }

    void make_pus() {
        const std::uint32_t numas = rng_.between(1, 3);
        const std::uint32_t cores = rng_.between(2, 12 / numas / 2 + 1);
        DeviceSlice& slice = add_slice("cpu.io");
        const bool is_interleaved = rng_.percent(40);
        for (std::uint32_t d = 0; d < numas * cores * 2 && d < 14; ++d) {
            const std::uint32_t core = d / 2;
            SliceDevice device;
            device.name = "cpu" + std::to_string(d);
            device.attributes["resource.kubernetes.io/numaNode"] =
                integer(is_interleaved ? core % numas : core / cores);
            device.attributes["core"] = integer(core);
            slice.devices.push_back(std::move(device));
        }
        take_some(rng_.pick(std::vector<std::uint32_t>{0, 15, 35}));
        const std::size_t cpu = add_driver_class("cpu.io");
        const auto left = static_cast<std::uint32_t>(world().slices[0].devices.size() -
                                                     world().taken.size());
        std::uint32_t asked = 0;
        for (std::uint32_t claims = rng_.between(1, 3); claims > 0; --claims) {
            add_claim();
            ResourceClaimSpec& claim = question().claims.back();
            const std::uint32_t most = std::max(1U, std::min(5U, left - asked / 2));
            const std::uint32_t count = rng_.between(1, most);
            asked += count;
            add_request(claim, "cpus", cpu, count);
            claim.constraints.push_back({false, "resource.kubernetes.io/numaNode", {}});
            if (rng_.percent(20)) {
                claim.constraints.push_back({true, "cpu.io/core", {}});
            }
            if (asked >= left + 1) {
                return;
            }
        }
    }

    // GPUs of eight memory slices: one partition of eight, two of four, and so on; each
    // draws on the slices it lies on.
    void make_partitions() {
        const std::uint32_t gpus = rng_.between(1, 2);
        DeviceSlice& sets = add_slice("gpu.io");
        DeviceSlice devices;
        const std::uint32_t smallest = gpus == 1 ? 1 : 2;
        for (std::uint32_t g = 0; g < gpus; ++g) {
            const std::string set = "gpu" + std::to_string(g);
            auto& counters = sets.counter_sets[set];
            for (std::uint32_t m = 0; m < 8; ++m) {
                counters["m" + std::to_string(m)] = unit;
            }
            // One less than there are slices: not all of the smallest fit.
            counters["compute"] = 7 * unit;
            for (std::uint32_t size = smallest; size <= 8; size *= 2) {
                for (std::uint32_t at = 0; at < 8; at += size) {
                    devices.devices.push_back(make_partition(set, size, at));
                }
            }
        }
        if (rng_.percent(30)) {
            rng_.shuffle(devices.devices);
        }
        DeviceSlice& slice = add_slice("gpu.io");
        slice.devices = std::move(devices.devices);
        for (DeviceSlice& own : world().slices) {
            own.slice_count = 2;
        }
        take_partitions();
        ask_for_partitions(smallest);
    }

    static SliceDevice make_partition(const std::string& set,
                                      std::uint32_t size,
                                      std::uint32_t at) {
        SliceDevice device;
        device.name = set + "-" + std::to_string(size) + "-" + std::to_string(at);
        device.attributes["size"] = integer(size);
        device.attributes["parent"] = text(set);
        CounterDraw draw;
        draw.counter_set = set;
        for (std::uint32_t m = at; m < at + size; ++m) {
            draw.counters["m" + std::to_string(m)] = unit;
        }
        draw.counters["compute"] = Nanos{std::min(size, 7U)} * unit;
        device.draws.push_back(std::move(draw));
        return device;
    }

    void take_partitions() {
        const auto& devices = world().slices[1].devices;
        for (std::uint32_t times = rng_.below(3); times > 0; --times) {
            const SliceDevice& device = rng_.pick(devices);
            if (device.name.find("-8-") == std::string::npos) {
                world().taken.push_back({{"gpu.io", "n0", device.name}, std::nullopt});
            }
        }
    }

    void ask_for_partitions(std::uint32_t smallest) {
        std::vector<std::size_t> classes;
        for (std::uint32_t size = smallest; size <= 8; size *= 2) {
            const std::string part = "-" + std::to_string(size) + "-";
            classes.push_back(add_selector([&](const DeviceId& id) {
                return id.device.find(part) != std::string::npos;
            }));
        }
        for (std::uint32_t claims = rng_.between(1, 2); claims > 0; --claims) {
            add_claim();
            ResourceClaimSpec& claim = question().claims.back();
            for (std::uint32_t r = 0; r < rng_.between(1, 3); ++r) {
                const std::size_t at = rng_.below(classes.size() - 1);
                ClaimRequest& request = add_request(claim,
                                                    "r" + std::to_string(r),
                                                    classes[at],
                                                    rng_.between(1, at == 0 ? 3 : 2));
                if (rng_.percent(15)) {
                    prioritize(request, classes[0]);
                }
            }
            if (rng_.percent(25)) {
                claim.constraints.push_back({false, "gpu.io/parent", {}});
            }
        }
    }

    // Else the smallest will do.
    static void prioritize(ClaimRequest& request, std::size_t smallest) {
        request.is_prioritized = true;
        request.demands.push_back(request.demands[0]);
        request.demands[0].name = "large";
        request.demands[1].name = "small";
        request.demands[1].selectors = {smallest};
    }

    Rng rng_;
    ClaimInstance out_;
};

}  // namespace

ClaimInstance make_structured_claim(std::uint64_t seed) {
    return StructuredMaker(seed).make();
}

}  // namespace topoalloc::oracle
