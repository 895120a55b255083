// SPDX-License-Identifier: Apache-2.0
//
// ChunkedMap: a map in the order of its keys that is copied in constant time. Chunks
// of some entries are shared between copies until one of them writes; a write copies
// one chunk, and after a copy the list of chunks.
#pragma once

#include "base/own.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace topoalloc {

/// As thread-safe as PagedVector. A write makes its own iterators invalid.
template <class Value>
class ChunkedMap {
    using Entry = std::pair<std::string, Value>;
    using Chunk = std::vector<Entry>;  ///< never empty
    using Chunks = std::vector<std::shared_ptr<Chunk>>;

  public:
    class Iterator {
      public:
        using iterator_category = std::forward_iterator_tag;
        using value_type = Entry;
        using difference_type = std::ptrdiff_t;

        Iterator() = default;
        Iterator(const Chunks* chunks, std::size_t chunk, std::size_t entry)
            : chunks_(chunks), chunk_(chunk), entry_(entry) {}
        [[nodiscard]] const Entry& operator*() const {
            return (*(*chunks_)[chunk_])[entry_];
        }
        [[nodiscard]] const Entry* operator->() const { return &**this; }
        Iterator& operator++() {
            if (++entry_ == (*chunks_)[chunk_]->size()) {
                ++chunk_;
                entry_ = 0;
            }
            return *this;
        }
        Iterator operator++(int) {
            Iterator before = *this;
            ++*this;
            return before;
        }
        [[nodiscard]] bool operator==(const Iterator&) const = default;

      private:
        const Chunks* chunks_ = nullptr;
        std::size_t chunk_ = 0, entry_ = 0;
    };

    ChunkedMap() : chunks_(std::make_shared<Chunks>()) {}

    [[nodiscard]] Iterator begin() const { return {chunks_.get(), 0, 0}; }
    [[nodiscard]] Iterator end() const { return {chunks_.get(), chunks_->size(), 0}; }
    [[nodiscard]] Iterator find(const std::string& key) const {
        const std::size_t chunk = chunk_of(key);
        if (chunk == chunks_->size()) {
            return end();
        }
        const Chunk& entries = *(*chunks_)[chunk];
        const std::size_t entry = entry_of(entries, key);
        return entry < entries.size() && entries[entry].first == key
                   ? Iterator(chunks_.get(), chunk, entry)
                   : end();
    }
    [[nodiscard]] bool contains(const std::string& key) const {
        return find(key) != end();
    }
    /// Requires: contains(key).
    [[nodiscard]] const Value& at(const std::string& key) const {
        return find(key)->second;
    }

    void insert_or_assign(const std::string& key, Value value) {
        Chunks& chunks = own(chunks_);
        if (chunks.empty()) {
            chunks.push_back(std::make_shared<Chunk>());
        }
        const std::size_t chunk = std::min(chunk_of(key), chunks.size() - 1);
        Chunk& entries = own(chunks[chunk]);
        const auto at =
            entries.begin() + static_cast<std::ptrdiff_t>(entry_of(entries, key));
        if (at != entries.end() && at->first == key) {
            at->second = std::move(value);
            return;
        }
        entries.insert(at, Entry(key, std::move(value)));
        if (entries.size() > std::size_t{most_entries}) {
            const auto half = entries.begin() + most_entries / 2;
            auto rest = std::make_shared<Chunk>(std::make_move_iterator(half),
                                                std::make_move_iterator(entries.end()));
            entries.erase(half, entries.end());
            chunks.insert(chunks.begin() + static_cast<std::ptrdiff_t>(chunk) + 1,
                          std::move(rest));
        }
    }
    void erase(const std::string& key) {
        if (!contains(key)) {
            return;
        }
        Chunks& chunks = own(chunks_);
        const std::size_t chunk = chunk_of(key);
        Chunk& entries = own(chunks[chunk]);
        entries.erase(entries.begin() +
                      static_cast<std::ptrdiff_t>(entry_of(entries, key)));
        if (entries.empty()) {
            chunks.erase(chunks.begin() + static_cast<std::ptrdiff_t>(chunk));
        }
    }

  private:
    static constexpr std::ptrdiff_t most_entries = 64;

    // The first chunk that does not end before the key.
    [[nodiscard]] std::size_t chunk_of(const std::string& key) const {
        const auto it = std::ranges::partition_point(*chunks_, [&](const auto& chunk) {
            return !chunk->empty() && chunk->back().first < key;
        });
        return static_cast<std::size_t>(it - chunks_->begin());
    }
    [[nodiscard]] static std::size_t entry_of(const Chunk& entries,
                                              const std::string& key) {
        const auto it = std::ranges::lower_bound(entries, key, {}, &Entry::first);
        return static_cast<std::size_t>(it - entries.begin());
    }

    std::shared_ptr<Chunks> chunks_;
};

}  // namespace topoalloc
