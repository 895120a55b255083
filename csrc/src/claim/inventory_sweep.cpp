// SPDX-License-Identifier: Apache-2.0
//
// Many nodes at once: those that the claims can not tell apart are answered together.
#include "claim/byte_text.hpp"
#include "claim/device_sites.hpp"
#include "claim/inventory_store.hpp"
#include "claim/outcome_reader.hpp"
#include "claim/view_answer.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace topoalloc {
namespace {

/// By demand of the claims: the selectors, as the inventory knows them.
using SelectorChains = std::vector<std::vector<std::size_t>>;

SelectorChains chains_of(const PreparedClaims& claims) {
    SelectorChains chains;
    for (const ResourceClaimSpec& claim : claims.claims) {
        for (const ClaimRequest& request : claim.requests) {
            for (const ClaimDemand& demand : request.demands) {
                std::vector<std::size_t>& chain = chains.emplace_back();
                for (const std::size_t selector : demand.selectors) {
                    chain.push_back(claims.selectors[selector]);
                }
            }
        }
    }
    return chains;
}

// Equal for nodes that the claims can not tell apart. Nothing where a selector was
// not asked yet.
std::optional<std::string> key_of(InventoryStore& store,
                                  SeenNode& seen,
                                  const PreparedClaims& claims,
                                  const SelectorChains& chains,
                                  ClaimChoice choice) {
    std::string key;
    const NodeDevices& node = seen.view->node;
    put(key, seen.forms.fixed(node, store.forms));
    for (const ResourceClaimSpec& claim : claims.claims) {
        for (const ClaimConstraint& constraint : claim.constraints) {
            put(key, seen.forms.attribute(node, constraint.attribute, store.forms));
        }
    }
    if (choice == ClaimChoice::optimal) {
        for (const std::string& name : site_attributes()) {
            put(key, seen.forms.attribute(node, name, store.forms));
        }
    }
    for (const std::vector<std::size_t>& chain : chains) {
        const auto form = seen.forms.outcomes(
            seen.view->outcomes, chain, store.revision, store.forms);
        if (!form) {
            return std::nullopt;
        }
        put(key, *form);
    }
    return key;
}

}  // namespace

SweepAnswer DeviceInventory::ask_nodes(const std::vector<std::string>& nodes,
                                       const PreparedClaims& claims,
                                       ClaimChoice choice,
                                       SearchLimits limits) const {
    SweepAnswer out;
    {
        const std::scoped_lock lock(impl_->mutex);
        impl_->forget_forms_if_many();
        OutcomeReader reader(claims);
        const SelectorChains chains = chains_of(claims);
        std::unordered_map<std::string, std::size_t> numbers;
        for (const std::string& node : nodes) {
            SeenNode& seen = impl_->node_of(node);
            std::optional<std::string> key =
                key_of(*impl_, seen, claims, chains, choice);
            if (!key) {
                static_cast<void>(reader.of(*seen.view));
                continue;
            }
            const auto [it, is_new] =
                numbers.try_emplace(std::move(*key), out.answers.size());
            if (is_new) {
                InventoryAnswer& made = out.answers.emplace_back();
                made.view = seen.view;
                made.outcomes = reader.of(*seen.view);
            }
            out.answer_of.push_back(it->second);
            out.views.push_back(seen.view);
        }
        out.gaps = reader.take_gaps();
    }
    if (out.gaps.empty()) {
        for (InventoryAnswer& each : out.answers) {
            each.answer = answer_of(each, claims, choice, limits);
        }
    }
    return out;
}

InventoryAnswer SweepAnswer::at(std::size_t node) const {
    const InventoryAnswer& first = answers[answer_of[node]];
    InventoryAnswer out = first;
    out.view = views[node];
    if (out.answer.fault && !out.answer.fault->pool.empty()) {
        // Alike nodes have alike pools in one order, under names of their own.
        ClaimFault& fault = *out.answer.fault;
        const auto& pools = first.view->node.pools;
        const auto it = std::ranges::find_if(pools, [&](const NodePool& pool) {
            return pool.any->driver == fault.driver && pool.any->pool == fault.pool;
        });
        const NodePool& own =
            out.view->node.pools[static_cast<std::size_t>(it - pools.begin())];
        fault.driver = own.any->driver;
        fault.pool = own.any->pool;
        fault.detail = own.fault;
    }
    return out;
}

}  // namespace topoalloc
