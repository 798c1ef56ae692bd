#include "cli/xml.h"

#include <charconv>

#include "base/strings.h"

namespace cml::cli {
namespace {

constexpr int kMostDepth = 32;
constexpr int kMostElements = 200'000;

Error Bad(const std::string& what) { return {Code::kInvalidArgument, "XML: " + what}; }

void AppendUtf8(char32_t c, std::string& out) {
  const auto put = [&](char32_t bits) { out += static_cast<char>(bits); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | (c >> 6));
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3F));
    put(0x80 | ((c >> 6) & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

// "&amp;" without '&' and ';'. Unknown ones stay as they are.
void AppendEntity(std::string_view name, std::string& out) {
  if (name == "amp") {
    out += '&';
  } else if (name == "lt") {
    out += '<';
  } else if (name == "gt") {
    out += '>';
  } else if (name == "quot") {
    out += '"';
  } else if (name == "apos") {
    out += '\'';
  } else if (name.starts_with('#')) {
    const bool hex = name.starts_with("#x");
    const std::string_view digits = name.substr(hex ? 2 : 1);
    unsigned c = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), c, hex ? 16 : 10);
    if (c > 0 && c <= 0x10FFFF) AppendUtf8(c, out);
  } else {
    out.append("&").append(name).append(";");
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  Result<XmlElement> Document() {
    CML_RETURN_IF_ERROR(SkipMisc());
    CML_ASSIGN_OR_RETURN(XmlElement root, Element(0));
    CML_RETURN_IF_ERROR(SkipMisc());
    if (!rest_.empty()) return Bad("something follows the last element");
    return root;
  }

 private:
  // White space, declarations and comments.
  Status SkipMisc() {
    while (true) {
      rest_ = rest_.substr(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
      const char* end = nullptr;
      if (rest_.starts_with("<?")) end = "?>";
      if (rest_.starts_with("<!--")) end = "-->";
      if (end == nullptr) return Ok{};
      CML_RETURN_IF_ERROR(SkipPast(end));
    }
  }

  Status SkipPast(std::string_view end) {
    const std::size_t at = rest_.find(end);
    if (at == std::string_view::npos) return Bad("not closed");
    rest_.remove_prefix(at + end.size());
    return Ok{};
  }

  // Stands on '<' of a start tag.
  Result<XmlElement> Element(int depth) {
    if (depth > kMostDepth || ++elements_ > kMostElements) return Bad("too deep or too long");
    if (!rest_.starts_with('<') || rest_.starts_with("<!")) return Bad("an element is missing");
    const std::size_t close = rest_.find('>');
    if (close == std::string_view::npos) return Bad("not closed");
    std::string_view tag = rest_.substr(1, close - 1);
    rest_.remove_prefix(close + 1);
    const bool empty = tag.ends_with('/');
    const std::string_view full = tag.substr(0, tag.find_first_of(" \t\r\n/"));
    XmlElement element;
    element.name =
        std::string(full.substr(full.find(':') == std::string_view::npos ? 0 : full.find(':') + 1));
    if (element.name.empty()) return Bad("an element without a name");
    if (!empty) CML_RETURN_IF_ERROR(Content(full, depth, element));
    return element;
  }

  Status Content(std::string_view full_name, int depth, XmlElement& into) {
    while (true) {
      const std::size_t next = rest_.find_first_of("<&");
      if (next == std::string_view::npos) return Bad("not closed");
      into.text += rest_.substr(0, next);
      rest_.remove_prefix(next);
      if (rest_[0] == '&') {
        const std::size_t end = rest_.substr(0, 12).find(';');
        if (end == std::string_view::npos) return Bad("an entity is not closed");
        AppendEntity(rest_.substr(1, end - 1), into.text);
        rest_.remove_prefix(end + 1);
      } else if (rest_.starts_with("</")) {
        const std::string_view name = Trim(rest_.substr(2, rest_.find('>') - 2));
        if (name != full_name)
          return Bad("</" + std::string(name.substr(0, 40)) + "> closes nothing");
        return SkipPast(">");
      } else if (rest_.starts_with("<!--") || rest_.starts_with("<?")) {
        CML_RETURN_IF_ERROR(SkipPast(rest_.starts_with("<?") ? "?>" : "-->"));
      } else if (rest_.starts_with("<![CDATA[")) {
        rest_.remove_prefix(9);
        into.text += rest_.substr(0, rest_.find("]]>"));
        CML_RETURN_IF_ERROR(SkipPast("]]>"));
      } else {
        CML_ASSIGN_OR_RETURN(XmlElement child, Element(depth + 1));
        into.children.push_back(std::move(child));
      }
    }
  }

  std::string_view rest_;
  int elements_ = 0;
};

}  // namespace

std::string XmlElement::Child(std::string_view child) const {
  for (const XmlElement& c : children) {
    if (c.name == child) return c.text;
  }
  return "";
}

std::vector<const XmlElement*> XmlElement::All(std::string_view child) const {
  std::vector<const XmlElement*> all;
  for (const XmlElement& c : children) {
    if (c.name == child) all.push_back(&c);
  }
  return all;
}

Result<XmlElement> ParseXml(std::string_view text) { return Parser(text).Document(); }

std::string EscapeXml(std::string_view text) {
  std::string out;
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
        out += c;
    }
  }
  return out;
}

}  // namespace cml::cli
