// SPDX-License-Identifier: Apache-2.0
//
// Counts what the program takes from the heap: a measure of a call that no neighbour on
// the machine disturbs. Linking heap.cpp replaces the global operator new.
#pragma once

#include <cstdint>

namespace topoalloc::bench {

/// Blocks that operator new made in this thread so far.
[[nodiscard]] std::uint64_t heap_blocks() noexcept;
/// Bytes of blocks that were made in this thread, less those that it has given back, as
/// the heap rounds them.
[[nodiscard]] std::int64_t heap_bytes() noexcept;

}  // namespace topoalloc::bench
