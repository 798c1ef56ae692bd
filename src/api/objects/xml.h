// api/objects/xml.h — just enough XML for the S3 interface: a writer of elements and a reader of
// small documents. Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace cml::api::objects {

// Writes one document. Answers carry S3's name space on their root, errors must not: clients do not
// find the code in it.
enum class XmlSpace { kS3, kNone };
class XmlWriter {
 public:
  explicit XmlWriter(std::string_view root, XmlSpace space = XmlSpace::kS3);
  XmlWriter& Open(std::string_view name);
  XmlWriter& Close();  // the innermost open element
  XmlWriter& Add(std::string_view name, std::string_view text);
  std::string Finish();  // closes what is open; the writer is used up

 private:
  std::string out_;
  std::vector<std::string> open_;
};

struct XmlElement {
  std::string name;  // without a name space prefix
  std::string text;  // of this element, entities resolved
  std::vector<XmlElement> children;

  const XmlElement* Child(std::string_view child_name) const;  // the first; nullptr: none
  std::string_view ChildText(std::string_view child_name) const;
};

// kInvalidArgument: not well-formed, a document type declaration (never expanded), nested more
// than 8 deep, or more than 50,000 elements. Attributes are skipped.
Result<XmlElement> ParseXml(std::string_view text);

}  // namespace cml::api::objects
