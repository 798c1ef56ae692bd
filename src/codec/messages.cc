#include "codec/messages.h"

#include <boost/json.hpp>

#include "base/strings.h"

namespace cml::codec {
namespace {

namespace json = boost::json;

// A program's output is any bytes; JSON is UTF-8. Each byte that is not part of a well-formed
// sequence becomes U+FFFD.
std::string CleanUtf8(std::string_view text) {
  if (IsValidUtf8(text)) return std::string(text);
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = 1;
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead >= 0xC2) length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    const std::string_view piece = text.substr(i, length);
    if (piece.size() == length && IsValidUtf8(piece)) {
      out += piece;
      i += length;
    } else {
      out += "\xEF\xBF\xBD";
      ++i;
    }
  }
  return out;
}

}  // namespace

std::string EncodeMessage(IsError error, std::string_view message) {
  return json::serialize(json::object{{"error", error == IsError::kYes}, {"message", CleanUtf8(message)}});
}

std::string EncodeLogs(std::string_view text) {
  return json::serialize(json::object{{"logs", CleanUtf8(text)}});
}

std::string EncodeOrgId(std::string_view org_id) {
  return json::serialize(json::object{{"org_id", org_id}});
}

std::string EncodeFrameworks(const std::map<std::string, std::vector<std::string>>& versions) {
  json::object out;
  for (const auto& [name, all] : versions) {
    json::array list;
    for (const std::string& version : all) list.emplace_back(version);
    out[name] = std::move(list);
  }
  return json::serialize(out);
}

std::string EncodeRuntimes(const std::vector<RuntimeLine>& runtimes) {
  json::array data;
  for (const RuntimeLine& r : runtimes) {
    json::object packages;
    for (const auto& [name, version] : r.packages) packages[name] = version;
    data.emplace_back(json::object{{"name", r.name}, {"version", r.version}, {"variant", r.variant},
                                   {"python", r.python}, {"state", r.state}, {"message", r.message},
                                   {"size_bytes", r.size_bytes}, {"packages", std::move(packages)}});
  }
  return json::serialize(json::object{{"data", std::move(data)}});
}

}  // namespace cml::codec
