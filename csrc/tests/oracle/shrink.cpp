// SPDX-License-Identifier: Apache-2.0
#include "instances.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc::oracle {
namespace {

template <class T>
void erase_at(std::vector<T>& values, std::size_t index) {
    values.erase(values.begin() + static_cast<std::ptrdiff_t>(index));
}

void each_holding(Instance& instance, const std::function<void(Holding&)>& edit) {
    for (Holding& holding : instance.state.holdings) {
        edit(holding);
    }
    if (instance.keep_from) {
        edit(*instance.keep_from);
    }
}

bool is_near_target(const Request& request, const std::string& name) {
    for (const auto* list : {&request.require, &request.prefer}) {
        for (const Constraint& constraint : *list) {
            const auto* near = std::get_if<Near>(&constraint);
            if (near != nullptr &&
                std::count(near->devices.begin(), near->devices.end(), name) > 0) {
                return true;
            }
        }
    }
    return false;
}

// False when the device can not go: it has parts, or a Near names it.
bool remove_device(Instance& instance, std::uint32_t device) {
    MachineSpec& spec = instance.spec;
    const std::string name = spec.devices[device].name;
    const bool has_parts =
        std::any_of(spec.devices.begin(), spec.devices.end(), [&](const DeviceSpec& d) {
            return d.parent == device;
        });
    if (has_parts || is_near_target(instance.request, name)) {
        return false;
    }
    erase_at(spec.devices, device);
    const auto shift = [device](std::uint32_t& index) {
        index -= index != no_index && index > device ? 1 : 0;
    };
    for (DeviceSpec& other : spec.devices) {
        shift(other.parent);
    }
    std::erase_if(spec.links, [&](const LinkSpec& l) {
        return l.from == device || l.to == device;
    });
    for (LinkSpec& link : spec.links) {
        shift(link.from);
        shift(link.to);
    }
    std::erase_if(spec.level_overrides, [&](const LevelOverrideSpec& o) {
        return o.a == device || o.b == device;
    });
    for (LevelOverrideSpec& change : spec.level_overrides) {
        shift(change.a);
        shift(change.b);
    }
    std::erase(instance.state.cordoned_devices, device);
    for (std::uint32_t& cordoned : instance.state.cordoned_devices) {
        shift(cordoned);
    }
    each_holding(instance, [&](Holding& holding) {
        std::erase_if(holding.devices, [&](const HeldDevice& held) {
            return held.spec_index == device;
        });
        for (HeldDevice& held : holding.devices) {
            shift(held.spec_index);
        }
    });
    std::erase(instance.request.exclude, name);
    for (DeviceRequest& wanted : instance.request.devices) {
        if (wanted.eligible) {
            std::erase(*wanted.eligible, name);
        }
    }
    return true;
}

void remove_numa(Instance& instance, std::size_t index) {
    MachineSpec& spec = instance.spec;
    const std::uint32_t os_index = spec.numa_nodes[index].os_index;
    erase_at(spec.numa_nodes, index);
    if (spec.allowed_numa_nodes) {
        spec.allowed_numa_nodes->reset(os_index);
    }
    for (DeviceSpec& device : spec.devices) {
        std::erase(device.numa_nodes, os_index);
    }
    if (spec.distances) {
        DistanceSpec& d = *spec.distances;
        const auto row = std::find(d.numa_nodes.begin(), d.numa_nodes.end(), os_index);
        if (row != d.numa_nodes.end()) {
            const auto at = static_cast<std::size_t>(row - d.numa_nodes.begin());
            const std::size_t n = d.numa_nodes.size();
            for (std::size_t i = n * n; i > 0; --i) {
                if ((i - 1) / n == at || (i - 1) % n == at) {
                    erase_at(d.values, i - 1);
                }
            }
            erase_at(d.numa_nodes, at);
        }
    }
    each_holding(instance, [&](Holding& holding) {
        std::erase_if(holding.bytes,
                      [&](const auto& entry) { return entry.first.first == os_index; });
    });
}

bool remove_pu(Instance& instance, std::uint32_t os_index) {
    MachineSpec& spec = instance.spec;
    for (const NumaNodeSpec& numa : spec.numa_nodes) {
        if (numa.cpuset.count() == 1 && numa.cpuset.test(os_index)) {
            return false;  // it would become a NUMANode without PUs: another thing
        }
    }
    for (ObjectSpec& object : spec.objects) {
        object.cpuset.reset(os_index);
    }
    std::erase_if(spec.objects,
                  [](const ObjectSpec& object) { return object.cpuset.empty(); });
    for (NumaNodeSpec& numa : spec.numa_nodes) {
        numa.cpuset.reset(os_index);
        numa.parent_cpuset.reset(os_index);
    }
    if (spec.allowed_pus) {
        spec.allowed_pus->reset(os_index);
    }
    instance.state.reserved_pus.reset(os_index);
    instance.state.cordoned_pus.reset(os_index);
    each_holding(instance, [&](Holding& holding) { holding.pus.reset(os_index); });
    return !spec.objects.empty();
}

bool remove_bridge(Instance& instance, std::uint32_t bridge) {
    MachineSpec& spec = instance.spec;
    const bool is_used =
        std::any_of(spec.bridges.begin(),
                    spec.bridges.end(),
                    [&](const BridgeSpec& other) { return other.parent == bridge; }) ||
        std::any_of(spec.devices.begin(),
                    spec.devices.end(),
                    [&](const DeviceSpec& device) { return device.bridge == bridge; });
    if (is_used) {
        return false;
    }
    erase_at(spec.bridges, bridge);
    const auto shift = [bridge](std::uint32_t& index) {
        index -= index != no_index && index > bridge ? 1 : 0;
    };
    for (BridgeSpec& other : spec.bridges) {
        shift(other.parent);
    }
    for (DeviceSpec& device : spec.devices) {
        shift(device.bridge);
    }
    return true;
}

class Shrinker {
  public:
    Shrinker(Instance instance, const std::function<bool(const Instance&)>& differs)
        : now_(std::move(instance)), differs_(differs) {}

    Instance run() {
        do {
            changed_ = false;
            shrink_request();
            shrink_state();
            shrink_devices();
            shrink_tree();
        } while (changed_);
        return std::move(now_);
    }

  private:
    // Keeps the edit when the instance still differs. `edit` returns false to give up.
    bool attempt(const std::function<bool(Instance&)>& edit) {
        Instance next = now_;
        if (!edit(next) || !differs_(next)) {
            return false;
        }
        now_ = std::move(next);
        changed_ = true;
        return true;
    }

    // Tries to erase each entry of a vector of the instance, last first.
    template <class F>
    void erase_each(F&& vector_of) {
        for (std::size_t i = vector_of(now_).size(); i > 0; --i) {
            attempt([&](Instance& next) {
                erase_at(vector_of(next), i - 1);
                return true;
            });
        }
    }

    void shrink_request() {
        erase_each([](Instance& i) -> auto& { return i.request.require; });
        erase_each([](Instance& i) -> auto& { return i.request.prefer; });
        erase_each([](Instance& i) -> auto& { return i.request.exclude; });
        erase_each([](Instance& i) -> auto& { return i.request.keep; });
        erase_each([](Instance& i) -> auto& { return i.request.devices; });
        for (std::size_t d = 0; d < now_.request.devices.size(); ++d) {
            erase_each(
                [d](Instance& i) -> auto& { return i.request.devices[d].where; });
            attempt([d](Instance& i) {
                return std::exchange(i.request.devices[d].eligible, std::nullopt)
                    .has_value();
            });
            attempt([d](Instance& i) { return --i.request.devices[d].count > 0; });
        }
        attempt([](Instance& i) { return std::exchange(i.request.memory, 0) > 0; });
        attempt([](Instance& i) {
            return !std::exchange(i.request.hugepages, {}).empty();
        });
        attempt(
            [](Instance& i) { return std::exchange(i.request.whole_cores, false); });
        attempt([](Instance& i) { return i.request.cores-- > 0; });
        attempt([](Instance& i) { return i.request.pus-- > 0; });
        attempt([](Instance& i) { return std::exchange(i.spread, false); });
        shrink_order();
    }

    // Towards the default order, one exchange of neighbours after the other.
    void shrink_order() {
        attempt([](Instance& i) { return !std::exchange(i.order, {}).empty(); });
        for (std::size_t k = 1; k < now_.order.size(); ++k) {
            attempt([k](Instance& i) {
                if (i.order[k - 1] < i.order[k]) {
                    return false;
                }
                std::swap(i.order[k - 1], i.order[k]);
                return true;
            });
        }
    }

    void shrink_state() {
        erase_each([](Instance& i) -> auto& { return i.state.holdings; });
        erase_each([](Instance& i) -> auto& { return i.state.cordoned_devices; });
        for (std::size_t h = 0; h < now_.state.holdings.size(); ++h) {
            erase_each(
                [h](Instance& i) -> auto& { return i.state.holdings[h].devices; });
            attempt([h](Instance& i) {
                return !std::exchange(i.state.holdings[h].bytes, {}).empty();
            });
            attempt([h](Instance& i) {
                return !std::exchange(i.state.holdings[h].pus, {}).empty();
            });
        }
        attempt([](Instance& i) {
            return !std::exchange(i.state.reserved_pus, {}).empty();
        });
        attempt([](Instance& i) {
            return !std::exchange(i.state.cordoned_pus, {}).empty();
        });
        attempt([](Instance& i) {
            return std::exchange(i.keep_from, std::nullopt).has_value();
        });
    }

    void shrink_devices() {
        erase_each([](Instance& i) -> auto& { return i.spec.links; });
        erase_each([](Instance& i) -> auto& { return i.spec.level_overrides; });
        for (std::size_t d = now_.spec.devices.size(); d > 0; --d) {
            const auto device = static_cast<std::uint32_t>(d - 1);
            attempt([device](Instance& i) { return remove_device(i, device); });
        }
        for (std::size_t d = 0; d < now_.spec.devices.size(); ++d) {
            const Attributes attributes = now_.spec.devices[d].attributes;
            for (const auto& [name, value] : attributes) {
                attempt([d, &name](Instance& i) {
                    return i.spec.devices[d].attributes.erase(name) > 0;
                });
            }
        }
        for (std::size_t b = now_.spec.bridges.size(); b > 0; --b) {
            const auto bridge = static_cast<std::uint32_t>(b - 1);
            attempt([bridge](Instance& i) { return remove_bridge(i, bridge); });
        }
    }

    void shrink_tree() {
        attempt([](Instance& i) {
            return std::exchange(i.spec.distances, std::nullopt).has_value();
        });
        attempt([](Instance& i) {
            return std::exchange(i.spec.allowed_pus, std::nullopt).has_value();
        });
        attempt([](Instance& i) {
            return std::exchange(i.spec.allowed_numa_nodes, std::nullopt).has_value();
        });
        for (std::size_t n = now_.spec.numa_nodes.size(); n > 0; --n) {
            attempt([n](Instance& i) {
                remove_numa(i, n - 1);
                return true;
            });
        }
        for (std::size_t o = now_.spec.objects.size(); o > 0; --o) {
            if (o > now_.spec.objects.size()) {
                continue;  // one removal may take several objects away
            }
            const ObjectSpec object = now_.spec.objects[o - 1];
            attempt([&](Instance& i) {
                if (object.kind == ObjectKind::pu) {
                    return remove_pu(i, object.os_index);
                }
                erase_at(i.spec.objects, o - 1);
                return true;
            });
        }
    }

    Instance now_;
    const std::function<bool(const Instance&)>& differs_;
    bool changed_ = false;
};

}  // namespace

Instance shrink(Instance instance,
                const std::function<bool(const Instance&)>& differs) {
    return Shrinker(std::move(instance), differs).run();
}

// The rest of the instance shrinks beside one Request after the other: that one is the
// Request of an Instance for a while.
BatchInstance shrink(BatchInstance instance,
                     const std::function<bool(const BatchInstance&)>& differs) {
    for (std::size_t i = instance.requests.size(); i > 0; --i) {
        BatchInstance next = instance;
        erase_at(next.requests, i - 1);
        if (differs(next)) {
            instance = std::move(next);
        }
    }
    for (std::size_t i = 0; i < instance.requests.size(); ++i) {
        instance.base.request = instance.requests[i];
        const std::vector<Request> requests = instance.requests;
        const auto with = [&](const Instance& base) {
            BatchInstance batch{base, requests};
            batch.requests[i] = base.request;
            return batch;
        };
        const std::function<bool(const Instance&)> still = [&](const Instance& base) {
            return differs(with(base));
        };
        instance = with(shrink(instance.base, still));
    }
    return instance;
}

}  // namespace topoalloc::oracle
