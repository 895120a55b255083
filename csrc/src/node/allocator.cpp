// SPDX-License-Identifier: Apache-2.0
#include "topoalloc/allocator.hpp"

#include "node/joint.hpp"
#include "node/placement_cost.hpp"
#include "topoalloc/errors.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace topoalloc {
namespace {

std::string quoted(const std::string& text) {
    return "'" + text + "'";
}

bool is_placed(Status status) {
    return status == Status::optimal || status == Status::feasible;
}

bool is_proof(Status status) {
    return status == Status::optimal || status == Status::infeasible;
}

void demand_index(const char* name, std::size_t index, std::size_t count) {
    if (index >= count) {
        throw InvalidRequestError(std::string(name) + ": " + std::to_string(index) +
                                  ", want an index below " + std::to_string(count));
    }
}

void demand_indices(const Machine& machine, const Placement& placement) {
    if (const std::size_t last = placement.pus.last(); last != Bitmap::npos) {
        demand_index("pus", last, machine.pus().size());
    }
    for (const MemoryGrant& grant : placement.memory) {
        demand_index("memory.numa_node", grant.numa_node, machine.numa_nodes().size());
        demand_index("memory.page_size_index",
                     grant.page_size_index,
                     machine.page_sizes().size());
    }
    for (const DeviceGrant& grant : placement.devices) {
        demand_index("devices", grant.device, machine.devices().size());
    }
}

void demand_no_gpu_memory(const Machine& machine, const Placement& placement) {
    for (const MemoryGrant& grant : placement.memory) {
        const NumaNode& node = machine.numa_nodes()[grant.numa_node];
        if (node.kind == MemoryKind::gpu) {
            throw InvalidRequestError(
                "memory: NUMANode " + std::to_string(node.os_index) +
                " is GPU memory, which is not handed out as memory, want a NUMANode "
                "of another kind");
        }
    }
}

// Brings a Placement from elsewhere into the order of ours: no zero grants, grants of
// one kind added up, indices ascending.
void normalise(Placement& placement) {
    std::erase_if(placement.memory, [](const MemoryGrant& g) { return g.bytes == 0; });
    std::ranges::sort(placement.memory, {}, [](const MemoryGrant& g) {
        return std::pair(g.numa_node, g.page_size_index);
    });
    std::vector<MemoryGrant> merged;
    for (const MemoryGrant& grant : placement.memory) {
        if (!merged.empty() && merged.back().numa_node == grant.numa_node &&
            merged.back().page_size_index == grant.page_size_index) {
            merged.back().bytes += grant.bytes;
        } else {
            merged.push_back(grant);
        }
    }
    placement.memory = std::move(merged);
    std::ranges::sort(placement.devices, {}, &DeviceGrant::device);
}

// Finds what is not free, part by part, so that the message can name it.
[[noreturn]] void refuse_take(const NodeState& state,
                              const Placement& placement,
                              bool ignore_cordons) {
    const Machine& machine = state.machine();
    const auto fits = [&](const Placement& part) {
        return state.can_take(part, ignore_cordons);
    };
    Bitmap not_free;
    placement.pus.for_each([&](std::size_t pu) {
        Placement part;
        part.pus.set(pu);
        if (!fits(part)) {
            not_free.set(pu);
        }
    });
    if (!not_free.empty()) {
        throw StateError("pus: " + machine.pus_to_os(not_free).to_list() +
                         " not free, want free PUs");
    }
    Placement memory;
    memory.memory = placement.memory;
    if (!fits(memory)) {
        for (const MemoryGrant& grant : placement.memory) {
            memory.memory = {grant};
            if (!fits(memory)) {
                const NumaNode& node = machine.numa_nodes()[grant.numa_node];
                const std::uint64_t free =
                    state.free_bytes(grant.numa_node, grant.page_size_index);
                throw StateError("memory: " + std::to_string(grant.bytes) +
                                 " bytes of NUMANode " + std::to_string(node.os_index) +
                                 " with " + std::to_string(free) +
                                 " free, want whole pages of what is free");
            }
        }
    }
    Placement devices;
    for (const DeviceGrant& grant : placement.devices) {
        devices.devices.push_back(grant);
        if (!fits(devices)) {
            throw StateError(
                "devices: " + quoted(machine.devices()[grant.device].name) +
                " not free, want a free device");
        }
    }
    throw InternalError("take: refused for no reason, want one; please report");
}

[[noreturn]] void refuse_without_holding(const std::string& owner) {
    throw StateError("owner: " + quoted(owner) +
                     " holds nothing, want an owner of a Placement");
}

bool holds_device(const Machine& machine,
                  const Placement& placement,
                  std::uint32_t device) {
    return std::ranges::any_of(placement.devices, [&](const DeviceGrant& grant) {
        const std::uint32_t root = machine.devices()[grant.device].root;
        const bool is_whole_root = root == grant.device && grant.share.empty();
        return grant.device == device || root == device ||
               (is_whole_root && machine.devices()[device].root == root);
    });
}

// What `shared` points to, to be changed: copied first when a Verdict or a fork shares
// it. Requires: the lock.
//
// A count of 1 is ours alone: others copy their own reference only, and new ones are
// made from ours under the lock. That the last reader is done must be visible here too,
// and use_count() is a relaxed read: one more reference, made and dropped, changes the
// count with acquire after the reader's release of it.
template <class T>
T& make_writable(std::shared_ptr<T>& shared) {
    if (shared.use_count() > 1) {
        shared = std::make_shared<T>(*shared);
    } else {
        std::shared_ptr<T> probe = shared;
        probe.reset();
    }
    return *shared;
}

Verdict ask(const std::shared_ptr<const CompiledRequest>& request,
            const std::string& owner,
            Policy policy,
            SearchLimits limits) {
    Verdict verdict;
    verdict.request = request;
    verdict.policy = policy;
    verdict.limits = limits;
    verdict.owner = owner;
    return verdict;
}

Holding holding_of(const std::shared_ptr<const CompiledRequest>& request,
                   const Placement& placement,
                   Status status) {
    // The Request lives in the compiled one: both are shared, nothing is copied.
    return {{request, &request_of(*request)}, placement, status};
}

// The answer that an owner has got for an equal Request.
Answer repeat(const Holding& held, const Request& request, const std::string& owner) {
    const Request* before = held.request.get();
    if (before == nullptr || (before != &request && !(*before == request))) {
        throw StateError(
            "owner: " + quoted(owner) +
            " holds a Placement of another Request, want the equal Request, "
            "resize or release");
    }
    const Reason reason =
        held.status == Status::optimal ? Reason::placed : Reason::step_limit;
    return {held.status, reason, 0, held.placement};
}

std::vector<std::shared_ptr<const CompiledRequest>> requests_of(
    const std::vector<Allocator::NamedRequest>& named) {
    std::vector<std::shared_ptr<const CompiledRequest>> out;
    out.reserve(named.size());
    for (const auto& [owner, request] : named) {
        out.push_back(request);
    }
    return out;
}

}  // namespace

Verdict asked(const BatchAnswers& batch, std::size_t index) {
    const auto state = std::make_shared<NodeState>(*batch.state);
    const auto holdings =
        std::make_shared<std::map<std::string, Holding>>(*batch.holdings);
    for (std::size_t i = 0; i < index; ++i) {
        const Verdict& before = batch.verdicts[i];
        if (batch.is_new[i] && is_placed(before.answer.status)) {
            state->take(before.answer.placement);
            holdings->emplace(
                before.owner,
                holding_of(
                    before.request, before.answer.placement, before.answer.status));
        }
    }
    Verdict verdict = batch.verdicts[index];
    verdict.state = state;
    verdict.holdings = holdings;
    return verdict;
}

Allocator::Allocator(std::shared_ptr<const Machine> machine,
                     const Bitmap& reserved_pus,
                     Policy policy)
    : machine_(std::move(machine)),
      policy_(policy),
      state_(std::make_shared<NodeState>(machine_)),
      holdings_(std::make_shared<Holdings>()) {
    validate(policy_);
    if (const std::size_t last = reserved_pus.last(); last != Bitmap::npos) {
        demand_index("reserved_pus", last, machine_->pus().size());
    }
    state_->reserve_pus(reserved_pus);
}

Allocator::Allocator(std::shared_ptr<const Machine> machine,
                     Policy policy,
                     std::shared_ptr<NodeStore> store)
    : machine_(std::move(machine)), policy_(policy), store_(std::move(store)) {
    validate(policy_);
}

// One call's time with the books: locked, read from where they are kept, and put back
// when the call says that it is done. A call that throws before leaves them as they
// are.
class Allocator::Turn {
  public:
    explicit Turn(const Allocator& allocator)
        : allocator_(allocator), lock_(mutex_of(allocator)) {
        load();
    }
    /// holds_lock() is false where another call is at work.
    Turn(const Allocator& allocator, std::try_to_lock_t how)
        : allocator_(allocator), lock_(mutex_of(allocator), how) {
        if (lock_.owns_lock()) {
            load();
        }
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    Turn(Turn&&) = delete;
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
        // What is not the Allocator's own is not kept: each change would copy it.
        if (allocator_.store_ && lock_.owns_lock()) {
            allocator_.state_ = nullptr;
            allocator_.holdings_ = nullptr;
        }
    }

    [[nodiscard]] bool holds_lock() const { return lock_.owns_lock(); }
    void save() const {
        if (allocator_.store_) {
            allocator_.store_->save({allocator_.state_, allocator_.holdings_});
        }
    }

  private:
    static std::mutex& mutex_of(const Allocator& allocator) {
        return allocator.store_ ? allocator.store_->mutex() : allocator.mutex_;
    }
    void load() const {
        if (allocator_.store_) {
            NodeBooks books = allocator_.store_->load();
            allocator_.state_ = std::move(books.state);
            allocator_.holdings_ = std::move(books.holdings);
        }
    }

    const Allocator& allocator_;
    std::unique_lock<std::mutex> lock_;
};

NodeState& Allocator::writable_state() {
    return make_writable(state_);
}

Allocator::Holdings& Allocator::writable_holdings() {
    return make_writable(holdings_);
}

void Allocator::demand_own(const CompiledRequest& request) const {
    if (&machine_of(request) != machine_.get()) {
        throw InvalidRequestError(
            "request: compiled for Machine " + quoted(machine_of(request).name()) +
            ", want one compiled for the Machine of the Allocator");
    }
}

void Allocator::demand_holds_nothing(const std::string& owner) const {
    if (holdings_->contains(owner)) {
        throw StateError("owner: " + quoted(owner) +
                         " holds a Placement, want an owner that holds nothing");
    }
}

const Holding& Allocator::find_holding(const std::string& owner) const {
    const auto it = holdings_->find(owner);
    if (it == holdings_->end()) {
        refuse_without_holding(owner);
    }
    return it->second;
}

// Takes and records. Requires: the lock; the Placement can be taken; the owner holds
// nothing.
void Allocator::record(const std::string& owner, Holding holding) {
    record_before(holdings_->lower_bound(owner), owner, std::move(holding));
}

// The same where the place is known: `next` is the first owner above.
void Allocator::record_before(Holdings::iterator next,
                              const std::string& owner,
                              Holding holding) {
    NodeState& state = writable_state();
    const Holdings* const before = holdings_.get();
    Holdings& holdings = writable_holdings();
    const auto it = &holdings == before
                        ? holdings.emplace_hint(next, owner, std::move(holding))
                        : holdings.emplace(owner, std::move(holding)).first;
    state.take(it->second.placement);
}

// Answers within so many steps, or says that they were too few. An answer that they did
// not end is the answer under any larger limit.
bool Allocator::answer(Verdict& verdict,
                       const NodeState& state,
                       std::uint64_t steps) const {
    const std::uint64_t most = std::min(steps, verdict.limits.max_steps);
    verdict.answer = solve(state, *verdict.request, {policy_, {most}, nullptr});
    return most == verdict.limits.max_steps || is_proof(verdict.answer.status);
}

Verdict Allocator::check(const std::shared_ptr<const CompiledRequest>& request,
                         SearchLimits limits) const {
    demand_own(*request);
    Verdict verdict = ask(request, {}, policy_, limits);
    {
        const Turn turn(*this);
        verdict.state = state_;
        verdict.holdings = holdings_;
    }
    // Outside the lock: what is shared, a writer copies.
    answer(verdict, *verdict.state, limits.max_steps);
    return verdict;
}

std::optional<Verdict> Allocator::try_check(
    const std::shared_ptr<const CompiledRequest>& request,
    SearchLimits limits,
    std::uint64_t quick_steps) const {
    demand_own(*request);
    std::optional<Verdict> verdict = ask(request, {}, policy_, limits);
    {
        const Turn turn(*this, std::try_to_lock);
        if (!turn.holds_lock()) {
            return std::nullopt;
        }
        verdict->state = state_;
        verdict->holdings = holdings_;
    }
    if (!answer(*verdict, *verdict->state, quick_steps)) {
        verdict.reset();
    }
    return verdict;
}

Verdict Allocator::allocate(const std::shared_ptr<const CompiledRequest>& request,
                            const std::string& owner,
                            SearchLimits limits) {
    demand_own(*request);
    Verdict verdict = ask(request, owner, policy_, limits);
    const Turn turn(*this);
    if (allocate_locked(verdict, limits.max_steps)) {
        turn.save();
    }
    return verdict;
}

std::optional<Verdict> Allocator::try_allocate(
    const std::shared_ptr<const CompiledRequest>& request,
    const std::string& owner,
    SearchLimits limits,
    std::uint64_t quick_steps) {
    demand_own(*request);
    std::optional<Verdict> verdict = ask(request, owner, policy_, limits);
    const Turn turn(*this, std::try_to_lock);
    if (!turn.holds_lock() || !allocate_locked(*verdict, quick_steps)) {
        verdict.reset();
    } else {
        turn.save();
    }
    return verdict;
}

// False when the steps were too few; then nothing has changed. Requires: the lock.
bool Allocator::allocate_locked(Verdict& verdict, std::uint64_t steps) {
    const std::string& owner = verdict.owner;
    const auto next = holdings_->lower_bound(owner);
    if (next != holdings_->end() && next->first == owner) {
        verdict.answer = repeat(next->second, request_of(*verdict.request), owner);
        return true;
    }
    if (!answer(verdict, *state_, steps)) {
        return false;
    }
    if (is_placed(verdict.answer.status)) {
        record_before(
            next,
            owner,
            holding_of(
                verdict.request, verdict.answer.placement, verdict.answer.status));
    } else {
        verdict.state = state_;
        verdict.holdings = holdings_;
    }
    return true;
}

Verdict Allocator::resize(const std::shared_ptr<const CompiledRequest>& request,
                          const std::string& owner,
                          SearchLimits limits) {
    demand_own(*request);
    Verdict verdict = ask(request, owner, policy_, limits);
    const Turn turn(*this);
    const auto old = std::make_shared<const Placement>(find_holding(owner).placement);
    const auto state = std::make_shared<NodeState>(*state_);
    state->release(*old);
    const auto others = std::make_shared<Holdings>(*holdings_);
    others->erase(owner);
    verdict.state = state;
    verdict.holdings = others;
    verdict.keep_from = old;
    verdict.answer = solve(*state, *request, {policy_, limits, old.get()});
    if (is_placed(verdict.answer.status)) {
        Holding next =
            holding_of(request, verdict.answer.placement, verdict.answer.status);
        Holdings& holdings = writable_holdings();
        NodeState& now = writable_state();
        now.release(*old);
        now.take(next.placement);
        holdings.find(owner)->second = std::move(next);
        turn.save();
    }
    return verdict;
}

BatchAnswers Allocator::allocate_batch(
    const std::shared_ptr<const CompiledRequest>& request,
    const std::vector<std::string>& owners,
    SearchLimits limits) {
    demand_own(*request);
    BatchAnswers batch;
    batch.verdicts.reserve(owners.size());
    batch.is_new.reserve(owners.size());
    const Turn turn(*this);
    const auto state = state_;
    const auto holdings = holdings_;
    batch.state = state;
    batch.holdings = holdings;
    try {
        for (const std::string& owner : owners) {
            Verdict verdict = ask(request, owner, policy_, limits);
            batch.is_new.push_back(!holdings_->contains(owner));
            allocate_locked(verdict, limits.max_steps);
            // asked() makes them; kept here, each would cost the next owner a copy.
            verdict.state = nullptr;
            verdict.holdings = nullptr;
            batch.verdicts.push_back(std::move(verdict));
        }
    } catch (...) {
        state_ = state;
        holdings_ = holdings;
        throw;
    }
    turn.save();
    return batch;
}

void Allocator::release(const std::string& owner) {
    const Turn turn(*this);
    release_locked(owner);
    turn.save();
}

bool Allocator::try_release(const std::string& owner) {
    const Turn turn(*this, std::try_to_lock);
    if (turn.holds_lock()) {
        release_locked(owner);
        turn.save();
    }
    return turn.holds_lock();
}

// Requires: the lock.
void Allocator::release_locked(const std::string& owner) {
    auto it = holdings_->find(owner);
    if (it == holdings_->end()) {
        refuse_without_holding(owner);
    }
    const Holdings* const before = holdings_.get();
    Holdings& holdings = writable_holdings();
    if (&holdings != before) {
        it = holdings.find(owner);
    }
    writable_state().release(it->second.placement);
    holdings.erase(it);
}

Placement Allocator::take(Placement placement, const std::string& owner) {
    demand_indices(*machine_, placement);
    demand_no_gpu_memory(*machine_, placement);
    normalise(placement);
    placement.localities = derive_localities(*machine_, placement);
    placement.pairs.clear();
    const Turn turn(*this);
    demand_holds_nothing(owner);
    if (!state_->can_take(placement, false)) {
        refuse_take(*state_, placement, false);
    }
    placement.cost = cost_without_request(*state_, placement, policy_.packing);
    record(owner, {nullptr, placement, Status::feasible});
    turn.save();
    return placement;
}

void Allocator::restore_holding(const std::string& owner, Holding holding) {
    demand_indices(*machine_, holding.placement);
    demand_no_gpu_memory(*machine_, holding.placement);
    const Turn turn(*this);
    demand_holds_nothing(owner);
    if (!state_->can_take(holding.placement, true)) {
        refuse_take(*state_, holding.placement, true);
    }
    record(owner, std::move(holding));
    turn.save();
}

void Allocator::cordon_device(std::uint32_t device, bool cordoned) {
    demand_index("device", device, machine_->devices().size());
    const Turn turn(*this);
    if (state_->cordoned_devices().test(device) != cordoned) {
        writable_state().cordon_device(device, cordoned);
        turn.save();
    }
}

void Allocator::cordon_pu(std::uint32_t pu, bool cordoned) {
    demand_index("pu", pu, machine_->pus().size());
    const Turn turn(*this);
    if (state_->cordoned_pus().test(pu) != cordoned) {
        writable_state().cordon_pu(pu, cordoned);
        turn.save();
    }
}

BatchVerdict Allocator::allocate_many(const std::vector<NamedRequest>& requests,
                                      SearchLimits limits) {
    std::set<std::string_view> owners;
    for (const auto& [owner, request] : requests) {
        demand_own(*request);
        if (!owners.insert(owner).second) {
            throw StateError("owner: " + quoted(owner) +
                             " twice, want different owners");
        }
    }
    const Turn turn(*this);
    for (const auto& [owner, request] : requests) {
        demand_holds_nothing(owner);
    }
    BatchVerdict verdict = solve_joint(*state_, requests_of(requests), policy_, limits);
    verdict.state = state_;
    verdict.holdings = holdings_;
    if (is_placed(verdict.status)) {
        // Into copies, so that all is recorded or nothing.
        auto state = std::make_shared<NodeState>(*state_);
        auto holdings = std::make_shared<Holdings>(*holdings_);
        for (std::size_t i = 0; i < requests.size(); ++i) {
            state->take(verdict.placements[i]);
            holdings->emplace(
                requests[i].first,
                holding_of(requests[i].second, verdict.placements[i], verdict.status));
        }
        state_ = std::move(state);
        holdings_ = std::move(holdings);
        turn.save();
    }
    return verdict;
}

BatchVerdict Allocator::check_joint(const std::vector<NamedRequest>& requests,
                                    SearchLimits limits) const {
    for (const auto& [owner, request] : requests) {
        demand_own(*request);
    }
    std::shared_ptr<const NodeState> now;
    std::shared_ptr<const Holdings> held;
    {
        const Turn turn(*this);
        now = state_;
        held = holdings_;
    }
    BatchVerdict verdict = solve_joint(*now, requests_of(requests), policy_, limits);
    verdict.state = std::move(now);
    verdict.holdings = std::move(held);
    return verdict;
}

HeadroomResult Allocator::headroom(
    const std::shared_ptr<const CompiledRequest>& request, SearchLimits limits) const {
    demand_own(*request);
    const std::shared_ptr<const NodeState> now = state();
    return solve_headroom(*now, *request, policy_, limits);
}

std::map<std::string, Holding> Allocator::holdings() const {
    const Turn turn(*this);
    return *holdings_;
}

std::optional<Holding> Allocator::holding(const std::string& owner) const {
    const Turn turn(*this);
    const auto it = holdings_->find(owner);
    if (it == holdings_->end()) {
        return std::nullopt;
    }
    return it->second;
}

std::shared_ptr<const NodeState> Allocator::state() const {
    const Turn turn(*this);
    return state_;
}

std::vector<std::string> Allocator::owners_of_device(std::uint32_t device) const {
    demand_index("device", device, machine_->devices().size());
    const Turn turn(*this);
    std::vector<std::string> owners;
    for (const auto& [owner, held] : *holdings_) {
        if (holds_device(*machine_, held.placement, device)) {
            owners.push_back(owner);
        }
    }
    return owners;
}

std::optional<std::string> Allocator::owner_of_pu(std::uint32_t pu) const {
    demand_index("pu", pu, machine_->pus().size());
    const Turn turn(*this);
    for (const auto& [owner, held] : *holdings_) {
        if (held.placement.pus.test(pu)) {
            return owner;
        }
    }
    return std::nullopt;
}

std::unique_ptr<Allocator> Allocator::fork() const {
    auto copy = std::make_unique<Allocator>(machine_, Bitmap(), policy_);
    const Turn turn(*this);
    // Both copy the state before they change it.
    copy->state_ = state_;
    copy->holdings_ = holdings_;
    return copy;
}

void Allocator::check_consistency() const {
    const Turn turn(*this);
    state_->check_consistency();
    NodeState again(machine_);
    again.reserve_pus(state_->reserved_pus());
    for (const auto& [owner, held] : *holdings_) {
        if (!again.can_take(held.placement, true)) {
            throw InternalError("Allocator: " + quoted(owner) +
                                " holds what another holds, want none; please report");
        }
        again.take(held.placement);
    }
    state_->cordoned_pus().for_each(
        [&](std::size_t pu) { again.cordon_pu(static_cast<std::uint32_t>(pu), true); });
    state_->cordoned_devices().for_each([&](std::size_t device) {
        again.cordon_device(static_cast<std::uint32_t>(device), true);
    });
    if (!(again == *state_)) {
        throw InternalError(
            "Allocator: the state is not the sum of the holdings, want equal; please "
            "report");
    }
}

}  // namespace topoalloc
