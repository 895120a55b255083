// SPDX-License-Identifier: Apache-2.0
//
// own(): what several values share, to be changed by one of them.
#pragma once

#include <memory>

namespace topoalloc {

/// The object, copied first where others share it. Others may read it meanwhile.
/// Requires: not null.
template <class T>
[[nodiscard]] T& own(std::shared_ptr<T>& shared) {
    if (shared.use_count() > 1) {
        shared = std::make_shared<T>(*shared);
    } else {
        // use_count() is a relaxed read; a reference made and dropped orders it after
        // the other owner's last use.
        std::shared_ptr<T> probe = shared;
        probe.reset();
    }
    return *shared;
}

}  // namespace topoalloc
