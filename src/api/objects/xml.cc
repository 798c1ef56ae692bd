#include "api/objects/xml.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/strings.h"

namespace cml::api::objects {
namespace {

constexpr int kMostDepth = 8;
constexpr int kMostElements = 50'000;
constexpr std::string_view kSpace = " \t\r\n";

void AppendEscaped(std::string_view text, std::string& out) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // control characters have no form in XML 1.0; clients read the reference all the same
        if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n') {
          out += "&#" + std::to_string(static_cast<int>(c)) + ";";
        } else {
          out.push_back(c);
        }
    }
  }
}

void AppendUtf8(std::uint32_t c, std::string& out) {
  const auto add = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    add(c);
  } else if (c < 0x800) {
    add(0xc0 | c >> 6);
    add(0x80 | (c & 63));
  } else if (c < 0x10000) {
    add(0xe0 | c >> 12);
    add(0x80 | (c >> 6 & 63));
    add(0x80 | (c & 63));
  } else {
    add(0xf0 | c >> 18);
    add(0x80 | (c >> 12 & 63));
    add(0x80 | (c >> 6 & 63));
    add(0x80 | (c & 63));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  Result<XmlElement> Document() {
    Skip("\xef\xbb\xbf");
    CML_RETURN_IF_ERROR(SkipMisc());
    XmlElement root;
    CML_RETURN_IF_ERROR(Element(root, 1));
    CML_RETURN_IF_ERROR(SkipMisc());
    if (!rest_.empty()) return Bad("text behind the end");
    return root;
  }

 private:
  static Error Bad(std::string_view why) {
    return Error(Code::kInvalidArgument, "XML: " + std::string(why));
  }
  bool Skip(std::string_view what) {
    if (!rest_.starts_with(what)) return false;
    rest_.remove_prefix(what.size());
    return true;
  }
  void SkipSpace() { rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpace), rest_.size())); }
  bool SkipBehind(std::string_view what) {
    const std::size_t at = rest_.find(what);
    if (at == std::string_view::npos) return false;
    rest_.remove_prefix(at + what.size());
    return true;
  }

  // White space, comments, <?…?>.
  Status SkipMisc() {
    for (;;) {
      SkipSpace();
      if (Skip("<!--")) {
        if (!SkipBehind("-->")) return Bad("a comment without an end");
      } else if (Skip("<?")) {
        if (!SkipBehind("?>")) return Bad("a declaration without an end");
      } else {
        return Ok{};
      }
    }
  }

  std::string Name() {
    const std::size_t n = std::min(rest_.find_first_of(" \t\r\n/>=<&\"'"), rest_.size());
    const std::string name(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return name;
  }

  Status Attributes() {
    for (;;) {
      SkipSpace();
      if (rest_.empty()) return Bad("an element without an end");
      if (rest_.front() == '>' || rest_.front() == '/') return Ok{};
      if (Name().empty()) return Bad("a bad attribute");
      SkipSpace();
      if (!Skip("=")) return Bad("an attribute without a value");
      SkipSpace();
      const bool single = rest_.starts_with('\'');
      if (!single && !rest_.starts_with('"')) return Bad("an attribute without quotes");
      rest_.remove_prefix(1);
      if (!SkipBehind(single ? "'" : "\"")) return Bad("an attribute without an end");
    }
  }

  Status Element(XmlElement& element, int depth) {
    if (depth > kMostDepth) return Bad("nested too deep");
    if (++elements_ > kMostElements) return Bad("too many elements");
    if (!Skip("<") || rest_.starts_with('!')) return Bad("an element was expected");
    const std::string full = Name();
    if (full.empty()) return Bad("an element without a name");
    element.name = full.substr(full.find(':') == std::string::npos ? 0 : full.find(':') + 1);
    CML_RETURN_IF_ERROR(Attributes());
    if (Skip("/>")) return Ok{};
    if (!Skip(">")) return Bad("a bad element");
    for (;;) {
      if (rest_.empty()) return Bad("the end of " + Quote(full) + " is missing");
      if (Skip("</")) {
        if (Name() != full) return Bad("the end of " + Quote(full) + " is missing");
        SkipSpace();
        if (!Skip(">")) return Bad("a bad end of an element");
        return Ok{};
      }
      if (rest_.starts_with("<!--") || rest_.starts_with("<?")) {
        CML_RETURN_IF_ERROR(SkipMisc());
      } else if (Skip("<![CDATA[")) {
        const std::size_t end = rest_.find("]]>");
        if (end == std::string_view::npos) return Bad("CDATA without an end");
        element.text += rest_.substr(0, end);
        rest_.remove_prefix(end + 3);
      } else if (rest_.front() == '<') {
        element.children.emplace_back();
        CML_RETURN_IF_ERROR(Element(element.children.back(), depth + 1));
      } else {
        CML_RETURN_IF_ERROR(Text(element.text));
      }
    }
  }

  Status Text(std::string& out) {
    while (!rest_.empty() && rest_.front() != '<') {
      if (rest_.front() == '&') {
        CML_RETURN_IF_ERROR(Reference(out));
        continue;
      }
      const std::size_t n = std::min(rest_.find_first_of("<&"), rest_.size());
      out += rest_.substr(0, n);
      rest_.remove_prefix(n);
    }
    return Ok{};
  }

  Status Reference(std::string& out) {
    rest_.remove_prefix(1);
    const std::size_t end = rest_.substr(0, 12).find(';');
    if (end == std::string_view::npos) return Bad("a bad reference");
    const std::string_view name = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    if (name == "amp") {
      out.push_back('&');
    } else if (name == "lt") {
      out.push_back('<');
    } else if (name == "gt") {
      out.push_back('>');
    } else if (name == "quot") {
      out.push_back('"');
    } else if (name == "apos") {
      out.push_back('\'');
    } else {
      const auto c = CharacterNumber(name);
      if (!c) return Bad("an unknown reference");
      AppendUtf8(*c, out);
    }
    return Ok{};
  }

  // "#65" or "#x41"; nullopt: no character.
  static std::optional<std::uint32_t> CharacterNumber(std::string_view name) {
    if (!name.starts_with('#') || name.size() < 2) return std::nullopt;
    name.remove_prefix(1);
    std::uint32_t base = 10;
    if (name.front() == 'x') {
      base = 16;
      name.remove_prefix(1);
    }
    std::uint32_t value = 0;
    for (const char c : name) {
      std::uint32_t digit = 99;
      if (c >= '0' && c <= '9') digit = static_cast<std::uint32_t>(c - '0');
      if (c >= 'a' && c <= 'f') digit = static_cast<std::uint32_t>(c - 'a' + 10);
      if (c >= 'A' && c <= 'F') digit = static_cast<std::uint32_t>(c - 'A' + 10);
      if (digit >= base) return std::nullopt;
      value = value * base + digit;
      if (value > 0x10ffff) return std::nullopt;
    }
    if (name.empty() || value == 0 || (value >= 0xd800 && value < 0xe000)) return std::nullopt;
    return value;
  }

  std::string_view rest_;
  int elements_ = 0;
};

}  // namespace

XmlWriter::XmlWriter(std::string_view root, XmlSpace space)
    : out_("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<") {
  out_.append(root);
  if (space == XmlSpace::kS3) out_.append(" xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"");
  out_.append(">");
  open_.emplace_back(root);
}

XmlWriter& XmlWriter::Open(std::string_view name) {
  out_.append("<").append(name).append(">");
  open_.emplace_back(name);
  return *this;
}

XmlWriter& XmlWriter::Close() {
  out_.append("</").append(open_.back()).append(">");
  open_.pop_back();
  return *this;
}

XmlWriter& XmlWriter::Add(std::string_view name, std::string_view text) {
  out_.append("<").append(name).append(">");
  AppendEscaped(text, out_);
  out_.append("</").append(name).append(">");
  return *this;
}

std::string XmlWriter::Finish() {
  while (!open_.empty()) Close();
  return std::move(out_);
}

const XmlElement* XmlElement::Child(std::string_view child_name) const {
  const auto at = std::find_if(children.begin(), children.end(),
                               [&](const XmlElement& c) { return c.name == child_name; });
  return at == children.end() ? nullptr : &*at;
}

std::string_view XmlElement::ChildText(std::string_view child_name) const {
  const XmlElement* child = Child(child_name);
  return child == nullptr ? std::string_view() : std::string_view(child->text);
}

Result<XmlElement> ParseXml(std::string_view text) { return Parser(text).Document(); }

}  // namespace cml::api::objects
