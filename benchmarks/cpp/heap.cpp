// SPDX-License-Identifier: Apache-2.0
#include "heap.hpp"

#include <malloc.h>

#include <cstdlib>
#include <new>

namespace {

thread_local std::uint64_t blocks = 0;
thread_local std::int64_t bytes = 0;

void give_back(void* block) noexcept {
    bytes -= static_cast<std::int64_t>(malloc_usable_size(block));
    std::free(block);
}

}  // namespace

namespace topoalloc::bench {

std::uint64_t heap_blocks() noexcept {
    return blocks;
}

std::int64_t heap_bytes() noexcept {
    return bytes;
}

}  // namespace topoalloc::bench

void* operator new(std::size_t size) {
    ++blocks;
    if (void* block = std::malloc(size != 0 ? size : 1)) {
        bytes += static_cast<std::int64_t>(malloc_usable_size(block));
        return block;
    }
    throw std::bad_alloc();
}

void operator delete(void* block) noexcept {
    give_back(block);
}

void operator delete(void* block, std::size_t) noexcept {
    give_back(block);
}
