// SPDX-License-Identifier: Apache-2.0
//
// Texts that are compared and never read: numbers as their bytes, one after the other.
// Private to the claim room.
#pragma once

#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

namespace topoalloc {

template <class T>
void put(std::string& text, const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::size_t at = text.size();
    text.resize(at + sizeof(T));
    std::memcpy(text.data() + at, &value, sizeof(T));
}

template <class T>
void put(std::string& text, const std::vector<T>& values) {
    put(text, values.size());
    for (const T& value : values) {
        put(text, value);
    }
}

inline void put(std::string& text, const std::string& value) {
    put(text, value.size());
    text += value;
}

}  // namespace topoalloc
