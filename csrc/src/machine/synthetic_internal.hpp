// SPDX-License-Identifier: Apache-2.0
//
// The parts of the synthetic reader:
//   synthetic_grammar.cpp  the text to levels, as hwloc reads it
//   synthetic_indexes.cpp  what indexes= means
//   synthetic.cpp          levels to a MachineSpec
// A level is as wide as the product of the numbers down to it. Widths are bounded while
// the text is read, so nothing large is made before the text is known to be sane.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace topoalloc::synthetic {

enum class Type : std::uint8_t {
    none,  ///< a number without a type
    machine,
    package,
    die,
    numa,
    group,
    cache,
    core,
    pu,
};

/// A type as written. `number` is the level of a cache or the number behind a Group.
struct TypeName {
    Type type = Type::none;
    std::uint32_t number = 0;
    bool is_instruction_cache = false;
};

struct Attributes {
    std::uint64_t memory_bytes = 0;
    std::string_view indexes;  ///< empty: none given
    std::size_t indexes_at = 0;
};

struct Level {
    TypeName name;
    std::uint32_t width = 1;  ///< objects at this level
    Attributes attributes;
    std::vector<Attributes>
        attached;        ///< NUMANodes attached to each object, in brackets
    std::size_t at = 0;  ///< where the text of the level starts
};

/// Level 0 is the Machine, the last are the PUs; every type is known.
/// `attached_indexes` numbers all attached NUMANodes, whichever of them it was written
/// at.
struct Description {
    std::string_view text;
    std::vector<Level> levels;
    std::uint32_t attached_count = 0;
    std::string_view attached_indexes;
    std::size_t attached_indexes_at = 0;
};

/// @throws FormatError naming the text, the character (from 1) and what is wanted
[[noreturn]] void fail(std::string_view text,
                       std::size_t at,
                       const std::string& what,
                       const std::string& want);

/// Reads a type name at `at` and moves `at` behind it; type none when there is no name.
[[nodiscard]] TypeName read_type(std::string_view text, std::size_t& at);

/// Reads a number as C does (0x: hexadecimal, 0: octal) and moves `at` behind it.
[[nodiscard]] std::uint64_t read_number(std::string_view text, std::size_t& at);

[[nodiscard]] Description parse(std::string_view text);

/// The os_index of each of `total` objects, in the order in which they are made; empty
/// `indexes` counts from 0.
[[nodiscard]] std::vector<std::uint32_t> expand_indexes(const Description& description,
                                                        std::uint32_t total,
                                                        std::string_view indexes,
                                                        std::size_t at);

}  // namespace topoalloc::synthetic
