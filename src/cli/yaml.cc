#include "cli/yaml.h"

#include <yaml-cpp/yaml.h>

#include <string>

#include "base/strings.h"

namespace cml::cli {
namespace {

using codec::Document;

constexpr std::size_t kMostBytes = 4U << 20;
constexpr int kMostDepth = 32;
constexpr std::size_t kMostNodes = 100'000;

class Converter {
 public:
  Result<Document> Convert(const YAML::Node& node, int depth) {
    if (depth > kMostDepth) return TooMuch("nested more than 32 levels deep");
    if (++nodes_ > kMostNodes) return TooMuch("more than 100,000 values");
    if (node.IsMap()) {
      Document out = Document::Object();
      for (const auto& field : node) {
        if (!field.first.IsScalar()) return TooMuch("a key that is not a plain word");
        CML_ASSIGN_OR_RETURN(const Document value, Convert(field.second, depth + 1));
        out.Set(field.first.Scalar(), value);
      }
      return out;
    }
    if (node.IsSequence()) {
      Document out = Document::Array();
      for (const auto& item : node) {
        CML_ASSIGN_OR_RETURN(const Document value, Convert(item, depth + 1));
        out.Append(value);
      }
      return out;
    }
    if (node.IsScalar()) return Scalar(node);
    return Document();
  }

 private:
  static Error TooMuch(const std::string& what) {
    return {Code::kInvalidArgument, "YAML: " + what};
  }

  static Result<Document> Scalar(const YAML::Node& node) {
    const std::string& text = node.Scalar();
    if (!IsValidUtf8(text)) return TooMuch("not valid UTF-8");
    if (node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str") return Document::String(text);
    if (text.empty() || text == "~" || text == "null" || text == "Null") return Document();
    if (text == "true" || text == "True") return Document::Boolean(true);
    if (text == "false" || text == "False") return Document::Boolean(false);
    // "007" is a name, not a number.
    const bool padded = text.size() > 1 && text[0] == '0' && text[1] != '.';
    if (const auto n = ParseInt(text); n && !padded) return Document::Integer(*n);
    return Document::String(text);
  }

  std::size_t nodes_ = 0;
};

}  // namespace

Result<Document> ParseYaml(std::string_view text) {
  if (text.size() > kMostBytes) return Error(Code::kInvalidArgument, "YAML: longer than 4 MiB");
  if (Trim(text).starts_with('{')) {  // a JSON message about JSON is the better one
    auto json = Document::Parse(text);
    if (json.ok()) return json;
  }
  try {
    return Converter().Convert(YAML::Load(std::string(text)), 0);
  } catch (const YAML::Exception& e) {
    return Error(Code::kInvalidArgument, "YAML: " + e.msg + " at line " +
                                             std::to_string(e.mark.line + 1) + ", column " +
                                             std::to_string(e.mark.column + 1));
  }
}

}  // namespace cml::cli
