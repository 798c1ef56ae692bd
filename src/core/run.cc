#include "core/run.h"

#include <algorithm>

#include "base/strings.h"

namespace cml {

std::string ToString(const RunKey& key) {
  return key.resource.str() + "." + std::to_string(key.incarnation);
}

std::optional<RunKey> ParseRunKey(std::string_view text) {
  const auto dot = text.rfind('.');
  if (dot == 0 || dot == std::string_view::npos) return std::nullopt;
  const std::string_view resource = text.substr(0, dot);
  const bool clean = std::all_of(resource.begin(), resource.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  const auto incarnation = ParseUnsigned(text.substr(dot + 1));
  if (!clean || !incarnation) return std::nullopt;
  return RunKey{ResourceId{std::string(resource)}, *incarnation};
}

}  // namespace cml
