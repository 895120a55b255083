// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/state.hpp"

#include "base/bits.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc {
namespace {

// Sums what a Placement asks of each root and NUMANode, so that one which names a thing
// twice is refused.
class TakeCheck {
  public:
    TakeCheck(const NodeState& state, bool ignore_cordons)
        : state_(state), machine_(state.machine()), ignore_cordons_(ignore_cordons) {}

    [[nodiscard]] bool pus_are_free(const Bitmap& pus) const {
        Bitmap free = machine_.allowed_pus();
        free -= state_.reserved_pus();
        free -= state_.owned_pus();
        if (!ignore_cordons_) {
            free -= state_.cordoned_pus();
        }
        return pus.is_subset_of(free);
    }

    [[nodiscard]] bool bytes_are_free(const std::vector<MemoryGrant>& memory) const {
        std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> sums;
        for (const MemoryGrant& grant : memory) {
            if (grant.numa_node >= machine_.numa_nodes().size() ||
                grant.page_size_index >= machine_.page_sizes().size() ||
                !machine_.allowed_numa_nodes().test(grant.numa_node) ||
                machine_.numa_nodes()[grant.numa_node].kind == MemoryKind::gpu) {
                return false;
            }
            const std::uint64_t size = machine_.page_sizes()[grant.page_size_index];
            if (size != 0 && grant.bytes % size != 0) {
                return false;
            }
            std::uint64_t& sum = sums[{grant.numa_node, grant.page_size_index}];
            const std::uint64_t free =
                state_.free_bytes(grant.numa_node, grant.page_size_index);
            if (grant.bytes > free - sum) {
                return false;
            }
            sum += grant.bytes;
        }
        return true;
    }

    [[nodiscard]] bool devices_are_free(const std::vector<DeviceGrant>& devices) {
        return std::ranges::all_of(
            devices, [this](const DeviceGrant& grant) { return add_device(grant); });
    }

  private:
    struct Root {
        bool whole = false;
        std::vector<std::uint64_t> left;
    };

    // False when the device can not be given on top of those added before.
    bool add_device(const DeviceGrant& grant) {
        if (grant.device >= machine_.devices().size() || named_.test(grant.device) ||
            (!ignore_cordons_ && state_.is_cordoned(grant.device))) {
            return false;
        }
        named_.set(grant.device);
        const Device& device = machine_.devices()[grant.device];
        if (state_.is_held_whole(device.root)) {
            return false;
        }
        const auto [it, is_new] = roots_.try_emplace(device.root);
        Root& root = it->second;
        if (is_new) {
            const std::span<const std::uint64_t> left =
                state_.counters_left(device.root);
            root.left.assign(left.begin(), left.end());
        }
        if (root.whole) {
            return false;
        }
        if (device.root != grant.device) {
            return grant.share.empty() && !state_.is_held_part(grant.device) &&
                   draw(root, device.counter_draws);
        }
        if (!grant.share.empty()) {
            return draw_share(root, device, grant.share);
        }
        root.whole = true;
        return is_new && state_.device_holds()[grant.device] == 0;
    }

    static bool draw(Root& root, const std::vector<std::uint64_t>& draws) {
        for (std::size_t i = 0; i < draws.size(); ++i) {
            if (draws[i] > root.left[i]) {
                return false;
            }
            root.left[i] -= draws[i];
        }
        return true;
    }

    static bool draw_share(Root& root, const Device& device, const Amounts& share) {
        for (const auto& [name, amount] : share) {
            const auto it = std::ranges::find(device.counter_names, name);
            if (it == device.counter_names.end()) {
                return false;
            }
            std::uint64_t& left =
                root.left[static_cast<std::size_t>(it - device.counter_names.begin())];
            if (amount > left) {
                return false;
            }
            left -= amount;
        }
        return true;
    }

    const NodeState& state_;
    const Machine& machine_;
    bool ignore_cordons_;
    Bitmap named_;
    std::map<std::uint32_t, Root> roots_;
};

// Adds to or takes from the counters of a root.
void move_counters(std::span<std::uint64_t> left,
                   const Device& root,
                   const Device& device,
                   const Amounts& share,
                   bool take) {
    const auto move = [take](std::uint64_t& counter, std::uint64_t amount) {
        counter = take ? counter - amount : counter + amount;
    };
    for (std::size_t i = 0; i < device.counter_draws.size(); ++i) {
        move(left[i], device.counter_draws[i]);
    }
    for (const auto& [name, amount] : share) {
        const auto it = std::ranges::find(root.counter_names, name);
        move(left[static_cast<std::size_t>(it - root.counter_names.begin())], amount);
    }
}

// Bits 0, 2, 4... of a word, side by side.
std::uint64_t every_second(std::uint64_t word) {
    word &= 0x5555555555555555U;
    word = (word | (word >> 1)) & 0x3333333333333333U;
    word = (word | (word >> 2)) & 0x0f0f0f0f0f0f0f0fU;
    word = (word | (word >> 4)) & 0x00ff00ff00ff00ffU;
    word = (word | (word >> 8)) & 0x0000ffff0000ffffU;
    return (word | (word >> 16)) & 0x00000000ffffffffU;
}

void demand(bool holds, const std::string& what) {
    if (!holds) {
        throw InternalError("NodeState: " + what +
                            ", want consistent tables; please report");
    }
}

// What must hold of one device, whoever holds it.
void check_device(const NodeState& state, std::uint32_t index) {
    const Machine& machine = state.machine();
    const Device& device = machine.devices()[index];
    const std::uint32_t holders = state.device_holds()[index];
    const bool whole = state.is_held_whole(index);
    if (device.root != index) {
        demand(holders == 0 && !whole, device.name + " is a part and held as a root");
        return;
    }
    demand(!state.is_held_part(index), device.name + " is a root and held as a part");
    std::vector<std::uint64_t> most = device.counter_totals;
    bool has_part = false;
    for (const std::uint32_t part : device.parts) {
        if (state.is_held_part(part)) {
            has_part = true;
            const auto& draws = machine.devices()[part].counter_draws;
            std::ranges::transform(most, draws, most.begin(), std::minus<>());
        }
    }
    demand(!whole || (!has_part && holders == 1),
           device.name + " is held whole and shared");
    demand(!has_part || holders != 0, device.name + " has a held part and no owner");
    const std::span<const std::uint64_t> left = state.counters_left(index);
    for (std::size_t i = 0; i < most.size(); ++i) {
        demand(whole ? left[i] == 0 : left[i] <= most[i],
               device.name + " has " + std::to_string(left[i]) + " left on " +
                   device.counter_names[i]);
    }
    demand(holders != 0 || std::ranges::equal(left, device.counter_totals),
           device.name + " has no owner and lacks an amount");
}

}  // namespace

// The domains in which a Placement holds a PU, a byte or a device, as holds_ numbers
// them. On the stack: taking and releasing allocate nothing on usual machines.
class NodeState::Touched {
  public:
    // Words that are not in use stay unset.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
    explicit Touched(std::size_t domains) : count_((domains + 63) / 64) {
        if (count_ > inline_words) {
            heap_.resize(count_);
            words_ = heap_.data();
        }
        std::fill_n(words_, count_, 0);
    }
    Touched(const Touched&) = delete;
    Touched& operator=(const Touched&) = delete;
    Touched(Touched&&) = delete;
    Touched& operator=(Touched&&) = delete;
    ~Touched() = default;

    void set(std::size_t domain) { words_[domain / 64] |= bit(domain % 64); }
    template <class F>
    void for_each(F&& f) const {
        for (std::size_t w = 0; w < count_; ++w) {
            for_each_bit(words_[w], [&](std::uint32_t index) { f(w * 64 + index); });
        }
    }

  private:
    static constexpr std::size_t inline_words = 8;
    std::size_t count_;
    std::array<std::uint64_t, inline_words> inline_;
    std::vector<std::uint64_t> heap_;  // instead, for more
    std::uint64_t* words_ = inline_.data();
};

// The same where there are at most 64 domains, as on most machines.
struct NodeState::TouchedWord {
    std::uint64_t word = 0;
    void set(std::size_t domain) { word |= bit(domain); }
};

NodeState::NodeState(std::shared_ptr<const Machine> machine)
    : machine_(std::move(machine)),
      page_sizes_(machine_->page_sizes().size()),
      free_pus_(machine_->allowed_pus()) {
    const std::size_t pu_words = (machine_->pus().size() + 63) / 64;
    const std::size_t device_words = (machine_->devices().size() + 63) / 64;
    for (Bitmap* set : {&owned_pus_, &reserved_pus_, &cordoned_pus_}) {
        set->resize_words(pu_words);
    }
    for (Bitmap* set : {&cordoned_devices_, &held_whole_, &held_parts_}) {
        set->resize_words(device_words);
    }
    free_bytes_.resize(machine_->numa_nodes().size() * page_sizes_);
    machine_->allowed_numa_nodes().for_each([this](std::size_t index) {
        const auto first = static_cast<std::ptrdiff_t>(index * page_sizes_);
        std::ranges::copy(machine_->numa_nodes()[index].bytes,
                          free_bytes_.begin() + first);
    });
    for (const Device& device : machine_->devices()) {
        counters_left_.insert(counters_left_.end(),
                              device.counter_totals.begin(),
                              device.counter_totals.end());
    }
    free_pus_.resize_words(pu_words);
    whole_cores_.resize_words((machine_->cores().size() + 63) / 64);
    whole_cores_of_run_.resize(machine_->core_runs().size());
    for (std::uint32_t core = 0; core < machine_->cores().size(); ++core) {
        refresh_core(core);
    }
    holds_.resize(machine_->domain_numbers().count);
    available_devices_.resize_words(device_words);
    for (std::uint32_t device = 0; device < machine_->devices().size(); ++device) {
        if (machine_->devices()[device].root == device) {
            refresh_root(device);
        }
    }
}

void NodeState::reserve_pus(const Bitmap& pus) {
    reserved_pus_ |= pus;
    set_pus_free(pus);
}

void NodeState::cordon_pu(std::uint32_t pu, bool cordoned) {
    if (cordoned) {
        cordoned_pus_.set(pu);
    } else {
        cordoned_pus_.reset(pu);
    }
    Bitmap one;
    one.set(pu);
    set_pus_free(one);
}

void NodeState::cordon_device(std::uint32_t device, bool cordoned) {
    if (cordoned) {
        cordoned_devices_.set(device);
    } else {
        cordoned_devices_.reset(device);
    }
    refresh_root(machine_->devices()[device].root);
}

void NodeState::take(const Placement& placement) {
    owned_pus_ |= placement.pus;
    set_pus_free(placement.pus);
    for (const MemoryGrant& grant : placement.memory) {
        free_bytes_[grant.numa_node * page_sizes_ + grant.page_size_index] -=
            grant.bytes;
    }
    for (const DeviceGrant& grant : placement.devices) {
        const Device& device = machine_->devices()[grant.device];
        const Device& root = machine_->devices()[device.root];
        const std::span left{counters_left_.data() + root.first_counter,
                             root.counter_totals.size()};
        if (device.root != grant.device) {
            held_parts_.set(grant.device);
        } else if (grant.share.empty()) {
            held_whole_.set(grant.device);
            std::ranges::fill(left, 0);
        }
        move_counters(left, root, device, grant.share, true);
    }
    count_holds(placement, true);
}

void NodeState::release(const Placement& placement) {
    owned_pus_ -= placement.pus;
    set_pus_free(placement.pus);
    for (const MemoryGrant& grant : placement.memory) {
        free_bytes_[grant.numa_node * page_sizes_ + grant.page_size_index] +=
            grant.bytes;
    }
    for (const DeviceGrant& grant : placement.devices) {
        const Device& device = machine_->devices()[grant.device];
        const Device& root = machine_->devices()[device.root];
        const std::span left{counters_left_.data() + root.first_counter,
                             root.counter_totals.size()};
        if (device.root != grant.device) {
            held_parts_.reset(grant.device);
        } else if (grant.share.empty()) {
            held_whole_.reset(grant.device);
            std::ranges::copy(device.counter_totals, left.begin());
        }
        move_counters(left, root, device, grant.share, false);
    }
    count_holds(placement, false);
}

bool NodeState::can_take(const Placement& placement, bool ignore_cordons) const {
    TakeCheck check(*this, ignore_cordons);
    return check.pus_are_free(placement.pus) &&
           check.bytes_are_free(placement.memory) &&
           check.devices_are_free(placement.devices);
}

bool NodeState::can_be_held(std::uint32_t device) const {
    const Device& entry = machine_->devices()[device];
    if (entry.root == device) {
        return can_hold_root(device);
    }
    return !is_cordoned(device) && !held_whole_.test(entry.root) &&
           !held_parts_.test(device) &&
           std::ranges::equal(
               entry.counter_draws,
               counters_left(entry.root),
               [](std::uint64_t draw, std::uint64_t left) { return draw <= left; });
}

inline void NodeState::set_available(std::uint32_t device, bool available) {
    std::uint64_t& word = available_devices_.words()[device / 64];
    word = (word & ~bit(device % 64)) | (std::uint64_t{available} << (device % 64));
}

// Brings available_devices_ up to date for a root and its parts.
inline void NodeState::refresh_root(std::uint32_t root) {
    set_available(root, can_hold_root(root));
    for (const std::uint32_t part : machine_->devices()[root].parts) {
        set_available(part, can_be_held(part));
    }
}

bool NodeState::is_cordoned(std::uint32_t device) const {
    return cordoned_devices_.test(device) ||
           cordoned_devices_.test(machine_->devices()[device].root);
}

// Brings free_pus_ and whole_cores_ up to date for these PUs, after a decision changed.
void NodeState::set_pus_free(const Bitmap& pus) {
    const std::span<const std::uint64_t> changed = pus.words();
    const std::size_t core_size = machine_->core_size();
    const bool by_word = core_size == 1 || core_size == 2;
    for (std::size_t w = 0; w < changed.size(); ++w) {
        if (changed[w] == 0) {
            continue;
        }
        const std::uint64_t free =
            machine_->allowed_pus().word(w) &
            ~(owned_pus_.word(w) | reserved_pus_.word(w) | cordoned_pus_.word(w));
        free_pus_.set_word(w, (free_pus_.word(w) & ~changed[w]) | (free & changed[w]));
        if (by_word) {
            refresh_cores_of_word(w);
        }
    }
    if (by_word) {
        return;
    }
    std::uint32_t last = no_index;
    pus.for_each([&](std::size_t pu) {
        const std::uint32_t core = machine_->pus()[pu].core;
        if (core != last) {
            refresh_core(core);
            last = core;
        }
    });
}

// Brings the whole cores of 64 PUs up to date, where every core has one PU or two: PUs
// are numbered core by core, so those of a core are neighbours in one word.
void NodeState::refresh_cores_of_word(std::size_t pu_word) {
    const std::size_t size = machine_->core_size();
    const std::size_t first_core = pu_word * 64 / size;
    const std::size_t shift = first_core % 64;
    const std::uint64_t of_word = low_bits(64 / size) << shift;
    const std::uint64_t free = free_pus_.word(pu_word);
    const std::uint64_t whole = (size == 1 ? free : every_second(free & (free >> 1)))
                                << shift;
    const std::uint64_t before = whole_cores_.word(first_core / 64);
    const std::uint64_t after = (before & ~of_word) | whole;
    whole_cores_.set_word(first_core / 64, after);
    const std::size_t base = first_core - shift;
    for (std::uint64_t rest = before ^ after; rest != 0;) {
        const std::size_t core =
            base + static_cast<std::size_t>(std::countr_zero(rest));
        const std::uint32_t index = machine_->run_of_core()[core];
        const CoreRun& run = machine_->core_runs()[index];
        const std::size_t end = std::size_t{run.first_core} + run.core_count - base;
        const std::uint64_t here = rest & low_bits(end);
        whole_cores_of_run_[index] +=
            static_cast<std::uint32_t>(std::popcount(here & after));
        whole_cores_of_run_[index] -=
            static_cast<std::uint32_t>(std::popcount(here & before));
        rest &= ~here;
    }
}

void NodeState::refresh_core(std::uint32_t core) {
    const bool whole = machine_->cores()[core].pus.is_subset_of(free_pus_);
    if (whole == whole_cores_.test(core)) {
        return;
    }
    std::uint32_t& of_run = whole_cores_of_run_[machine_->run_of_core()[core]];
    if (whole) {
        whole_cores_.set(core);
        ++of_run;
    } else {
        whole_cores_.reset(core);
        --of_run;
    }
}

// Calls touched.set(domain) for the domains in which a Placement holds something.
template <class Domains>
void NodeState::touch(const Placement& placement, Domains& touched) const {
    const Machine& machine = *machine_;
    const DomainNumbers& numbers = machine.domain_numbers();
    for (std::size_t pu = placement.pus.first(); pu != Bitmap::npos;) {
        const std::uint32_t core = machine.pus()[pu].core;
        const CoreRun& run = machine.core_runs()[machine.run_of_core()[core]];
        touched.set(run.package);
        touched.set(numbers.locality + run.locality);
        touched.set(numbers.l3 + run.l3);
        pu = placement.pus.next(run.end_pu - 1);
    }
    for (const MemoryGrant& grant : placement.memory) {
        machine.numa_nodes()[grant.numa_node].localities.for_each(
            [&](std::size_t index) {
                touched.set(numbers.locality + index);
                machine.localities()[index].packages.for_each(
                    [&](std::size_t package) { touched.set(package); });
            });
    }
    for (const DeviceGrant& grant : placement.devices) {
        for (const std::uint32_t domain : machine.domains_of_device(grant.device)) {
            touched.set(domain);
        }
    }
}

// Adds or takes away one holder in each domain that the Placement touches.
void NodeState::count_holds(const Placement& placement, bool add) {
    const std::uint32_t one = add ? 1U : ~0U;  // modulo 2^32
    const auto count = [this, one](std::size_t domain) { holds_[domain] += one; };
    if (holds_.size() <= 64) {
        TouchedWord touched;
        touch(placement, touched);
        for_each_bit(touched.word, count);
    } else {
        Touched touched(holds_.size());
        touch(placement, touched);
        touched.for_each(count);
    }
    std::uint32_t last = no_index;
    for (const DeviceGrant& grant : placement.devices) {
        if (const std::uint32_t root = machine_->devices()[grant.device].root;
            root != last) {
            refresh_root(root);
            last = root;
        }
    }
}

void NodeState::check_consistency() const {
    Bitmap free = machine_->allowed_pus();
    free -= owned_pus_;
    free -= reserved_pus_;
    free -= cordoned_pus_;
    demand(free == free_pus_,
           "free_pus " + free_pus_.to_list() + " of " + free.to_list());
    demand(!owned_pus_.intersects(reserved_pus_), "a reserved PU is owned");
    demand(owned_pus_.is_subset_of(machine_->allowed_pus()),
           "a disallowed PU is owned");
    for (std::uint32_t core = 0; core < machine_->cores().size(); ++core) {
        demand(
            whole_cores_.test(core) == machine_->cores()[core].pus.is_subset_of(free),
            "whole_cores at core " + std::to_string(core));
    }
    std::vector<std::uint32_t> of_run(machine_->core_runs().size());
    whole_cores_.for_each(
        [&](std::size_t core) { ++of_run[machine_->run_of_core()[core]]; });
    demand(of_run == whole_cores_of_run_, "whole cores by run");
    owned_pus_.for_each([&](std::size_t index) {
        const Pu& pu = machine_->pus()[index];
        demand(
            package_holds()[pu.package] != 0 && locality_holds()[pu.locality] != 0 &&
                l3_holds()[pu.l3] != 0,
            "PU " + std::to_string(index) + " is owned in a domain that is not open");
    });
    for (std::size_t n = 0; n < machine_->numa_nodes().size(); ++n) {
        const bool is_allowed = machine_->allowed_numa_nodes().test(n);
        for (std::size_t s = 0; s < page_sizes_; ++s) {
            const std::uint64_t most =
                is_allowed ? machine_->numa_nodes()[n].bytes[s] : 0;
            demand(
                free_bytes_[n * page_sizes_ + s] <= most,
                "more bytes free than may be given of NUMANode " + std::to_string(n));
        }
    }
    for (std::uint32_t d = 0; d < machine_->devices().size(); ++d) {
        check_device(*this, d);
        demand(available_devices_.test(d) == can_be_held(d),
               "availability of " + machine_->devices()[d].name);
    }
}

bool NodeState::operator==(const NodeState& other) const {
    return machine_ == other.machine_ && owned_pus_ == other.owned_pus_ &&
           reserved_pus_ == other.reserved_pus_ &&
           cordoned_pus_ == other.cordoned_pus_ &&
           cordoned_devices_ == other.cordoned_devices_ &&
           held_whole_ == other.held_whole_ && held_parts_ == other.held_parts_ &&
           free_bytes_ == other.free_bytes_ && counters_left_ == other.counters_left_ &&
           free_pus_ == other.free_pus_ && whole_cores_ == other.whole_cores_ &&
           whole_cores_of_run_ == other.whole_cores_of_run_ &&
           available_devices_ == other.available_devices_ && holds_ == other.holds_;
}

}  // namespace topoalloc
