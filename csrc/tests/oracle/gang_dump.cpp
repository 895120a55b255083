// SPDX-License-Identifier: Apache-2.0
#include "gang_instances.hpp"

#include <array>
#include <sstream>
#include <string>
#include <vector>

namespace topoalloc::oracle {
namespace {

constexpr std::array<const char*, 3> kind_names{"within", "spread", "balanced"};

std::string text_of(std::uint32_t number) {
    return number == no_index ? "no_index" : std::to_string(number);
}

std::string text_of(bool flag) {
    return flag ? "true" : "false";
}

std::string text_of(const CountVector& held);

// Braces are what C++ reads.
template <class T>
std::string list_of(const std::vector<T>& values) {
    std::string text;
    for (std::size_t i = 0; i < values.size(); ++i) {
        text += (i == 0 ? "" : ", ") + text_of(static_cast<T>(values[i]));
    }
    return "{" + text + "}";
}

std::string text_of(const CountVector& held) {
    return list_of(held);
}

std::string text_of(const WithinRule& rule) {
    return "{" + list_of(rule.podsets) + ", " + text_of(rule.level) + "}";
}

std::string text_of(const LevelRule& rule) {
    return "{" + text_of(rule.podset) + ", " + text_of(rule.level) + ", " +
           text_of(rule.number) + "}";
}

std::string text_of(const PreferRule& rule) {
    return std::string("{RuleKind::") +
           kind_names[static_cast<std::size_t>(rule.kind)] + ", " +
           text_of(rule.within) + ", " + text_of(rule.level) + ", " +
           text_of(rule.unmet) + "}";
}

std::string text_of(const GangPodSet& podset) {
    return "{" + text_of(podset.count) + ", " + text_of(podset.min_count) + ", " +
           text_of(podset.lowest_level) + "}";
}

std::string text_of(const CountTable& table) {
    return "{" + list_of(table.attained) + ", " + list_of(table.possible) + ", " +
           list_of(table.copies) + "}";
}

std::string text_of(const GangNode& node) {
    return "{" + text_of(node.table) + ", " + list_of(node.domains) + ", " +
           text_of(node.open) + "}";
}

std::string text_of(const std::vector<bool>& flags) {
    return list_of(flags);
}

}  // namespace

std::string dump(const GangProblem& problem) {
    std::ostringstream out;
    out << "GangProblem problem;\n"
        << "problem.levels = " << problem.levels << ";\n"
        << "problem.groups = " << problem.groups << ";\n";
    const auto print = [&](const char* name, const auto& values) {
        if (values.empty()) {
            return;
        }
        out << "problem." << name << " = {\n";
        for (std::size_t i = 0; i < values.size(); ++i) {
            out << "    " << text_of(values[i]) << ",\n";
        }
        out << "};\n";
    };
    print("podsets", problem.podsets);
    print("within", problem.within);
    print("slices", problem.slices);
    print("spread", problem.spread);
    print("balanced", problem.balanced);
    print("prefer", problem.prefer);
    print("tables", problem.tables);
    print("nodes", problem.nodes);
    print("open_domains", problem.open_domains);
    return out.str();
}

}  // namespace topoalloc::oracle
