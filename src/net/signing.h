// net/signing.h — the three request signatures that clients use, as pure functions: the same code
// signs (command line) and verifies (api/auth). No clock, no socket.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "net/http.h"

namespace cml::net {

// ---- Galaxy V3: the platform's API (cloud_ml v1, section 2)
// base64(HMAC-SHA1(secret, path "\n" timestamp "\n" md5 "\n")); `path` percent-encoded, as sent,
// without the query.
std::string GalaxyV3Signature(const Secret& secret, std::string_view path,
                              std::string_view timestamp, std::string_view body_md5_hex);

// Is it `signature`? In constant time.
bool IsGalaxyV3Signature(std::string_view signature, const Secret& secret, std::string_view path,
                         std::string_view timestamp, std::string_view body_md5_hex);

// The older variant without the "Galaxy V3 " prefix: the whole URL stands in place of the path.
// (GalaxyV3Signature with the URL as `path`.)

// ---- Galaxy V2: the object store's FDS interface (cloud_ml v1, 12.1)
// `target` is the request target with its query; only the sub-resources named there are signed.
std::string GalaxyV2Signature(const Secret& secret, std::string_view method,
                              std::string_view target, const Headers& headers);

// ---- AWS Signature Version 4 ("Signing AWS API requests", AWS General Reference)
struct SigV4Scope {
  std::string access_key;
  std::string date;  // YYYYMMDD
  std::string region;
  std::string service;
};
// What a request says of its own signature, from the Authorization header or, for a presigned URL,
// from the X-Amz-* query parameters.
struct SigV4Claim {
  SigV4Scope scope;
  std::string timestamp;                    // YYYYMMDD'T'HHMMSS'Z'
  std::vector<std::string> signed_headers;  // lower case, sorted
  std::string signature;                    // lower-case hex
  bool presigned = false;
  long expires_seconds = 0;  // presigned only
};
// kUnauthenticated when the request carries no SigV4 claim, or a malformed one: the Host header and
// every x-amz-* header that is there must be signed, the scope must be of the timestamp's day.
// The timestamp is well-formed; whether it is recent is the caller's to judge.
Result<SigV4Claim> ParseSigV4(const Request& request);
std::string SigV4SigningKey(const Secret& secret, const SigV4Scope& scope);  // raw bytes
// `payload_hash`: hex SHA-256 of the body, or the literal that x-amz-content-sha256 carries.
// Services other than "s3" encode the path twice (canonical URI rule).
std::string SigV4CanonicalRequest(const Request& request, const SigV4Claim& claim,
                                  std::string_view payload_hash);
std::string SigV4Signature(const Secret& secret, const Request& request, const SigV4Claim& claim,
                           std::string_view payload_hash);
// Recomputes the signature and compares in constant time; kUnauthenticated when it differs. Besides
// the canonical form it accepts path and query as they were sent, which is what curl before 8.x
// signs (every byte is still covered).
Status VerifySigV4(const Secret& secret, const Request& request, const SigV4Claim& claim,
                   std::string_view payload_hash);
// Signature of one chunk of an aws-chunked body (STREAMING-AWS4-HMAC-SHA256-PAYLOAD), from the hex
// SHA-256 of the chunk. The first chunk's previous signature is the request's.
std::string SigV4ChunkSignature(std::string_view signing_key, const SigV4Claim& claim,
                                std::string_view previous_signature, std::string_view chunk_hash);
// Signature of the trailers behind the last chunk (…-PAYLOAD-TRAILER), from the hex SHA-256 of
// their "name:value\n" lines.
std::string SigV4TrailerSignature(std::string_view signing_key, const SigV4Claim& claim,
                                  std::string_view previous_signature,
                                  std::string_view trailers_hash);
// Adds X-Amz-Date, X-Amz-Content-Sha256 and Authorization; `request` needs Host, target and path.
void SignSigV4(const Secret& secret, SigV4Scope scope, std::string_view timestamp,
               std::string_view payload_hash, Request& request);

}  // namespace cml::net
