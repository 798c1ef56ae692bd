// The two signatures of the published clients: Galaxy V3 for the API, Galaxy V2 for the object
// store.
#include <algorithm>
#include <array>

#include "base/strings.h"
#include "crypto/digest.h"
#include "net/signing.h"

namespace cml::net {
namespace {

constexpr std::array<std::string_view, 7> kSubResources = {
    "acl", "metadata", "partNumber", "quota", "storageAccessToken", "uploadId", "uploads"};

// "acl" or "uploadId=u1", sorted as text and decoded.
std::vector<std::string> SignedSubResources(std::string_view query) {
  std::vector<std::string> found;
  for (const std::string_view raw : Split(query, '&')) {
    std::string pair = PercentDecode(raw);
    const std::string_view name = std::string_view(pair).substr(0, pair.find('='));
    if (std::find(kSubResources.begin(), kSubResources.end(), name) == kSubResources.end()) {
      continue;
    }
    found.push_back(std::move(pair));
  }
  std::sort(found.begin(), found.end());
  return found;
}

// In a buffer of the thread's, good until the next call.
std::string_view GalaxyV3Text(std::string_view path, std::string_view timestamp, std::string_view md5) {
  thread_local std::string text;
  text.clear();
  text.append(path).append("\n").append(timestamp).append("\n").append(md5).append("\n");
  return text;
}

std::string CanonicalXiaomiHeaders(const Headers& headers) {
  std::vector<std::pair<std::string, std::string>> ours;
  for (const auto& [name, value] : headers.all()) {
    std::string lower = ToLower(name);
    const std::string_view trimmed = Trim(value);
    if (!lower.starts_with("x-xiaomi-") || trimmed.empty()) continue;
    ours.emplace_back(std::move(lower), trimmed);
  }
  std::stable_sort(ours.begin(), ours.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string text;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const bool again = i > 0 && ours[i].first == ours[i - 1].first;
    if (again) {
      text.back() = ',';
      text += ours[i].second + "\n";
    } else {
      text += ours[i].first + ":" + ours[i].second + "\n";
    }
  }
  return text;
}

}  // namespace

std::string GalaxyV3Signature(const Secret& secret, std::string_view path,
                              std::string_view timestamp, std::string_view body_md5_hex) {
  return crypto::ToBase64(crypto::Hmac(crypto::Hash::kSha1, secret.Reveal(),
                                       GalaxyV3Text(path, timestamp, body_md5_hex)));
}

bool IsGalaxyV3Signature(std::string_view signature, const Secret& secret, std::string_view path,
                         std::string_view timestamp, std::string_view body_md5_hex) {
  return crypto::IsHmacInBase64(crypto::Hash::kSha1, secret.Reveal(),
                                GalaxyV3Text(path, timestamp, body_md5_hex), signature);
}

std::string GalaxyV2Signature(const Secret& secret, std::string_view method,
                              std::string_view target, const Headers& headers) {
  const std::size_t question = target.find('?');
  const std::string_view query =
      question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
  std::string text(method);
  text.append("\n").append(headers.Get("Content-MD5"));
  text.append("\n").append(headers.Get("Content-Type")).append("\n");
  // A client that cannot set Date signs x-xiaomi-date among the headers, and nothing here.
  if (headers.Get("x-xiaomi-date").empty()) text.append(headers.Get("Date"));
  text.append("\n").append(CanonicalXiaomiHeaders(headers));
  text.append(PercentDecode(target.substr(0, question)));
  char before = '?';
  for (const std::string& pair : SignedSubResources(query)) {
    text.push_back(before);
    text.append(pair);
    before = '&';
  }
  return crypto::ToBase64(crypto::Hmac(crypto::Hash::kSha1, secret.Reveal(), text));
}

}  // namespace cml::net
