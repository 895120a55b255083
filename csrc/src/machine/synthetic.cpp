// SPDX-License-Identifier: Apache-2.0
//
// A synthetic description to a MachineSpec. An object of a level of width w holds W / w
// consecutive PUs of the W that there are, counted in the order of the tree.
#include "machine/synthetic_internal.hpp"
#include "topoalloc/machine.hpp"

#include <algorithm>
#include <utility>

namespace topoalloc {
namespace {

using synthetic::Attributes;
using synthetic::Description;
using synthetic::Level;
using synthetic::Type;

class SyntheticReader {
  public:
    explicit SyntheticReader(std::string_view text)
        : description_(synthetic::parse(text)), text_(text) {}

    MachineSpec read() {
        spec_.name = text_;
        spec_.source = "synthetic";
        const Level& last = description_.levels.back();
        pu_indexes_ = indexes_of(last);
        for (const Level& level : description_.levels) {
            add_level(level);
        }
        add_pus();
        attached_indexes_ = synthetic::expand_indexes(description_,
                                                      description_.attached_count,
                                                      description_.attached_indexes,
                                                      description_.attached_indexes_at);
        for (std::size_t i = 0; i < description_.levels.size(); ++i) {
            if (!description_.levels[i].attached.empty()) {
                deepest_attached_ = i;
            }
        }
        add_attached(0, 0);
        return std::move(spec_);
    }

  private:
    [[nodiscard]] std::vector<std::uint32_t> indexes_of(const Level& level) const {
        return synthetic::expand_indexes(description_,
                                         level.width,
                                         level.attributes.indexes,
                                         level.attributes.indexes_at);
    }

    [[nodiscard]] Bitmap cpuset_of(const Level& level, std::uint32_t object) const {
        const auto pus = static_cast<std::uint32_t>(pu_indexes_.size());
        const std::uint32_t each = pus / level.width;
        Bitmap cpuset;
        for (std::uint32_t i = object * each; i < (object + 1) * each; ++i) {
            cpuset.set(pu_indexes_[i]);
        }
        return cpuset;
    }

    void add_level(const Level& level) {
        const synthetic::TypeName& name = level.name;
        switch (name.type) {
            case Type::package:
                add_objects(level, ObjectKind::package);
                return;
            case Type::die:
                add_objects(level, ObjectKind::die);
                return;
            case Type::core:
                add_objects(level, ObjectKind::core);
                return;
            case Type::group:
                add_objects(level, ObjectKind::group);
                return;
            case Type::numa:
                add_numa_nodes(level);
                return;
            case Type::cache:
                if (name.number == 3 && !name.is_instruction_cache) {
                    add_objects(level, ObjectKind::l3);
                    return;
                }
                break;
            case Type::none:
            case Type::machine:
            case Type::pu:
                break;
        }
        // What indexes= says must make sense even where nothing reads it.
        if (name.type != Type::machine && !level.attributes.indexes.empty()) {
            static_cast<void>(indexes_of(level));
        }
    }

    void add_objects(const Level& level, ObjectKind kind) {
        // hwloc numbers caches and Groups by the operating system only when told.
        const bool is_numbered =
            (kind != ObjectKind::l3 && kind != ObjectKind::group) ||
            !level.attributes.indexes.empty();
        const std::vector<std::uint32_t> indexes = indexes_of(level);
        for (std::uint32_t i = 0; i < level.width; ++i) {
            spec_.objects.push_back(
                {kind, is_numbered ? indexes[i] : no_index, cpuset_of(level, i)});
        }
    }

    void add_numa_nodes(const Level& level) {
        constexpr std::uint64_t default_bytes = std::uint64_t{1} << 30;
        const std::vector<std::uint32_t> indexes = indexes_of(level);
        const std::uint64_t bytes = level.attributes.memory_bytes;
        for (std::uint32_t i = 0; i < level.width; ++i) {
            add_numa_node(
                indexes[i], cpuset_of(level, i), bytes == 0 ? default_bytes : bytes);
        }
    }

    void add_numa_node(std::uint32_t os_index, Bitmap cpuset, std::uint64_t bytes) {
        NumaNodeSpec node;
        node.os_index = os_index;
        node.parent_cpuset = cpuset;
        node.cpuset = std::move(cpuset);
        node.base_bytes = bytes;
        spec_.numa_nodes.push_back(std::move(node));
    }

    // hwloc's logical order: siblings, caches and Groups among them, by lowest
    // os_index.
    void add_pus() {
        const auto pus = static_cast<std::uint32_t>(pu_indexes_.size());
        std::vector<std::uint32_t> order{0};  // the objects of one level
        std::uint32_t width = 1;
        for (const Level& level : description_.levels) {
            if (level.width == width) {
                continue;
            }
            std::vector<std::uint32_t> lowest(level.width, no_index);
            for (std::uint32_t i = 0; i < pus; ++i) {
                std::uint32_t& least = lowest[i / (pus / level.width)];
                least = std::min(least, pu_indexes_[i]);
            }
            const std::uint32_t each = level.width / width;
            std::vector<std::uint32_t> children;
            for (const std::uint32_t object : order) {
                for (std::uint32_t i = 0; i < each; ++i) {
                    children.push_back(object * each + i);
                }
                std::sort(children.end() - each, children.end(), [&](auto a, auto b) {
                    return lowest[a] < lowest[b];
                });
            }
            order = std::move(children);
            width = level.width;
        }
        for (const std::uint32_t pu : order) {
            spec_.objects.push_back(
                {ObjectKind::pu, pu_indexes_[pu], Bitmap::range(pu_indexes_[pu], 1)});
        }
    }

    // Attached NUMANodes are numbered below an object before those of the object
    // itself. The depth of the recursion is bounded by the number of levels.
    void add_attached(std::size_t depth, std::uint32_t object) {
        if (depth > deepest_attached_) {
            return;
        }
        const Level& level = description_.levels[depth];
        if (depth < deepest_attached_) {
            const std::uint32_t each =
                description_.levels[depth + 1].width / level.width;
            for (std::uint32_t i = object * each; i < (object + 1) * each; ++i) {
                add_attached(depth + 1, i);
            }
        }
        for (const Attributes& attributes : level.attached) {
            add_numa_node(attached_indexes_[next_attached_++],
                          cpuset_of(level, object),
                          attributes.memory_bytes);
        }
    }

    Description description_;
    std::string_view text_;
    MachineSpec spec_;
    std::vector<std::uint32_t> pu_indexes_;
    std::vector<std::uint32_t> attached_indexes_;
    std::size_t deepest_attached_ = 0;
    std::size_t next_attached_ = 0;
};

}  // namespace

MachineSpec read_synthetic(std::string_view text) {
    return SyntheticReader(text).read();
}

}  // namespace topoalloc
