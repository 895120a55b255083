// SPDX-License-Identifier: Apache-2.0
//
// PagedVector: a vector that is copied in constant time. Pages are shared between
// copies until one of them writes; a write copies one page, and after a copy the list
// of pages.
#pragma once

#include "base/own.hpp"

#include <array>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace topoalloc {

/// One copy may be read while another is written, by any threads; each copy by itself
/// is as thread-safe as a std::vector.
/// @tparam page_size  elements that a write copies while they are shared
template <class T, std::size_t page_size = 64>
class PagedVector {
  public:
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }

    [[nodiscard]] const T& operator[](std::size_t index) const {
        return (*(*pages_)[index / page_size])[index % page_size];
    }
    /// The element, to be changed.
    [[nodiscard]] T& at_own(std::size_t index) {
        return own((own(pages_))[index / page_size])[index % page_size];
    }
    void push_back(T value) {
        if (size_ % page_size == 0) {
            if (!pages_) {
                pages_ = std::make_shared<Pages>();
            }
            own(pages_).push_back(std::make_shared<Page>());
        }
        ++size_;
        at_own(size_ - 1) = std::move(value);
    }
    void resize(std::size_t size) {
        while (size_ < size) {
            push_back(T{});
        }
    }

  private:
    using Page = std::array<T, page_size>;
    using Pages = std::vector<std::shared_ptr<Page>>;

    std::shared_ptr<Pages> pages_;
    std::size_t size_ = 0;
};

}  // namespace topoalloc
