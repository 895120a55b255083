// SPDX-License-Identifier: Apache-2.0
#include "explain/explain_internal.hpp"

namespace topoalloc {

std::vector<RequestItem> find_conflict(Prober& prober) {
    const Request& request = prober.request();
    const std::vector<RequestItem> items = items_of(request);
    KeptItems kept(items.size(), true);
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (!has_meaning(request, items, kept, i)) {
            continue;
        }
        kept[i] = false;
        // An item stays when the rest is feasible without it. An undecided one stays
        // too: the conflict is then one, and perhaps not minimal.
        if (prober.fits(with_items(request, items, kept, false)) != Fit::no) {
            kept[i] = true;
        }
    }
    std::vector<RequestItem> conflict;
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (kept[i] && has_meaning(request, items, kept, i)) {
            conflict.push_back(items[i]);
        }
    }
    return conflict;
}

}  // namespace topoalloc
