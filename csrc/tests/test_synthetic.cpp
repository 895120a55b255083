// SPDX-License-Identifier: Apache-2.0
//
// Expected values are what hwloc 2.9 shows for the same text.
#include "topoalloc/errors.hpp"
#include "topoalloc/machine.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace topoalloc {
namespace {

std::shared_ptr<const Machine> machine_of(std::string_view text) {
    auto machine = Machine::build(read_synthetic(text));
    machine->check_consistency();
    return machine;
}

std::vector<std::uint32_t> pus_of(const Machine& machine) {
    std::vector<std::uint32_t> result;
    for (const Pu& pu : machine.pus()) {
        result.push_back(pu.os_index);
    }
    return result;
}

// "os_index:cpuset:bytes" of each NUMANode.
std::vector<std::string> numa_of(const Machine& machine) {
    std::vector<std::string> result;
    for (const NumaNode& node : machine.numa_nodes()) {
        result.push_back(std::to_string(node.os_index) + ":" +
                         machine.pus_to_os(node.pus).to_list() + ":" +
                         std::to_string(node.bytes[0]));
    }
    return result;
}

std::vector<std::uint32_t> os_indexes(const std::vector<Domain>& domains) {
    std::vector<std::uint32_t> result;
    for (const Domain& domain : domains) {
        result.push_back(domain.os_index);
    }
    return result;
}

std::string error_of(std::string_view text) {
    try {
        static_cast<void>(read_synthetic(text));
    } catch (const FormatError& error) {
        return error.what();
    }
    return "no error";
}

using Indexes = std::vector<std::uint32_t>;
using Texts = std::vector<std::string>;

TEST(Synthetic, test_counts_when_all_levels_are_typed) {
    const auto m = machine_of("pack:2 numa:4 l3:2 core:8 pu:2");
    EXPECT_EQ(m->packages().size(), 2U);
    EXPECT_EQ(m->numa_nodes().size(), 8U);
    EXPECT_EQ(m->l3s().size(), 16U);
    EXPECT_EQ(m->cores().size(), 128U);
    EXPECT_EQ(m->pus().size(), 256U);
    EXPECT_EQ(m->localities().size(), 8U);
    EXPECT_EQ(m->cores()[3].os_index, 3U);
    EXPECT_EQ(m->l3s()[3].os_index, no_index);
    EXPECT_EQ(m->numa_nodes()[0].bytes[0], std::uint64_t{1} << 30);
}

TEST(Synthetic, test_memory_when_units_are_decimal_or_binary) {
    EXPECT_EQ(numa_of(*machine_of("numa:1(memory=4GB) pu:2")),
              Texts{"0:0-1:4000000000"});
    EXPECT_EQ(numa_of(*machine_of("numa:1(memory=4GiB) pu:2")),
              Texts{"0:0-1:4294967296"});
    EXPECT_EQ(numa_of(*machine_of("numa:1(memory=3kib) pu:2")), Texts{"0:0-1:3072"});
    EXPECT_EQ(numa_of(*machine_of("numa:1(memory=0) pu:2")), Texts{"0:0-1:1073741824"});
    EXPECT_EQ(numa_of(*machine_of("numa:1(memory=0x10) pu:2")), Texts{"0:0-1:16"});
}

TEST(Synthetic, test_numa_when_none_is_named) {
    const Texts one = {"0:0-3:1073741824"};
    EXPECT_EQ(numa_of(*machine_of("4")), one);
    EXPECT_EQ(numa_of(*machine_of("core:2 2")), one);
    EXPECT_EQ(numa_of(*machine_of("die:2 core:2 pu:1")), one);
    EXPECT_EQ(machine_of("die:2 core:2 pu:1")->dies().size(), 2U);
}

TEST(Synthetic, test_types_when_there_are_only_numbers) {
    EXPECT_EQ(machine_of("2 3")->numa_nodes().size(), 2U);
    const auto four = machine_of("2 2 2 2");
    EXPECT_EQ(four->packages().size(), 2U);
    EXPECT_EQ(four->numa_nodes().size(), 4U);
    EXPECT_EQ(four->cores().size(), 8U);
    // Package, NUMANode, L3, L2, L1, Core, PU.
    const auto seven = machine_of("2 2 2 2 2 2 2");
    EXPECT_EQ(os_indexes(seven->packages()), (Indexes{0, 1}));
    EXPECT_EQ(seven->l3s().size(), 8U);
    EXPECT_EQ(seven->cores().size(), 64U);
    // Two Groups stand above the Package.
    const auto ten = machine_of("2 1 2 1 2 1 1 1 1 2");
    EXPECT_EQ(ten->packages().size(), 4U);
    EXPECT_EQ(ten->numa_nodes().size(), 4U);
    EXPECT_EQ(ten->l3s().size(), 8U);
    // With attached NUMANodes none is a level: Package, L2, Core, PU.
    const auto attached = machine_of("2 [numa] 2 2 2");
    EXPECT_EQ(attached->packages().size(), 2U);
    EXPECT_EQ(attached->cores().size(), 8U);
}

TEST(Synthetic, test_attached_when_at_several_levels) {
    EXPECT_EQ(numa_of(*machine_of("pack:2 [numa] [numa(memory=1GB)] core:2 pu:1")),
              (Texts{"0:0-1:0", "1:0-1:1000000000", "2:2-3:0", "3:2-3:1000000000"}));
    EXPECT_EQ(numa_of(*machine_of("[numa(memory=7)] pack:2 [numa] core:2 pu:1")),
              (Texts{"0:0-1:0", "1:2-3:0", "2:0-3:7"}));
    EXPECT_EQ(numa_of(*machine_of("pu:2 [numa]")), (Texts{"0:0:0", "1:1:0"}));
    EXPECT_EQ(
        numa_of(*machine_of("pack:2 [numa(indexes=3,2,1,0)] [numa(memory=1kB)] pu:1")),
        (Texts{"0:1:1000", "1:1:0", "2:0:1000", "3:0:0"}));
    EXPECT_EQ(numa_of(*machine_of("pack:2 [numa(indexes=pack)] [numa] pu:1")),
              (Texts{"0:0:0", "1:1:0", "2:0:0", "3:1:0"}));
}

TEST(Synthetic, test_indexes_when_listed_looped_or_typed) {
    const Indexes interleaved = {0, 2, 1, 3};
    EXPECT_EQ(pus_of(*machine_of("numa:2 pu:2(indexes=0,2,1,3)")), interleaved);
    EXPECT_EQ(pus_of(*machine_of("numa:2 pu:2(indexes=2*2:1*2)")), interleaved);
    EXPECT_EQ(pus_of(*machine_of("numa:2 pu:2(indexes=2*2)")), interleaved);
    EXPECT_EQ(pus_of(*machine_of("numa:2 pu:2(indexes=numa)")), interleaved);
    EXPECT_EQ(pus_of(*machine_of("numa:2 pu:2(indexes=7,9,12,13)")),
              (Indexes{7, 9, 12, 13}));
    EXPECT_EQ(pus_of(*machine_of("pack:2 core:2 pu:2(indexes=core:pack)")),
              (Indexes{0, 4, 1, 5, 2, 6, 3, 7}));
    EXPECT_EQ(os_indexes(machine_of("pack:2 core:2(indexes=2,0,1,9) pu:1")->cores()),
              (Indexes{2, 0, 1, 9}));
    EXPECT_EQ(os_indexes(machine_of("pack:2 core:2(indexes=pack) pu:2")->cores()),
              (Indexes{0, 2, 1, 3}));
}

TEST(Synthetic, test_logical_order_when_indexes_are_reversed) {
    // hwloc orders siblings by their lowest os_index, L2 caches too.
    EXPECT_EQ(pus_of(*machine_of("4(indexes=3,2,1,0)")), (Indexes{0, 1, 2, 3}));
    EXPECT_EQ(pus_of(*machine_of("l2:2 pu:2(indexes=l2)")), (Indexes{0, 2, 1, 3}));
    EXPECT_EQ(numa_of(*machine_of("numa:2 pu:2(indexes=3,2,1,0)")),
              (Texts{"0:2-3:1073741824", "1:0-1:1073741824"}));
}

TEST(Synthetic, test_types_when_shortened) {
    const auto m = machine_of("PA:2 nu:1 DI:1 L3Cache:2 l2:1 L1iCache:1 co:2 pu:1");
    EXPECT_EQ(m->packages().size(), 2U);
    EXPECT_EQ(m->l3s().size(), 4U);
    EXPECT_EQ(m->cores().size(), 8U);
    EXPECT_EQ(os_indexes(machine_of("l3i:2 pu:1")->l3s()), Indexes{no_index});
    EXPECT_EQ(machine_of("pack:2 pu:0x2")->pus().size(), 4U);
    EXPECT_EQ(machine_of("numa:2 pu:010")->pus().size(), 16U);
}

TEST(Synthetic, test_error_when_text_is_wrong) {
    EXPECT_EQ(error_of("pack:2 foo:3"),
              "synthetic 'pack:2 foo:3': character 8: unknown type, want Package, Die, "
              "NUMANode, Group, L1 to L5 (L3Cache), Core or PU, or a number");
    EXPECT_EQ(error_of("numa:2 pu:2(indexes=0,2,1,1)"),
              "synthetic 'numa:2 pu:2(indexes=0,2,1,1)': character 21: index 1 twice, "
              "want unique indexes");
    for (const char* text : {"",
                             " ",
                             "core:2",
                             "p:2 pu:1",
                             "packages:2 pu:1",
                             "machine:1 pu:1",
                             "l6:2 pu:1",
                             "pack:2(foo=1) pu:2",
                             "numa:2(memory=1GB  indexes=1,0) pu:2",
                             "numa:2(memory=1zB) pu:2",
                             "pu:2 pu:2",
                             "pack:2 [numa",
                             "pack:2 [core] pu:2",
                             "pack:2 numa:2 [numa] core:1 pu:1",
                             "l2:2(memory=3MB) pu:2",
                             "numa:2(size=3MB) pu:2",
                             "pack:2 numa:0 pu:1",
                             "pack:2 numa:-1 pu:1",
                             "pu:2:3",
                             "pack:2,pu:2",
                             "pack:2 3 pu:1",
                             "pack:2 l3:2 l3:2 pu:1",
                             "(",
                             "pu:1(",
                             "pu:1(indexes=",
                             "pu:1(indexes=)",
                             "pu:",
                             "pu:0x",
                             "numa:2 pu:2(indexes=0,2,1)",
                             "numa:2 pu:2(indexes=0,2,1,3,4)",
                             "numa:2 pu:2(indexes=0,2,1,3,)",
                             "numa:2 pu:8(indexes=2*4)",
                             "pack:2 pu:2(indexes=3*2:1*2)",
                             "pack:2 pu:4(indexes=pack:pack)",
                             "numa:2 pu:2(indexes=core)",
                             "numa:2 pu:2(indexes=0*2)",
                             "numa:2 pu:2(indexes=2*)",
                             "l2:2(indexes=9) pu:1",
                             "[numa(indexes=0)] [numa(indexes=0)] pu:1",
                             "numa:1(memory=9999999TB) pu:1",
                             "pu:2(indexes=0,1048576)"}) {
        EXPECT_NE(error_of(text), "no error") << text;
    }
}

TEST(Synthetic, test_error_when_text_is_hostile) {
    // Made rather than refused, these would need more memory than there is.
    std::string deep;
    for (int i = 0; i < 200; ++i) {
        deep += "group:1 ";
    }
    for (const std::string& text : {std::string("core:4000000000 pu:1"),
                                    std::string("pack:2 core:70000 pu:1"),
                                    std::string("pu:65537"),
                                    std::string("core:99999999999999999999999 pu:1"),
                                    std::string("65536 65536 65536"),
                                    std::string("numa:5000 pu:1"),
                                    std::string("group:5000 pu:1"),
                                    std::string("pu:5000 [numa]"),
                                    deep + "pu:1"}) {
        EXPECT_NE(error_of(text).find("want"), std::string::npos) << text;
    }
}

}  // namespace
}  // namespace topoalloc
