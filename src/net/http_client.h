// net/http_client.h — a blocking HTTP client (libcurl) for the command line and for fetching
// packages. One instance per thread; connections are kept alive inside it.
//
// Codes: kUnavailable (cannot connect, cut), kDeadlineExceeded, kInvalidArgument (URL, TLS files),
// kFailedPrecondition (we do not trust the server's certificate, or it wants one of ours). An
// answer with any status is a success here. Redirects are not followed unless asked for.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace cml::net {

// PEM files for https; all may be empty.
struct ClientTls {
  std::filesystem::path ca;                // authorities to trust besides the system's
  std::filesystem::path certificate, key;  // to show to servers that ask for them
  bool operator==(const ClientTls&) const = default;
};

struct ClientRequest {
  std::string method = "GET";
  std::string url = {};
  Headers headers = {};
  std::string body = {};
  std::filesystem::path upload = {};  // not empty: the body is this file, from upload_offset
  std::uint64_t upload_offset = 0;
  std::uint64_t upload_length = 0;  // 0: to its end
  std::chrono::milliseconds connect_time{10'000};
  std::chrono::milliseconds total_time{0};  // 0: no limit
  int most_redirects = 0;
  ClientTls tls = {};
  // Each piece of the body as it comes; false ends the transfer. Unset: it is kept in the answer.
  std::function<bool(std::string_view)> on_body = {};
  std::function<void(std::uint64_t done, std::uint64_t total)> on_upload = {};
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Result<ClientResponse> Send(const ClientRequest& request);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cml::net
