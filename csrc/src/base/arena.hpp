// SPDX-License-Identifier: Apache-2.0
//
// Memory of one question: handed out front to back from a buffer, most often on a
// stack, and given back all at once.
#pragma once

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <type_traits>

namespace topoalloc {

class Arena final : public std::pmr::memory_resource {
  public:
    explicit Arena(std::span<std::byte> buffer)
        : next_(buffer.data()), left_(buffer.size()) {}

    /// Room for so many, not initialised.
    template <class T>
    [[nodiscard]] T* take(std::size_t count) {
        static_assert(std::is_trivially_destructible_v<T>);
        return static_cast<T*>(take_bytes(count * sizeof(T), alignof(T)));
    }

  private:
    void* take_bytes(std::size_t bytes, std::size_t alignment) {
        void* taken = next_;
        std::size_t left = left_;
        if (std::align(alignment, bytes, taken, left) == nullptr) {
            return take_from_heap(bytes, alignment);
        }
        next_ = static_cast<std::byte*>(taken) + bytes;
        left_ = left - bytes;
        return taken;
    }

    void* take_from_heap(std::size_t bytes, std::size_t alignment) {
        if (!heap_) {
            heap_.emplace();
        }
        return heap_->allocate(bytes, alignment);
    }

    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        return take_bytes(bytes, alignment);
    }
    void do_deallocate(void* /*pointer*/,
                       std::size_t /*bytes*/,
                       std::size_t /*alignment*/) override {}
    [[nodiscard]] bool do_is_equal(
        const std::pmr::memory_resource& other) const noexcept override {
        return this == &other;
    }

    std::byte* next_;
    std::size_t left_;
    std::optional<std::pmr::monotonic_buffer_resource> heap_;  // once it is full
};

/// A list in an Arena that never grows beyond what was said at first.
template <class T>
class FixedList {
  public:
    static_assert(std::is_trivially_copyable_v<T>);

    FixedList(Arena& arena, std::size_t most) : begin_(arena.take<T>(most)) {}

    void clear() { size_ = 0; }
    void push_back(const T& value) { begin_[size_++] = value; }
    void assign(std::size_t count, const T& value) {
        size_ = count;
        for (std::size_t i = 0; i < count; ++i) {
            begin_[i] = value;
        }
    }
    void assign(std::span<const T> values) {
        size_ = values.size();
        for (std::size_t i = 0; i < size_; ++i) {
            begin_[i] = values[i];
        }
    }

    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] T& operator[](std::size_t index) { return begin_[index]; }
    [[nodiscard]] const T& operator[](std::size_t index) const { return begin_[index]; }
    [[nodiscard]] T& back() { return begin_[size_ - 1]; }
    [[nodiscard]] T* begin() { return begin_; }
    [[nodiscard]] T* end() { return begin_ + size_; }
    [[nodiscard]] const T* begin() const { return begin_; }
    [[nodiscard]] const T* end() const { return begin_ + size_; }

  private:
    T* begin_;
    std::size_t size_ = 0;
};

}  // namespace topoalloc
