#include "objectstore/names.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/strings.h"

namespace cml::objectstore {
namespace {

constexpr std::size_t kMostKey = 1024;
constexpr std::size_t kMostPart = 255;  // NAME_MAX
constexpr std::size_t kMostMetadata = 2048;
constexpr std::size_t kMostContentType = 255;
constexpr std::array<std::string_view, 6> kReserved{"healthz",      "readyz",   "metrics",
                                                    "openapi.yaml", "cloud_ml", "dev_server"};

bool IsAlnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

Error BadBucket(std::string_view name, const std::string& rule) {
  return {Code::kInvalidArgument, "bucket " + Quote(name) + ": " + rule};
}
Error BadKey(std::string_view key, const std::string& rule) {
  return {Code::kInvalidArgument, "key " + Quote(key) + ": " + rule};
}

// Four groups of digits: a client would take it for an address.
bool LooksLikeAnAddress(std::string_view name) {
  const auto parts = Split(name, '.');
  return parts.size() == 4 && std::ranges::all_of(parts, [](std::string_view part) {
           return !part.empty() &&
                  std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
         });
}

}  // namespace

Status CheckBucketName(std::string_view name) {
  if (name.size() < 3 || name.size() > 63) return BadBucket(name, "3 to 63 characters");
  for (const char c : name) {
    if (IsAlnum(c) || c == '-' || c == '.') continue;
    const std::string hint = "lower-case letters, digits, '-' and '.'";
    const std::string lower = ToLower(name);
    return BadBucket(
        name, lower != name && CheckBucketName(lower).ok() ? hint + "; try " + Quote(lower) : hint);
  }
  if (!IsAlnum(name.front()) || !IsAlnum(name.back())) {
    return BadBucket(name, "starts and ends with a letter or digit");
  }
  if (name.find("..") != std::string_view::npos) return BadBucket(name, "no two dots in a row");
  if (LooksLikeAnAddress(name)) return BadBucket(name, "must not look like an IP address");
  if (name.starts_with("xn--") || name.ends_with("-s3alias")) {
    return BadBucket(name, "does not start with \"xn--\" or end with \"-s3alias\"");
  }
  if (std::ranges::find(kReserved, name) != kReserved.end()) {
    return BadBucket(name, "the server uses this word itself; take another");
  }
  return Ok{};
}

Status CheckKey(std::string_view key) {
  if (key.empty()) return BadKey(key, "must not be empty");
  if (key.size() > kMostKey) {
    return BadKey(key, "at most 1024 bytes, not " + std::to_string(key.size()));
  }
  if (key.front() == '/') return BadKey(key, "must not start with '/'; leave it out");
  if (key.find('\0') != std::string_view::npos) return BadKey(key, "must not contain a NUL byte");
  if (!IsValidUtf8(key)) return BadKey(key, "must be UTF-8");
  const bool folder = key.back() == '/';
  for (const std::string_view part : Split(folder ? key.substr(0, key.size() - 1) : key, '/')) {
    if (part.empty()) return BadKey(key, "must not contain \"//\"");
    if (part == "." || part == "..") return BadKey(key, "must not have \".\" or \"..\" as a part");
    if (part.size() > kMostPart) {
      return BadKey(key, "at most 255 bytes between two '/', not " + std::to_string(part.size()));
    }
  }
  return Ok{};
}

Status CheckPutOptions(std::string_view content_type, std::size_t metadata_bytes) {
  if (content_type.size() > kMostContentType) {
    return Error(Code::kInvalidArgument, "Content-Type: at most 255 bytes");
  }
  if (metadata_bytes > kMostMetadata) {
    return Error(Code::kInvalidArgument, "metadata: at most 2048 bytes of names and values, not " +
                                             std::to_string(metadata_bytes));
  }
  return Ok{};
}

}  // namespace cml::objectstore
