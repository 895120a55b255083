// SPDX-License-Identifier: Apache-2.0
#include "machine/hwloc_xml_tokens.hpp"

#include "topoalloc/errors.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <tuple>

namespace topoalloc::hwloc {

namespace {

enum CharClass : std::uint8_t { space_char = 1, name_char = 2 };

constexpr std::array<std::uint8_t, 256> make_classes() {
    std::array<std::uint8_t, 256> classes{};
    for (const unsigned char c : {' ', '\t', '\n', '\r'}) {
        classes[c] |= space_char;
    }
    for (unsigned c = 0; c < 256; ++c) {
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool is_digit = c >= '0' && c <= '9';
        if (is_letter || is_digit || c >= 0x80 || c == '_' || c == '-' || c == '.' ||
            c == ':') {
            classes[c] |= name_char;
        }
    }
    return classes;
}

constexpr std::array<std::uint8_t, 256> classes = make_classes();

bool is_a(char c, CharClass wanted) {
    return (classes[static_cast<unsigned char>(c)] & wanted) != 0;
}

// Length of the UTF-8 sequence at `position`, or 0 when it is no valid one.
std::size_t utf8_length(std::string_view text, std::size_t position) {
    const auto byte = [&](std::size_t i) -> std::uint32_t {
        return position + i < text.size()
                   ? static_cast<unsigned char>(text[position + i])
                   : 0;
    };
    const std::uint32_t lead = byte(0);
    std::size_t length = 0;
    std::uint32_t code = 0;
    std::uint32_t least = 0;
    if (lead >= 0xc2 && lead <= 0xdf) {
        length = 2, code = lead & 0x1fU, least = 0x80;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        length = 3, code = lead & 0x0fU, least = 0x800;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        length = 4, code = lead & 0x07U, least = 0x10000;
    } else {
        return 0;
    }
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0U) != 0x80U) {
            return 0;
        }
        code = (code << 6U) | (byte(i) & 0x3fU);
    }
    const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least || code > 0x10ffff || is_surrogate ? 0 : length;
}

void append_utf8(std::string& out, std::uint32_t code) {
    const auto put = [&out](std::uint32_t byte) {
        out.push_back(static_cast<char>(byte));
    };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xc0U | (code >> 6U));
        put(0x80U | (code & 0x3fU));
    } else if (code < 0x10000) {
        put(0xe0U | (code >> 12U));
        put(0x80U | ((code >> 6U) & 0x3fU));
        put(0x80U | (code & 0x3fU));
    } else {
        put(0xf0U | (code >> 18U));
        put(0x80U | ((code >> 12U) & 0x3fU));
        put(0x80U | ((code >> 6U) & 0x3fU));
        put(0x80U | (code & 0x3fU));
    }
}

bool is_xml_character(std::uint32_t code) {
    const bool is_control = code < 0x20 && code != '\t' && code != '\n' && code != '\r';
    const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    return !is_control && !is_surrogate && code <= 0x10ffff && code != 0xfffe &&
           code != 0xffff;
}

constexpr std::size_t block_bytes = 64;

// True when so many bytes are ASCII and none is below a space but line ends. Without a
// branch in the loop, so that the compiler looks at many at once.
bool is_plain(const char* bytes) {
    std::uint8_t odd = 0;
    for (std::size_t i = 0; i < block_bytes; ++i) {
        const auto c = static_cast<signed char>(bytes[i]);
        odd |= static_cast<std::uint8_t>(static_cast<int>(c < ' ') &
                                         static_cast<int>(c != '\n'));
    }
    return odd == 0;
}

// The first of [from, to) that is not of the class, or `to`.
const char* skip_class(const char* from, const char* to, CharClass skipped) {
    while (from != to && is_a(*from, skipped)) {
        ++from;
    }
    return from;
}

}  // namespace

std::string in_quotes(std::string_view text) {
    constexpr std::size_t longest = 60;  // a hostile value must not fill the message
    std::string shown(text.substr(0, longest));
    // A cut inside a character would leave the message no UTF-8.
    while (text.size() > longest && !shown.empty() &&
           (static_cast<unsigned char>(shown.back()) & 0x80U) != 0) {
        shown.pop_back();
    }
    return '"' + shown + (text.size() > longest ? "...\"" : "\"");
}

void XmlSource::fail(std::size_t offset, std::string_view message) const {
    const std::string_view before = text_.substr(0, std::min(offset, text_.size()));
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    throw FormatError(std::string(name_) + ':' + std::to_string(line) + ": " +
                      std::string(message));
}

XmlTokenizer::XmlTokenizer(const XmlSource& source)
    : source_(source), text_(source.text()) {
    if (text_.size() > XmlLimits::bytes) {
        fail(0,
             std::to_string(text_.size()) + " bytes, want at most " +
                 std::to_string(XmlLimits::bytes));
    }
    if (!text_.empty() && text_.back() == '\0') {
        text_.remove_suffix(
            1);  // hwloc counts the NUL in the length of an export buffer
    }
    check_characters();
    if (at("\xef\xbb\xbf")) {
        position_ = 3;
    }
    open_.reserve(64);
    attributes_.reserve(32);
}

void XmlTokenizer::fail(std::size_t offset, std::string_view message) const {
    source_.fail(offset, message);
}

void XmlTokenizer::check_characters() const {
    std::size_t i = 0;
    while (i < text_.size()) {
        if (i + block_bytes <= text_.size() && is_plain(text_.data() + i)) {
            i += block_bytes;
            continue;
        }
        const auto c = static_cast<unsigned char>(text_[i]);
        if (c >= 0x80) {
            const std::size_t length = utf8_length(text_, i);
            if (length == 0) {
                fail(i, "bytes: not UTF-8, want an hwloc XML file in UTF-8");
            }
            i += length;
            continue;
        }
        if (!is_xml_character(c)) {
            fail(i, "control character " + std::to_string(c) + ": not XML, want text");
        }
        ++i;
    }
}

// Places are found in locals: a byte of the text might else be one of this object.
void XmlTokenizer::skip_space() {
    const char* const begin = text_.data();
    position_ = static_cast<std::size_t>(
        skip_class(begin + position_, begin + text_.size(), space_char) - begin);
}

bool XmlTokenizer::at(std::string_view literal) const {
    return text_.substr(position_).starts_with(literal);
}

XmlTokenizer::Event XmlTokenizer::next() {
    if (is_empty_element_) {
        is_empty_element_ = false;
        return close_element();
    }
    while (true) {
        if (skip_text()) {
            return Event::text;
        }
        event_offset_ = position_;
        if (position_ == text_.size()) {
            return finish();
        }
        // A '<' stands here; most often it opens or closes an element.
        const char second = position_ + 1 < text_.size() ? text_[position_ + 1] : '\0';
        if (second == '/') {
            return read_end();
        }
        if (second != '!' && second != '?') {
            return read_start();
        }
        if (at("<![CDATA[")) {
            read_cdata();
            return Event::text;
        }
        skip_markup();
    }
}

XmlTokenizer::Event XmlTokenizer::finish() const {
    if (!open_.empty()) {
        const std::string name(open_.back());
        fail(position_, "end of file inside <" + name + ">, want </" + name + ">");
    }
    if (!had_root_) {
        fail(position_, "no element, want <topology>");
    }
    return Event::finish;
}

// Skips white space; true when other text was read, into content_.
bool XmlTokenizer::skip_text() {
    const std::size_t begin = position_;
    skip_space();
    if (position_ == text_.size() || text_[position_] == '<') {
        return false;
    }
    event_offset_ = position_;
    if (open_.empty()) {
        fail(position_, "text outside of elements, want <topology>");
    }
    const std::size_t end = std::min(text_.find('<', position_), text_.size());
    content_ = decode(text_.substr(begin, end - begin));
    position_ = end;
    return true;
}

// Reads over a comment, a processing instruction or a DOCTYPE.
void XmlTokenizer::skip_markup() {
    if (at("<!--")) {
        position_ += 4;
        skip_until("-->", "comment");
    } else if (at("<?")) {
        skip_until("?>", "processing instruction");
    } else if (at("<!DOCTYPE")) {
        skip_doctype();
    } else {
        fail(position_, "markup declaration, want elements");
    }
}

void XmlTokenizer::skip_until(std::string_view terminator, std::string_view what) {
    const std::size_t end = text_.find(terminator, position_);
    if (end == std::string_view::npos) {
        fail(position_,
             std::string(what) + ": without an end, want " + std::string(terminator));
    }
    position_ = end + terminator.size();
}

void XmlTokenizer::read_cdata() {
    if (open_.empty()) {
        fail(position_, "text outside of elements, want <topology>");
    }
    const std::size_t begin = position_ + std::string_view("<![CDATA[").size();
    skip_until("]]>", "CDATA section");
    content_ = text_.substr(begin, position_ - 3 - begin);
}

// hwloc names an external DTD; it is not read. A DTD inside the file is refused: it
// could declare entities, which no hwloc file does.
void XmlTokenizer::skip_doctype() {
    if (had_doctype_ || had_root_) {
        fail(position_, "DOCTYPE: misplaced, want one before <topology>");
    }
    had_doctype_ = true;
    const std::size_t end = text_.find_first_of("[>", position_);
    if (end == std::string_view::npos || text_[end] == '[') {
        fail(position_, "DOCTYPE: has declarations or no end, want a name alone");
    }
    position_ = end + 1;
}

std::string_view XmlTokenizer::read_name(std::string_view what) {
    const std::size_t begin = position_;
    const char* const data = text_.data();
    position_ = static_cast<std::size_t>(
        skip_class(data + begin, data + text_.size(), name_char) - data);
    if (position_ == begin) {
        fail(begin, std::string(what) + ": no name, want letters");
    }
    return text_.substr(begin, position_ - begin);
}

XmlTokenizer::Event XmlTokenizer::read_start() {
    if (open_.empty() && had_root_) {
        fail(position_, "second element at the top, want <topology> alone");
    }
    ++position_;
    const std::string_view name = read_name("element");
    read_attributes(name);
    if (open_.size() == XmlLimits::depth) {
        fail(event_offset_,
             "<" + std::string(name) + ">: nested too deep, want at most " +
                 std::to_string(XmlLimits::depth) + " levels");
    }
    had_root_ = true;
    open_.push_back(name);
    name_ = name;
    return Event::start;
}

// Up to the end of the tag.
void XmlTokenizer::read_attributes(std::string_view element) {
    attributes_.clear();
    is_expected_ = true;
    std::vector<std::string_view>& expected = expected_[element.size() % 4];
    read_expected_attributes(expected);
    while (true) {
        const std::size_t before = position_;
        skip_space();
        if (position_ == text_.size()) {
            fail(event_offset_,
                 "<" + std::string(element) + ">: cut off, want the end of the tag");
        }
        if (text_[position_] == '>') {
            ++position_;
            break;
        }
        if (text_[position_] == '/' && position_ + 1 < text_.size() &&
            text_[position_ + 1] == '>') {
            position_ += 2;
            is_empty_element_ = true;
            break;
        }
        if (position_ == before) {
            fail(position_,
                 "<" + std::string(element) +
                     ">: no space, want one before an attribute");
        }
        read_attribute();
    }
    if (!is_expected_) {
        expected.clear();
        for (const XmlAttribute& attribute : attributes_) {
            expected.push_back(attribute.name);
        }
    }
}

// Those that have the expected names in order, each after one space and followed by its
// value.
void XmlTokenizer::read_expected_attributes(
    std::span<const std::string_view> expected) {
    const char* const data = text_.data();
    for (const std::string_view name : expected) {
        const std::size_t end = position_ + 1 + name.size();
        if (end + 1 >= text_.size() || data[position_] != ' ' || data[end] != '=' ||
            std::memcmp(data + position_ + 1, name.data(), name.size()) != 0) {
            return;
        }
        const std::string_view own = text_.substr(position_ + 1, name.size());
        position_ = end + 1;
        attributes_.push_back({own, read_value()});
    }
}

XmlTokenizer::Event XmlTokenizer::read_end() {
    position_ += 2;
    const std::string_view name = read_name("end tag");
    skip_space();
    if (position_ == text_.size() || text_[position_] != '>') {
        fail(event_offset_, "</" + std::string(name) + ": cut off, want >");
    }
    ++position_;
    if (open_.empty() || open_.back() != name) {
        const std::string want =
            open_.empty() ? "no end tag" : "</" + std::string(open_.back()) + ">";
        fail(event_offset_,
             "</" + std::string(name) + ">: does not match, want " + want);
    }
    return close_element();
}

XmlTokenizer::Event XmlTokenizer::close_element() {
    name_ = open_.back();
    open_.pop_back();
    return Event::end;
}

void XmlTokenizer::read_attribute() {
    const std::size_t begin = position_;
    const std::string_view name = read_name("attribute");
    skip_space();
    if (position_ == text_.size() || text_[position_] != '=') {
        fail(begin,
             std::string(name) + ": no value, want " + std::string(name) + "=\"...\"");
    }
    ++position_;
    skip_space();
    add_attribute(begin, {name, read_value()});
}

void XmlTokenizer::add_attribute(std::size_t offset, XmlAttribute attribute) {
    if (is_expected_) {
        // Those before have been found different in an earlier element.
        is_expected_ = false;
        attribute_marks_.fill(0);
        for (const XmlAttribute& before : attributes_) {
            std::ignore = mark_attribute(before.name);
        }
    }
    if (!mark_attribute(attribute.name)) {
        for (const XmlAttribute& other : attributes_) {
            if (other.name == attribute.name) {
                fail(offset,
                     std::string(attribute.name) + ": given twice, want it once");
            }
        }
    }
    if (attributes_.size() == XmlLimits::attributes) {
        fail(offset,
             "attributes: too many, want at most " +
                 std::to_string(XmlLimits::attributes) + " in an element");
    }
    attributes_.push_back(attribute);
}

// False when a name of that hash is marked already.
bool XmlTokenizer::mark_attribute(std::string_view name) {
    const auto byte = [name](std::size_t at) {
        return std::size_t{static_cast<unsigned char>(name[at])};
    };
    const std::size_t hash = name.size() * 5 + byte(0) * 3 + byte(name.size() / 2) * 7 +
                             byte(name.size() * 3 / 4);
    std::uint64_t& marks = attribute_marks_[(hash >> 6U) % attribute_marks_.size()];
    const std::uint64_t mark = std::uint64_t{1} << (hash & 63U);
    const bool is_new = (marks & mark) == 0;
    marks |= mark;
    return is_new;
}

// The first `c` from here on, or the end, where `found` is what was found last.
std::size_t XmlTokenizer::find_from(std::size_t found, char c) const {
    return found >= position_ ? found
                              : std::min(text_.find(c, position_), text_.size());
}

std::string_view XmlTokenizer::read_value() {
    const std::size_t opening = position_;
    const char quote = opening < text_.size() ? text_[opening] : '\0';
    if (quote != '"' && quote != '\'') {
        fail(opening, "attribute value: not in quotes, want \"...\"");
    }
    ++position_;
    const std::size_t end = text_.find(quote, position_);
    next_less_ = find_from(next_less_, '<');
    if (end == std::string_view::npos || end > next_less_) {
        fail(opening, "attribute value: has no end, want a closing quote");
    }
    next_ampersand_ = find_from(next_ampersand_, '&');
    const std::string_view raw = text_.substr(position_, end - position_);
    position_ = end + 1;
    return end > next_ampersand_ ? decode(raw) : raw;
}

std::string_view XmlTokenizer::decode(std::string_view raw) {
    std::size_t next = raw.find('&');
    if (next == std::string_view::npos) {
        return raw;
    }
    std::string& out = decoded_.emplace_back();
    std::size_t position = 0;
    while (next != std::string_view::npos) {
        out.append(raw, position, next - position);
        position = next;
        decode_reference(raw, position, out);
        next = raw.find('&', position);
    }
    out.append(raw.substr(position));
    return out;
}

// `position` is that of a '&' in `raw`; moves it behind the reference.
void XmlTokenizer::decode_reference(std::string_view raw,
                                    std::size_t& position,
                                    std::string& out) {
    struct Entity {
        std::string_view name;
        char character;
    };
    static constexpr std::array<Entity, 5> entities = {
        {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}}};
    constexpr std::size_t longest = 10;
    const std::string_view rest = raw.substr(position + 1, longest);
    const std::size_t end = rest.find(';');
    const std::string_view name = rest.substr(0, std::min(end, rest.size()));
    const auto offset = static_cast<std::size_t>(raw.data() - text_.data()) + position;
    position += name.size() + 2;
    if (end != std::string_view::npos) {
        for (const Entity& entity : entities) {
            if (entity.name == name) {
                out.push_back(entity.character);
                return;
            }
        }
        const bool is_hex = name.starts_with("#x");
        const std::string_view digits =
            name.substr(is_hex ? 2 : std::min<std::size_t>(1, name.size()));
        std::uint32_t code = 0;
        const auto [last, error] = std::from_chars(
            digits.data(), digits.data() + digits.size(), code, is_hex ? 16 : 10);
        if (name.starts_with('#') && !digits.empty() && error == std::errc{} &&
            last == digits.data() + digits.size() && code != 0 &&
            is_xml_character(code)) {
            append_utf8(out, code);
            return;
        }
    }
    fail(offset,
         "reference " +
             in_quotes(raw.substr(position - name.size() - 2, name.size() + 2)) +
             ": unknown, want &lt; &gt; &amp; &quot; &apos; or a character");
}

}  // namespace topoalloc::hwloc
