#include "api/auth/authenticator.h"

#include <fmt/format.h>

#include <ctime>

#include "base/strings.h"
#include "crypto/digest.h"

namespace cml::api {
namespace {

constexpr std::chrono::minutes kWindow{15};
constexpr std::string_view kGalaxyV3 = "Galaxy V3 ";

Error Wrong() { return Error(Code::kUnauthenticated, "Unauthorized: signature is wrong"); }

Error Unsigned() {
  return Error(Code::kUnauthenticated,
               "Unauthorized: the request is not signed; sign it with your access key (Galaxy V3 or "
               "AWS Signature Version 4, service cloudml)");
}

// What stands in for the secret of a key that is not there, so that the work is the same.
const Secret& NoSecret() {
  static const Secret secret{std::string(40, 'x')};
  return secret;
}

// cloud_ml v1, section 2: the lower-case hex MD5 of the body. Most requests have none.
bool IsMd5OfBody(std::string_view md5, std::string_view body) {
  if (body.empty()) return md5 == "d41d8cd98f00b204e9800998ecf8427e";
  return crypto::ConstantTimeEquals(md5, crypto::ToHex(crypto::Digest(crypto::Hash::kMd5, body)));
}

std::string_view PathOf(std::string_view target) { return target.substr(0, target.find('?')); }

// YYYYMMDD'T'HHMMSS'Z'
Result<SysTime> ParseAmzTime(const std::string& text) {
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), "%Y%m%dT%H%M%SZ", &parts);
  if (text.size() != 16 || end != text.c_str() + text.size()) {
    return Error(Code::kUnauthenticated, "Unauthorized: X-Amz-Date " + Quote(text) + ": for instance 20260102T030405Z");
  }
  return SysTime{std::chrono::seconds{::timegm(&parts)}};
}

bool Changes(const net::Request& request) { return request.method != "GET" && request.method != "HEAD"; }

const Secret& SecretOf(const std::shared_ptr<const service::KnownKey>& key) {
  return key ? key->secret : NoSecret();
}

}  // namespace

// The key, or nothing and false.
std::pair<Authenticator::Known, bool> Authenticator::Look(const AccessKey& key) {
  auto found = orgs_.Key(key);
  if (!found.ok() || !found.value()->ValidAt(clock_.Now())) return {nullptr, false};
  return {std::move(found).value(), true};
}

Result<service::Caller> Authenticator::Accept(const Known& key) const {
  key->UsedAt(clock_.Now());
  return key->caller;
}

Status Authenticator::CheckOrg(const service::Caller& caller, Effect effect) {
  if (caller.org != caller.home) CML_RETURN_IF_ERROR(orgs_.Find(caller.org));
  return effect == Effect::kChanges ? orgs_.MayChange(caller) : Status(Ok{});
}

Result<service::Caller> Authenticator::Authenticate(const net::Request& request) {
  const std::string_view authorization = request.headers.Get("Authorization");
  if (authorization.starts_with(kGalaxyV3)) return GalaxyV3(request, authorization.substr(kGalaxyV3.size()));
  if (authorization.starts_with("AWS4-HMAC-SHA256") || request.query.contains("X-Amz-Signature")) {
    return SigV4(request);
  }
  if (!authorization.empty() && request.headers.Has("X-Xiaomi-Secret-Key-Id")) {
    return OlderGalaxy(request, authorization);
  }
  return Unsigned();
}

Result<SysTime> Authenticator::CheckClock(SysTime signed_at) const {
  const SysTime now = clock_.Now();
  if (signed_at >= now - kWindow && signed_at <= now + kWindow) return signed_at;
  return Error(Code::kUnauthenticated,
               fmt::format("Unauthorized: the request is signed for {}, the server's time is {}; set "
                           "the clock, at most 15 minutes apart are allowed",
                           FormatRfc3339(signed_at), FormatRfc3339(now)));
}

Result<service::Caller> Authenticator::GalaxyV3(const net::Request& rq, std::string_view signature) {
  const std::string_view timestamp = rq.headers.Get("X-Xiaomi-Timestamp");
  const auto seconds = ParseUnsigned(timestamp);
  if (!seconds || *seconds > 1'000'000'000'000) {
    return Error(Code::kUnauthenticated, "Unauthorized: X-Xiaomi-Timestamp " + Quote(timestamp) + ": seconds since 1970");
  }
  CML_RETURN_IF_ERROR(CheckClock(SysTime{std::chrono::seconds{*seconds}}));
  const std::string_view md5 = rq.headers.Get("X-Xiaomi-Content-MD5");
  if (!IsMd5OfBody(md5, rq.body)) {
    return Error(Code::kUnauthenticated, "Unauthorized: X-Xiaomi-Content-MD5 is not the MD5 of the body");
  }
  const auto [key, known] = Look(AccessKey{std::string(rq.headers.Get("X-Xiaomi-Secret-Key-Id"))});
  const std::string_view path = PathOf(rq.target);
  bool right = net::IsGalaxyV3Signature(signature, SecretOf(key), path, timestamp, md5);
  if (!right && path.starts_with('/') && !path.starts_with("//")) {
    // Some clients sign the doubled slash of their endpoint and send a single one (13.1).
    right = net::IsGalaxyV3Signature(signature, SecretOf(key), "/" + std::string(path), timestamp, md5);
  }
  if (!right || !known) return Wrong();
  return Accept(key);
}

Result<service::Caller> Authenticator::OlderGalaxy(const net::Request& rq, std::string_view signature) {
  const std::string_view timestamp = rq.headers.Get("X-Xiaomi-Timestamp");
  const auto seconds = ParseUnsigned(timestamp);
  if (!seconds || *seconds > 1'000'000'000'000) return Wrong();
  CML_RETURN_IF_ERROR(CheckClock(SysTime{std::chrono::seconds{*seconds}}));
  const std::string_view md5 = rq.headers.Get("X-Xiaomi-Content-MD5");
  if (!IsMd5OfBody(md5, rq.body)) return Wrong();
  const auto [key, known] = Look(AccessKey{std::string(rq.headers.Get("X-Xiaomi-Secret-Key-Id"))});
  const std::string host_and_target = std::string(rq.headers.Get("Host")) + rq.target;
  const bool plain = net::IsGalaxyV3Signature(signature, SecretOf(key), "http://" + host_and_target, timestamp, md5);
  const bool secure = net::IsGalaxyV3Signature(signature, SecretOf(key), "https://" + host_and_target, timestamp, md5);
  if ((!plain && !secure) || !known) return Wrong();
  return Accept(key);
}

Result<service::Caller> Authenticator::SigV4(const net::Request& rq) {
  CML_ASSIGN_OR_RETURN(const net::SigV4Claim claim, net::ParseSigV4(rq));
  if (claim.scope.service != "cloudml") {
    return Error(Code::kUnauthenticated,
                 "Unauthorized: the signature is for service " + Quote(claim.scope.service) + "; sign for cloudml");
  }
  CML_ASSIGN_OR_RETURN(const SysTime signed_at, ParseAmzTime(claim.timestamp));
  if (claim.presigned) {
    if (signed_at > clock_.Now() + kWindow ||
        clock_.Now() > signed_at + std::chrono::seconds{claim.expires_seconds}) {
      return Error(Code::kUnauthenticated, "Unauthorized: the presigned URL has expired");
    }
  } else {
    CML_RETURN_IF_ERROR(CheckClock(signed_at));
  }
  const std::string body_hash = crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, rq.body));
  std::string_view declared = rq.headers.Get("X-Amz-Content-Sha256");
  if (!declared.empty() && declared != "UNSIGNED-PAYLOAD" && !crypto::ConstantTimeEquals(declared, body_hash)) {
    return Error(Code::kUnauthenticated, "Unauthorized: X-Amz-Content-Sha256 is not the SHA-256 of the body");
  }
  // A body outside the signature is taken from nobody who changes something.
  if (declared == "UNSIGNED-PAYLOAD" && !rq.body.empty()) {
    return Error(Code::kUnauthenticated, "Unauthorized: the body must be signed (X-Amz-Content-Sha256)");
  }
  const std::string payload = declared.empty() ? body_hash : std::string(declared);
  const auto [key, known] = Look(AccessKey{claim.scope.access_key});
  bool right = crypto::ConstantTimeEquals(claim.signature, net::SigV4Signature(SecretOf(key), rq, claim, payload));
  if (!right && claim.presigned && declared.empty() && rq.body.empty()) {
    right = crypto::ConstantTimeEquals(claim.signature,
                                       net::SigV4Signature(SecretOf(key), rq, claim, "UNSIGNED-PAYLOAD"));
  }
  if (!right || !known) return Wrong();
  if (Changes(rq)) CML_RETURN_IF_ERROR(RefuseReplay(claim.signature, signed_at));
  return Accept(key);
}

Status Authenticator::RefuseReplay(const std::string& signature, SysTime signed_at) {
  if (signed_at < started_) {
    return Error(Code::kUnauthenticated,
                 "Unauthorized: signed before this server started; sign the request again");
  }
  const std::scoped_lock lock(mu_);
  while (!seen_in_order_.empty() && seen_in_order_.front().first < clock_.Now()) {
    seen_.erase(seen_in_order_.front().second);
    seen_in_order_.pop_front();
  }
  if (!seen_.insert(signature).second) {
    return Error(Code::kUnauthenticated, "Unauthorized: this request was already used; sign it again");
  }
  seen_in_order_.emplace_back(clock_.Now() + 2 * kWindow, signature);
  return Ok{};
}

Result<Authenticator::Identity> Authenticator::Identify(const AccessKey& key) {
  const auto [found, known] = Look(key);
  if (!known) return Wrong();
  return Identity{found->caller, found->secret, found};
}

}  // namespace cml::api
