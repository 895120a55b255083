// SPDX-License-Identifier: Apache-2.0
//
// How long does reading take: hwloc XML, written here and from files named as
// arguments, and synthetic descriptions; each with building the Machine, and without.
//
//   bench_read [--benchmark_...] [file.xml ...]
//   bench_read --write_xml=FILE
//
// The second writes the document of 348 KB, for others to read.
//
// `floor_ns` is one pass over the text that counts its tags; of a description, which
// has none, one copy of the MachineSpec that is read.
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
#include <string_view>
#include <utility>
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
    // 2 packages of `cores` cores of 2 PUs, L3s of 8, as hwloc 2 writes and reads them;
    // with infos until the text is as long as asked.
    std::string write(std::uint32_t cores, std::size_t bytes = 0) {
        for (std::uint32_t p = 0; p < 2; ++p) {
            write_package(p, cores);
        }
        const std::string body = std::exchange(out_, {}).str();
        out_ << "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                "<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n<topology "
                "version=\"2.0\">\n";
        nodeset_ = "0x00000003";
        open("Machine", 0, 0, cores * 4);
        const std::string end = "</object>\n</topology>\n";
        const std::string info = "<info name=\"DMIBoardName\" value=\"some text\"/>\n";
        while (out_.view().size() + body.size() + end.size() + info.size() <= bytes) {
            out_ << info;
        }
        out_ << body << end;
        return out_.str();
    }

  private:
    void write_package(std::uint32_t package, std::uint32_t cores) {
        const std::uint32_t first = package * cores * 2;
        nodeset_ = package == 0 ? "0x00000001" : "0x00000002";
        open("Package", package, first, cores * 2);
        for (int i = 0; i < 8; ++i) {
            out_ << "<info name=\"CPUInfo" << i << "\" value=\"some text\"/>\n";
        }
        leaf("NUMANode", package, first, cores * 2, " local_memory=\"270000000000\"");
        for (std::uint32_t l = 0; l < cores / 8; ++l) {
            open("L3Cache", package * cores / 8 + l, first + l * 16, 16, cache(3, 0));
            for (std::uint32_t c = 0; c < 8; ++c) {
                write_core(package * cores + l * 8 + c, first + l * 16 + c * 2);
            }
            out_ << "</object>\n";
        }
        out_ << "</object>\n";
    }
    void write_core(std::uint32_t core, std::uint32_t first) {
        open("L2Cache", core, first, 2, cache(2, 0));
        open("L1Cache", core, first, 2, cache(1, 1));
        open("Core", core, first, 2);
        leaf("PU", first, first, 1, "");
        leaf("PU", first + 1, first + 1, 1, "");
        out_ << "</object>\n</object>\n</object>\n";
    }
    static std::string cache(int depth, int type) {
        return " cache_size=\"1048576\" depth=\"" + std::to_string(depth) +
               "\" cache_linesize=\"64\" cache_associativity=\"8\" cache_type=\"" +
               std::to_string(type) + "\"";
    }
    void open(const char* type,
              std::uint32_t index,
              std::uint32_t first,
              std::uint32_t n,
              const std::string& more = {}) {
        start(type, index, first, n, more);
        out_ << ">\n";
    }
    void leaf(const char* type,
              std::uint32_t index,
              std::uint32_t first,
              std::uint32_t n,
              const std::string& more) {
        start(type, index, first, n, more);
        out_ << "/>\n";
    }
    void start(const char* type,
               std::uint32_t index,
               std::uint32_t first,
               std::uint32_t n,
               const std::string& more) {
        const std::string set = hex_range(first, n);
        out_ << "<object type=\"" << type << "\" os_index=\"" << index << "\" cpuset=\""
             << set << "\" complete_cpuset=\"" << set << "\" nodeset=\"" << nodeset_
             << "\" complete_nodeset=\"" << nodeset_ << "\" gp_index=\"" << ++gp_index_
             << "\"" << more;
    }

    std::ostringstream out_;
    const char* nodeset_ = "";
    std::uint32_t gp_index_ = 0;
};

using Clock = std::chrono::steady_clock;

constexpr int calls = 101;

double nanoseconds(Clock::duration time) {
    return std::chrono::duration<double, std::nano>(time).count();
}

double median_of(std::vector<double>& values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

using Reader = MachineSpec (*)(const std::string&);

double floor_ns(const std::string& text, const MachineSpec& spec) {
    std::vector<double> times;
    for (int i = 0; i < calls; ++i) {
        const auto begin = Clock::now();
        if (text.starts_with('<')) {
            benchmark::DoNotOptimize(std::ranges::count(text, '<'));
        } else {
            benchmark::DoNotOptimize(MachineSpec(spec));
        }
        times.push_back(nanoseconds(Clock::now() - begin));
    }
    return median_of(times);
}

struct Source {
    std::string text;
    Reader reader = nullptr;
    std::size_t pus = 0;  ///< that it describes
};

// Returns an empty text, or what is wrong with the Machine that was read.
std::string verify(const Source& source, MachineSpec& spec) {
    try {
        spec = source.reader(source.text);
        const auto machine = Machine::build(spec);
        machine->check_consistency();
        return machine->pus().size() == source.pus
                   ? ""
                   : "a Machine of other PUs than its source";
    } catch (const Error& error) {
        return error.what();
    }
}

void read(benchmark::State& state, const Source& source, bool build) {
    const auto& [text, reader, pus] = source;
    MachineSpec first;
    if (const std::string wrong = verify(source, first); !wrong.empty()) {
        state.SkipWithError(wrong.c_str());
        return;
    }
    std::vector<double> times;
    for (auto _ : state) {
        const auto begin = Clock::now();
        MachineSpec spec = reader(text);
        if (build) {
            benchmark::DoNotOptimize(Machine::build(std::move(spec)));
        } else {
            benchmark::DoNotOptimize(spec);
        }
        times.push_back(nanoseconds(Clock::now() - begin));
    }
    state.SetBytesProcessed(state.iterations() *
                            static_cast<std::int64_t>(text.size()));
    const double floor = floor_ns(text, first);
    state.counters["bytes"] = static_cast<double>(text.size());
    state.counters["median_ns"] = median_of(times);
    state.counters["floor_ns"] = floor;
    state.counters["ratio"] = median_of(times) / floor;
}

void add(const std::string& name, const Source& source) {
    for (const bool build : {false, true}) {
        benchmark::RegisterBenchmark(
            ((build ? "read_and_build/" : "read/") + name).c_str(),
            [source, build](benchmark::State& state) { read(state, source, build); })
            ->Iterations(calls)
            ->Unit(benchmark::kMicrosecond);
    }
}

MachineSpec read_xml(const std::string& text) {
    return read_hwloc_xml(text, "bench.xml");
}

MachineSpec read_description(const std::string& text) {
    return read_synthetic(text);
}

std::size_t count_pus(std::string_view xml) {
    constexpr std::string_view pu = "type=\"PU\"";
    std::size_t count = 0;
    for (auto at = xml.find(pu); at != xml.npos; at = xml.find(pu, at + pu.size())) {
        ++count;
    }
    return count;
}

void add_xml(const std::string& name, std::string text) {
    const std::size_t pus = count_pus(text);
    add(name, {std::move(text), read_xml, pus});
}

std::string document_of_348_kb() {
    return XmlWriter().write(136, 348'000);
}

void add_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    add_xml(path.substr(path.find_last_of('/') + 1),
            {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
}

}  // namespace
}  // namespace topoalloc::bench

int main(int argc, char** argv) {
    using namespace topoalloc::bench;
    benchmark::Initialize(&argc, argv);
    constexpr std::string_view writes = "--write_xml=";
    if (argc == 2 && std::string_view(argv[1]).starts_with(writes)) {
        std::ofstream(argv[1] + writes.size(), std::ios::binary)
            << document_of_348_kb();
        return 0;
    }
    add_xml("xml_of_64_pus", XmlWriter().write(16));
    add_xml("xml_of_256_pus", XmlWriter().write(64));
    add_xml("xml_of_348_kb", document_of_348_kb());
    add_xml("xml_of_768_pus", XmlWriter().write(192));
    add("pack:2 l3:4 core:4 pu:2", {"pack:2 l3:4 core:4 pu:2", read_description, 64});
    add("pack:2 numa:4 l3:2 core:8 pu:2",
        {"pack:2 numa:4 l3:2 core:8 pu:2", read_description, 256});
    add("pack:2 l3:12 core:16 pu:2",
        {"pack:2 l3:12 core:16 pu:2", read_description, 768});
    for (int i = 1; i < argc; ++i) {
        add_file(argv[i]);
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
