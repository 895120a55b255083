// SPDX-License-Identifier: Apache-2.0
//
// The order of names in which runs of digits compare as numbers: nic2 before nic10.
#pragma once

#include <string_view>

namespace topoalloc {

/// Negative, zero or positive as `a` is before, equal to or after `b`. Zero means equal
/// bytes: names that differ in leading zeros alone are in byte order.
[[nodiscard]] int compare_natural(std::string_view a, std::string_view b);

}  // namespace topoalloc
