#include "cli/rest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "base/random.h"
#include "base/strings.h"
#include "cli/exit_code.h"
#include "cli/text.h"
#include "crypto/digest.h"
#include "net/signing.h"

namespace cml::cli {
namespace {

using codec::Document;

constexpr std::string_view kPrefix = "/cloud_ml/v1";
constexpr std::size_t kMostAnswer = 512U << 20;
constexpr std::uint64_t kMostPause = 60;  // seconds that a server may ask for
constexpr int kMostTries = 6, kMostBroken = 3;

std::int64_t UnixSeconds(const Clock& clock) {
  return std::chrono::duration_cast<std::chrono::seconds>(clock.Now().time_since_epoch()).count();
}

// Percent-encoded path of an absolute URL, as the server sees it.
std::string PathOf(const std::string& url) {
  const std::size_t host = url.find("://");
  const std::size_t slash = url.find('/', host == std::string::npos ? 0 : host + 3);
  if (slash == std::string::npos) return "/";
  return url.substr(slash, url.find('?', slash) - slash);
}

// Seconds that the server's clock is ahead of ours, by its Date header.
std::optional<std::int64_t> ClockDifference(const net::Headers& headers, const Clock& clock) {
  const std::string date(headers.Get("Date"));
  std::tm tm{};
  if (date.empty() || ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S", &tm) == nullptr) {
    return std::nullopt;
  }
  return ::timegm(&tm) - UnixSeconds(clock);
}

bool LooksLikeError(std::string_view bytes) {
  return bytes.starts_with("{\"error\"") || bytes.starts_with("{\"message\"") ||
         bytes.starts_with("<html") || bytes.starts_with("<!DOCTYPE");
}

}  // namespace

std::string TrustHint(const Error& error) {
  if (error.code() != Code::kFailedPrecondition) return "";
  if (error.message().find("client certificate") != std::string::npos) {
    return "\nshow one: --client-certificate FILE --client-key FILE, CLOUDML_CLIENT_CERTIFICATE "
           "and "
           "CLOUDML_CLIENT_KEY,\nor for good: cloudml config init --client-certificate FILE "
           "--client-key FILE";
  }
  return "\nif it is yours, name the authority that signed its certificate: --ca FILE, "
         "CLOUDML_CA,\n"
         "or for good: cloudml config init --ca FILE";
}

std::string Rest::Segment(std::string_view name) { return net::PercentEncode(name); }

Result<net::ClientRequest> Rest::Prepare(const std::string& method, const std::string& path,
                                         const std::string& query, const std::string& body) const {
  const std::string endpoint = settings_.endpoint();
  if (endpoint.empty()) {
    return Error(Code::kInvalidArgument,
                 "no server is configured (looked at --endpoint, XIAOMI_CLOUDML_ENDPOINT and " +
                     settings_.file.string() + ")\nset it up once: cloudml config init");
  }
  net::ClientRequest request;
  request.method = method;
  request.url = endpoint + std::string(kPrefix) + path;
  request.tls = settings_.tls();
  std::string all = query;
  if (!org_id_.empty()) {
    all += (all.empty() ? "" : "&") + std::string("org_id=") + net::PercentEncode(org_id_);
  }
  if (!all.empty()) request.url += "?" + all;
  request.body = body;
  request.total_time = answer_time_;
  return request;
}

Status Rest::AddSignature(net::ClientRequest& request) const {
  const std::string access_key = settings_.access_key();
  const Secret secret = settings_.secret_key();
  if (access_key.empty() || secret.empty()) {
    return Error(Code::kInvalidArgument,
                 fmt::format("no {} key is configured (looked at the environment and {})\n"
                             "set it up once: cloudml config init",
                             access_key.empty() ? "access" : "secret", settings_.file.string()));
  }
  const std::string timestamp = std::to_string(UnixSeconds(clock_));
  const std::string md5 = crypto::ToHex(crypto::Digest(crypto::Hash::kMd5, request.body));
  request.headers.Set("X-Xiaomi-Timestamp", timestamp);
  request.headers.Set("X-Xiaomi-Content-MD5", md5);
  request.headers.Set("X-Xiaomi-Secret-Key-Id", access_key);
  request.headers.Set(
      "Authorization",
      "Galaxy V3 " + net::GalaxyV3Signature(secret, PathOf(request.url), timestamp, md5));
  return Ok{};
}

Error Rest::Unreachable(const Error& error) const {
  if (error.code() == Code::kInvalidArgument) {
    return {Code::kInvalidArgument,
            fmt::format("endpoint {}: {}\nit comes from {}", Quote(settings_.endpoint()),
                        error.message(), settings_.Source("xiaomi_cloudml_endpoint"))};
  }
  // The transport's message begins with the address, which has been said.
  std::string why = error.message();
  if (const std::size_t end = why.find(": ");
      why.starts_with(settings_.endpoint()) && end != std::string::npos) {
    why = why.substr(end + 2);
  }
  if (const std::string hint = TrustHint(error); !hint.empty()) {
    return {error.code(), fmt::format("{} (from {}): {}{}", settings_.endpoint(),
                                      settings_.Source("xiaomi_cloudml_endpoint"), why, hint)};
  }
  return {error.code(),
          fmt::format("cannot reach the server at {} (from {}): {}\n"
                      "is it running? start one with: cloudml server --data DIR",
                      settings_.endpoint(), settings_.Source("xiaomi_cloudml_endpoint"), why)};
}

Error Rest::AnswerError(const net::ClientResponse& response, std::string_view body) const {
  const Code code = CodeOfStatus(response.status);
  const auto parsed = Document::Parse(body);
  std::string message = parsed.ok() ? parsed.value().Get("message").Str() : "";
  const std::string hint = parsed.ok() ? parsed.value().Get("hint").Str() : "";
  if (message.empty()) {
    const std::string text = Clip(OneLine(body), 200);
    message = fmt::format("the server answered {} {}{}", response.status,
                          net::ReasonPhrase(response.status), text.empty() ? "" : ": " + text);
  }
  if (!hint.empty()) message += "\n" + hint;
  if (response.status == 401) {
    message += fmt::format("\nkey {} (from {}); see what is used: cloudml config show",
                           settings_.access_key(), settings_.Source("xiaomi_access_key_id"));
    const auto difference = ClockDifference(response.headers, clock_);
    if (difference && std::abs(*difference) > 60) {
      message += fmt::format("\nthe clocks differ: the server's is {} {} this machine's",
                             FormatDuration(std::chrono::seconds(std::abs(*difference))),
                             *difference > 0 ? "ahead of" : "behind");
    }
  }
  return {code, message};
}

std::optional<std::chrono::milliseconds> Rest::PauseFor(const net::ClientRequest& request,
                                                        const net::ClientResponse& response) const {
  if (!pause_ || !response.headers.Has("Retry-After")) return std::nullopt;
  const bool repeatable = request.method != "POST" || request.headers.Has("Idempotency-Key");
  if (response.status != 429 && (response.status != 503 || !repeatable)) return std::nullopt;
  const auto seconds = ParseUnsigned(Trim(response.headers.Get("Retry-After")));
  if (!seconds || *seconds > kMostPause) return std::nullopt;
  return std::chrono::seconds(std::max<std::uint64_t>(*seconds, 1));
}

Result<ApiReply> Rest::Call(net::ClientRequest& request) {
  net::ClientResponse response;
  for (int tries = 1;; ++tries) {
    auto sent = http_.Send(request);
    if (!sent.ok()) {
      // Only what the server does once, however often it comes, is sent again.
      if (!pause_ || tries > kMostBroken || !request.headers.Has("Idempotency-Key")) return Unreachable(sent.error());
      pause_(std::chrono::milliseconds(250) * tries);
    } else {
      response = std::move(sent).value();
      const auto pause = tries < kMostTries ? PauseFor(request, response) : std::nullopt;
      if (!pause) break;
      pause_(*pause);
    }
    CML_RETURN_IF_ERROR(AddSignature(request));
  }
  return Read(std::move(response));
}

Result<ApiReply> Rest::Read(net::ClientResponse response) const {
  if (response.status >= 400) return AnswerError(response, response.body);
  auto body = Document::Parse(response.body, {.most_bytes = kMostAnswer, .most_depth = 64});
  if (!body.ok()) {
    return Error(Code::kInternal,
                 fmt::format("the answer of {} is not one of a cloudml server ({} {}; {})\n"
                             "is the endpoint right? cloudml config show",
                             settings_.endpoint(), response.status,
                             net::ReasonPhrase(response.status), body.error().message()));
  }
  return ApiReply{std::move(body).value(), std::move(response.headers)};
}

Result<ApiReply> Rest::Get(const std::string& path, const std::string& query) {
  CML_ASSIGN_OR_RETURN(net::ClientRequest request, Prepare("GET", path, query, ""));
  CML_RETURN_IF_ERROR(AddSignature(request));
  return Call(request);
}

Result<ApiReply> Rest::GetUnsigned(const std::string& path) {
  CML_ASSIGN_OR_RETURN(net::ClientRequest request, Prepare("GET", path, "", ""));
  auto sent = http_.Send(request);
  if (!sent.ok()) return Unreachable(sent.error());
  return Read(std::move(sent).value());
}

Result<ApiReply> Rest::Send(const char* method, const std::string& path, const std::string& body,
                            const std::string& query) {
  CML_ASSIGN_OR_RETURN(net::ClientRequest request, Prepare(method, path, query, body));
  request.headers.Set("Content-Type", "application/json");
  CML_RETURN_IF_ERROR(AddSignature(request));
  return Call(request);
}

Result<ApiReply> Rest::Post(const std::string& path, const std::string& body,
                            const std::string& query) {
  return Send("POST", path, body, query);
}

Result<ApiReply> Rest::Create(const std::string& path, const std::string& body, const std::string& query) {
  CML_ASSIGN_OR_RETURN(net::ClientRequest request, Prepare("POST", path, query, body));
  request.headers.Set("Content-Type", "application/json");
  request.headers.Set("Idempotency-Key", RandomToken(32));
  CML_RETURN_IF_ERROR(AddSignature(request));
  return Call(request);
}

Result<ApiReply> Rest::Put(const std::string& path, const std::string& body,
                           const std::string& query) {
  return Send("PUT", path, body, query);
}

Result<ApiReply> Rest::Patch(const std::string& path, const std::string& body,
                             const std::string& query) {
  return Send("PATCH", path, body, query);
}

Result<ApiReply> Rest::Delete(const std::string& path, const std::string& query) {
  CML_ASSIGN_OR_RETURN(net::ClientRequest request, Prepare("DELETE", path, query, ""));
  CML_RETURN_IF_ERROR(AddSignature(request));
  return Call(request);
}

Status Rest::Stream(const std::string& path, const std::string& query,
                    std::chrono::milliseconds most,
                    const std::function<void(std::string_view)>& on_bytes) {
  CML_ASSIGN_OR_RETURN(net::ClientRequest request, Prepare("GET", path, query, ""));
  CML_RETURN_IF_ERROR(AddSignature(request));
  request.total_time = most;
  // The status is known at the end alone, so what may be an error's body waits for it.
  std::string held;
  bool holding = true;
  request.on_body = [&](std::string_view bytes) {
    if (holding) {
      held += bytes;
      constexpr std::size_t kEnough = 12;
      if ((held.size() < kEnough && (held[0] == '{' || held[0] == '<')) || LooksLikeError(held))
        return held.size() < (1U << 20);
      holding = false;
      on_bytes(std::exchange(held, {}));
    } else {
      on_bytes(bytes);
    }
    return true;
  };
  auto sent = http_.Send(request);
  if (sent.ok() && sent.value().status >= 400) {
    return AnswerError(sent.value(), holding ? held : std::string_view());
  }
  if (holding && !held.empty()) on_bytes(held);
  if (!sent.ok()) {
    if (sent.error().code() == Code::kDeadlineExceeded) return std::move(sent).error();
    return Unreachable(sent.error());
  }
  return Ok{};
}

}  // namespace cml::cli
