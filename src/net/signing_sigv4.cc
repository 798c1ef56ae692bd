// AWS Signature Version 4: "Create a signed AWS API request" (IAM User Guide) and, for chunks,
// "Signature calculations for the Authorization header: transferring payload in multiple chunks"
// (Amazon S3 API reference).
#include <algorithm>
#include <cstdint>

#include "base/strings.h"
#include "crypto/digest.h"
#include "net/signing.h"

namespace cml::net {
namespace {

using crypto::Hash;

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kTerminator = "aws4_request";
constexpr std::size_t kMostSignedHeaders = 64;
constexpr std::int64_t kMostExpires = 7 * 24 * 3600;  // of a presigned URL, in seconds
constexpr std::string_view kHashOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

enum class Spelling { kCanonical, kAsSent };

Error Malformed(std::string_view why) {
  return Error(Code::kUnauthenticated, "signature: " + std::string(why));
}

bool AllOf(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}
bool IsDate(std::string_view s) { return s.size() == 8 && AllOf(s, "0123456789"); }
bool IsTimestamp(std::string_view s) {
  return s.size() == 16 && IsDate(s.substr(0, 8)) && s[8] == 'T' &&
         AllOf(s.substr(9, 6), "0123456789") && s[15] == 'Z';
}

std::string HexSha256(std::string_view data) {
  return crypto::ToHex(crypto::Digest(Hash::kSha256, data));
}

std::string_view PathOf(const Request& r) {
  return std::string_view(r.target).substr(0, r.target.find('?'));
}
std::string_view QueryOf(const Request& r) {
  const std::size_t question = r.target.find('?');
  return question == std::string::npos ? std::string_view()
                                       : std::string_view(r.target).substr(question + 1);
}

// RFC 3986, 5.2.4, and runs of '/' made one, as services other than S3 ask for.
std::string WithoutDotSegments(std::string_view path) {
  std::vector<std::string_view> kept;
  for (const std::string_view segment : Split(path, '/')) {
    if (segment.empty() || segment == ".") continue;
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else {
      kept.push_back(segment);
    }
  }
  std::string out;
  for (const std::string_view segment : kept) out.append("/").append(segment);
  const bool folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
  if (out.empty() || folder) out.push_back('/');
  return out;
}

std::string CanonicalPath(const Request& request, const SigV4Claim& claim, Spelling spelling) {
  const std::string_view path = PathOf(request);
  if (spelling == Spelling::kAsSent) return std::string(path);
  if (claim.scope.service == "s3") return PercentEncode(PercentDecode(path), "/");
  return PercentEncode(WithoutDotSegments(path), "/");
}

std::string CanonicalQuery(const Request& request, const SigV4Claim& claim, Spelling spelling) {
  const std::string_view query = QueryOf(request);
  if (spelling == Spelling::kAsSent && !claim.presigned) return std::string(query);
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string_view pair : Split(query, '&')) {
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    const std::string name = PercentDecode(pair.substr(0, equals));
    if (claim.presigned && name == "X-Amz-Signature") continue;
    const std::string value =
        equals == std::string_view::npos ? std::string() : PercentDecode(pair.substr(equals + 1));
    pairs.emplace_back(PercentEncode(name), PercentEncode(value));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out.push_back('&');
    out.append(name).append("=").append(value);
  }
  return out;
}

// The value without white space at its ends, runs of spaces made one.
void AppendHeaderValue(std::string_view value, std::string& out) {
  bool gap = false;
  for (const char c : Trim(value)) {
    if (c == ' ' || c == '\t') {
      gap = true;
      continue;
    }
    if (gap) out.push_back(' ');
    gap = false;
    out.push_back(c);
  }
}

std::string CanonicalRequest(const Request& request, const SigV4Claim& claim,
                             std::string_view payload_hash, Spelling path, Spelling query) {
  std::string text(request.method);
  text.append("\n").append(CanonicalPath(request, claim, path));
  text.append("\n").append(CanonicalQuery(request, claim, query)).append("\n");
  for (const std::string& name : claim.signed_headers) {
    text.append(name).append(":");
    bool first = true;
    for (const auto& [n, v] : request.headers.all()) {
      if (!EqualsIgnoreCase(n, name)) continue;
      if (!first) text.push_back(',');
      first = false;
      AppendHeaderValue(v, text);
    }
    text.append("\n");
  }
  text.append("\n").append(Join(claim.signed_headers, ";"));
  text.append("\n").append(payload_hash);
  return text;
}

std::string ScopeText(const SigV4Scope& scope) {
  return scope.date + "/" + scope.region + "/" + scope.service + "/" + std::string(kTerminator);
}

// The head of every text that is signed: what it is, when, and for what.
std::string StringToSign(std::string_view kind, const SigV4Claim& claim) {
  std::string text(kind);
  text.append("\n").append(claim.timestamp);
  text.append("\n").append(ScopeText(claim.scope)).append("\n");
  return text;
}

std::string Sign(std::string_view signing_key, const std::string& text) {
  return crypto::ToHex(crypto::Hmac(Hash::kSha256, signing_key, text));
}

std::string SignatureOf(std::string_view signing_key, const SigV4Claim& claim,
                        std::string_view canonical_request) {
  return Sign(signing_key, StringToSign(kAlgorithm, claim) + HexSha256(canonical_request));
}

// ACCESS_KEY/DATE/REGION/SERVICE/aws4_request; read from its end, as a key may contain a '/'.
Result<SigV4Scope> ParseCredential(std::string_view text) {
  std::string_view parts[4];
  for (int i = 3; i >= 0; --i) {
    const std::size_t slash = text.rfind('/');
    if (slash == std::string_view::npos) return Malformed("Credential lacks a part of its scope");
    parts[i] = text.substr(slash + 1);
    text = text.substr(0, slash);
  }
  if (text.empty()) return Malformed("Credential lacks the access key");
  if (!IsDate(parts[0])) return Malformed("the date in Credential is not YYYYMMDD");
  if (parts[1].empty() || parts[2].empty()) {
    return Malformed("Credential lacks the region or the service");
  }
  if (parts[3] != kTerminator) return Malformed("Credential must end in aws4_request");
  return SigV4Scope{std::string(text), std::string(parts[0]), std::string(parts[1]),
                    std::string(parts[2])};
}

struct ClaimTexts {
  std::string credential, signed_headers, signature, timestamp;
};

Status TextsFromHeader(const Request& request, ClaimTexts& texts) {
  std::string_view rest = request.headers.Get("Authorization");
  rest.remove_prefix(kAlgorithm.size());
  for (const std::string_view piece : Split(rest, ',')) {
    const std::string_view field = Trim(piece);
    const std::size_t equals = field.find('=');
    const std::string_view name = field.substr(0, equals);
    std::string* const where = name == "Credential"      ? &texts.credential
                               : name == "SignedHeaders" ? &texts.signed_headers
                               : name == "Signature"     ? &texts.signature
                                                         : nullptr;
    if (where == nullptr || equals == std::string_view::npos || !where->empty()) {
      return Malformed(
          "Authorization must hold Credential, SignedHeaders and Signature, each once");
    }
    *where = std::string(field.substr(equals + 1));
  }
  texts.timestamp = std::string(request.headers.Get("X-Amz-Date"));
  return Ok{};
}

Status TextsFromQuery(const Request& request, ClaimTexts& texts, SigV4Claim& claim) {
  std::string expires;
  const std::pair<std::string_view, std::string*> fields[] = {
      {"X-Amz-Credential", &texts.credential},
      {"X-Amz-SignedHeaders", &texts.signed_headers},
      {"X-Amz-Signature", &texts.signature},
      {"X-Amz-Date", &texts.timestamp},
      {"X-Amz-Expires", &expires}};
  for (const std::string_view pair : Split(QueryOf(request), '&')) {
    const std::size_t equals = pair.find('=');
    const std::string name = PercentDecode(pair.substr(0, equals));
    for (const auto& [field, where] : fields) {
      if (name != field) continue;
      if (equals == std::string_view::npos || !where->empty()) {
        return Malformed("query parameter " + name + " is empty or there twice");
      }
      *where = PercentDecode(pair.substr(equals + 1));
    }
  }
  const auto seconds = ParseInt(expires);
  if (!seconds || *seconds < 1 || *seconds > kMostExpires) {
    return Malformed("X-Amz-Expires must be from 1 to 604800 seconds");
  }
  claim.expires_seconds = static_cast<long>(*seconds);
  claim.presigned = true;
  return Ok{};
}

Status ReadSignedHeaders(const Request& request, std::string_view text, SigV4Claim& claim) {
  for (const std::string_view name : Split(text, ';')) {
    if (name.empty() || name != ToLower(name)) return Malformed("SignedHeaders must be lower case");
    claim.signed_headers.emplace_back(name);
    if (claim.signed_headers.size() > kMostSignedHeaders) {
      return Malformed("more than 64 SignedHeaders");
    }
  }
  const auto& names = claim.signed_headers;
  if (!std::is_sorted(names.begin(), names.end()) ||
      std::adjacent_find(names.begin(), names.end()) != names.end()) {
    return Malformed("SignedHeaders must be sorted, each once");
  }
  if (!std::binary_search(names.begin(), names.end(), "host")) {
    return Malformed("the Host header must be signed");
  }
  for (const auto& [name, value] : request.headers.all()) {
    const std::string lower = ToLower(name);
    if (lower.starts_with("x-amz-") && !std::binary_search(names.begin(), names.end(), lower)) {
      return Malformed("the header " + Quote(lower) + " is there but not signed");
    }
  }
  return Ok{};
}

}  // namespace

Result<SigV4Claim> ParseSigV4(const Request& request) {
  SigV4Claim claim;
  ClaimTexts texts;
  const std::string_view authorization = request.headers.Get("Authorization");
  if (authorization.starts_with(std::string(kAlgorithm) + " ")) {
    CML_RETURN_IF_ERROR(TextsFromHeader(request, texts));
  } else if (authorization.empty() && request.query.contains("X-Amz-Signature")) {
    const auto algorithm = request.query.find("X-Amz-Algorithm");
    if (algorithm == request.query.end() || algorithm->second != kAlgorithm) {
      return Malformed("X-Amz-Algorithm must be AWS4-HMAC-SHA256");
    }
    CML_RETURN_IF_ERROR(TextsFromQuery(request, texts, claim));
  } else {
    return Malformed("the request is not signed with AWS4-HMAC-SHA256");
  }
  CML_ASSIGN_OR_RETURN(claim.scope, ParseCredential(texts.credential));
  if (!IsTimestamp(texts.timestamp)) return Malformed("X-Amz-Date is not YYYYMMDDTHHMMSSZ");
  if (!texts.timestamp.starts_with(claim.scope.date)) {
    return Malformed("Credential and X-Amz-Date name different days");
  }
  claim.timestamp = std::move(texts.timestamp);
  if (texts.signature.size() != 64 || !AllOf(texts.signature, "0123456789abcdef")) {
    return Malformed("Signature is not 64 hexadecimal digits");
  }
  claim.signature = std::move(texts.signature);
  CML_RETURN_IF_ERROR(ReadSignedHeaders(request, texts.signed_headers, claim));
  return claim;
}

std::string SigV4SigningKey(const Secret& secret, const SigV4Scope& scope) {
  const Secret first("AWS4" + std::string(secret.Reveal()));
  const std::string date = crypto::Hmac(Hash::kSha256, first.Reveal(), scope.date);
  const std::string region = crypto::Hmac(Hash::kSha256, date, scope.region);
  const std::string service = crypto::Hmac(Hash::kSha256, region, scope.service);
  return crypto::Hmac(Hash::kSha256, service, kTerminator);
}

std::string SigV4CanonicalRequest(const Request& request, const SigV4Claim& claim,
                                  std::string_view payload_hash) {
  return CanonicalRequest(request, claim, payload_hash, Spelling::kCanonical, Spelling::kCanonical);
}

std::string SigV4Signature(const Secret& secret, const Request& request, const SigV4Claim& claim,
                           std::string_view payload_hash) {
  return SignatureOf(SigV4SigningKey(secret, claim.scope), claim,
                     SigV4CanonicalRequest(request, claim, payload_hash));
}

Status VerifySigV4(const Secret& secret, const Request& request, const SigV4Claim& claim,
                   std::string_view payload_hash) {
  const std::string key = SigV4SigningKey(secret, claim.scope);
  std::string tried;
  for (const Spelling path : {Spelling::kCanonical, Spelling::kAsSent}) {
    for (const Spelling query : {Spelling::kCanonical, Spelling::kAsSent}) {
      std::string canonical = CanonicalRequest(request, claim, payload_hash, path, query);
      if (canonical == tried) continue;
      if (crypto::ConstantTimeEquals(SignatureOf(key, claim, canonical), claim.signature)) {
        return Ok{};
      }
      tried = std::move(canonical);
    }
  }
  return Error(Code::kUnauthenticated, "signature is wrong");
}

std::string SigV4ChunkSignature(std::string_view signing_key, const SigV4Claim& claim,
                                std::string_view previous_signature, std::string_view chunk_hash) {
  std::string text = StringToSign("AWS4-HMAC-SHA256-PAYLOAD", claim);
  text.append(previous_signature).append("\n").append(kHashOfNothing);
  text.append("\n").append(chunk_hash);
  return Sign(signing_key, text);
}

std::string SigV4TrailerSignature(std::string_view signing_key, const SigV4Claim& claim,
                                  std::string_view previous_signature,
                                  std::string_view trailers_hash) {
  std::string text = StringToSign("AWS4-HMAC-SHA256-TRAILER", claim);
  text.append(previous_signature).append("\n").append(trailers_hash);
  return Sign(signing_key, text);
}

void SignSigV4(const Secret& secret, SigV4Scope scope, std::string_view timestamp,
               std::string_view payload_hash, Request& request) {
  request.headers.Set("X-Amz-Date", std::string(timestamp));
  request.headers.Set("X-Amz-Content-Sha256", std::string(payload_hash));
  SigV4Claim claim;
  claim.scope = std::move(scope);
  claim.timestamp = std::string(timestamp);
  for (const auto& [name, value] : request.headers.all()) {
    std::string lower = ToLower(name);
    if (lower == "host" || lower == "content-type" || lower == "content-md5" ||
        lower.starts_with("x-amz-")) {
      claim.signed_headers.push_back(std::move(lower));
    }
  }
  auto& names = claim.signed_headers;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const std::string signature = SigV4Signature(secret, request, claim, payload_hash);
  request.headers.Set("Authorization",
                      std::string(kAlgorithm) + " Credential=" + claim.scope.access_key + "/" +
                          ScopeText(claim.scope) + ", SignedHeaders=" + Join(names, ";") +
                          ", Signature=" + signature);
}

}  // namespace cml::net
