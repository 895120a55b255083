// SPDX-License-Identifier: Apache-2.0
#include "explain/explain_internal.hpp"

#include "node/reason.hpp"
#include "node/tree_plan.hpp"

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <set>
#include <utility>

namespace topoalloc {
namespace {

// Subsets of this many NUMANodes are enumerated; beyond it sizes are halved.
constexpr std::size_t most_enumerated_nodes = 10;
constexpr std::uint64_t base_page = 4096;

struct Fitting {
    std::uint64_t value = 0;
    Cost cost;
};

// The place of the largest of n ascending sizes that fits, by halving.
class LargestFit {
  public:
    using Attempt = std::function<std::optional<Cost>(std::uint64_t value)>;
    using Counting = std::function<bool(std::uint64_t value)>;
    using Guesser = std::function<Guess(std::uint64_t value)>;

    explicit LargestFit(Attempt attempt) : attempt_(std::move(attempt)) {}

    // Where smaller sizes are sure to fit when larger ones do. What counting refuses
    // costs no solve then, and the largest that it lets pass is most often the answer,
    // so that one is guessed first.
    LargestFit(Attempt attempt, Counting is_refused, Guesser guess)
        : attempt_(std::move(attempt)),
          is_refused_(std::move(is_refused)),
          guess_(std::move(guess)) {}

    // Among unit * 1, ..., unit * most.
    [[nodiscard]] std::optional<Fitting> find(std::uint64_t most,
                                              std::uint64_t unit) const {
        return search(most, [unit](std::uint64_t i) { return (i + 1) * unit; });
    }

    [[nodiscard]] std::optional<Fitting> find(
        const std::vector<std::uint64_t>& values) const {
        return search(values.size(), [&](std::uint64_t i) { return values[i]; });
    }

  private:
    template <class ValueAt>
    [[nodiscard]] std::optional<Fitting> search(std::uint64_t count,
                                                ValueAt value_at) const {
        std::optional<Fitting> best;
        std::uint64_t low = 0;
        std::uint64_t high = count;
        if (is_refused_) {
            high = first_refused(count, value_at);
            if (high == 0) {
                return best;
            }
            const Guess guess = guess_(value_at(high - 1));
            if (guess.fit == Fit::yes) {
                return Fitting{value_at(high - 1), guess.cost};
            }
            high -= guess.fit == Fit::no ? 1 : 0;
        }
        while (low < high) {
            const std::uint64_t middle = low + (high - low) / 2;
            if (const auto cost = attempt_(value_at(middle))) {
                best = Fitting{value_at(middle), *cost};
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return best;
    }

    template <class ValueAt>
    [[nodiscard]] std::uint64_t first_refused(std::uint64_t count,
                                              ValueAt value_at) const {
        std::uint64_t low = 0;
        std::uint64_t high = count;
        while (low < high) {
            const std::uint64_t middle = low + (high - low) / 2;
            if (is_refused_(value_at(middle))) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }

    Attempt attempt_;
    Counting is_refused_;
    Guesser guess_;
};

// Changes of the Request, one item at a time.
class RequestRelaxer {
  public:
    explicit RequestRelaxer(Prober& prober)
        : prober_(prober), request_(prober.request()), items_(items_of(request_)) {}

    [[nodiscard]] std::vector<Relaxation> run(
        const std::vector<RequestItem>& conflict) {
        for (const RequestItem& item : conflict) {
            relax(item);
        }
        return std::move(found_);
    }

  private:
    void relax(const RequestItem& item) {
        switch (item.kind) {
            case ItemKind::require:
                if (!weaken(item)) {
                    drop(item, "drop");
                }
                break;
            case ItemKind::where:
            case ItemKind::eligible:
            case ItemKind::exclude:
            case ItemKind::keep:
                drop(item, "drop");
                break;
            case ItemKind::pus:
                relax_pus(item);
                break;
            case ItemKind::memory:
            case ItemKind::hugepages:
                relax_bytes(item);
                break;
            case ItemKind::devices:
                relax_count(item);
                break;
        }
    }

    void add(std::string path, std::string change, std::string text, const Cost& cost) {
        found_.push_back({std::move(path), std::move(change), std::move(text), cost});
    }

    [[nodiscard]] Request without(const std::vector<RequestItem>& gone) const {
        KeptItems kept(items_.size(), true);
        for (std::size_t i = 0; i < items_.size(); ++i) {
            kept[i] = std::ranges::find(gone, items_[i]) == gone.end();
        }
        return with_items(request_, items_, kept, true);
    }

    void drop(const RequestItem& item, const std::string& change) {
        if (const auto cost = prober_.cost_of(without({item}))) {
            add(path_of(request_, item),
                change,
                "fits without " + text_of(request_, item),
                *cost);
        }
    }

    // Constraints: the next weaker form that fits.
    bool weaken(const RequestItem& item) {
        return std::visit([&](const auto& c) { return weaken_one(item, c); },
                          request_.require[item.index]);
    }

    bool try_weaker(const RequestItem& item,
                    Constraint weaker,
                    const std::string& change,
                    const std::string& text) {
        Request changed = request_;
        changed.require[item.index] = std::move(weaker);
        const auto cost = prober_.cost_of(changed);
        if (cost) {
            add(path_of(request_, item), change, text, *cost);
        }
        return cost.has_value();
    }

    bool weaken_one(const RequestItem& item, const Align& align) {
        for (const AlignLevel level : {AlignLevel::numa, AlignLevel::package}) {
            if (level <= align.level) {
                continue;
            }
            CompiledRequest changed = prober_.compiled();
            auto* weaker = std::get_if<CompiledAlign>(&changed.require[item.index]);
            if (weaker == nullptr) {
                return false;
            }
            weaker->level = level;
            std::get<Align>(changed.request.require[item.index]).level = level;
            if (const auto cost = prober_.cost_of(changed)) {
                const std::string name(align_level_name(level));
                add(path_of(request_, item),
                    "level=" + name,
                    "fits at " + name + " instead of " +
                        std::string(align_level_name(align.level)),
                    *cost);
                return true;
            }
        }
        return false;
    }

    template <class Within>
    bool widen(const RequestItem& item,
               const Within& constraint,
               const std::string& what) {
        for (auto level = static_cast<std::uint8_t>(constraint.within) + 1U;
             level < level_count;
             ++level) {
            Within weaker = constraint;
            weaker.within = static_cast<Level>(level);
            const std::string name(level_name(weaker.within));
            if (try_weaker(item,
                           weaker,
                           "within=" + name,
                           "fits with " + what + " within " + name + " instead of " +
                               std::string(level_name(constraint.within)))) {
                return true;
            }
        }
        return false;
    }

    bool weaken_one(const RequestItem& item, const Pair& pair) {
        return widen(item, pair, pair.a + " and " + pair.b + " paired");
    }

    bool weaken_one(const RequestItem& item, const Near& near) {
        return widen(item, near, "everything near " + join_words(near.devices));
    }

    bool weaken_one(const RequestItem& item, const Link& link) {
        // Only speeds that the Machine has make a difference.
        const Machine& machine = prober_.machine();
        std::set<std::uint64_t, std::greater<>> speeds;
        for (std::uint32_t a = 0; a < machine.devices().size(); ++a) {
            for (std::uint32_t b = a + 1; b < machine.devices().size(); ++b) {
                const std::uint64_t speed = machine.link_mb_s(a, b);
                if (speed != 0 && speed < link.min_mb_s &&
                    machine.devices()[a].device_class == link.device_class &&
                    machine.devices()[b].device_class == link.device_class) {
                    speeds.insert(speed);
                }
            }
        }
        return std::ranges::any_of(speeds, [&](std::uint64_t speed) {
            Link weaker = link;
            weaker.min_mb_s = speed;
            return try_weaker(item,
                              weaker,
                              "min_mb_s=" + std::to_string(speed),
                              "fits with links of at least " + std::to_string(speed) +
                                  " MB/s instead of " + std::to_string(link.min_mb_s));
        });
    }

    static bool weaken_one(const RequestItem& /*item*/, const Same& /*same*/) {
        return false;
    }
    static bool weaken_one(const RequestItem& /*item*/, const Distinct& /*distinct*/) {
        return false;
    }

    void relax_pus(const RequestItem& item) {
        const bool by_core = request_.cores != 0;
        const std::uint32_t asked = by_core ? request_.cores : request_.pus;
        const std::string name = by_core ? "cores" : "pus";
        const std::uint64_t unit = request_.whole_cores ? smallest_core() : 1;
        CompiledRequest changed = prober_.compiled();
        const auto set = [&](std::uint64_t value) {
            (by_core ? changed.request.cores : changed.request.pus) =
                static_cast<std::uint32_t>(value);
        };
        // Bytes move with the PUs, and cores of several sizes do not add up to every
        // number of PUs.
        const LargestFit largest =
            largest_fit(changed,
                        set,
                        request_.keep.empty() && !changed.wants_bytes &&
                            (by_core || !request_.whole_cores || cores_are_alike()));
        const std::uint64_t free = by_core ? prober_.state().whole_cores().count()
                                           : prober_.state().free_pus().count();
        const std::uint64_t most = std::min<std::uint64_t>(asked - 1, free) / unit;
        if (const auto fit = largest.find(most, unit)) {
            const std::string value = std::to_string(fit->value);
            add(name,
                name + "=" + value,
                "fits with " + value + " " +
                    (fit->value == 1 ? name.substr(0, name.size() - 1) : name) +
                    " instead of " + std::to_string(asked),
                fit->cost);
        } else {
            drop(item, name + "=0");
        }
    }

    // Sets one amount of a Request made ready and solves it.
    template <class Set>
    [[nodiscard]] LargestFit largest_fit(const CompiledRequest& changed,
                                         const Set& set,
                                         bool is_monotone) {
        const auto attempt = [this, &changed, &set](std::uint64_t value) {
            set(value);
            return prober_.cost_of(changed);
        };
        if (!is_monotone) {
            return LargestFit(attempt);
        }
        return LargestFit(
            attempt,
            [this, &changed, &set](std::uint64_t value) {
                set(value);
                return find_shortage(prober_.state(), changed).has_value();
            },
            [this, &changed, &set](std::uint64_t value) {
                set(value);
                return prober_.guess(changed);
            });
    }

    [[nodiscard]] bool cores_are_alike() const {
        const std::size_t least = smallest_core();
        return std::ranges::all_of(prober_.machine().cores(), [&](const Domain& core) {
            return core.pus.count() == least;
        });
    }

    [[nodiscard]] std::uint64_t smallest_core() const {
        std::size_t least = prober_.machine().pus().size();
        for (const Domain& core : prober_.machine().cores()) {
            least = std::min(least, core.pus.count());
        }
        return std::max<std::size_t>(least, 1);
    }

    void relax_bytes(const RequestItem& item) {
        const std::uint64_t size = item.kind == ItemKind::memory ? 0 : item.page_size;
        const std::uint64_t asked =
            size == 0 ? request_.memory : request_.hugepages.at(size);
        CompiledRequest changed = prober_.compiled();
        const auto& sizes = prober_.machine().page_sizes();
        const auto set = [&](std::uint64_t value) {
            (size == 0 ? changed.request.memory : changed.request.hugepages.at(size)) =
                value;
            const auto index = std::ranges::find(sizes, size) - sizes.begin();
            changed.bytes[static_cast<std::size_t>(index)] = value;
        };
        // Sums of what is free are seldom refused by counting: halving finds sooner.
        const LargestFit largest = largest_fit(changed, set, false);
        const auto fit = find_bytes(largest, size, asked);
        const std::string path = path_of(request_, item);
        if (fit) {
            const auto texts = describe_amounts({asked, fit->value});
            add(path,
                "bytes=" + std::to_string(fit->value),
                "fits with " + texts[1] + " of " + path + " instead of " + texts[0],
                fit->cost);
        } else {
            drop(item, "bytes=0");
        }
    }

    // The largest amount that fits drains some NUMANodes and touches no other: it is a
    // sum of what is free on them.
    [[nodiscard]] std::optional<Fitting> find_bytes(const LargestFit& largest,
                                                    std::uint64_t page_size,
                                                    std::uint64_t asked) const {
        const NodeState& state = prober_.state();
        const auto& sizes = prober_.machine().page_sizes();
        const auto it = std::ranges::find(sizes, page_size);
        if (it == sizes.end()) {
            return std::nullopt;
        }
        std::vector<std::uint64_t> free;
        std::uint64_t total = 0;
        for (std::uint32_t n = 0; n < prober_.machine().numa_nodes().size(); ++n) {
            const std::uint64_t bytes =
                state.free_bytes(n, static_cast<std::uint32_t>(it - sizes.begin()));
            if (bytes != 0 && prober_.machine().numa_nodes()[n].kind == request_.kind) {
                free.push_back(bytes);
                total += bytes;
            }
        }
        if (free.size() > most_enumerated_nodes) {
            const std::uint64_t unit = page_size == 0 ? base_page : page_size;
            return largest.find(std::min(total, asked - 1) / unit, unit);
        }
        std::set<std::uint64_t> sums{0};
        for (const std::uint64_t bytes : free) {
            const std::set<std::uint64_t> before = sums;
            for (const std::uint64_t sum : before) {
                sums.insert(sum + bytes);
            }
        }
        std::vector<std::uint64_t> values;
        for (const std::uint64_t sum : sums) {
            if (sum != 0 && sum < asked) {
                values.push_back(sum);
            }
        }
        return largest.find(values);
    }

    // Classes that Pairs tie together shrink together: their counts stay in proportion.
    [[nodiscard]] std::set<std::size_t> tied_classes(std::size_t first) const {
        std::set<std::size_t> tied{first};
        const auto has = [&](const std::string& name) {
            return std::ranges::any_of(tied, [&](std::size_t i) {
                return request_.devices[i].device_class == name;
            });
        };
        const auto index_of = [&](const std::string& name) {
            return static_cast<std::size_t>(
                std::ranges::find(
                    request_.devices, name, &DeviceRequest::device_class) -
                request_.devices.begin());
        };
        std::vector<const Pair*> pairs;
        for (const auto* list : {&request_.require, &request_.prefer}) {
            for (const Constraint& constraint : *list) {
                if (const auto* pair = std::get_if<Pair>(&constraint)) {
                    pairs.push_back(pair);
                }
            }
        }
        const auto joins = [&](const Pair* pair) {
            return has(pair->a) != has(pair->b);
        };
        for (auto it = std::ranges::find_if(pairs, joins); it != pairs.end();
             it = std::ranges::find_if(pairs, joins)) {
            tied.insert(index_of(has((*it)->a) ? (*it)->b : (*it)->a));
        }
        return tied;
    }

    void relax_count(const RequestItem& item) {
        const std::set<std::size_t> tied = tied_classes(item.index);
        if (!done_.insert(*tied.begin()).second) {
            return;
        }
        std::uint32_t steps = 0;
        for (const std::size_t i : tied) {
            steps = std::gcd(steps, request_.devices[i].count);
        }
        CompiledRequest changed = prober_.compiled();
        const auto set = [&](std::uint64_t value) {
            for (const std::size_t i : tied) {
                const auto count = static_cast<std::uint32_t>(
                    request_.devices[i].count / steps * value);
                changed.request.devices[i].count = count;
                changed.needs[i].count = count;
            }
            changed.tree = std::make_shared<LazyTreePlan>();
        };
        const LargestFit largest =
            largest_fit(changed, set, can_shrink_alike(tied.size()));
        if (const auto fit = largest.find(steps - 1, 1)) {
            add_count(tied, steps, *fit);
            return;
        }
        std::vector<RequestItem> gone;
        for (const std::size_t i : tied) {
            gone.push_back({ItemKind::devices, i, 0, 0});
        }
        if (const auto cost = prober_.cost_of(without(gone))) {
            add_count(tied, steps, {0, *cost});
        }
    }

    // Whether fewer devices of so many tied classes are sure to fit when more do. Of
    // two classes a matched group can go; of three, no group of one Pair need be one of
    // the next. Links that join all may run through what goes.
    [[nodiscard]] bool can_shrink_alike(std::size_t tied) const {
        return tied <= 2 && request_.keep.empty() &&
               std::ranges::none_of(request_.require, [](const Constraint& constraint) {
                   const auto* link = std::get_if<Link>(&constraint);
                   return link != nullptr && link->mode == LinkMode::connected;
               });
    }

    void add_count(const std::set<std::size_t>& tied,
                   std::uint32_t steps,
                   const Fitting& fit) {
        std::vector<std::string> paths;
        std::vector<std::string> changes;
        std::vector<std::string> now;
        std::vector<std::string> before;
        for (const std::size_t i : tied) {
            const DeviceRequest& wanted = request_.devices[i];
            const std::string& name = wanted.device_class;
            const std::string count = std::to_string(wanted.count / steps * fit.value);
            paths.push_back("devices." + name);
            changes.push_back((tied.size() == 1 ? "count" : name) + "=" + count);
            now.push_back(fit.value == 0 ? name : count + " " + name);
            before.push_back(std::to_string(wanted.count));
        }
        const auto comma = [](const std::vector<std::string>& words) {
            std::string out;
            for (const std::string& word : words) {
                out += (out.empty() ? "" : ",") + word;
            }
            return out;
        };
        const std::string text =
            fit.value == 0
                ? "fits without " + join_words(now)
                : "fits with " + join_words(now) + " instead of " + join_words(before);
        add(comma(paths), comma(changes), text, fit.cost);
    }

    Prober& prober_;
    const Request& request_;
    std::vector<RequestItem> items_;
    std::vector<Relaxation> found_;
    std::set<std::size_t> done_;  // first class of each tied group
};

// What the conflict is about: only its giving back can help.
struct Wanted {
    bool pus = false, memory = false, devices = false;

    explicit Wanted(const std::vector<RequestItem>& conflict) {
        for (const RequestItem& item : conflict) {
            pus = pus || item.kind == ItemKind::pus;
            memory = memory || item.kind == ItemKind::memory ||
                     item.kind == ItemKind::hugepages;
            devices = devices || item.kind == ItemKind::devices;
        }
    }

    [[nodiscard]] bool is_met_by(const Placement& placement) const {
        return (pus && !placement.pus.empty()) ||
               (memory && !placement.memory.empty()) ||
               (devices && !placement.devices.empty());
    }
};

// Whether the state holds this Placement, so that releasing it has a meaning.
bool is_held(const NodeState& state, const Placement& placement) {
    const Machine& machine = state.machine();
    return placement.pus.is_subset_of(state.owned_pus()) &&
           std::ranges::all_of(
               placement.memory,
               [&](const MemoryGrant& grant) {
                   const std::uint64_t free =
                       state.free_bytes(grant.numa_node, grant.page_size_index);
                   return machine.allowed_numa_nodes().test(grant.numa_node) &&
                          grant.bytes <= machine.numa_nodes()[grant.numa_node]
                                                 .bytes[grant.page_size_index] -
                                             free;
               }) &&
           std::ranges::all_of(placement.devices, [&](const DeviceGrant& grant) {
               return state.device_holds()[machine.devices()[grant.device].root] != 0;
           });
}

void relax_by_owners(Prober& prober,
                     const Wanted& wanted,
                     const std::map<std::string, Holding>& holdings,
                     const std::string& asking,
                     std::vector<Relaxation>& found) {
    std::optional<NodeState> state;
    for (const auto& [owner, holding] : holdings) {
        if (owner == asking || !wanted.is_met_by(holding.placement) ||
            !is_held(prober.state(), holding.placement)) {
            continue;
        }
        if (!state) {
            state.emplace(prober.state());
        }
        state->release(holding.placement);
        const Answer answer = prober.solve_on(*state);
        state->take(holding.placement);
        if (Prober::fit_of(answer.status) == Fit::yes) {
            found.push_back({"owner:" + owner,
                             "release",
                             "fits if owner " + owner + " leaves",
                             answer.placement.cost});
        }
    }
}

void relax_by_cordons(Prober& prober,
                      const Wanted& wanted,
                      std::vector<Relaxation>& found) {
    const Machine& machine = prober.machine();
    const Bitmap& cordoned_pus = prober.state().cordoned_pus();
    if (wanted.pus && !cordoned_pus.empty()) {
        NodeState state = prober.state();
        cordoned_pus.for_each([&](std::size_t pu) {
            state.cordon_pu(static_cast<std::uint32_t>(pu), false);
        });
        const Answer answer = prober.solve_on(state);
        if (Prober::fit_of(answer.status) == Fit::yes) {
            const std::string list = machine.pus_to_os(cordoned_pus).to_list();
            found.push_back({"pus:" + list,
                             "uncordon",
                             "fits if PUs " + list + " are uncordoned",
                             answer.placement.cost});
        }
    }
    if (!wanted.devices || prober.state().cordoned_devices().empty()) {
        return;
    }
    NodeState state = prober.state();
    prober.state().cordoned_devices().for_each([&](std::size_t index) {
        const auto device = static_cast<std::uint32_t>(index);
        state.cordon_device(device, false);
        const Answer answer = prober.solve_on(state);
        state.cordon_device(device, true);
        if (Prober::fit_of(answer.status) == Fit::yes) {
            const std::string& name = machine.devices()[device].name;
            found.push_back({"device:" + name,
                             "uncordon",
                             "fits if " + name + " is uncordoned",
                             answer.placement.cost});
        }
    });
}

}  // namespace

std::vector<Relaxation> find_relaxations(Prober& prober,
                                         const std::vector<RequestItem>& conflict,
                                         const std::map<std::string, Holding>& holdings,
                                         const std::string& owner) {
    // A single change that makes a Request feasible breaks every conflict, this one
    // too: only what the conflict names needs to be tried.
    std::vector<Relaxation> found = RequestRelaxer(prober).run(conflict);
    const Wanted wanted(conflict);
    relax_by_owners(prober, wanted, holdings, owner, found);
    relax_by_cordons(prober, wanted, found);
    return found;
}

}  // namespace topoalloc
