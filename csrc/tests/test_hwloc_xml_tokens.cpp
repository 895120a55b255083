// SPDX-License-Identifier: Apache-2.0
#include "machine/hwloc_xml_tokens.hpp"

#include "topoalloc/errors.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace topoalloc::hwloc {
namespace {

using namespace std::string_view_literals;

// The events of a text as one line: "+a(x=1) 't' -a".
std::string events_of(std::string_view text) {
    const XmlSource source(text, "t.xml");
    XmlTokenizer tokens(source);
    std::string shown;
    while (true) {
        const auto event = tokens.next();
        if (event == XmlTokenizer::Event::finish) {
            return shown;
        }
        shown += shown.empty() ? "" : " ";
        if (event == XmlTokenizer::Event::text) {
            shown += "'" + std::string(tokens.text()) + "'";
            continue;
        }
        shown += (event == XmlTokenizer::Event::start ? "+" : "-") +
                 std::string(tokens.name());
        if (event == XmlTokenizer::Event::start) {
            for (const XmlAttribute& each : tokens.attributes()) {
                shown +=
                    "(" + std::string(each.name) + "=" + std::string(each.value) + ")";
            }
        }
    }
}

std::string error_of(std::string_view text) {
    try {
        return "no error: " + events_of(text);
    } catch (const FormatError& error) {
        return error.what();
    }
}

TEST(HwlocXmlTokens, ReadsElementsAttributesAndText) {
    EXPECT_EQ(events_of("<a x=\"1\" y='2'><b/> t <c></c></a>"),
              "+a(x=1)(y=2) +b -b ' t ' +c -c -a");
}

TEST(HwlocXmlTokens, DecodesReferences) {
    EXPECT_EQ(
        events_of(
            "<a x=\"&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#xe9;&#x20ac;&#x1F600;\"/>"),
        "+a(x=<>&\"'AB\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80) -a");
    EXPECT_EQ(events_of("<a>1 &amp; 2</a>"), "+a '1 & 2' -a");
    EXPECT_EQ(events_of("<a x=\"&amp;lt;\"/>"), "+a(x=&lt;) -a");  // not decoded twice
}

// What an element has is compared with what an earlier one had.
TEST(HwlocXmlTokens, ReadsElementsAfterThoseOfOtherAttributes) {
    EXPECT_EQ(
        events_of("<r><a x=\"1\" y=\"2\"/><a x=\"3\" y=\"4\" z=\"5\"/><a x=\"6\"/>"
                  "<a y=\"7\" x=\"8\"/><b/><a x  = '9\"'\ty=\"&lt;\" /></r>"),
        "+r +a(x=1)(y=2) -a +a(x=3)(y=4)(z=5) -a +a(x=6) -a +a(y=7)(x=8) -a +b -b "
        "+a(x=9\")(y=<) -a -r");
    EXPECT_EQ(events_of("<r><a xy=\"1\"/><a x=\"2\"/><a xyz=\"3\"/></r>"),
              "+r +a(xy=1) -a +a(x=2) -a +a(xyz=3) -a -r");
    EXPECT_EQ(error_of("<r><a x=\"1\" y=\"2\"/>\n<a x=\"1\" y=\"2\" x=\"3\"/></r>"),
              "t.xml:2: x: given twice, want it once");
    EXPECT_EQ(error_of("<r><a x=\"1\"/>\n<a x=\"<\"/></r>"),
              "t.xml:2: attribute value: has no end, want a closing quote");
    EXPECT_EQ(error_of("<r><a x=\"1\"/>\n<a x=\"2"),
              "t.xml:2: attribute value: has no end, want a closing quote");
    EXPECT_EQ(error_of("<r><a x=\"1\"/>\n<a x="),
              "t.xml:2: attribute value: not in quotes, want \"...\"");
}

TEST(HwlocXmlTokens, SkipsWhatIsNoContent) {
    EXPECT_EQ(
        events_of("\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!DOCTYPE a SYSTEM \"a.dtd\">"
                  "<!-- <b> --><a><?p q?><!----></a>\n<!-- end -->\n"),
        "+a -a");
    EXPECT_EQ(events_of("<a><![CDATA[<&>]]></a>"), "+a '<&>' -a");
}

struct Refusal {
    const char* text;
    const char* message;
};

TEST(HwlocXmlTokens, RefusesWithTheLine) {
    const std::vector<Refusal> cases = {
        {"", "t.xml:1: no element, want <topology>"},
        {"\n\n", "t.xml:3: no element, want <topology>"},
        {"garbage", "t.xml:1: text outside of elements"},
        {"<a/>x", "t.xml:1: text outside of elements"},
        {"<a/>\n<b/>", "t.xml:2: second element at the top"},
        {"<a>\n<b>\n</a>", "t.xml:3: </a>: does not match, want </b>"},
        {"<a>\n<b>", "t.xml:2: end of file inside <b>, want </b>"},
        {"</a>", "t.xml:1: </a>: does not match, want no end tag"},
        {"<a></a", "t.xml:1: </a: cut off, want >"},
        {"<a x", "t.xml:1: x: no value, want x=\"...\""},
        {"<a x=", "t.xml:1: attribute value: not in quotes"},
        {"<a x=1/>", "t.xml:1: attribute value: not in quotes"},
        {"<a x=\"1", "t.xml:1: attribute value: has no end"},
        {"<a x=\"<\"/>", "t.xml:1: attribute value: has no end"},
        {"<a x=\"1\"y=\"2\"/>", "t.xml:1: <a>: no space, want one before an attribute"},
        {"<a\nx=\"1\"\nx=\"2\"/>", "t.xml:3: x: given twice, want it once"},
        {"<a", "t.xml:1: <a>: cut off, want the end of the tag"},
        {"<", "t.xml:1: element: no name"},
        {"<a =\"1\"/>", "t.xml:1: attribute: no name"},
        {"<!-- ", "t.xml:1: comment: without an end, want -->"},
        {"<?xml ", "t.xml:1: processing instruction: without an end"},
        {"<a><![CDATA[ </a>", "t.xml:1: CDATA section: without an end, want ]]>"},
        {"<![CDATA[x]]>", "t.xml:1: text outside of elements"},
        {"<!DOCTYPE a [<!ENTITY x \"y\">]><a/>", "t.xml:1: DOCTYPE: has declarations"},
        {"<!DOCTYPE a", "t.xml:1: DOCTYPE: has declarations or no end"},
        {"<!DOCTYPE a><!DOCTYPE a><a/>", "t.xml:1: DOCTYPE: misplaced"},
        {"<a><!DOCTYPE a></a>", "t.xml:1: DOCTYPE: misplaced"},
        {"<!ELEMENT a><a/>", "t.xml:1: markup declaration"},
        {"<a x=\"&x;\"/>", "t.xml:1: reference \"&x;\": unknown"},
        {"<a x=\"&#0;\"/>", "t.xml:1: reference \"&#0;\": unknown"},
        {"<a x=\"&#xd800;\"/>", "t.xml:1: reference \"&#xd800;\": unknown"},
        {"<a x=\"&#x110000;\"/>", "t.xml:1: reference \"&#x110000;\": unknown"},
        {"<a x=\"&#;\"/>", "t.xml:1: reference \"&#;\": unknown"},
        {"<a x=\"&#-1;\"/>", "t.xml:1: reference \"&#-1;\": unknown"},
        {"<a x=\"&amp\"/>", "t.xml:1: reference \"&amp\": unknown"},
        {"<a>\n& b</a>", "t.xml:2: reference \"& b\": unknown"},
        {"<a x=\"\x01\"/>", "t.xml:1: control character 1"},
        {"<a>\n\xff</a>", "t.xml:2: bytes: not UTF-8"},
        {"<a>\xc0\x80</a>", "t.xml:1: bytes: not UTF-8"},          // overlong
        {"<a>\xed\xa0\x80</a>", "t.xml:1: bytes: not UTF-8"},      // surrogate
        {"<a>\xf4\x90\x80\x80</a>", "t.xml:1: bytes: not UTF-8"},  // above U+10FFFF
        {"<a>\xe2\x82", "t.xml:1: bytes: not UTF-8"},              // cut
    };
    for (const Refusal& each : cases) {
        EXPECT_EQ(error_of(each.text).substr(0, std::string(each.message).size()),
                  each.message)
            << each.text;
    }
}

TEST(HwlocXmlTokens, BoundsDepthAttributesAndSize) {
    std::string deep;
    for (std::size_t i = 0; i <= XmlLimits::depth; ++i) {
        deep += "<a>\n";
    }
    EXPECT_EQ(error_of(deep),
              "t.xml:257: <a>: nested too deep, want at most 256 levels");
    std::string wide = "<a";
    for (std::size_t i = 0; i <= XmlLimits::attributes; ++i) {
        wide += " x" + std::to_string(i) + "=\"\"";
    }
    EXPECT_EQ(error_of(wide + "/>"),
              "t.xml:1: attributes: too many, want at most 64 in an element");
    const std::string large(XmlLimits::bytes + 1, ' ');
    EXPECT_EQ(error_of(large), "t.xml:1: 67108865 bytes, want at most 67108864");
}

TEST(HwlocXmlTokens, AcceptsTheNulOfAnExportBuffer) {
    EXPECT_EQ(events_of("<a/>\0"sv), "+a -a");
    EXPECT_EQ(error_of("<a\0/>"sv).substr(0, 27), "t.xml:1: control character ");
}

TEST(HwlocXmlTokens, QuotesWithoutCuttingCharacters) {
    EXPECT_EQ(in_quotes("x"), "\"x\"");
    EXPECT_EQ(in_quotes(std::string(61, 'x')), '"' + std::string(60, 'x') + "...\"");
    EXPECT_EQ(in_quotes(std::string(59, 'x') + "\xc3\xa9z"),
              '"' + std::string(59, 'x') + "...\"");
}

}  // namespace
}  // namespace topoalloc::hwloc
