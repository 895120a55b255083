// SPDX-License-Identifier: Apache-2.0
#include "heap.hpp"

#include <cstdlib>
#include <new>

namespace {

thread_local std::uint64_t blocks = 0;

}  // namespace

namespace topoalloc::bench {

std::uint64_t heap_blocks() noexcept {
    return blocks;
}

}  // namespace topoalloc::bench

void* operator new(std::size_t size) {
    ++blocks;
    if (void* block = std::malloc(size != 0 ? size : 1)) {
        return block;
    }
    throw std::bad_alloc();
}

void operator delete(void* block) noexcept {
    std::free(block);
}

void operator delete(void* block, std::size_t) noexcept {
    std::free(block);
}
