// SPDX-License-Identifier: Apache-2.0
#include "machine/synthetic_internal.hpp"

#include "topoalloc/errors.hpp"
#include "topoalloc/machine.hpp"

#include <algorithm>
#include <array>

namespace topoalloc::synthetic {
namespace {

constexpr std::size_t level_limit = 128;  // hwloc's own
constexpr std::string_view wanted_types =
    "Package, Die, NUMANode, Group, L1 to L5 (L3Cache), Core or PU";

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool is_letter(char c) {
    return lower(c) >= 'a' && lower(c) <= 'z';
}

struct KnownType {
    std::string_view name;
    Type type;
};
// Any prefix of two letters or more will do, as in hwloc.
constexpr std::array<KnownType, 8> known_types = {{{"package", Type::package},
                                                   {"socket", Type::package},
                                                   {"die", Type::die},
                                                   {"numanode", Type::numa},
                                                   {"node", Type::numa},
                                                   {"group", Type::group},
                                                   {"core", Type::core},
                                                   {"pu", Type::pu}}};

// "3", "3u", "1dCache", "2iCache": what follows the L of a cache.
TypeName cache_type(std::string_view word) {
    constexpr char cache_limit = '5';
    constexpr char instruction_cache_limit = '3';
    TypeName name;
    if (word.empty() || word[0] < '1' || word[0] > cache_limit) {
        return name;
    }
    const char level = word[0];
    name.number = static_cast<std::uint32_t>(level - '0');
    word.remove_prefix(1);
    if (!word.empty() && (word[0] == 'u' || word[0] == 'd' || word[0] == 'i')) {
        name.is_instruction_cache = word[0] == 'i';
        word.remove_prefix(1);
    }
    if (name.is_instruction_cache && level > instruction_cache_limit) {
        return name;
    }
    if (std::string_view("cache").starts_with(word)) {
        name.type = Type::cache;
    }
    return name;
}

TypeName type_of_word(const std::string& word) {
    if (word.size() >= 2 && word[0] == 'l' && is_digit(word[1])) {
        return cache_type(std::string_view(word).substr(1));
    }
    const auto end = std::find_if(word.begin(), word.end(), is_digit);
    const std::string_view letters(word.data(),
                                   static_cast<std::size_t>(end - word.begin()));
    TypeName name;
    const auto* const known = std::find_if(
        known_types.begin(), known_types.end(), [letters](const KnownType& candidate) {
            return letters.size() >= 2 && candidate.name.starts_with(letters);
        });
    if (known == known_types.end()) {
        return name;
    }
    constexpr std::size_t digit_limit = 9;
    const std::string digits(end, word.end());
    const bool is_number = std::all_of(digits.begin(), digits.end(), is_digit);
    if (digits.empty()) {
        name.type = known->type;
    } else if (known->type == Type::group && is_number &&
               digits.size() <= digit_limit) {
        name.type = Type::group;
        name.number = static_cast<std::uint32_t>(std::stoul(digits));
    }
    return name;
}

struct Unit {
    std::string_view name;
    std::uint64_t bytes;
};
constexpr std::array<Unit, 8> units = {{{"tb", 1'000'000'000'000},
                                        {"tib", std::uint64_t{1} << 40},
                                        {"gb", 1'000'000'000},
                                        {"gib", std::uint64_t{1} << 30},
                                        {"mb", 1'000'000},
                                        {"mib", std::uint64_t{1} << 20},
                                        {"kb", 1'000},
                                        {"kib", std::uint64_t{1} << 10}}};

class Grammar {
  public:
    explicit Grammar(std::string_view text) { result_.text = text; }

    Description parse() {
        Level machine;
        machine.name.type = Type::machine;
        result_.levels.push_back(machine);
        if (peek() == '(') {
            result_.levels[0].attributes = read_attributes(Type::machine);
        }
        for (skip_space(); at_ < result_.text.size(); skip_space()) {
            if (peek() == '[') {
                read_attached();
            } else {
                read_level();
            }
        }
        finish_types();
        return std::move(result_);
    }

  private:
    [[noreturn]] void fail_here(const std::string& what,
                                const std::string& want) const {
        fail(result_.text, at_, what, want);
    }
    [[nodiscard]] char peek() const {
        return at_ < result_.text.size() ? result_.text[at_] : '\0';
    }
    void skip_space() {
        while (peek() == ' ' || peek() == '\n') {
            ++at_;
        }
    }

    void read_level() {
        Level level;
        level.at = at_;
        if (!is_digit(peek())) {
            level.name = read_type(result_.text, at_);
            if (level.name.type == Type::none) {
                fail_here("unknown type", std::string(wanted_types) + ", or a number");
            }
            if (peek() != ':') {
                fail_here("no number of objects", "':' and a number behind a type");
            }
            ++at_;
            skip_space();
        }
        level.width = read_width();
        if (peek() == '(') {
            level.attributes = read_attributes(level.name.type);
        }
        if (result_.levels.size() + 1 > level_limit) {
            fail(result_.text,
                 level.at,
                 "too many levels",
                 "at most " + std::to_string(level_limit - 1));
        }
        result_.levels.push_back(std::move(level));
    }

    // Every level is at most as wide as that of the PUs, which ends the text.
    std::uint32_t read_width() {
        const std::size_t number_at = at_;
        const std::uint64_t number = read_number(result_.text, at_);
        if (number == 0) {
            fail(result_.text, number_at, "0 objects", "at least 1");
        }
        const std::uint64_t above = result_.levels.back().width;
        if (number > MachineLimits::pus / above) {
            fail(
                result_.text,
                number_at,
                std::to_string(above) + " times " + std::to_string(number) + " objects",
                "at most " + std::to_string(MachineLimits::pus));
        }
        return static_cast<std::uint32_t>(above * number);
    }

    void read_attached() {
        const std::size_t bracket = at_++;
        const std::size_t type_at = at_;
        if (read_type(result_.text, at_).type != Type::numa) {
            fail(result_.text, type_at, "attached to a level", "NUMANode");
        }
        Attributes attributes;
        if (peek() == '(') {
            attributes = read_attributes(Type::numa);
        }
        if (peek() != ']') {
            fail_here("no end of '['", "'(' or ']' behind NUMANode");
        }
        ++at_;
        if (!attributes.indexes.empty()) {
            if (!result_.attached_indexes.empty()) {
                fail(result_.text,
                     attributes.indexes_at,
                     "a second indexes= of attached NUMANodes",
                     "one, for all of them");
            }
            result_.attached_indexes = attributes.indexes;
            result_.attached_indexes_at = attributes.indexes_at;
        }
        Level& level = result_.levels.back();
        result_.attached_count += level.width;
        if (result_.attached_count > MachineLimits::numa_nodes) {
            fail(result_.text,
                 bracket,
                 std::to_string(result_.attached_count) + " NUMANodes",
                 "at most " + std::to_string(MachineLimits::numa_nodes));
        }
        level.attached.push_back(attributes);
    }

    // "(memory=4GB indexes=0,2)": one space between, as in hwloc.
    Attributes read_attributes(Type type) {
        Attributes attributes;
        ++at_;
        while (peek() != ')') {
            read_attribute(type, attributes);
            if (peek() == ' ') {
                ++at_;
            } else if (peek() != ')') {
                fail_here("no end of an attribute", "a space or ')'");
            }
        }
        ++at_;
        return attributes;
    }

    void read_attribute(Type type, Attributes& attributes) {
        const bool is_cache = type == Type::cache;
        if (!is_cache && take("memory=")) {
            attributes.memory_bytes = read_bytes();
        } else if ((is_cache && take("size=")) ||
                   (type == Type::numa && take("memorysidecachesize="))) {
            static_cast<void>(read_bytes());
        } else if (take("indexes=")) {
            const std::size_t end =
                std::min(result_.text.find_first_of(" )", at_), result_.text.size());
            attributes.indexes_at = at_;
            attributes.indexes = result_.text.substr(at_, end - at_);
            if (attributes.indexes.empty()) {
                fail_here("no indexes", "numbers or types");
            }
            at_ = end;
        } else {
            fail_here("unknown attribute",
                      is_cache ? "size= or indexes=" : "memory= or indexes=");
        }
    }

    bool take(std::string_view word) {
        const bool is_there = result_.text.substr(at_, word.size()) == word;
        at_ += is_there ? word.size() : 0;
        return is_there;
    }

    std::uint64_t read_bytes() {
        const std::size_t number_at = at_;
        const std::uint64_t number = read_number(result_.text, at_);
        std::string word;
        for (; is_letter(peek()); ++at_) {
            word += lower(peek());
        }
        std::uint64_t factor = 1;
        if (!word.empty()) {
            const auto* unit =
                std::find_if(units.begin(), units.end(), [&](const Unit& u) {
                    return u.name == word;
                });
            if (unit == units.end()) {
                fail_here("unknown unit", "kB, kiB, MB, MiB, GB, GiB, TB, TiB or none");
            }
            factor = unit->bytes;
        }
        if (number > MachineLimits::bytes / factor) {
            fail(result_.text,
                 number_at,
                 "too large a size",
                 "at most " + std::to_string(MachineLimits::bytes) + " bytes");
        }
        return number * factor;
    }

    void finish_types() {
        auto& levels = result_.levels;
        Level& last = levels.back();
        if (levels.size() == 1 ||
            (last.name.type != Type::none && last.name.type != Type::pu)) {
            fail_here("the end without PUs", "pu:<number> last");
        }
        last.name.type = Type::pu;
        const auto untyped =
            std::count_if(levels.begin() + 1, levels.end() - 1, [](auto& l) {
                return l.name.type == Type::none;
            });
        if (untyped != 0) {
            if (static_cast<std::size_t>(untyped) != levels.size() - 2) {
                fail(result_.text, 0, "levels with and without a type", "all or none");
            }
            choose_types();
        }
        check_unique();
        add_numa_node();
    }

    // hwloc's choice for a row of bare numbers: Groups, Package, NUMANode, caches,
    // Core.
    void choose_types() {
        auto& levels = result_.levels;
        std::size_t rest = levels.size() - 2;
        const auto want = [&rest](std::size_t most) {
            const std::size_t taken = std::min(rest, most);
            rest -= taken;
            return taken;
        };
        constexpr std::size_t cache_limit = 4;
        const std::size_t numa = result_.attached_count == 0 ? want(1) : 0;
        const std::size_t package = want(1);
        const std::size_t core = want(1);
        const std::size_t caches = want(cache_limit);
        std::vector<TypeName> types(rest, TypeName{Type::group});
        types.insert(types.end(), package, TypeName{Type::package});
        types.insert(types.end(), numa, TypeName{Type::numa});
        // L2 first, then L1, L3, L1i; from the outside in they stand as L3, L2, L1,
        // L1i.
        const std::array<TypeName, cache_limit> all = {TypeName{Type::cache, 3},
                                                       TypeName{Type::cache, 2},
                                                       TypeName{Type::cache, 1},
                                                       TypeName{Type::cache, 1, true}};
        const std::ptrdiff_t first = caches >= 3 ? 0 : 1;
        types.insert(types.end(),
                     all.begin() + first,
                     all.begin() + first + static_cast<std::ptrdiff_t>(caches));
        types.insert(types.end(), core, TypeName{Type::core});
        for (std::size_t i = 0; i < types.size(); ++i) {
            levels[i + 1].name = types[i];
        }
    }

    [[nodiscard]] static std::size_t limit_of(Type type) {
        switch (type) {
            case Type::numa:
                return MachineLimits::numa_nodes;
            case Type::group:
                return MachineLimits::groups;
            default:
                return MachineLimits::pus;
        }
    }

    // hwloc lets caches repeat; two L3s of a PU have no meaning here.
    void check_unique() const {
        const auto& levels = result_.levels;
        for (std::size_t i = 1; i < levels.size(); ++i) {
            const TypeName& name = levels[i].name;
            const bool may_repeat = name.type == Type::group ||
                                    (name.type == Type::cache &&
                                     (name.number != 3 || name.is_instruction_cache));
            const auto same = [&name](const Level& other) {
                return other.name.type == name.type &&
                       other.name.number == name.number &&
                       other.name.is_instruction_cache == name.is_instruction_cache;
            };
            const auto here = levels.begin() + static_cast<std::ptrdiff_t>(i);
            if (!may_repeat && std::any_of(levels.begin(), here, same)) {
                fail(result_.text, levels[i].at, "a second level of its type", "one");
            }
            if (name.type == Type::numa && result_.attached_count != 0) {
                fail(result_.text,
                     levels[i].at,
                     "NUMANodes as a level and attached",
                     "one of the two");
            }
            const std::size_t limit = limit_of(name.type);
            if (levels[i].width > limit) {
                fail(result_.text,
                     levels[i].at,
                     std::to_string(levels[i].width) + " objects",
                     "at most " + std::to_string(limit));
            }
        }
    }

    // Where none is named hwloc attaches one to the Machine.
    void add_numa_node() {
        auto& levels = result_.levels;
        const bool has_level =
            std::any_of(levels.begin(), levels.end(), [](auto& level) {
                return level.name.type == Type::numa;
            });
        if (!has_level && result_.attached_count == 0) {
            Attributes attributes;
            attributes.memory_bytes = std::uint64_t{1} << 30;
            levels[0].attached.push_back(attributes);
            result_.attached_count = 1;
        }
    }

    Description result_;
    std::size_t at_ = 0;
};

// The value of a hexadecimal digit, or 16.
std::uint64_t digit_of(char c) {
    if (is_digit(c)) {
        return static_cast<std::uint64_t>(c - '0');
    }
    const bool is_hex = c >= 'a' && c <= 'f';
    return is_hex ? static_cast<std::uint64_t>(c - 'a') + 10 : 16;
}

}  // namespace

void fail(std::string_view text,
          std::size_t at,
          const std::string& what,
          const std::string& want) {
    constexpr std::size_t shown = 80;
    std::string quoted(text.substr(0, shown));
    if (text.size() > shown) {
        quoted += "...";
    }
    throw FormatError("synthetic '" + quoted + "': character " +
                      std::to_string(at + 1) + ": " + what + ", want " + want);
}

TypeName read_type(std::string_view text, std::size_t& at) {
    std::size_t end = at;
    std::string word;
    while (end < text.size() && (is_letter(text[end]) || is_digit(text[end]))) {
        word += lower(text[end]);
        ++end;
    }
    const TypeName name = type_of_word(word);
    if (name.type != Type::none) {
        at = end;
    }
    return name;
}

std::uint64_t read_number(std::string_view text, std::size_t& at) {
    constexpr std::uint64_t limit = ~std::uint64_t{0} / 16;
    if (at >= text.size() || !is_digit(text[at])) {
        fail(text, at, "no number", "a number");
    }
    std::uint64_t base = 10;
    if (text[at] == '0') {
        const bool is_hex = at + 2 < text.size() && lower(text[at + 1]) == 'x';
        base = is_hex ? 16 : 8;
        at += is_hex ? 2U : 0U;
    }
    const std::size_t first = at;
    std::uint64_t value = 0;
    for (; at < text.size(); ++at) {
        const std::uint64_t digit = digit_of(lower(text[at]));
        if (digit >= base) {
            break;
        }
        if (value > limit) {
            fail(text, first, "too large a number", "fewer digits");
        }
        value = value * base + digit;
    }
    if (at == first) {
        fail(text, at, "no number", "digits behind 0x");
    }
    return value;
}

Description parse(std::string_view text) {
    return Grammar(text).parse();
}

}  // namespace topoalloc::synthetic
