// SPDX-License-Identifier: Apache-2.0
#include "brute_force.hpp"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

namespace topoalloc::oracle {
namespace {

constexpr int level_numa = 4;
constexpr int level_package = 5;
constexpr int level_machine = 6;

struct PuSignature {
    std::vector<std::uint8_t> by_locality;  // chosen PUs in each
    Set packages = 0, l3s = 0;
    int split_cores = 0;
    [[nodiscard]] auto operator<=>(const PuSignature&) const = default;
};

Set touched(Set pus, const std::vector<Set>& domains) {
    Set found = 0;
    for (std::size_t i = 0; i < domains.size(); ++i) {
        found |= (domains[i] & pus) != 0 ? set_of(i) : 0;
    }
    return found;
}

int split_cores(Set pus, const std::vector<Set>& cores) {
    int split = 0;
    for (const Set core : cores) {
        split += (core & pus) != 0 && (core & ~pus) != 0 ? 1 : 0;
    }
    return split;
}

// Calls f with every union of `count` of `choices`.
template <class F>
void each_union(const std::vector<Set>& choices,
                std::size_t first,
                std::size_t count,
                Set chosen,
                F& f) {
    if (count == 0) {
        f(chosen);
        return;
    }
    for (std::size_t i = first; i + count <= choices.size(); ++i) {
        each_union(choices, i + 1, count - 1, chosen | choices[i], f);
    }
}

bool contains(const AttributeValue& value, const Scalar& wanted) {
    return std::find(value.values.begin(), value.values.end(), wanted) !=
           value.values.end();
}

bool is_ordered(const AttributeValue& value, const Condition& condition) {
    const auto* bound = std::get_if<std::int64_t>(&condition.values.front());
    return std::any_of(
        value.values.begin(), value.values.end(), [&](const Scalar& scalar) {
            const auto* number = std::get_if<std::int64_t>(&scalar);
            if (bound == nullptr || number == nullptr) {
                return false;
            }
            return condition.op == ConditionOp::at_least ? *number >= *bound
                                                         : *number <= *bound;
        });
}

}  // namespace

Judge::Judge(const MachineSpec& spec,
             const OracleState& state,
             Request request,
             bool spread,
             const Holding* keep_from)
    : m_(derive(spec)), request_(std::move(request)), spread_(spread) {
    read_state(state);
    if (keep_from != nullptr) {
        has_keep_from_ = true;
        old_pus_ = m_.pus_of_os(keep_from->pus);
        for (const HeldDevice& held : keep_from->devices) {
            old_devices_ |= set_of(m_.device_of_spec_index(held.spec_index));
        }
    }
    read_request();
}

void Judge::read_state(const OracleState& state) {
    free_pus_ = m_.allowed_pus;
    free_pus_ &= ~m_.pus_of_os(state.reserved_pus);
    free_pus_ &= ~m_.pus_of_os(state.cordoned_pus);
    for (std::uint32_t n = 0; n < m_.numa_nodes.size(); ++n) {
        free_bytes_.push_back(m_.numa_nodes[n].bytes);
        if (!has(m_.allowed_numa_nodes, n)) {
            free_bytes_.back().clear();
        }
    }
    for (const OracleDevice& device : m_.devices) {
        counters_left_.push_back(device.counters);
    }
    for (const std::uint32_t spec_index : state.cordoned_devices) {
        cordoned_devices_ |= set_of(m_.device_of_spec_index(spec_index));
    }
    for (const Holding& holding : state.holdings) {
        hold(holding);
    }
}

void Judge::hold(const Holding& holding) {
    const Set pus = m_.pus_of_os(holding.pus);
    free_pus_ &= ~pus;
    Set localities = 0;
    for (std::size_t i = 0; i < m_.numa_nodes.size(); ++i) {
        for (const auto& [key, bytes] : holding.bytes) {
            if (key.first == m_.numa_nodes[i].os_index && bytes > 0) {
                free_bytes_[i][key.second] -= bytes;
                localities |= m_.numa_nodes[i].localities;
            }
        }
    }
    Set devices = 0;
    for (const HeldDevice& held : holding.devices) {
        const std::uint32_t device = m_.device_of_spec_index(held.spec_index);
        const std::uint32_t root = m_.devices[device].root;
        devices |= set_of(device);
        if (device != root) {
            held_parts_ |= set_of(device);
            for (const auto& [counter, amount] : m_.device_spec(device).draws) {
                counters_left_[root][counter] -= amount;
            }
        } else if (held.share.empty()) {
            held_whole_ |= set_of(device);
        } else {
            shared_ |= set_of(device);
            for (const auto& [counter, amount] : held.share) {
                counters_left_[root][counter] -= amount;
            }
        }
    }
    open(pus, localities, devices);
}

void Judge::open(Set pus, Set localities_of_bytes, Set devices) {
    open_l3s_ |= touched(pus, m_.l3s);
    open_packages_ |= touched(pus, m_.packages);
    open_localities_ |= localities_of(pus) | localities_of_bytes;
    for (const std::uint32_t locality : members(localities_of_bytes)) {
        open_packages_ |= m_.locality_packages[locality];
    }
    for (const std::uint32_t index : members(devices)) {
        const OracleDevice& device = m_.devices[index];
        open_localities_ |= device.localities;
        open_packages_ |= device.packages;
        open_devices_ |= set_of(device.root);
        if (device.switch_bridge != no_index) {
            open_switches_ |= set_of(device.switch_bridge);
        }
    }
}

void Judge::read_request() {
    constraints_ = request_.require;
    constraints_.insert(
        constraints_.end(), request_.prefer.begin(), request_.prefer.end());
    const auto resolve = [this](const std::vector<std::string>& names) {
        for (const std::string& name : names) {
            const std::uint32_t device = m_.find_device(name);
            named_[name] = device == no_index ? 0 : set_of(device);
        }
    };
    resolve(request_.exclude);
    for (const std::string& name : request_.exclude) {
        excluded_ |= named_[name];
    }
    for (const DeviceRequest& wanted : request_.devices) {
        resolve(wanted.eligible.value_or(std::vector<std::string>{}));
    }
    for (const Constraint& constraint : constraints_) {
        if (const auto* near = std::get_if<Near>(&constraint)) {
            resolve(near->devices);
        }
    }
}

// ---------------------------------------------------------------- what can be chosen

std::vector<Set> Judge::pu_sets() const {
    std::vector<Set> choices;
    const bool by_core = request_.cores > 0 || request_.whole_cores;
    if (by_core) {
        for (const Set core : m_.cores) {
            if ((core & ~free_pus_) == 0) {
                choices.push_back(core);
            }
        }
    } else {
        for (const std::uint32_t pu : members(free_pus_)) {
            choices.push_back(set_of(pu));
        }
    }
    std::vector<Set> found;
    const bool checks_keep =
        has_keep_from_ &&
        std::count(request_.keep.begin(), request_.keep.end(), "pus") > 0;
    const auto add = [&](Set pus) {
        const bool right_size =
            request_.cores > 0 || size_of(pus) == static_cast<int>(request_.pus);
        if (right_size && (!checks_keep || keeps(old_pus_, pus))) {
            found.push_back(pus);
        }
    };
    if (request_.cores == 0 && by_core) {
        // Whole cores may differ in their PUs: any number of them may add up.
        for (std::size_t count = 0; count <= choices.size(); ++count) {
            each_union(choices, 0, count, 0, add);
        }
    } else {
        const std::size_t count = request_.cores > 0 ? request_.cores : request_.pus;
        each_union(choices, 0, count, 0, add);
    }
    return found;
}

bool Judge::keeps(Set old_set, Set new_set) {
    return size_of(new_set) >= size_of(old_set) ? (old_set & ~new_set) == 0
                                                : (new_set & ~old_set) == 0;
}

Set Judge::of_class(Set devices, const std::string& cls) const {
    Set found = 0;
    for (Set rest = devices; rest != 0; rest &= rest - 1) {
        const auto device = static_cast<std::size_t>(std::countr_zero(rest));
        found |= m_.device_spec(device).device_class == cls ? set_of(device) : 0;
    }
    return found;
}

Set Judge::of_classes(Set devices, const std::vector<std::string>& classes) const {
    Set found = 0;
    for (const std::string& cls : classes) {
        found |= of_class(devices, cls);
    }
    return found;
}

std::vector<Set> Judge::device_sets() const {
    std::vector<Set> sets{0};
    for (const DeviceRequest& wanted : request_.devices) {
        std::vector<Set> choices;
        for (std::uint32_t device = 0; device < m_.devices.size(); ++device) {
            if (is_candidate(wanted, device)) {
                choices.push_back(set_of(device));
            }
        }
        std::vector<Set> of_this_class;
        const bool checks_keep = has_keep_from_ && std::count(request_.keep.begin(),
                                                              request_.keep.end(),
                                                              wanted.device_class) > 0;
        const Set old_set = of_class(old_devices_, wanted.device_class);
        const auto add = [&](Set chosen) {
            if (!checks_keep || keeps(old_set, chosen)) {
                of_this_class.push_back(chosen);
            }
        };
        each_union(choices, 0, wanted.count, 0, add);
        std::vector<Set> next;
        for (const Set before : sets) {
            for (const Set chosen : of_this_class) {
                next.push_back(before | chosen);
            }
        }
        sets = std::move(next);
    }
    std::erase_if(sets, [this](Set devices) { return !fit_together(devices); });
    return sets;
}

bool Judge::is_candidate(const DeviceRequest& wanted, std::uint32_t device) const {
    if (m_.device_spec(device).device_class != wanted.device_class) {
        return false;
    }
    if (has(excluded_, device) || has(excluded_, m_.devices[device].root)) {
        return false;
    }
    if (wanted.eligible) {
        const bool listed = std::any_of(
            wanted.eligible->begin(), wanted.eligible->end(), [&](const auto& n) {
                return has(named_.at(n), device);
            });
        if (!listed) {
            return false;
        }
    }
    return std::all_of(
               wanted.where.begin(),
               wanted.where.end(),
               [&](const Condition& condition) { return meets(condition, device); }) &&
           is_available(wanted, device);
}

// The attribute, else the capacity, of the device, else of its root.
bool Judge::meets(const Condition& condition, std::uint32_t device) const {
    std::optional<AttributeValue> value;
    for (const std::uint32_t where : {device, m_.devices[device].root}) {
        const DeviceSpec& spec = m_.device_spec(where);
        const auto by_attribute = spec.attributes.find(condition.attribute);
        const auto by_capacity = spec.capacities.find(condition.attribute);
        if (!value && by_attribute != spec.attributes.end()) {
            value = by_attribute->second;
        }
        if (!value && by_capacity != spec.capacities.end()) {
            value =
                AttributeValue{{static_cast<std::int64_t>(by_capacity->second)}, false};
        }
    }
    if (!value) {
        return false;
    }
    const auto is_in = [&](const Scalar& wanted) { return contains(*value, wanted); };
    switch (condition.op) {
        case ConditionOp::equal:
            return is_in(condition.values.front());
        case ConditionOp::not_equal:
            return !is_in(condition.values.front());
        case ConditionOp::one_of:
            return std::any_of(condition.values.begin(), condition.values.end(), is_in);
        case ConditionOp::at_least:
        case ConditionOp::at_most:
            return is_ordered(*value, condition);
    }
    return false;
}

bool Judge::is_available(const DeviceRequest& wanted, std::uint32_t device) const {
    const OracleDevice& d = m_.devices[device];
    if (has(cordoned_devices_, device) || has(cordoned_devices_, d.root) ||
        has(held_whole_, d.root)) {
        return false;
    }
    if (!wanted.partition.empty()) {
        return d.root != device &&
               m_.device_spec(device).partition == wanted.partition &&
               !has(held_parts_, device);
    }
    if (d.root != device) {
        return false;
    }
    if (!wanted.share.empty()) {
        return std::all_of(
            wanted.share.begin(), wanted.share.end(), [&](const auto& entry) {
                const auto left = counters_left_[device].find(entry.first);
                return left != counters_left_[device].end() &&
                       left->second >= entry.second;
            });
    }
    return !has(shared_, device) && (d.parts & held_parts_) == 0;
}

// What all chosen devices draw together fits into the counters of each root, and a root
// taken whole stands alone.
bool Judge::fit_together(Set devices) const {
    std::map<std::uint32_t, Amounts> drawn;
    std::map<std::uint32_t, int> whole;
    std::map<std::uint32_t, int> others;
    for (const std::uint32_t device : members(devices)) {
        const std::uint32_t root = m_.devices[device].root;
        const std::string& cls = m_.device_spec(device).device_class;
        const auto wanted = std::find_if(
            request_.devices.begin(), request_.devices.end(), [&](const auto& w) {
                return w.device_class == cls;
            });
        const bool is_part = device != root;
        const bool is_whole = !is_part && wanted->share.empty();
        ++(is_whole ? whole : others)[root];
        const Amounts& amounts = is_part ? m_.device_spec(device).draws : wanted->share;
        for (const auto& [counter, amount] : amounts) {
            drawn[root][counter] += amount;
        }
    }
    for (const auto& [root, count] : whole) {
        if (others.contains(root)) {
            return false;
        }
    }
    for (const auto& [root, amounts] : drawn) {
        for (const auto& [counter, amount] : amounts) {
            const auto left = counters_left_[root].find(counter);
            if (left == counters_left_[root].end() || left->second < amount) {
                return false;
            }
        }
    }
    return true;
}

std::optional<std::vector<OracleGrant>> Judge::memory(
    Set t, Set pus, const std::vector<OracleGrant>& taken) const {
    std::vector<std::uint32_t> order = members(t);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return size_of(m_.localities[a] & pus) > size_of(m_.localities[b] & pus);
    });
    std::map<std::uint64_t, std::uint64_t> wanted = request_.hugepages;
    wanted[0] = request_.memory;
    std::vector<OracleGrant> grants;
    for (const auto& [page_size, bytes] : wanted) {
        std::uint64_t missing = bytes;
        Set visited = 0;
        for (const std::uint32_t locality : order) {
            for (std::uint32_t n = 0; n < m_.numa_nodes.size() && missing > 0; ++n) {
                const OracleNuma& numa = m_.numa_nodes[n];
                const auto left = free_bytes_[n].find(page_size);
                if (!has(numa.localities, locality) || has(visited, n) ||
                    numa.kind != request_.kind || numa.kind == MemoryKind::gpu ||
                    left == free_bytes_[n].end()) {
                    continue;
                }
                visited |= set_of(n);
                std::uint64_t there = left->second;
                for (const OracleGrant& other : taken) {
                    there -= other.numa == n && other.page_size == page_size
                                 ? other.bytes
                                 : 0;
                }
                std::uint64_t given = std::min(missing, there);
                given -= page_size > 0 ? given % page_size : 0;
                if (given > 0) {
                    grants.push_back({n, page_size, given});
                    missing -= given;
                }
            }
        }
        if (missing > 0) {
            return std::nullopt;
        }
    }
    std::sort(grants.begin(), grants.end());
    return grants;
}

// ---------------------------------------------------------------- constraints

bool Judge::is_asked(const std::string& what) const {
    if (what == "pus") {
        return request_.cores > 0 || request_.pus > 0;
    }
    if (what == "memory") {
        return request_.memory > 0 || !request_.hugepages.empty();
    }
    return std::any_of(request_.devices.begin(),
                       request_.devices.end(),
                       [&](const auto& w) { return w.device_class == what; });
}

bool Judge::devices_hold(const Constraint& constraint, Set devices) const {
    if (const auto* pair = std::get_if<Pair>(&constraint)) {
        return pair_holds(*pair, devices);
    }
    if (const auto* link = std::get_if<Link>(&constraint)) {
        return link_holds(*link, devices);
    }
    if (const auto* same = std::get_if<Same>(&constraint)) {
        return same_holds(*same, devices);
    }
    if (const auto* distinct = std::get_if<Distinct>(&constraint)) {
        return distinct_holds(*distinct, devices);
    }
    if (const auto* near = std::get_if<Near>(&constraint)) {
        return near_devices_hold(*near, devices);
    }
    return true;
}

namespace {

// Gives each of `many` one of `few`, each of `few` used `ratio` times, in every way.
template <class F>
void each_assignment(const std::vector<std::uint32_t>& many,
                     const std::vector<std::uint32_t>& few,
                     std::size_t ratio,
                     std::vector<std::uint32_t>& given,
                     F& f) {
    if (given.size() == many.size()) {
        f();
        return;
    }
    for (const std::uint32_t one : few) {
        if (std::cmp_less(std::count(given.begin(), given.end(), one), ratio)) {
            given.push_back(one);
            each_assignment(many, few, ratio, given, f);
            given.pop_back();
        }
    }
}

}  // namespace

std::vector<Pairing> Judge::matchings(const Pair& pair, Set devices, int limit) const {
    const std::vector<std::uint32_t> as = members(of_class(devices, pair.a));
    const std::vector<std::uint32_t> bs = members(of_class(devices, pair.b));
    if (as.size() * pair.ratio_b != bs.size() * pair.ratio_a) {
        return {};
    }
    const bool a_is_many = pair.ratio_b == 1;
    const std::vector<std::uint32_t>& many = a_is_many ? as : bs;
    const std::vector<std::uint32_t>& few = a_is_many ? bs : as;
    const std::size_t ratio = std::max(pair.ratio_a, pair.ratio_b);
    std::vector<Pairing> found;
    std::vector<std::uint32_t> given;
    // In ascending order of the list given, so the first of least sum is the one made.
    const auto add = [&] {
        Pairing pairing;
        for (std::size_t i = 0; i < many.size(); ++i) {
            const std::uint32_t a = a_is_many ? many[i] : given[i];
            const std::uint32_t b = a_is_many ? given[i] : many[i];
            if (m_.level[a][b] > limit) {
                return;
            }
            pairing.emplace_back(a, b);
        }
        found.push_back(std::move(pairing));
    };
    each_assignment(many, few, ratio, given, add);
    return found;
}

bool Judge::pair_holds(const Pair& pair, Set devices) const {
    if (!is_asked(pair.a) || !is_asked(pair.b)) {
        return true;
    }
    return !matchings(pair, devices, static_cast<int>(pair.within)).empty();
}

// The smallest `within` of the required Pairs of the same two classes.
int Judge::pair_limit(const Pair& pair) const {
    int limit = level_machine;
    for (const Constraint& constraint : request_.require) {
        const auto* other = std::get_if<Pair>(&constraint);
        if (other != nullptr && ((other->a == pair.a && other->b == pair.b) ||
                                 (other->a == pair.b && other->b == pair.a))) {
            limit = std::min(limit, static_cast<int>(other->within));
        }
    }
    return limit;
}

std::int64_t Judge::level_sum(const Pairing& pairing) const {
    std::int64_t sum = 0;
    for (const auto& [a, b] : pairing) {
        sum += m_.level[a][b];
    }
    return sum;
}

std::map<std::uint32_t, Pairing> Judge::made_pairs(Set devices) const {
    std::map<std::uint32_t, Pairing> made;
    for (std::uint32_t i = 0; i < constraints_.size(); ++i) {
        const auto* pair = std::get_if<Pair>(&constraints_[i]);
        if (pair == nullptr || !is_asked(pair->a) || !is_asked(pair->b) ||
            !pair_holds(*pair, devices)) {
            continue;
        }
        for (const Pairing& pairing : matchings(*pair, devices, pair_limit(*pair))) {
            if (!made.contains(i) || level_sum(pairing) < level_sum(made[i])) {
                made[i] = pairing;
            }
        }
        std::sort(made[i].begin(), made[i].end());
    }
    return made;
}

bool Judge::link_holds(const Link& link, Set devices) const {
    const std::vector<std::uint32_t> chosen =
        members(of_class(devices, link.device_class));
    if (chosen.empty()) {
        return true;
    }
    const auto joined = [&](std::uint32_t a, std::uint32_t b) {
        return m_.link[a][b] >= link.min_mb_s;
    };
    if (link.mode == LinkMode::clique) {
        for (const std::uint32_t a : chosen) {
            for (const std::uint32_t b : chosen) {
                if (a < b && !joined(a, b)) {
                    return false;
                }
            }
        }
        return true;
    }
    Set reached = set_of(chosen.front());
    for (std::size_t round = 0; round < chosen.size(); ++round) {
        for (const std::uint32_t a : chosen) {
            for (const std::uint32_t b : chosen) {
                if (a != b && has(reached, a) && joined(a, b)) {
                    reached |= set_of(b);
                }
            }
        }
    }
    return size_of(reached) == static_cast<int>(chosen.size());
}

const AttributeValue* Judge::attribute(std::uint32_t device,
                                       const std::string& name) const {
    for (const std::uint32_t where : {device, m_.devices[device].root}) {
        const Attributes& attributes = m_.device_spec(where).attributes;
        const auto found = attributes.find(name);
        if (found != attributes.end()) {
            return &found->second;
        }
    }
    return nullptr;
}

bool Judge::same_holds(const Same& same, Set devices) const {
    std::vector<Scalar> common;
    bool first = true;
    for (const std::uint32_t device : members(of_classes(devices, same.of))) {
        const AttributeValue* value = attribute(device, same.attribute);
        if (value == nullptr) {
            return false;
        }
        if (first) {
            common = value->values;
        }
        first = false;
        std::erase_if(common,
                      [&](const Scalar& scalar) { return !contains(*value, scalar); });
    }
    return first || !common.empty();
}

bool Judge::distinct_holds(const Distinct& distinct, Set devices) const {
    const std::vector<std::uint32_t> chosen = members(of_classes(devices, distinct.of));
    for (const std::uint32_t a : chosen) {
        const AttributeValue* value = attribute(a, distinct.attribute);
        if (value == nullptr) {
            return false;
        }
        for (const std::uint32_t b : chosen) {
            const AttributeValue* other = attribute(b, distinct.attribute);
            if (a == b || other == nullptr) {
                continue;
            }
            for (const Scalar& scalar : value->values) {
                if (contains(*other, scalar)) {
                    return false;
                }
            }
        }
    }
    return true;
}

bool Judge::near_devices_hold(const Near& near, Set devices) const {
    for (const std::string& name : near.devices) {
        for (const std::uint32_t target : members(named_.at(name))) {
            for (const std::uint32_t device : members(devices)) {
                const bool is_it = device == target ||
                                   m_.devices[device].root == target ||
                                   m_.devices[target].root == device;
                if (is_it || m_.level[device][target] > static_cast<int>(near.within)) {
                    return false;
                }
            }
        }
    }
    return true;
}

// numa, package or machine: how near a PU or byte of the locality is to the device.
int Judge::near_level(std::uint32_t device, std::uint32_t locality) const {
    const OracleDevice& d = m_.devices[device];
    if (has(d.localities, locality)) {
        return level_numa;
    }
    return (m_.locality_packages[locality] & d.packages) != 0 ? level_package
                                                              : level_machine;
}

bool Judge::near_rest_holds(const Near& near,
                            Set pus,
                            const std::vector<OracleGrant>& grants) const {
    const int limit = std::max(static_cast<int>(near.within), level_numa);
    for (const std::string& name : near.devices) {
        for (const std::uint32_t target : members(named_.at(name))) {
            for (const std::uint32_t locality : members(localities_of(pus))) {
                if (near_level(target, locality) > limit) {
                    return false;
                }
            }
            for (const OracleGrant& grant : grants) {
                const auto localities = members(m_.numa_nodes[grant.numa].localities);
                const bool near_one =
                    limit >= level_machine ||
                    std::any_of(
                        localities.begin(), localities.end(), [&](std::uint32_t l) {
                            return near_level(target, l) <= limit;
                        });
                if (!near_one) {
                    return false;
                }
            }
        }
    }
    return true;
}

const std::vector<Set>& Judge::domains_of(AlignLevel level) const {
    if (level == AlignLevel::l3) {
        return m_.l3s;
    }
    return level == AlignLevel::numa ? m_.localities : m_.packages;
}

bool Judge::align_holds(const Align& align,
                        Set devices,
                        Set pus,
                        const std::vector<OracleGrant>& grants) const {
    const auto speaks_of = [&](const std::string& what) {
        return align.of.empty() ||
               std::count(align.of.begin(), align.of.end(), what) > 0;
    };
    const Set its_devices = align.of.empty() ? devices : of_classes(devices, align.of);
    const Set its_pus = speaks_of("pus") ? pus : 0;
    const bool memory_too = speaks_of("memory");
    if (its_devices == 0 && its_pus == 0 && (!memory_too || grants.empty())) {
        return true;
    }
    const std::vector<Set>& domains = domains_of(align.level);
    return std::any_of(domains.begin(), domains.end(), [&](Set domain) {
        if ((its_pus & ~domain) != 0) {
            return false;
        }
        const Set met = localities_of(domain);
        for (Set rest = its_devices; rest != 0; rest &= rest - 1) {
            if ((m_.devices[static_cast<std::size_t>(std::countr_zero(rest))]
                     .localities &
                 met) == 0) {
                return false;
            }
        }
        return !memory_too ||
               std::all_of(grants.begin(), grants.end(), [&](const auto& grant) {
                   return (m_.numa_nodes[grant.numa].localities & met) != 0;
               });
    });
}

// ---------------------------------------------------------------- cost

Set Judge::localities_of(Set pus) const {
    return touched(pus, m_.localities);
}

std::int64_t Judge::missing_link(Set devices) const {
    std::int64_t sum = 0;
    for (const DeviceRequest& wanted : request_.devices) {
        bool has_links = false;
        for (std::uint32_t a = 0; a < m_.devices.size(); ++a) {
            for (std::uint32_t b = 0; b < m_.devices.size(); ++b) {
                has_links = has_links ||
                            (m_.link[a][b] > 0 &&
                             m_.device_spec(a).device_class == wanted.device_class);
            }
        }
        const std::vector<std::uint32_t> chosen =
            members(of_class(devices, wanted.device_class));
        for (const std::uint32_t a : chosen) {
            for (const std::uint32_t b : chosen) {
                const bool are_roots =
                    m_.devices[a].root == a && m_.devices[b].root == b;
                if (has_links && are_roots && a < b) {
                    sum += static_cast<std::int64_t>(m_.largest_link - m_.link[a][b]);
                }
            }
        }
    }
    return sum;
}

DeviceFacts Judge::facts(Set devices) const {
    DeviceFacts facts;
    facts.devices = devices;
    facts.list = members(devices);
    Set switches = 0;
    Set roots = 0;
    for (const std::uint32_t index : facts.list) {
        const OracleDevice& device = m_.devices[index];
        facts.locality_sets.push_back(device.localities);
        facts.opened_localities |= device.localities & ~open_localities_;
        facts.opened_packages |= device.packages & ~open_packages_;
        roots |= set_of(device.root) & ~open_devices_;
        if (device.switch_bridge != no_index) {
            switches |= set_of(device.switch_bridge) & ~open_switches_;
        }
    }
    std::sort(facts.locality_sets.begin(), facts.locality_sets.end());
    facts.opened_switches = size_of(switches);
    facts.opened_devices = size_of(roots);
    facts.missing_link = missing_link(devices);
    for (const Constraint& constraint : constraints_) {
        facts.holds.push_back(devices_hold(constraint, devices));
        const auto* pair = std::get_if<Pair>(&constraint);
        if (pair == nullptr || !is_asked(pair->a) || !is_asked(pair->b)) {
            continue;
        }
        std::optional<std::int64_t> least;
        for (const Pairing& pairing : matchings(*pair, devices, pair_limit(*pair))) {
            least = std::min(least.value_or(level_sum(pairing)), level_sum(pairing));
        }
        facts.pair_levels += least.value_or(0);
    }
    return facts;
}

std::int64_t Judge::distance_within(Set t) const {
    std::int64_t sum = 0;
    for (std::size_t a = 0; a < m_.localities.size(); ++a) {
        for (std::size_t b = a + 1; b < m_.localities.size(); ++b) {
            sum += has(t, a) && has(t, b) ? static_cast<std::int64_t>(m_.distance[a][b])
                                          : 0;
        }
    }
    return sum;
}

void Judge::set_opened(const DeviceFacts& devices,
                       Set pus,
                       const std::vector<OracleGrant>& grants,
                       Cost& cost) const {
    Set used_localities = localities_of(pus);
    Set used_packages = touched(pus, m_.packages);
    for (const OracleGrant& grant : grants) {
        used_localities |= m_.numa_nodes[grant.numa].localities;
        for (const std::uint32_t l : members(m_.numa_nodes[grant.numa].localities)) {
            used_packages |= m_.locality_packages[l];
        }
    }
    const std::int64_t sign = spread_ ? -1 : 1;
    cost[Cost::opened_packages] =
        sign * size_of((used_packages & ~open_packages_) | devices.opened_packages);
    cost[Cost::opened_localities] =
        sign *
        size_of((used_localities & ~open_localities_) | devices.opened_localities);
    cost[Cost::opened_switches] = sign * devices.opened_switches;
    cost[Cost::opened_devices] = sign * devices.opened_devices;
    cost[Cost::opened_l3s] = sign * size_of(touched(pus, m_.l3s) & ~open_l3s_);
}

Opened Judge::opened_by(Set devices,
                        Set pus,
                        const std::vector<OracleGrant>& grants) const {
    Opened opened{touched(pus, m_.packages), localities_of(pus), 0, 0, 0};
    for (const OracleGrant& grant : grants) {
        opened.localities |= m_.numa_nodes[grant.numa].localities;
        for (const std::uint32_t l : members(m_.numa_nodes[grant.numa].localities)) {
            opened.packages |= m_.locality_packages[l];
        }
    }
    for (const std::uint32_t index : members(devices)) {
        const OracleDevice& device = m_.devices[index];
        opened.localities |= device.localities;
        opened.packages |= device.packages;
        opened.devices |= set_of(device.root);
        if (device.switch_bridge != no_index) {
            opened.switches |= set_of(device.switch_bridge);
        }
    }
    opened.l3s = touched(pus, m_.l3s) & ~open_l3s_;
    opened.packages &= ~open_packages_;
    opened.localities &= ~open_localities_;
    opened.switches &= ~open_switches_;
    opened.devices &= ~open_devices_;
    return opened;
}

// Term 1; false when a required constraint does not hold.
bool Judge::set_unmet(const DeviceFacts& devices,
                      Set pus,
                      const std::vector<OracleGrant>& grants,
                      Cost& cost) const {
    for (std::size_t i = 0; i < constraints_.size(); ++i) {
        bool holds = devices.holds[i];
        if (const auto* align = std::get_if<Align>(&constraints_[i])) {
            holds = align_holds(*align, devices.devices, pus, grants);
        } else if (const auto* near = std::get_if<Near>(&constraints_[i])) {
            holds = holds && near_rest_holds(*near, pus, grants);
        }
        if (i < request_.require.size()) {
            if (!holds) {
                return false;
            }
            continue;
        }
        cost[Cost::unmet_count] += holds ? 0 : 1;
        cost[Cost::unmet_vector] = cost[Cost::unmet_vector] * 2 + (holds ? 0 : 1);
    }
    return true;
}

std::optional<Cost> Judge::cost(const DeviceFacts& devices,
                                Set pus,
                                Set t,
                                const std::vector<OracleGrant>& grants) const {
    const Set pu_localities = localities_of(pus);
    if ((pu_localities & ~t) != 0) {
        return std::nullopt;
    }
    Cost cost;
    for (const Set localities : devices.locality_sets) {
        if (localities != 0 && (localities & t) == 0) {
            return std::nullopt;
        }
        cost[Cost::remote_devices] +=
            pus != 0 && localities != 0 && (localities & pu_localities) == 0 ? 1 : 0;
    }
    if (!set_unmet(devices, pus, grants, cost)) {
        return std::nullopt;
    }
    Set packages = 0;
    for (Set rest = t; rest != 0; rest &= rest - 1) {
        packages |=
            m_.locality_packages[static_cast<std::size_t>(std::countr_zero(rest))];
    }
    cost[Cost::packages] = size_of(packages);
    cost[Cost::localities] = size_of(t);
    cost[Cost::distance] = distance_within(t);
    cost[Cost::pair_levels] = devices.pair_levels;
    cost[Cost::missing_link] = devices.missing_link;
    cost[Cost::l3s] = size_of(touched(pus, m_.l3s));
    cost[Cost::split_cores] = split_cores(pus, m_.cores);
    set_opened(devices, pus, grants, cost);
    return cost;
}

std::optional<Cost> Judge::judge(Set devices, Set pus, Set t) const {
    const std::vector<Set> all_devices = device_sets();
    const std::vector<Set> all_pus = pu_sets();
    if (std::count(all_devices.begin(), all_devices.end(), devices) == 0 ||
        std::count(all_pus.begin(), all_pus.end(), pus) == 0) {
        return std::nullopt;
    }
    const auto grants = memory(t, pus);
    return grants ? cost(facts(devices), pus, t, *grants) : std::nullopt;
}

// ---------------------------------------------------------------- enumeration

namespace {

// Beside term 10, the definition sees of the PUs only: how many are in each locality
// (memory, Align numa, Near, T, terms 6 and 9b), their Packages and L3s (Align, terms
// 7, 9a, 9e), and the number of split cores (term 8). Of PU sets alike in these, only
// the least can win.
std::vector<Set> distinct_pu_sets(const OracleMachine& m,
                                  const std::vector<Set>& sets) {
    std::map<PuSignature, Set> least;
    PuSignature signature;
    for (const Set pus : sets) {
        signature.by_locality.clear();
        for (const Set locality : m.localities) {
            signature.by_locality.push_back(
                static_cast<std::uint8_t>(size_of(locality & pus)));
        }
        signature.packages = touched(pus, m.packages);
        signature.l3s = touched(pus, m.l3s);
        signature.split_cores = split_cores(pus, m.cores);
        const auto [entry, is_new] = least.try_emplace(signature, pus);
        if (!is_new && is_less(pus, entry->second)) {
            entry->second = pus;
        }
    }
    std::vector<Set> found;
    for (const auto& [key, pus] : least) {
        found.push_back(pus);
    }
    return found;
}

// The constraints that speak of devices alone and terms 4, 5, 9c and 9d are in the
// facts. All else (Align, T, terms 6, 9a, 9b) sees of each device its class and
// localities only.
using DeviceSignature = std::tuple<std::vector<bool>,
                                   std::vector<std::pair<std::string, Set>>,
                                   std::int64_t,
                                   std::int64_t,
                                   std::int64_t,
                                   std::int64_t>;

DeviceSignature signature_of(const OracleMachine& m, const DeviceFacts& facts) {
    std::vector<std::pair<std::string, Set>> places;
    for (const std::uint32_t device : facts.list) {
        places.emplace_back(m.device_spec(device).device_class,
                            m.devices[device].localities);
    }
    std::sort(places.begin(), places.end());
    return {facts.holds,
            std::move(places),
            facts.pair_levels,
            facts.missing_link,
            facts.opened_switches,
            facts.opened_devices};
}

std::vector<DeviceFacts> device_choices(const Judge& judge,
                                        std::size_t required,
                                        bool group) {
    std::map<DeviceSignature, DeviceFacts> least;
    std::vector<DeviceFacts> found;
    for (const Set devices : judge.device_sets()) {
        DeviceFacts facts = judge.facts(devices);
        // A required constraint that the devices alone break is broken in any
        // Placement.
        if (std::find(facts.holds.begin(),
                      facts.holds.begin() + static_cast<std::ptrdiff_t>(required),
                      false) !=
            facts.holds.begin() + static_cast<std::ptrdiff_t>(required)) {
            continue;
        }
        if (!group) {
            found.push_back(std::move(facts));
            continue;
        }
        auto [entry, is_new] =
            least.try_emplace(signature_of(judge.machine(), facts), facts);
        if (!is_new && is_less(devices, entry->second.devices)) {
            entry->second = std::move(facts);
        }
    }
    for (auto& [key, facts] : least) {
        found.push_back(std::move(facts));
    }
    return found;
}

// The terms of a cost as the order compares them: preferences first, then group after
// group.
std::vector<std::int64_t> key_of(const Cost& cost,
                                 const std::vector<TermGroup>& order) {
    std::vector<std::int64_t> key{cost[Cost::unmet_count], cost[Cost::unmet_vector]};
    for (const TermGroup group : order) {
        switch (group) {
            case TermGroup::packages:
                key.push_back(cost[Cost::packages]);
                break;
            case TermGroup::localities:
                key.push_back(cost[Cost::localities]);
                key.push_back(cost[Cost::distance]);
                break;
            case TermGroup::pair_levels:
                key.push_back(cost[Cost::pair_levels]);
                break;
            case TermGroup::missing_link:
                key.push_back(cost[Cost::missing_link]);
                break;
            case TermGroup::remote_devices:
                key.push_back(cost[Cost::remote_devices]);
                break;
            case TermGroup::l3s:
                key.push_back(cost[Cost::l3s]);
                break;
            case TermGroup::split_cores:
                key.push_back(cost[Cost::split_cores]);
                break;
            case TermGroup::opened:
                for (const Cost::Term term : {Cost::opened_packages,
                                              Cost::opened_localities,
                                              Cost::opened_switches,
                                              Cost::opened_devices,
                                              Cost::opened_l3s}) {
                    key.push_back(cost[term]);
                }
                break;
        }
    }
    return key;
}

bool is_better(const Cost& cost,
               Set devices,
               Set pus,
               Set t,
               const OracleAnswer& best,
               const std::vector<TermGroup>& order) {
    if (!best.feasible || cost != best.cost) {
        return !best.feasible || costs_less(cost, best.cost, order);
    }
    if (devices != best.devices) {
        return is_less(devices, best.devices);
    }
    return pus != best.pus ? is_less(pus, best.pus) : is_less(t, best.localities);
}

}  // namespace

bool costs_less(const Cost& a, const Cost& b, const std::vector<TermGroup>& order) {
    return order.empty() ? a < b : key_of(a, order) < key_of(b, order);
}

OracleAnswer brute_force(const MachineSpec& spec,
                         const OracleState& state,
                         const Request& request,
                         bool spread,
                         const Holding* keep_from,
                         const BruteForceOptions& options) {
    const Judge judge(spec, state, request, spread, keep_from);
    OracleAnswer best;
    const std::vector<DeviceFacts> choices =
        device_choices(judge, request.require.size(), options.group);
    if (choices.empty()) {
        return best;
    }
    std::vector<Set> pu_sets = judge.pu_sets();
    if (options.group) {
        pu_sets = distinct_pu_sets(judge.machine(), pu_sets);
    }
    const Set subsets = set_of(judge.machine().localities.size());
    for (const Set pus : pu_sets) {
        const Set pu_localities = touched(pus, judge.machine().localities);
        for (Set t = 0; t < subsets; ++t) {
            if ((pu_localities & ~t) != 0) {
                continue;
            }
            const auto grants = judge.memory(t, pus);
            if (!grants) {
                continue;
            }
            for (const DeviceFacts& facts : choices) {
                const auto cost = judge.cost(facts, pus, t, *grants);
                if (cost &&
                    is_better(*cost, facts.devices, pus, t, best, options.order)) {
                    best.feasible = true;
                    best.cost = *cost;
                    best.devices = facts.devices;
                    best.pus = pus;
                    best.localities = t;
                    best.memory = *grants;
                }
            }
        }
    }
    if (best.feasible) {
        best.pairs = judge.made_pairs(best.devices);
    }
    return best;
}

}  // namespace topoalloc::oracle
