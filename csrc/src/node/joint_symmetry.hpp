// SPDX-License-Identifier: Apache-2.0
//
// Blocks of devices that nothing in a batch tells apart: single roots with their parts,
// and all devices of a switch. Exchanging two such blocks, device by device in index
// order, changes no cost and no constraint, so a search takes untouched ones in order.
// Private to the node room.
#pragma once

#include "node/compiled_request.hpp"
#include "topoalloc/state.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace topoalloc {

class DeviceSymmetry {
  public:
    DeviceSymmetry(const NodeState& state,
                   std::span<const CompiledRequest* const> requests);

    /// By class of blocks: the blocks that a set of devices touches, a bit each.
    [[nodiscard]] std::vector<std::uint64_t> touched_by(const Bitmap& devices) const;

    /// False when `next` touches a block for the first time and leaves an equal one of
    /// lower index untouched.
    [[nodiscard]] static bool is_least(const std::vector<std::uint64_t>& touched,
                                       const std::vector<std::uint64_t>& next);

  private:
    struct Block {
        std::vector<std::uint32_t> devices;  // ascending
    };

    void find_relevant(std::span<const CompiledRequest* const> requests);
    void add_class_members(const std::vector<Block>& blocks);
    [[nodiscard]] bool are_equal(const Block& a, const Block& b) const;
    [[nodiscard]] bool moves_whole(
        const std::map<std::uint32_t, std::uint32_t>& image) const;
    [[nodiscard]] bool keeps_distances(
        const std::map<std::uint32_t, std::uint32_t>& image) const;
    [[nodiscard]] bool are_alike(std::uint32_t a, std::uint32_t b) const;
    [[nodiscard]] bool have_same_state(std::uint32_t a, std::uint32_t b) const;
    [[nodiscard]] bool same_in_requests(std::uint32_t a, std::uint32_t b) const;

    const NodeState& state_;
    const Machine& machine_;
    std::span<const CompiledRequest* const> requests_;
    std::vector<std::uint32_t> relevant_;  // devices that some member may take
    std::vector<std::vector<Block>> classes_;
};

}  // namespace topoalloc
