// cli/rest.h — signed calls of the platform's API, with its errors as ours.
//
// Not thread-safe: one per thread. Blocks on the network. An error message is ready for a person:
// what went wrong and, after a new line, what to do. Codes: CodeOfStatus for answers; kUnavailable
// when the server cannot be reached, kInvalidArgument when nothing is configured.
#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "cli/config.h"
#include "codec/document.h"
#include "net/http_client.h"

namespace cml::cli {

struct ApiReply {
  codec::Document body;
  net::Headers headers;
};

// What to do where TLS trust is missing (kFailedPrecondition of net/http_client.h), from a new line
// on; empty: something else went wrong.
std::string TrustHint(const Error& error);

class Rest {
 public:
  Rest(const Settings& settings, std::string org_id, const Clock& clock)
      : settings_(settings), org_id_(std::move(org_id)), clock_(clock) {}

  // `path` begins behind the prefix: "/train/ranker", its segments encoded with Segment().
  Result<ApiReply> Get(const std::string& path, const std::string& query = "");
  Result<ApiReply> Post(const std::string& path, const std::string& body,
                        const std::string& query = "");
  // A create: carries an Idempotency-Key, so that it can be sent again when the connection broke and
  // nobody knows whether it was done.
  Result<ApiReply> Create(const std::string& path, const std::string& body, const std::string& query = "");
  Result<ApiReply> Put(const std::string& path, const std::string& body,
                       const std::string& query = "");
  Result<ApiReply> Patch(const std::string& path, const std::string& body,
                         const std::string& query = "");
  Result<ApiReply> Delete(const std::string& path, const std::string& query = "");
  // GET without a signature (the list of frameworks).
  Result<ApiReply> GetUnsigned(const std::string& path);

  // The body as it comes. kDeadlineExceeded when `most` has passed: more may follow; what came
  // before was handed on. An answer of 400 and above is an error, and its body is not handed on.
  Status Stream(const std::string& path, const std::string& query, std::chrono::milliseconds most,
                const std::function<void(std::string_view)>& on_bytes);

  // How a pause is made before a call is sent again: where the server says when (Retry-After of a
  // 429, or of a 503 to what may be repeated), and by Create. Not set: nothing is sent again.
  void set_pause(std::function<void(std::chrono::milliseconds)> pause) { pause_ = std::move(pause); }
  void set_answer_time(std::chrono::milliseconds time) { answer_time_ = time; }
  static std::string Segment(std::string_view name);  // percent-encoded for a path
  const Settings& settings() const { return settings_; }

 private:
  enum class Sign { kYes, kNo };
  Result<net::ClientRequest> Prepare(const std::string& method, const std::string& path,
                                     const std::string& query, const std::string& body) const;
  Status AddSignature(net::ClientRequest& request) const;
  Result<ApiReply> Send(const char* method, const std::string& path, const std::string& body,
                        const std::string& query);
  Result<ApiReply> Call(net::ClientRequest& request);
  // The pause that the answer asks for; nullopt: it is the last word.
  std::optional<std::chrono::milliseconds> PauseFor(const net::ClientRequest& request, const net::ClientResponse& response) const;
  Result<ApiReply> Read(net::ClientResponse response) const;
  Error Unreachable(const Error& error) const;
  Error AnswerError(const net::ClientResponse& response, std::string_view body) const;

  const Settings& settings_;
  std::string org_id_;
  const Clock& clock_;
  std::chrono::milliseconds answer_time_{120'000};  // of a call that is no stream
  std::function<void(std::chrono::milliseconds)> pause_;
  net::HttpClient http_;
};

}  // namespace cml::cli
