// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/machine_spec.hpp"

#include <array>
#include <charconv>
#include <cstdio>

namespace topoalloc {
namespace {

// Reads all of `text` as hexadecimal digits, `least` to `most` of them.
std::optional<std::uint32_t> read_hex(std::string_view text,
                                      std::size_t least,
                                      std::size_t most) {
    std::uint32_t value = 0;
    if (text.size() < least || text.size() > most) {
        return std::nullopt;
    }
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

}  // namespace

std::string PciAddress::to_string() const {
    std::array<char, 24> text{};
    const int length = std::snprintf(text.data(),
                                     text.size(),
                                     "%04x:%02x:%02x.%x",
                                     static_cast<unsigned>(domain),
                                     static_cast<unsigned>(bus),
                                     static_cast<unsigned>(device),
                                     static_cast<unsigned>(function));
    return {text.data(), static_cast<std::size_t>(length)};
}

std::optional<PciAddress> PciAddress::parse(std::string_view text) {
    const std::size_t dot = text.rfind('.');
    if (dot == std::string_view::npos || dot == 0) {
        return std::nullopt;
    }
    const std::size_t colon = text.rfind(':', dot);
    if (colon == std::string_view::npos || colon == 0) {
        return std::nullopt;
    }
    const std::size_t domain_colon = text.rfind(':', colon - 1);
    const bool has_domain = domain_colon != std::string_view::npos;
    const std::size_t bus_begin = has_domain ? domain_colon + 1 : 0;
    const auto domain = has_domain ? read_hex(text.substr(0, domain_colon), 1, 8)
                                   : std::optional<std::uint32_t>(0);
    const auto bus = read_hex(text.substr(bus_begin, colon - bus_begin), 1, 2);
    const auto device = read_hex(text.substr(colon + 1, dot - colon - 1), 1, 2);
    const auto function = read_hex(text.substr(dot + 1), 1, 1);
    constexpr std::uint32_t device_limit = 32;
    constexpr std::uint32_t function_limit = 8;
    if (!domain || !bus || !device || !function || *device >= device_limit ||
        *function >= function_limit) {
        return std::nullopt;
    }
    return PciAddress{*domain,
                      static_cast<std::uint8_t>(*bus),
                      static_cast<std::uint8_t>(*device),
                      static_cast<std::uint8_t>(*function)};
}

}  // namespace topoalloc
