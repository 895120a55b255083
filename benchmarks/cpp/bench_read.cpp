// SPDX-License-Identifier: Apache-2.0
//
// How long does reading take: hwloc XML, written here and from files named as
// arguments, and synthetic descriptions; each with building the Machine, and without.
//
//   bench_read [--benchmark_...] [file.xml ...]
//
// `floor_ns` is one pass over the text that counts its tags.
#include "topoalloc/errors.hpp"
#include "topoalloc/machine.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace topoalloc::bench {
namespace {

std::string hex_range(std::uint32_t first, std::uint32_t count) {
    // hwloc's form: words of 32 bits, the highest first.
    std::vector<std::uint32_t> words((first + count + 31) / 32, 0);
    for (std::uint32_t i = first; i < first + count; ++i) {
        words[i / 32] |= std::uint32_t{1} << (i % 32);
    }
    std::ostringstream out;
    out << std::hex;
    for (std::size_t w = words.size(); w-- > 0;) {
        out << "0x" << words[w] << (w == 0 ? "" : ",");
    }
    return out.str();
}

class XmlWriter {
  public:
    // 2 packages of `cores` cores of 2 PUs, L3s of 8, in the manner of hwloc 2.
    std::string write(std::uint32_t cores) {
        out_ << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n<topology "
                "version=\"2.0\">\n";
        open("Machine", 0, 0, cores * 4);
        for (std::uint32_t p = 0; p < 2; ++p) {
            const std::uint32_t first = p * cores * 2;
            open("Package", p, first, cores * 2);
            for (int i = 0; i < 8; ++i) {
                out_ << "<info name=\"CPUInfo" << i << "\" value=\"some text\"/>\n";
            }
            leaf("NUMANode", p, first, cores * 2, " local_memory=\"270000000000\"");
            for (std::uint32_t l = 0; l < cores / 8; ++l) {
                open("L3Cache", p * cores / 8 + l, first + l * 16, 16);
                for (std::uint32_t c = 0; c < 8; ++c) {
                    write_core(p * cores + l * 8 + c, first + l * 16 + c * 2);
                }
                out_ << "</object>\n";
            }
            out_ << "</object>\n";
        }
        out_ << "</object>\n</topology>\n";
        return out_.str();
    }

  private:
    void write_core(std::uint32_t core, std::uint32_t first) {
        open("L2Cache", core, first, 2);
        open("L1Cache", core, first, 2);
        open("Core", core, first, 2);
        leaf("PU", first, first, 1, "");
        leaf("PU", first + 1, first + 1, 1, "");
        out_ << "</object>\n</object>\n</object>\n";
    }
    void open(const char* type,
              std::uint32_t index,
              std::uint32_t first,
              std::uint32_t n) {
        start(type, index, first, n, "");
        out_ << ">\n";
    }
    void leaf(const char* type,
              std::uint32_t index,
              std::uint32_t first,
              std::uint32_t n,
              const char* more) {
        start(type, index, first, n, more);
        out_ << "/>\n";
    }
    void start(const char* type,
               std::uint32_t index,
               std::uint32_t first,
               std::uint32_t n,
               const char* more) {
        const std::string set = hex_range(first, n);
        out_ << "<object type=\"" << type << "\" os_index=\"" << index << "\" cpuset=\""
             << set << "\" complete_cpuset=\"" << set
             << "\" nodeset=\"0x00000003\" complete_nodeset=\"0x00000003\" gp_index=\""
             << ++gp_index_ << "\"" << more;
    }

    std::ostringstream out_;
    std::uint32_t gp_index_ = 0;
};

double count_tags_ns(const std::string& text) {
    using Clock = std::chrono::steady_clock;
    double least = 1e18;
    for (int i = 0; i < 32; ++i) {
        const auto begin = Clock::now();
        benchmark::DoNotOptimize(std::ranges::count(text, '<'));
        const std::chrono::duration<double, std::nano> time = Clock::now() - begin;
        least = std::min(least, time.count());
    }
    return least;
}

using Reader = MachineSpec (*)(const std::string&);

void read(benchmark::State& state, const std::string& text, Reader reader, bool build) {
    try {
        Machine::build(reader(text))->check_consistency();
    } catch (const Error& error) {
        state.SkipWithError(error.what());
        return;
    }
    double least = 1e18;
    for (auto _ : state) {
        const auto begin = std::chrono::steady_clock::now();
        MachineSpec spec = reader(text);
        if (build) {
            benchmark::DoNotOptimize(Machine::build(std::move(spec)));
        } else {
            benchmark::DoNotOptimize(spec);
        }
        const std::chrono::duration<double, std::nano> time =
            std::chrono::steady_clock::now() - begin;
        least = std::min(least, time.count());
    }
    state.SetBytesProcessed(state.iterations() *
                            static_cast<std::int64_t>(text.size()));
    const double floor = count_tags_ns(text);
    state.counters["bytes"] = static_cast<double>(text.size());
    state.counters["least_ns"] = least;
    state.counters["floor_ns"] = floor;
    state.counters["ratio"] = least / floor;
}

void add(const std::string& name, std::string text, Reader reader) {
    for (const bool build : {false, true}) {
        benchmark::RegisterBenchmark(
            ((build ? "read_and_build/" : "read/") + name).c_str(),
            [text, reader, build](benchmark::State& state) {
                read(state, text, reader, build);
            })
            ->Unit(benchmark::kMicrosecond);
    }
}

MachineSpec read_xml(const std::string& text) {
    return read_hwloc_xml(text, "bench.xml");
}

MachineSpec read_description(const std::string& text) {
    return read_synthetic(text);
}

void add_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file),
                     std::istreambuf_iterator<char>()};
    add(path.substr(path.find_last_of('/') + 1), std::move(text), read_xml);
}

}  // namespace
}  // namespace topoalloc::bench

int main(int argc, char** argv) {
    using namespace topoalloc::bench;
    benchmark::Initialize(&argc, argv);
    for (const std::uint32_t cores : {16U, 64U, 192U}) {
        add("xml_of_" + std::to_string(cores * 4) + "_pus",
            XmlWriter().write(cores),
            read_xml);
    }
    for (const char* text : {"pack:2 l3:4 core:4 pu:2",
                             "pack:2 numa:4 l3:2 core:8 pu:2",
                             "pack:2 l3:12 core:16 pu:2"}) {
        add(std::string("synthetic ") + text, text, read_description);
    }
    for (int i = 1; i < argc; ++i) {
        add_file(argv[i]);
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
