// SPDX-License-Identifier: Apache-2.0
#include "instances.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace topoalloc::oracle {
namespace {

constexpr std::uint64_t mebi = std::uint64_t{1} << 20;
constexpr std::uint64_t group_stream = 0xa54ff53a5f1d36f1;
constexpr std::uint64_t order_stream = 0x510e527fade682d1;

// Fills the state of one instance and asks a Request of it, and knows what is left.
class InstanceMaker {
  public:
    explicit InstanceMaker(std::uint64_t seed) : rng_(seed) { out_.seed = seed; }

    Instance make() {
        out_.spec = make_machine(rng_);
        make_group();
        count_everything();
        make_reserved();
        make_holdings();
        make_amounts();
        make_devices();
        if (out_.request.cores == 0 && out_.request.pus == 0 &&
            out_.request.memory == 0 && out_.request.devices.empty()) {
            out_.request.cores = 1;
        }
        make_filters();
        make_constraints();
        make_keep();
        make_cordons();
        out_.spread = rng_.percent(30);
        return std::move(out_);
    }

    BatchInstance make_batch() {
        out_.spec = make_machine(rng_);
        count_everything();
        make_reserved();
        if (rng_.percent(50)) {
            make_holdings();
        }
        // An Allocator gives no GPU memory, so nobody can hold it.
        for (Holding& holding : out_.state.holdings) {
            for (const NumaNodeSpec& numa : out_.spec.numa_nodes) {
                std::erase_if(holding.bytes, [&](const auto& entry) {
                    return numa.kind == MemoryKind::gpu &&
                           entry.first.first == numa.os_index;
                });
            }
        }
        BatchInstance batch;
        const std::uint32_t count = rng_.percent(70) ? 2 : 3;
        while (batch.requests.size() < count) {
            if (!batch.requests.empty() && rng_.percent(35)) {
                const Request again = rng_.pick(batch.requests);
                batch.requests.push_back(again);
                continue;
            }
            out_.request = {};
            make_amounts();
            make_devices();
            for (std::uint32_t times = rng_.below(4); times > 0; --times) {
                lessen();
            }
            if (out_.request.cores == 0 && out_.request.pus == 0 &&
                out_.request.memory == 0 && out_.request.devices.empty()) {
                out_.request.cores = 1;
            }
            make_filters();
            make_constraints();
            if (rng_.percent(35)) {
                out_.request.require.clear();
            }
            batch.requests.push_back(out_.request);
        }
        make_cordons();
        out_.spread = rng_.percent(30);
        out_.request = {};
        batch.base = std::move(out_);
        return batch;
    }

  private:
    // Leaves room for others.
    void lessen() {
        Request& request = out_.request;
        request.cores = (request.cores + 1) / 2;
        request.pus = (request.pus + 1) / 2;
        request.memory = request.memory / 2 / mebi * mebi;
        for (auto& [page_size, bytes] : request.hugepages) {
            bytes = (bytes / page_size + 1) / 2 * page_size;
        }
        if (rng_.percent(30)) {
            request.hugepages.clear();
        }
        for (DeviceRequest& wanted : request.devices) {
            wanted.count = (wanted.count + 1) / 2;
        }
    }

    // A Group of some children of one set: the walk takes them together. Its figures
    // are of a stream of their own, so that all else of a seed does not change with it.
    void make_group() {
        Rng rng(out_.seed ^ group_stream);
        if (!rng.percent(20)) {
            return;
        }
        std::vector<Bitmap> family(1);
        for (const ObjectSpec& object : out_.spec.objects) {
            family.front() |= object.cpuset;
            family.push_back(object.cpuset);
        }
        for (const NumaNodeSpec& numa : out_.spec.numa_nodes) {
            family.push_back(numa.cpuset);
        }
        rng.shuffle(family);
        for (const Bitmap& outer : family) {
            const std::vector<Bitmap> children = children_of(outer, family);
            if (children.size() < 3) {
                continue;
            }
            ObjectSpec group;
            group.kind = ObjectKind::group;
            for (const Bitmap& child : children) {
                if (rng.percent(50)) {
                    group.cpuset |= child;
                }
            }
            if (group.cpuset.count() > 1) {
                out_.spec.objects.push_back(std::move(group));
            }
            return;
        }
    }

    // The largest sets inside `outer`.
    static std::vector<Bitmap> children_of(const Bitmap& outer,
                                           const std::vector<Bitmap>& family) {
        const auto is_within = [](const Bitmap& one, const Bitmap& other) {
            return one.is_subset_of(other) && !(one == other);
        };
        std::vector<Bitmap> children;
        for (const Bitmap& set : family) {
            const bool is_child =
                !set.empty() && is_within(set, outer) &&
                std::none_of(family.begin(), family.end(), [&](const Bitmap& between) {
                    return is_within(set, between) && is_within(between, outer);
                });
            if (is_child &&
                std::find(children.begin(), children.end(), set) == children.end()) {
                children.push_back(set);
            }
        }
        return children;
    }

    // ------------------------------------------------------------ what is free

    void count_everything() {
        for (const ObjectSpec& object : out_.spec.objects) {
            const bool is_allowed =
                !out_.spec.allowed_pus || out_.spec.allowed_pus->test(object.os_index);
            if (object.kind == ObjectKind::pu && is_allowed) {
                free_pus_.push_back(object.os_index);
            } else if (object.kind == ObjectKind::core) {
                cores_.push_back(object.cpuset.to_vector());
            }
        }
        const auto& allowed = out_.spec.allowed_numa_nodes;
        for (const NumaNodeSpec& numa : out_.spec.numa_nodes) {
            if (allowed && !allowed->test(numa.os_index)) {
                continue;
            }
            free_bytes_[{numa.os_index, 0}] = numa.base_bytes;
            for (const auto& [page_size, bytes] : numa.hugepages) {
                free_bytes_[{numa.os_index, page_size}] = bytes;
            }
        }
        for (const DeviceSpec& device : out_.spec.devices) {
            left_.push_back(device.capacities);
            left_.back().insert(device.counters.begin(), device.counters.end());
        }
        used_.assign(out_.spec.devices.size(), false);
        whole_.assign(out_.spec.devices.size(), false);
    }

    [[nodiscard]] bool is_free(std::uint32_t os_index) const {
        return std::count(free_pus_.begin(), free_pus_.end(), os_index) > 0;
    }

    [[nodiscard]] std::vector<std::vector<std::uint32_t>> whole_cores() const {
        std::vector<std::vector<std::uint32_t>> found;
        if (cores_.empty()) {
            for (const std::uint32_t os_index : free_pus_) {
                found.push_back({os_index});
            }
        }
        for (const std::vector<std::uint32_t>& core : cores_) {
            if (std::all_of(
                    core.begin(), core.end(), [&](auto pu) { return is_free(pu); })) {
                found.push_back(core);
            }
        }
        return found;
    }

    [[nodiscard]] bool has_room(std::uint32_t root, const Amounts& amounts) const {
        return !whole_[root] &&
               std::all_of(amounts.begin(), amounts.end(), [&](const auto& e) {
                   const auto found = left_[root].find(e.first);
                   return found != left_[root].end() && found->second >= e.second;
               });
    }

    [[nodiscard]] bool is_untouched(std::uint32_t root) const {
        bool is_part_held = false;
        for (std::size_t i = 0; i < used_.size(); ++i) {
            is_part_held =
                is_part_held || (used_[i] && out_.spec.devices[i].parent == root);
        }
        return !used_[root] && !whole_[root] && !is_part_held;
    }

    // ------------------------------------------------------------ the state

    void make_reserved() {
        if (!rng_.percent(20)) {
            return;
        }
        const std::uint32_t count = rng_.between(1, 2);
        for (std::uint32_t i = 0; i < count && free_pus_.size() > 1; ++i) {
            const std::size_t at = rng_.below(free_pus_.size());
            out_.state.reserved_pus.set(free_pus_[at]);
            free_pus_.erase(free_pus_.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }

    void make_holdings() {
        const std::uint32_t owners = rng_.percent(35) ? 0 : rng_.between(1, 3);
        for (std::uint32_t i = 0; i < owners; ++i) {
            Holding holding = sample(3, 2);
            holding.owner = "owner" + std::to_string(i);
            for (const std::uint32_t os_index : holding.pus.to_vector()) {
                std::erase(free_pus_, os_index);
            }
            for (const auto& [key, bytes] : holding.bytes) {
                free_bytes_[key] -= bytes;
            }
            out_.state.holdings.push_back(std::move(holding));
        }
    }

    // Some of what is free; devices are marked as taken at once.
    Holding sample(std::uint32_t most_cores, std::uint32_t most_devices) {
        Holding holding;
        if (rng_.percent(75)) {
            sample_pus(holding, most_cores);
        }
        for (const auto& [key, bytes] : free_bytes_) {
            const std::uint64_t unit = key.second == 0 ? mebi : key.second;
            if (rng_.percent(25) && bytes >= unit) {
                holding.bytes[key] =
                    rng_.between(1, static_cast<std::uint32_t>(bytes / unit)) * unit;
            }
        }
        const std::uint32_t devices = rng_.below(most_devices + 1);
        for (std::uint32_t i = 0; i < devices && !out_.spec.devices.empty(); ++i) {
            sample_device(holding, rng_.below(out_.spec.devices.size()));
        }
        return holding;
    }

    void sample_pus(Holding& holding, std::uint32_t most_cores) {
        auto cores = whole_cores();
        if (rng_.percent(60) && !cores.empty()) {
            const std::uint32_t count = rng_.between(1, most_cores);
            rng_.shuffle(cores);
            for (std::size_t i = 0; i < count && i < cores.size(); ++i) {
                for (const std::uint32_t os_index : cores[i]) {
                    holding.pus.set(os_index);
                }
            }
            return;
        }
        const std::uint32_t count = rng_.between(1, 3);
        for (std::uint32_t i = 0; i < count && !free_pus_.empty(); ++i) {
            holding.pus.set(rng_.pick(free_pus_));
        }
    }

    void sample_device(Holding& holding, std::uint32_t device) {
        const DeviceSpec& spec = out_.spec.devices[device];
        const bool is_root = spec.parent == no_index;
        const std::uint32_t root = is_root ? device : spec.parent;
        HeldDevice held;
        held.spec_index = device;
        if (!is_root) {
            if (used_[device] || !has_room(root, spec.draws)) {
                return;
            }
            draw(root, spec.draws);
        } else if (!spec.capacities.empty() && rng_.percent(25)) {
            const auto& [name, total] = *spec.capacities.begin();
            held.share[name] = rng_.between(1, static_cast<std::uint32_t>(total));
            const bool is_twice = std::any_of(
                holding.devices.begin(),
                holding.devices.end(),
                [&](const HeldDevice& other) { return other.spec_index == device; });
            if (is_twice || !has_room(root, held.share)) {
                return;
            }
            draw(root, held.share);
        } else if (is_untouched(device)) {
            whole_[device] = true;
        } else {
            return;
        }
        used_[device] = true;
        holding.devices.push_back(std::move(held));
    }

    void draw(std::uint32_t root, const Amounts& amounts) {
        for (const auto& [counter, amount] : amounts) {
            left_[root][counter] -= amount;
        }
    }

    void make_cordons() {
        if (rng_.percent(15)) {
            for (const ObjectSpec& object : out_.spec.objects) {
                if (object.kind == ObjectKind::pu && rng_.percent(15)) {
                    out_.state.cordoned_pus.set(object.os_index);
                }
            }
        }
        for (std::uint32_t i = 0; i < out_.spec.devices.size(); ++i) {
            if (rng_.percent(4)) {
                out_.state.cordoned_devices.push_back(i);
            }
        }
    }

    // ------------------------------------------------------------ the Request

    // Mostly half of what there is, sometimes all or one more.
    std::uint32_t amount(std::size_t available) {
        const auto most = static_cast<std::uint32_t>(available);
        const std::uint32_t roll = rng_.below(100);
        if (most == 0 || roll < 3) {
            return most + 1;
        }
        return roll < 70 ? rng_.between(1, (most + 1) / 2) : rng_.between(1, most);
    }

    void make_amounts() {
        Request& request = out_.request;
        if (rng_.percent(85)) {
            const std::uint32_t mode = rng_.below(100);
            if (mode < 50) {
                request.cores = amount(whole_cores().size());
            } else if (mode < 85) {
                request.pus = amount(free_pus_.size());
            } else {
                std::size_t pus = 0;
                for (const auto& core : whole_cores()) {
                    pus += core.size();
                }
                request.pus = amount(pus);
                request.whole_cores = true;
            }
        }
        if (rng_.percent(15)) {
            request.kind = MemoryKind::hbm;
        }
        std::map<std::uint64_t, std::uint64_t> totals;
        for (const NumaNodeSpec& numa : out_.spec.numa_nodes) {
            for (const auto& [key, bytes] : free_bytes_) {
                if (key.first == numa.os_index && numa.kind == request.kind) {
                    totals[key.second] += bytes;
                }
            }
        }
        if (rng_.percent(50) && totals[0] >= mebi) {
            request.memory =
                amount(totals[0] / mebi) * mebi - (rng_.percent(8) ? 1 : 0);
        }
        for (const auto& [page_size, bytes] : totals) {
            if (page_size > 0 && rng_.percent(30)) {
                request.hugepages[page_size] = amount(bytes / page_size) * page_size;
            }
        }
    }

    void make_devices() {
        std::set<std::string> classes;
        for (const DeviceSpec& device : out_.spec.devices) {
            classes.insert(device.device_class);
        }
        if (rng_.percent(1)) {
            classes.insert("none-such");
        }
        for (const std::string& cls : classes) {
            if (!rng_.percent(75)) {
                continue;
            }
            DeviceRequest wanted;
            wanted.device_class = cls;
            choose_manner(wanted);
            wanted.count = std::min<std::uint32_t>(amount(available(wanted)), 4);
            out_.request.devices.push_back(std::move(wanted));
        }
    }

    void choose_manner(DeviceRequest& wanted) {
        std::vector<std::string> profiles;
        std::vector<std::string> capacities;
        std::size_t roots = 0;
        for (const DeviceSpec& device : out_.spec.devices) {
            if (device.device_class != wanted.device_class) {
                continue;
            }
            roots += device.parent == no_index ? 1 : 0;
            if (device.parent != no_index) {
                profiles.push_back(device.partition);
            }
            for (const auto& [name, total] : device.capacities) {
                capacities.push_back(name);
            }
        }
        if (!profiles.empty() && (roots == 0 || rng_.percent(50))) {
            wanted.partition = rng_.pick(profiles);
        } else if (!capacities.empty() && rng_.percent(15)) {
            const std::string& name = rng_.pick(capacities);
            wanted.share[name] =
                name == "memory" ? rng_.between(1, 20) : rng_.between(20, 120);
        }
    }

    [[nodiscard]] std::size_t available(const DeviceRequest& wanted) const {
        std::size_t count = 0;
        for (std::uint32_t i = 0; i < out_.spec.devices.size(); ++i) {
            const DeviceSpec& device = out_.spec.devices[i];
            if (device.device_class != wanted.device_class) {
                continue;
            }
            if (device.parent != no_index) {
                const bool fits = device.partition == wanted.partition && !used_[i] &&
                                  has_room(device.parent, device.draws);
                count += fits ? 1 : 0;
            } else if (wanted.partition.empty()) {
                const bool fits =
                    wanted.share.empty() ? is_untouched(i) : has_room(i, wanted.share);
                count += fits ? 1 : 0;
            }
        }
        return count;
    }

    Condition make_condition() {
        Condition condition;
        const std::uint32_t what = rng_.below(5);
        const std::vector<std::string> names{"model", "rdma", "rank", "zone", "memory"};
        condition.attribute = names[what];
        const auto number = static_cast<std::int64_t>(rng_.below(3));
        const std::vector<Scalar> values{std::string(rng_.percent(50) ? "a" : "b"),
                                         rng_.percent(70),
                                         number,
                                         std::string(rng_.percent(50) ? "u" : "v"),
                                         std::int64_t{16}};
        condition.values = {values[what]};
        const std::uint32_t roll = rng_.below(100);
        const bool is_number = what == 2 || what == 4;
        if (is_number && roll < 60) {
            condition.op = roll < 30 ? ConditionOp::at_least : ConditionOp::at_most;
        } else if (roll < 75) {
            condition.op = ConditionOp::equal;
        } else if (roll < 88) {
            condition.op = ConditionOp::not_equal;
        } else {
            condition.op = ConditionOp::one_of;
            condition.values.push_back(rng_.pick(values));
        }
        return condition;
    }

    [[nodiscard]] std::string name_of(std::uint32_t device) const {
        return out_.spec.devices[device].name;
    }

    void make_filters() {
        const std::size_t devices = out_.spec.devices.size();
        for (DeviceRequest& wanted : out_.request.devices) {
            if (rng_.percent(12)) {
                wanted.where.push_back(make_condition());
            }
            if (rng_.percent(8)) {
                std::vector<std::string> names;
                for (std::uint32_t i = 0; i < devices; ++i) {
                    if (rng_.percent(75)) {
                        names.push_back(name_of(i));
                    }
                }
                wanted.eligible = names;
            }
        }
        if (devices > 0 && rng_.percent(8)) {
            out_.request.exclude.push_back(name_of(rng_.below(devices)));
        }
        asked_ = {};
        for (const DeviceRequest& wanted : out_.request.devices) {
            asked_.push_back(wanted.device_class);
        }
    }

    std::vector<std::string> some_of(const std::vector<std::string>& words) {
        std::vector<std::string> found;
        for (const std::string& word : words) {
            if (rng_.percent(55)) {
                found.push_back(word);
            }
        }
        if (found.empty() && !words.empty()) {
            found.push_back(rng_.pick(words));
        }
        return found;
    }

    void make_constraints() {
        add_constraints(out_.request.require, rng_.weighted({40, 40, 15, 5}));
        const std::uint32_t preferred = rng_.weighted({35, 30, 17, 12, 6});
        add_constraints(out_.request.prefer,
                        preferred == 4 ? rng_.between(4, 8) : preferred);
    }

    void add_constraints(std::vector<Constraint>& list, std::uint32_t count) {
        // Some kinds have no meaning for a Request: another one is drawn instead.
        for (int attempt = 0; attempt < 40 && list.size() < count; ++attempt) {
            const std::uint32_t kind = rng_.below(100);
            if (kind < 25) {
                list.emplace_back(make_align());
            } else if (kind < 40) {
                add_near(list);
            } else if (asked_.empty()) {
                continue;
            } else if (kind < 60) {
                add_pair(list);
            } else if (kind < 74) {
                Link link;
                link.device_class =
                    rng_.percent(60) ? asked_.front() : rng_.pick(asked_);
                link.mode = rng_.percent(50) ? LinkMode::clique : LinkMode::connected;
                link.min_mb_s = rng_.percent(60) ? 1 : 50000;
                list.emplace_back(std::move(link));
            } else if (kind < 87) {
                list.emplace_back(Same{make_attribute(), some_of(asked_)});
            } else {
                list.emplace_back(Distinct{make_attribute(), some_of(asked_)});
            }
        }
    }

    std::string make_attribute() {
        const std::vector<std::string> names{
            "model", "rank", "zone", "zone", "rank", "rdma"};
        return rng_.pick(names);
    }

    Align make_align() {
        Align align;
        align.level = static_cast<AlignLevel>(rng_.weighted({20, 40, 40}));
        if (rng_.percent(50)) {
            std::vector<std::string> words = asked_;
            words.insert(words.end(), {"pus", "memory"});
            align.of = some_of(words);
        }
        return align;
    }

    void add_near(std::vector<Constraint>& list) {
        if (out_.spec.devices.empty()) {
            return;
        }
        Near near;
        near.devices.push_back(name_of(rng_.below(out_.spec.devices.size())));
        if (rng_.percent(15)) {
            near.devices.push_back(name_of(rng_.below(out_.spec.devices.size())));
        }
        near.within =
            static_cast<Level>(rng_.percent(10) ? rng_.below(3) : rng_.between(3, 6));
        list.emplace_back(std::move(near));
    }

    void add_pair(std::vector<Constraint>& list) {
        const DeviceRequest& a = rng_.pick(out_.request.devices);
        const DeviceRequest& b = rng_.pick(out_.request.devices);
        const std::uint32_t large = std::max(a.count, b.count);
        const std::uint32_t small = std::min(a.count, b.count);
        if (a.device_class == b.device_class || large % small != 0) {
            return;
        }
        Pair pair;
        pair.a = a.device_class;
        pair.b = b.device_class;
        pair.within =
            static_cast<Level>(rng_.percent(25) ? rng_.below(2) : rng_.between(2, 6));
        pair.ratio_a = a.count / small;
        pair.ratio_b = b.count / small;
        list.emplace_back(std::move(pair));
    }

    // ------------------------------------------------------------ keep

    void make_keep() {
        if (!rng_.percent(10)) {
            return;
        }
        out_.keep_from = sample(2, 3);
        out_.keep_from->owner = "before";
        std::vector<std::string> words = asked_;
        if (out_.request.cores > 0 || out_.request.pus > 0) {
            words.emplace_back("pus");
        }
        if (!words.empty()) {
            out_.request.keep = some_of(words);
        }
    }

    Rng rng_;
    Instance out_;
    std::vector<std::uint32_t> free_pus_;
    std::vector<std::vector<std::uint32_t>> cores_;
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint64_t> free_bytes_;
    std::vector<Amounts> left_;
    std::vector<bool> used_, whole_;  // held in any manner; held whole
    std::vector<std::string> asked_;  // classes
};

}  // namespace

Instance make_instance(std::uint64_t seed) {
    return InstanceMaker(seed).make();
}

Instance make_ordered_instance(std::uint64_t seed) {
    Instance instance = make_instance(seed);
    Rng rng(seed ^ order_stream);
    instance.order.assign(default_order.begin(), default_order.end());
    if (rng.percent(70)) {
        rng.shuffle(instance.order);
    } else {
        const auto group = instance.order.begin() + rng.below(term_group_count);
        std::rotate(instance.order.begin(), group, group + 1);
    }
    return instance;
}

BatchInstance make_batch_instance(std::uint64_t seed) {
    return InstanceMaker(seed).make_batch();
}

}  // namespace topoalloc::oracle
