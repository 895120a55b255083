// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/request.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>

namespace topoalloc {
namespace {

// Sums of a few hundred amounts stay within 64 bits.
constexpr std::uint64_t largest_amount = std::uint64_t{1} << 62;
constexpr std::size_t most_preferences = 8;
// Sets of classes are words of 64 bits in the solver.
constexpr std::size_t most_classes = 64;

[[noreturn]] void refuse(const std::string& name,
                         const std::string& what,
                         const std::string& want) {
    throw InvalidRequestError(name + ": " + what + ", want " + want);
}

std::string quoted(std::string_view text) {
    return "'" + std::string(text) + "'";
}

void check_amount(const std::string& name, std::uint64_t amount) {
    if (amount > largest_amount) {
        refuse(name, std::to_string(amount), "at most 2^62");
    }
}

// Checks one Request; each method checks one part of it.
class Validator {
  public:
    explicit Validator(const Request& request) : request_(request) {}

    void run() const {
        check_pus();
        check_memory();
        check_devices();
        check_keep();
        for (std::size_t i = 0; i < request_.require.size(); ++i) {
            check_constraint("require[" + std::to_string(i) + "]", request_.require[i]);
        }
        if (request_.prefer.size() > most_preferences) {
            refuse("prefer",
                   std::to_string(request_.prefer.size()) + " entries",
                   "at most " + std::to_string(most_preferences));
        }
        for (std::size_t i = 0; i < request_.prefer.size(); ++i) {
            check_constraint("prefer[" + std::to_string(i) + "]", request_.prefer[i]);
        }
        if (is_empty()) {
            refuse("request",
                   "nothing asked for",
                   "cores, pus, memory, hugepages or devices");
        }
    }

  private:
    [[nodiscard]] bool is_empty() const {
        return request_.cores == 0 && request_.pus == 0 && request_.memory == 0 &&
               request_.devices.empty() &&
               std::ranges::all_of(request_.hugepages,
                                   [](const auto& entry) { return entry.second == 0; });
    }

    [[nodiscard]] const DeviceRequest* find_class(std::string_view name) const {
        const auto it = std::ranges::find(
            request_.devices, name, [](const DeviceRequest& d) -> std::string_view {
                return d.device_class;
            });
        return it == request_.devices.end() ? nullptr : &*it;
    }

    void check_pus() const {
        if (request_.cores != 0 && request_.pus != 0) {
            refuse("cores",
                   std::to_string(request_.cores) + " with pus " +
                       std::to_string(request_.pus),
                   "one of the two");
        }
        if (request_.whole_cores && request_.pus == 0) {
            refuse("whole_cores", "true without pus", "pus, or cores alone");
        }
    }

    void check_memory() const {
        check_amount("memory", request_.memory);
        if (request_.kind == MemoryKind::gpu) {
            refuse("kind",
                   "gpu, which is not handed out as memory",
                   "dram, hbm, cxl or nvm");
        }
        for (const auto& [size, bytes] : request_.hugepages) {
            const std::string name = "hugepages[" + std::to_string(size) + "]";
            if (size == 0) {
                refuse(name, "page size 0", "a page size of at least 1 byte");
            }
            check_amount(name, bytes);
            if (bytes % size != 0) {
                refuse(name,
                       std::to_string(bytes) + " bytes",
                       "whole pages of " + std::to_string(size) + " bytes");
            }
        }
    }

    void check_devices() const {
        if (request_.devices.size() > most_classes) {
            refuse("devices",
                   std::to_string(request_.devices.size()) + " classes",
                   "at most " + std::to_string(most_classes));
        }
        const std::string* previous = nullptr;
        for (const DeviceRequest& wanted : request_.devices) {
            if (previous != nullptr && *previous == wanted.device_class) {
                refuse("devices",
                       quoted(wanted.device_class) + " twice",
                       "each class once");
            }
            if (previous != nullptr && *previous > wanted.device_class) {
                refuse("devices",
                       quoted(wanted.device_class) + " after " + quoted(*previous),
                       "classes in ascending order");
            }
            previous = &wanted.device_class;
            check_device_request(wanted);
        }
    }

    static void check_device_request(const DeviceRequest& wanted) {
        const std::string& name = wanted.device_class;
        if (name.empty() || name == "pus" || name == "memory") {
            refuse(
                "devices", "class " + quoted(name), "a name that is not pus or memory");
        }
        const std::string path = "devices[" + quoted(name) + "]";
        if (wanted.count == 0) {
            refuse(path + ".count", "0", "at least 1");
        }
        if (!wanted.share.empty() && !wanted.partition.empty()) {
            refuse(path,
                   "share with partition " + quoted(wanted.partition),
                   "one of the two");
        }
        for (const auto& [counter, amount] : wanted.share) {
            const std::string share = path + ".share[" + quoted(counter) + "]";
            if (counter.empty()) {
                refuse(share, "a share of a capacity without a name", "a name");
            }
            if (amount == 0) {
                refuse(share, "0", "at least 1");
            }
            check_amount(share, amount);
        }
        for (std::size_t i = 0; i < wanted.where.size(); ++i) {
            check_condition(path + ".where[" + std::to_string(i) + "]",
                            wanted.where[i]);
        }
    }

    static void check_condition(const std::string& path, const Condition& condition) {
        if (condition.attribute.empty()) {
            refuse(path, "a condition on an attribute without a name", "a name");
        }
        const std::size_t count = condition.values.size();
        if (condition.op == ConditionOp::one_of ? count == 0 : count != 1) {
            refuse(path,
                   std::to_string(count) + " values for " + quoted(condition.attribute),
                   condition.op == ConditionOp::one_of ? "at least one" : "one");
        }
        const bool orders = condition.op == ConditionOp::at_least ||
                            condition.op == ConditionOp::at_most;
        if (orders && !std::holds_alternative<std::int64_t>(condition.values.front())) {
            refuse(path,
                   "an ordering of " + quoted(condition.attribute) +
                       " by a value that is no integer",
                   "an integer");
        }
    }

    void check_keep() const {
        std::set<std::string_view> seen;
        for (const std::string& name : request_.keep) {
            if (name != "pus" && find_class(name) == nullptr) {
                refuse("keep", quoted(name), "'pus' or a class of devices");
            }
            if (name == "pus" && request_.cores == 0 && request_.pus == 0) {
                refuse("keep", "'pus' of a request without PUs", "cores or pus");
            }
            if (!seen.insert(name).second) {
                refuse("keep", quoted(name) + " twice", "each name once");
            }
        }
    }

    void check_constraint(const std::string& path, const Constraint& constraint) const {
        std::visit([&](const auto& c) { check_one(path, c); }, constraint);
    }

    void check_one(const std::string& path, const Align& align) const {
        std::set<std::string_view> seen;
        for (const std::string& word : align.of) {
            if (word != "pus" && word != "memory" && find_class(word) == nullptr) {
                refuse(path + ": Align.of",
                       quoted(word),
                       "'pus', 'memory' or a class of devices");
            }
            if (!seen.insert(word).second) {
                refuse(path + ": Align.of", quoted(word) + " twice", "each name once");
            }
        }
    }

    [[nodiscard]] const DeviceRequest& want_class(const std::string& name,
                                                  std::string_view word) const {
        const DeviceRequest* found = find_class(word);
        if (found == nullptr) {
            refuse(
                name, quoted(word) + ", which is not asked for", "a class of devices");
        }
        return *found;
    }

    void check_one(const std::string& path, const Pair& pair) const {
        const DeviceRequest& a = want_class(path + ": Pair.a", pair.a);
        const DeviceRequest& b = want_class(path + ": Pair.b", pair.b);
        if (pair.a == pair.b) {
            refuse(path + ": Pair", quoted(pair.a) + " with itself", "two classes");
        }
        const std::string ratio =
            std::to_string(pair.ratio_a) + ":" + std::to_string(pair.ratio_b);
        if (std::min(pair.ratio_a, pair.ratio_b) != 1) {
            refuse(path + ": Pair.ratio", ratio, "n:1 or 1:n");
        }
        if (std::uint64_t{a.count} * pair.ratio_b !=
            std::uint64_t{b.count} * pair.ratio_a) {
            refuse(path + ": Pair.ratio",
                   ratio + " for " + std::to_string(a.count) + " " + pair.a + " and " +
                       std::to_string(b.count) + " " + pair.b,
                   "counts in that proportion");
        }
    }

    void check_one(const std::string& path, const Link& link) const {
        std::ignore = want_class(path + ": Link.device_class", link.device_class);
        if (link.min_mb_s == 0) {
            refuse(path + ": Link.min_mb_s", "0", "at least 1");
        }
        check_amount(path + ": Link.min_mb_s", link.min_mb_s);
    }

    void check_one(const std::string& path, const Same& same) const {
        check_attribute(path + ": Same", same.attribute, same.of);
    }

    void check_one(const std::string& path, const Distinct& distinct) const {
        check_attribute(path + ": Distinct", distinct.attribute, distinct.of);
    }

    void check_attribute(const std::string& path,
                         const std::string& attribute,
                         const std::vector<std::string>& of) const {
        if (attribute.empty()) {
            refuse(path + ".attribute", "empty", "the name of an attribute");
        }
        if (of.empty()) {
            refuse(path + ".of", "empty", "at least one class of devices");
        }
        std::set<std::string_view> seen;
        for (const std::string& word : of) {
            std::ignore = want_class(path + ".of", word);
            if (!seen.insert(word).second) {
                refuse(path + ".of", quoted(word) + " twice", "each class once");
            }
        }
    }

    static void check_one(const std::string& path, const Near& near) {
        if (near.devices.empty()) {
            refuse(path + ": Near.devices", "empty", "at least one device");
        }
    }

    const Request& request_;
};

}  // namespace

void Request::validate() const {
    Validator(*this).run();
}

}  // namespace topoalloc
