// SPDX-License-Identifier: Apache-2.0
//
// Mutates hwloc XML files and reads each mutant: the answer must be a MachineSpec, from
// which Machine::build makes a Machine or a FormatError, or a FormatError that names
// source and line, within the time bound. Anything else ends the run with status 1; a
// crash or a sanitizer report ends it by itself. Mutant i of a seed is the same
// everywhere, so
// `--only i` repeats one.
//
//   fuzz_hwloc_xml [--seed N] [--mutants N] [--max-ms N] [--only N] FILE...
#include "topoalloc/errors.hpp"
#include "topoalloc/machine.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

struct Options {
    std::uint64_t seed = 1;
    std::uint64_t mutants = 20000;
    std::uint64_t max_ms = 2000;
    std::optional<std::uint64_t> only;
    std::vector<std::string> files;
};

struct Tally {
    std::uint64_t machines = 0;
    std::uint64_t refused_by_reader = 0;
    std::uint64_t refused_by_build = 0;
    double slowest_ms = 0;
};

using Engine = std::mt19937_64;

std::size_t below(Engine& engine, std::size_t bound) {
    return bound == 0 ? 0 : static_cast<std::size_t>(engine() % bound);
}

void flip_bit(Engine& engine, std::string& text) {
    char& byte = text[below(engine, text.size())];
    byte =
        static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << below(engine, 8)));
}

void set_byte(Engine& engine, std::string& text) {
    constexpr std::string_view bytes = "<>\"'&/=,:[]0123456789abcdefx- \n\t!?;";
    text[below(engine, text.size())] = bytes[below(engine, bytes.size())];
}

void truncate(Engine& engine, std::string& text) {
    text.resize(below(engine, text.size()));
}

void erase_chunk(Engine& engine, std::string& text) {
    const std::size_t begin = below(engine, text.size());
    text.erase(begin,
               1 + below(engine, std::min<std::size_t>(text.size() - begin, 400)));
}

void repeat_chunk(Engine& engine, std::string& text) {
    const std::size_t begin = below(engine, text.size());
    const std::string chunk = text.substr(
        begin, 1 + below(engine, std::min<std::size_t>(text.size() - begin, 400)));
    text.insert(below(engine, text.size()), chunk);
}

// Whole lines leave most mutants well-formed, so that they get past the tokenizer.
std::pair<std::size_t, std::size_t> any_line(Engine& engine, const std::string& text) {
    const std::size_t at = below(engine, text.size());
    const std::size_t before = text.rfind('\n', at);
    const std::size_t begin = before == std::string::npos ? 0 : before;
    const std::size_t end = std::min(text.find('\n', begin + 1), text.size());
    return {begin, end - begin};
}

void erase_line(Engine& engine, std::string& text) {
    const auto [begin, length] = any_line(engine, text);
    text.erase(begin, length);
}

void repeat_line(Engine& engine, std::string& text) {
    const auto [begin, length] = any_line(engine, text);
    const std::string line = text.substr(begin, length);
    text.insert(any_line(engine, text).first, line);
}

// Replaces a run of digits, so that indices, sizes, counts and sets are hit.
void change_number(Engine& engine, std::string& text) {
    constexpr std::string_view digits = "0123456789";
    constexpr std::array<std::string_view, 16> values = {"0",
                                                         "1",
                                                         "2",
                                                         "7",
                                                         "31",
                                                         "64",
                                                         "255",
                                                         "65535",
                                                         "65536",
                                                         "1048576",
                                                         "4294967295",
                                                         "4294967296",
                                                         "18446744073709551615",
                                                         "18446744073709551616",
                                                         "-1",
                                                         "1e308"};
    const std::size_t begin = text.find_first_of(digits, below(engine, text.size()));
    if (begin == std::string::npos) {
        return;
    }
    const std::size_t end =
        std::min(text.find_first_not_of(digits, begin), text.size());
    const bool is_near = below(engine, 2) == 0;
    const std::string value = is_near
                                  ? std::to_string(below(engine, 300))
                                  : std::string(values[below(engine, values.size())]);
    text.replace(begin, end - begin, value);
}

// Swaps the values of two attributes, so that values of the wrong kind are met.
void swap_values(Engine& engine, std::string& text) {
    const auto any_value = [&]() -> std::pair<std::size_t, std::size_t> {
        const std::size_t begin = text.find("=\"", below(engine, text.size()));
        const std::size_t end =
            begin == std::string::npos ? begin : text.find('"', begin + 2);
        return end == std::string::npos ? std::pair<std::size_t, std::size_t>(0, 0)
                                        : std::pair(begin + 2, end - begin - 2);
    };
    auto first = any_value();
    auto second = any_value();
    if (first.first > second.first) {
        std::swap(first, second);
    }
    if (first.first + first.second > second.first) {
        return;
    }
    const std::string one = text.substr(first.first, first.second);
    const std::string two = text.substr(second.first, second.second);
    text.replace(second.first, second.second, one);
    text.replace(first.first, first.second, two);
}

std::string mutant_of(const std::string& original,
                      std::uint64_t seed,
                      std::uint64_t number) {
    using Mutation = void (*)(Engine&, std::string&);
    constexpr std::array<Mutation, 9> mutations = {flip_bit,
                                                   set_byte,
                                                   truncate,
                                                   erase_chunk,
                                                   repeat_chunk,
                                                   erase_line,
                                                   repeat_line,
                                                   change_number,
                                                   swap_values};
    Engine engine(seed * 0x9e3779b97f4a7c15U + number);
    std::string text = original;
    const std::size_t rounds = 1 + below(engine, 3);
    for (std::size_t i = 0; i < rounds && !text.empty(); ++i) {
        mutations[below(engine, mutations.size())](engine, text);
    }
    return text;
}

// "source:12: what": what every refusal by the reader begins with.
bool names_line(std::string_view message, std::string_view source) {
    if (!message.starts_with(source) || message.substr(source.size(), 1) != ":") {
        return false;
    }
    message.remove_prefix(source.size() + 1);
    const std::size_t digits = message.find_first_not_of("0123456789");
    return digits != 0 && digits != std::string_view::npos &&
           message.substr(digits, 2) == ": ";
}

// Empty, or what is wrong.
std::string try_mutant(const std::string& text, Tally& tally) {
    constexpr std::string_view source = "mutant.xml";
    std::optional<topoalloc::MachineSpec> spec;
    try {
        spec = topoalloc::read_hwloc_xml(text, source);
    } catch (const topoalloc::FormatError& error) {
        ++tally.refused_by_reader;
        return names_line(error.what(), source)
                   ? ""
                   : std::string("no line: ") + error.what();
    } catch (const std::exception& error) {
        return std::string("reader: ") + error.what();
    }
    try {
        const auto machine = topoalloc::Machine::build(std::move(*spec));
        machine->check_consistency();
        ++tally.machines;
    } catch (const topoalloc::FormatError&) {
        ++tally.refused_by_build;
    } catch (const std::exception& error) {
        return std::string("Machine::build: ") + error.what();
    }
    return "";
}

bool run_file(const std::string& path,
              const Options& options,
              std::uint64_t mutants,
              Tally& tally) {
    std::ifstream file(path, std::ios::binary);
    const std::string original((std::istreambuf_iterator<char>(file)),
                               std::istreambuf_iterator<char>());
    if (original.empty()) {
        std::cerr << path << ": not readable or empty, want an hwloc XML file\n";
        return false;
    }
    const std::uint64_t first = options.only.value_or(0);
    const std::uint64_t last = options.only.has_value() ? first + 1 : mutants;
    for (std::uint64_t i = first; i < last; ++i) {
        const std::string text = mutant_of(original, options.seed, i);
        const auto begin = std::chrono::steady_clock::now();
        std::string wrong = try_mutant(text, tally);
        const std::chrono::duration<double, std::milli> took =
            std::chrono::steady_clock::now() - begin;
        tally.slowest_ms = std::max(tally.slowest_ms, took.count());
        if (wrong.empty() && took.count() > static_cast<double>(options.max_ms)) {
            wrong = "took " + std::to_string(took.count()) + " ms";
        }
        if (!wrong.empty()) {
            std::cerr << path << " --seed " << options.seed << " --only " << i << ": "
                      << wrong << '\n';
            return false;
        }
    }
    return true;
}

Options parse(int count, char** arguments) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string_view name = arguments[i];
        const auto number = [&] {
            return i + 1 < count ? std::strtoull(arguments[++i], nullptr, 10) : 0ULL;
        };
        if (name == "--seed") {
            options.seed = number();
        } else if (name == "--mutants") {
            options.mutants = number();
        } else if (name == "--max-ms") {
            options.max_ms = number();
        } else if (name == "--only") {
            options.only = number();
        } else {
            options.files.emplace_back(name);
        }
    }
    return options;
}

}  // namespace

int main(int count, char** arguments) {
    const Options options = parse(count, arguments);
    if (options.files.empty()) {
        std::cerr << "files: none, want hwloc XML files to mutate\n";
        return 2;
    }
    const std::uint64_t each =
        (options.mutants + options.files.size() - 1) / options.files.size();
    Tally tally;
    for (const std::string& path : options.files) {
        if (!run_file(path, options, each, tally)) {
            return 1;
        }
    }
    std::cout << tally.machines << " machines, " << tally.refused_by_reader
              << " refused by the reader, " << tally.refused_by_build
              << " refused by Machine::build, slowest " << tally.slowest_ms << " ms\n";
    return 0;
}
