// SPDX-License-Identifier: Apache-2.0
//
// A pull tokenizer for the part of XML that hwloc files use: elements, attributes,
// text, the five named entities and character references. Comments, processing
// instructions, CDATA and an external DOCTYPE are read over; a DTD is never read and
// nothing it could declare is expanded. The input is untrusted: sizes and depth are
// bounded, every byte is checked, and each refusal names the line.
//
// One pass, no recursion. Views point into the input, except decoded values, which live
// in the tokenizer until they are taken from it. Line numbers are counted only when an
// error needs one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace topoalloc::hwloc {

struct XmlAttribute {
    std::string_view name;
    std::string_view value;  ///< entities decoded
};

/// Limits on what is read; hwloc's own files stay far below each.
struct XmlLimits {
    static constexpr std::size_t bytes = std::size_t{64} << 20U;
    static constexpr std::size_t depth = 256;
    static constexpr std::size_t attributes = 64;  ///< of one element
};

/// Text of the input for a message: in quotes, cut to a sensible length.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// Where an input comes from, to say it in errors.
class XmlSource {
  public:
    XmlSource(std::string_view text, std::string_view name)
        : text_(text), name_(name) {}
    [[nodiscard]] std::string_view text() const { return text_; }
    /// @throws FormatError "name:line: message"
    [[noreturn]] void fail(std::size_t offset, std::string_view message) const;

  private:
    std::string_view text_;
    std::string_view name_;
};

class XmlTokenizer {
  public:
    enum class Event : std::uint8_t { start, end, text, finish };

    /// Checks size and encoding of the whole text. `source` must outlive the tokenizer.
    /// @throws FormatError
    explicit XmlTokenizer(const XmlSource& source);

    /// Reads on. An element without content gives `start`, then `end`. Text that is
    /// white space alone is not reported. After `finish` it must not be called.
    /// @throws FormatError
    [[nodiscard]] Event next();

    /// Of the element that the last `start` or `end` was about.
    [[nodiscard]] std::string_view name() const { return name_; }
    /// Of the last `start`; valid until the next call of next().
    [[nodiscard]] std::span<const XmlAttribute> attributes() const {
        return attributes_;
    }
    /// Of the last `text`.
    [[nodiscard]] std::string_view text() const { return content_; }
    /// The decoded values: to be kept as long as views of names and values are.
    [[nodiscard]] std::deque<std::string> take_decoded() { return std::move(decoded_); }
    /// Byte at which the last event starts.
    [[nodiscard]] std::size_t offset() const { return event_offset_; }

  private:
    [[noreturn]] void fail(std::size_t offset, std::string_view message) const;
    void check_characters() const;
    void skip_space();
    [[nodiscard]] bool at(std::string_view literal) const;
    [[nodiscard]] bool skip_text();
    void skip_markup();
    void skip_until(std::string_view terminator, std::string_view what);
    void read_cdata();
    void skip_doctype();
    [[nodiscard]] std::string_view read_name(std::string_view what);
    [[nodiscard]] Event read_start();
    [[nodiscard]] Event read_end();
    void read_attributes(std::string_view element);
    void read_expected_attributes(std::span<const std::string_view> expected);
    void read_attribute();
    void add_attribute(std::size_t offset, XmlAttribute attribute);
    [[nodiscard]] bool mark_attribute(std::string_view name);
    [[nodiscard]] std::string_view read_value();
    [[nodiscard]] std::size_t find_from(std::size_t found, char c) const;
    [[nodiscard]] std::string_view decode(std::string_view raw);
    void decode_reference(std::string_view raw,
                          std::size_t& position,
                          std::string& out);
    [[nodiscard]] Event close_element();
    [[nodiscard]] Event finish() const;

    const XmlSource& source_;
    std::string_view text_;
    std::size_t position_ = 0;
    std::size_t event_offset_ = 0;
    std::string_view name_;
    std::string_view content_;
    std::vector<XmlAttribute> attributes_;
    // Names in the order of an earlier element, by the length of its name: most
    // elements have those of another, so they are compared rather than read.
    std::array<std::vector<std::string_view>, 4> expected_;
    bool is_expected_ = true;                         // all so far were; none is marked
    std::array<std::uint64_t, 4> attribute_marks_{};  // a bit for each hash seen
    std::size_t next_less_ = 0;       // the first '<' at or after some place before
    std::size_t next_ampersand_ = 0;  // the same of '&'
    std::vector<std::string_view> open_;
    std::deque<std::string> decoded_;
    bool is_empty_element_ = false;  // its `end` is still to be reported
    bool had_root_ = false;
    bool had_doctype_ = false;
};

}  // namespace topoalloc::hwloc
