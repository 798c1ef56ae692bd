// cli/xml.h — just enough XML to read the answers of S3 interfaces: elements and text. Attributes,
// comments and processing instructions are skipped; a DOCTYPE is refused. Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace cml::cli {

struct XmlElement {
  std::string name;  // without a namespace prefix
  std::string text;  // its own text, entities replaced
  std::vector<XmlElement> children;

  // Text of the first child of that name; empty: none.
  std::string Child(std::string_view child) const;
  std::vector<const XmlElement*> All(std::string_view child) const;
};

// kInvalidArgument: not well-formed, deeper than 32 levels, more than 200,000 elements.
Result<XmlElement> ParseXml(std::string_view text);
std::string EscapeXml(std::string_view text);

}  // namespace cml::cli
