// codec/messages.h — the small answers of the API that belong to no resource. Pure.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cml::codec {

enum class IsError { kNo, kYes };
std::string EncodeMessage(IsError error, std::string_view message);  // {"error": …, "message": …}
std::string EncodeLogs(std::string_view text);                       // {"logs": …}; bad UTF-8 is replaced
std::string EncodeOrgId(std::string_view org_id);                    // {"org_id": …}
// {"name": ["version", …]}
std::string EncodeFrameworks(const std::map<std::string, std::vector<std::string>>& versions);

struct RuntimeLine {
  std::string name, version, variant, python, state, message;
  std::uint64_t size_bytes = 0;
  std::map<std::string, std::string> packages;
};
std::string EncodeRuntimes(const std::vector<RuntimeLine>& runtimes);  // {"data": […]}

}  // namespace cml::codec
