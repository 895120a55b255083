// SPDX-License-Identifier: Apache-2.0
#include "cluster/gang_shape.hpp"
#include "explain/gang_explain_internal.hpp"
#include "explain/request_items.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

namespace topoalloc {
namespace {

PodSetCounts count_nodes_for(GangProber& prober, const PodSet& podset) {
    const ClusterData& data = prober.data();
    PodSetCounts out{podset.name, podset.min_count, {}, 0};
    std::vector<std::uint32_t> left = data.order();
    const auto filter = [&](std::string name, const auto& keeps) {
        std::erase_if(left, [&](std::uint32_t slot) { return !keeps(slot); });
        out.nodes.push_back({std::move(name), left.size()});
    };
    const auto described = [&](std::uint32_t slot) -> const NodeDescription& {
        return data.node(slot).info->described;
    };
    filter("in the cluster", [](std::uint32_t) { return true; });
    filter("not cordoned",
           [&](std::uint32_t slot) { return !data.node(slot).cordoned; });
    if (const std::string bar = prober.bar(); !bar.empty()) {
        filter(bar, [&](std::uint32_t slot) { return !prober.is_barred(slot); });
    }
    for (const Condition& condition : podset.where) {
        filter("where " + describe(condition), [&](std::uint32_t slot) {
            return is_eligible({condition}, {}, described(slot).labels, {});
        });
    }
    filter("with tolerated taints only", [&](std::uint32_t slot) {
        return is_eligible({}, podset.tolerations, {}, described(slot).taints);
    });
    filter("with room for one", [&](std::uint32_t slot) {
        const std::uint64_t copies = prober.copies(slot, podset.request).upper;
        out.copies += copies;
        return copies != 0;
    });
    return out;
}

// What of a Gang a Within speaks of: its PodSets that want a pod, and Groups of them.
Gang members_only(const Gang& gang, const std::vector<bool>& members) {
    Gang out;
    out.name = gang.name;
    std::vector<std::string> known;
    for (std::size_t p = 0; p < gang.podsets.size(); ++p) {
        if (!members[p]) {
            continue;
        }
        PodSet podset = gang.podsets[p];
        const bool divides =
            podset.slices.empty() || podset.min_count % podset.slices[0].size == 0;
        podset.count = divides ? podset.min_count : podset.count;
        podset.min_count = 0;
        podset.prefer.clear();
        known.push_back(podset.name);
        out.podsets.push_back(std::move(podset));
    }
    for (Group group : gang.groups) {
        std::erase_if(group.members, [&](const std::string& member) {
            return std::ranges::find(known, member) == known.end();
        });
        if (!group.members.empty()) {
            group.prefer.clear();
            known.push_back(group.name);
            out.groups.push_back(std::move(group));
        }
    }
    return out;
}

struct Candidate {
    std::vector<std::uint32_t> slots;
    std::uint64_t most = 0;    ///< pods that can be there, at most
    std::uint64_t copies = 0;  ///< of all members, each alone
};

std::string_view object_name(AlignLevel level) {
    switch (level) {
        case AlignLevel::l3:
            return "L3";
        case AlignLevel::numa:
            return "NUMANode";
        case AlignLevel::package:
            return "Package";
    }
    return {};
}

// "8 gpu and 4 cores".
std::string amounts_of(const Request& request) {
    std::vector<std::string> words;
    for (const DeviceRequest& wanted : request.devices) {
        words.push_back(std::to_string(wanted.count) + " free " + wanted.device_class);
    }
    if (request.cores != 0) {
        words.push_back(std::to_string(request.cores) + " free core" +
                        (request.cores == 1 ? "" : "s"));
    }
    if (request.pus != 0) {
        words.push_back(std::to_string(request.pus) + " free PU" +
                        (request.pus == 1 ? "" : "s"));
    }
    if (request.memory != 0) {
        words.push_back(describe_bytes(request.memory) + " of free memory");
    }
    for (const auto& [size, bytes] : request.hugepages) {
        if (bytes != 0) {
            words.push_back(describe_bytes(bytes) + " in free pages of " +
                            describe_bytes(size));
        }
    }
    return join_words(words);
}

// What a constraint asks for: "in one NUMANode".
std::string wish_of(const Request& request, std::size_t entry) {
    if (entry == request.require.size()) {
        return "with all that is required together";
    }
    const auto* align = std::get_if<Align>(&request.require[entry]);
    if (align == nullptr) {
        return "with " + describe(request.require[entry]);
    }
    return (align->of.empty() ? "" : join_words(align->of) + " ") + "in one " +
           std::string(object_name(align->level));
}

// Nodes that hold more copies of a Request without what it requires, by the entry that
// is to blame.
class NearMissFinder {
  public:
    NearMissFinder(GangProber& prober, const PodSet& podset)
        : prober_(prober), podset_(podset) {
        const Request& request = *podset.request;
        // Each entry alone, then all.
        for (std::size_t i = 0; i <= request.require.size(); ++i) {
            auto less = std::make_shared<Request>(request);
            if (i < request.require.size()) {
                less->require.erase(less->require.begin() +
                                    static_cast<std::ptrdiff_t>(i));
            } else {
                less->require.clear();
            }
            without_.push_back(std::move(less));
        }
    }

    std::vector<NearMiss> run(const std::vector<std::uint32_t>& slots) {
        for (const std::uint32_t slot : slots) {
            if (prober_.takes_pods(slot) && prober_.is_eligible_for(podset_, slot)) {
                look_at(slot);
            }
        }
        std::vector<NearMiss> out;
        for (auto& [why, nodes] : found_) {
            const auto& [entry, has_copies] = why;
            const std::string who = counted(nodes.size(), "node") +
                                    (nodes.size() == 1 ? " has " : " have ");
            out.push_back({who + (has_copies ? "more, " : "") +
                               amounts_of(*podset_.request) + ", but not " +
                               wish_of(*podset_.request, entry),
                           std::move(nodes)});
        }
        return out;
    }

  private:
    void look_at(std::uint32_t slot) {
        const std::uint64_t held = prober_.copies(slot, podset_.request).upper;
        if (podset_.request->require.empty() ||
            prober_.copies(slot, without_.back()).count <= held) {
            return;
        }
        std::size_t entry = 0;
        while (entry + 1 < without_.size() &&
               prober_.copies(slot, without_[entry]).count <= held) {
            ++entry;
        }
        found_[{entry, held != 0}].push_back(
            prober_.data().node(slot).info->described.name);
    }

    GangProber& prober_;
    const PodSet& podset_;
    Requests without_;
    std::map<std::pair<std::size_t, bool>, std::vector<std::string>> found_;
};

class BestDomainFinder {
  public:
    BestDomainFinder(GangProber& prober, const Gang& gang, const std::string& level)
        : prober_(prober), gang_(gang) {
        const auto& levels = prober.data().levels();
        const auto it = std::ranges::find(levels, level, &ClusterLevel::name);
        level_ = static_cast<std::size_t>(it - levels.begin());
    }

    /// Nullopt where it is not decided, or no node is in a Domain.
    std::optional<DomainFit> run(const std::vector<bool>& members) {
        const Gang asked = members_only(gang_, members);
        if (asked.podsets.empty()) {
            return std::nullopt;
        }
        DomainFit fit;
        for (std::size_t p = 0; p < members.size(); ++p) {
            fit.wanted += members[p] ? gang_.podsets[p].min_count : 0;
        }
        const Candidate* best = nullptr;
        const std::vector<Candidate> candidates = candidates_for(asked);
        for (const Candidate& candidate : candidates) {
            if (best != nullptr && candidate.most <= fit.fits) {
                break;
            }
            const auto pods = pods_in(asked, candidate);
            if (!pods) {
                return std::nullopt;
            }
            if (best == nullptr || *pods > fit.fits) {
                best = &candidate;
                fit.fits = *pods;
            }
        }
        if (best == nullptr) {
            return std::nullopt;
        }
        fit.domain = path_of(best->slots.front());
        for (const PodSet& podset : asked.podsets) {
            auto misses = NearMissFinder(prober_, podset).run(best->slots);
            std::ranges::move(misses, std::back_inserter(fit.near_misses));
        }
        return fit;
    }

  private:
    // Domains of the level, those that can hold most first, then in node order.
    std::vector<Candidate> candidates_for(const Gang& asked) {
        const ClusterData& data = prober_.data();
        std::vector<Candidate> out;
        std::map<std::uint32_t, std::size_t> position;
        for (const std::uint32_t slot : data.order()) {
            const bool is_node = level_ == data.levels().size();
            const std::uint32_t domain =
                is_node ? slot : data.node(slot).info->domains[level_];
            if (domain != no_index) {
                const auto [it, is_new] = position.try_emplace(domain, out.size());
                if (is_new) {
                    out.emplace_back();
                }
                out[it->second].slots.push_back(slot);
            }
        }
        for (Candidate& candidate : out) {
            add_bounds(asked, candidate);
        }
        std::ranges::stable_sort(out, [](const Candidate& a, const Candidate& b) {
            return std::pair(a.most, a.copies) > std::pair(b.most, b.copies);
        });
        return out;
    }

    void add_bounds(const Gang& asked, Candidate& candidate) {
        for (const PodSet& podset : asked.podsets) {
            std::uint64_t copies = 0;
            for (const std::uint32_t slot : candidate.slots) {
                copies += prober_.staying(podset, slot);
                if (prober_.takes_pods(slot) && prober_.is_eligible_for(podset, slot)) {
                    copies += prober_.copies(slot, podset.request).upper;
                }
            }
            candidate.copies += copies;
            candidate.most += std::min<std::uint64_t>(copies, wanted_of(podset));
        }
    }

    [[nodiscard]] std::uint32_t wanted_of(const PodSet& podset) const {
        return std::ranges::find(gang_.podsets, podset.name, &PodSet::name)->min_count;
    }

    std::optional<std::uint64_t> pods_in(const Gang& asked,
                                         const Candidate& candidate) {
        const auto most = prober_.most_pods(asked, candidate.slots);
        if (!most) {
            return std::nullopt;
        }
        std::uint64_t sum = 0;
        for (std::size_t p = 0; p < most->size(); ++p) {
            sum += std::min((*most)[p], wanted_of(asked.podsets[p]));
        }
        return sum;
    }

    [[nodiscard]] std::vector<std::string> path_of(std::uint32_t slot) const {
        const ClusterData& data = prober_.data();
        const NodeInfo& info = *data.node(slot).info;
        if (level_ == data.levels().size()) {
            return {info.described.name};
        }
        std::vector<std::string> path;
        for (std::size_t l = data.levels()[level_].first; l <= level_; ++l) {
            path.push_back(info.values[l].text);
        }
        return path;
    }

    GangProber& prober_;
    const Gang& gang_;
    std::size_t level_ = 0;
};

// The PodSets of each Group that want a pod.
std::vector<std::vector<bool>> group_members(const Gang& gang) {
    std::map<std::string, std::vector<bool>> of;
    for (std::size_t p = 0; p < gang.podsets.size(); ++p) {
        std::vector<bool> one(gang.podsets.size());
        one[p] = gang.podsets[p].min_count != 0;
        of.emplace(gang.podsets[p].name, std::move(one));
    }
    std::vector<std::vector<bool>> out;
    for (const Group& group : gang.groups) {
        std::vector<bool> all(gang.podsets.size());
        for (const std::string& member : group.members) {
            const std::vector<bool>& its = of.at(member);
            for (std::size_t p = 0; p < all.size(); ++p) {
                all[p] = all[p] || its[p];
            }
        }
        of.emplace(group.name, all);
        out.push_back(std::move(all));
    }
    return out;
}

}  // namespace

std::vector<PodSetCounts> count_nodes(GangProber& prober, const Gang& gang) {
    std::vector<PodSetCounts> out;
    for (const PodSet& podset : gang.podsets) {
        out.push_back(count_nodes_for(prober, podset));
    }
    return out;
}

std::vector<DomainFit> find_best_domains(GangProber& prober, const GangParts& parts) {
    const Gang& gang = parts.gang;
    const std::vector<std::vector<bool>> groups = group_members(gang);
    std::vector<DomainFit> out;
    for (const GangItem& item : parts.items) {
        std::vector<bool> members(gang.podsets.size());
        DomainFit names{path_of(item), {}, {}, {}, 0, 0, {}};
        if (item.kind == GangItemKind::group_require) {
            members = groups[item.of];
            names.who = gang.groups[item.of].name;
            names.level = gang.groups[item.of].require[item.index].level;
        } else if (item.kind == GangItemKind::require) {
            const PodSet& podset = gang.podsets[item.of];
            const auto* within = std::get_if<Within>(&podset.require[item.index]);
            if (within == nullptr) {
                continue;
            }
            members[item.of] = podset.min_count != 0;
            names.who = podset.name;
            names.level = within->level;
        } else {
            continue;
        }
        auto fit = BestDomainFinder(prober, gang, names.level).run(members);
        if (fit) {
            fit->path = names.path;
            fit->who = names.who;
            fit->level = names.level;
            out.push_back(std::move(*fit));
        }
    }
    return out;
}

}  // namespace topoalloc
