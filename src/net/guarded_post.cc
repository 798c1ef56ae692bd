#include "net/guarded_post.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>

#include "base/strings.h"

namespace cml::net {
namespace {

constexpr std::size_t kMostUrl = 2048;
constexpr std::size_t kMostRead = 64 * 1024;  // of an answer, before we hang up

template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* thing) const { kFree(thing); }
};
using Handle = std::unique_ptr<CURL, Freed<curl_easy_cleanup>>;
using List = std::unique_ptr<curl_slist, Freed<curl_slist_free_all>>;
using Url = std::unique_ptr<CURLU, Freed<curl_url_cleanup>>;

struct Transfer {
  std::span<const AddressRange> allow;
  GuardedReply reply;
  std::size_t read = 0;
  bool closed = false;  // an address was refused
};

std::optional<AddressBytes> BytesOf(const sockaddr& address) {
  AddressBytes bytes{};
  if (address.sa_family == AF_INET) {
    sockaddr_in four{};
    std::memcpy(&four, &address, sizeof four);
    bytes[10] = bytes[11] = 0xFF;
    std::memcpy(bytes.data() + 12, &four.sin_addr, 4);
    return bytes;
  }
  if (address.sa_family != AF_INET6) return std::nullopt;
  sockaddr_in6 six{};
  std::memcpy(&six, &address, sizeof six);
  std::memcpy(bytes.data(), six.sin6_addr.s6_addr, 16);
  return bytes;
}

// Called with the very address that is going to be connected to.
curl_socket_t OnOpen(void* user, curlsocktype, struct curl_sockaddr* to) {
  auto& t = *static_cast<Transfer*>(user);
  const auto bytes = BytesOf(to->addr);
  if (!bytes || !MayConnect(*bytes, t.allow)) {
    t.closed = true;
    return CURL_SOCKET_BAD;
  }
  return ::socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

std::size_t OnBody(char* data, std::size_t one, std::size_t n, void* user) {
  auto& t = *static_cast<Transfer*>(user);
  const std::size_t size = one * n;
  t.reply.body.append(data, std::min(size, kMostGuardedReply - t.reply.body.size()));
  t.read += size;
  return t.read > kMostRead ? 0 : size;
}

std::size_t OnHeader(char*, std::size_t one, std::size_t n, void* user) {
  auto& t = *static_cast<Transfer*>(user);
  t.read += one * n;
  return t.read > kMostRead ? 0 : one * n;
}

Error Wrong(const std::string& what) { return {Code::kInvalidArgument, "url: " + what}; }

std::string PartOf(const Url& url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, 0) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

void InitOnce() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

}  // namespace

Status CheckGuardedUrl(const std::string& text, std::span<const AddressRange> allow) {
  InitOnce();
  const bool visible = std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (text.empty() || text.size() > kMostUrl || !visible) {
    return Wrong(fmt::format("{}: http or https, at most {} visible ASCII characters", Quote(text), kMostUrl));
  }
  const Url url(curl_url());
  if (!url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
    return Wrong("it is no URL; for instance https://example.com/hooks/cloudml");
  }
  const std::string scheme = PartOf(url, CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return Wrong(Quote(scheme) + ": http or https");
  if (!PartOf(url, CURLUPART_USER).empty() || !PartOf(url, CURLUPART_PASSWORD).empty()) {
    return Wrong("no user and no password in it; check the signature of a delivery instead");
  }
  if (!PartOf(url, CURLUPART_FRAGMENT).empty()) return Wrong("no part behind '#', it is not sent");
  std::string host = PartOf(url, CURLUPART_HOST);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  host = host.substr(0, host.find('%'));
  const auto address = ParseAddress(host);
  if (address && !MayConnect(*address, allow)) {
    return Wrong(fmt::format("{} is no public address; an administrator of the server can allow it (webhooks: allow)", host));
  }
  return Ok{};
}

Result<GuardedReply> GuardedPost(const GuardedRequest& request, std::span<const AddressRange> allow) {
  CML_RETURN_IF_ERROR(CheckGuardedUrl(request.url, allow));
  const Handle handle(curl_easy_init());
  if (!handle) return Error(Code::kUnavailable, "libcurl cannot be set up");
  List headers;
  for (const std::string line : {"Expect:", "Accept:"}) headers.reset(curl_slist_append(headers.release(), line.c_str()));
  for (const auto& [name, value] : request.headers.all()) {
    headers.reset(curl_slist_append(headers.release(), (name + ": " + value).c_str()));
  }
  Transfer t{allow, {}, 0, false};
  char error[CURL_ERROR_SIZE] = {};
  CURL* const h = handle.get();
  curl_easy_setopt(h, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(h, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(h, CURLOPT_PROXY, "");  // none, whatever the environment says
  curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(h, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, &OnOpen);
  curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, &t);
  curl_easy_setopt(h, CURLOPT_FRESH_CONNECT, 1L);
  curl_easy_setopt(h, CURLOPT_FORBID_REUSE, 1L);
  curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_time.count()));
  curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, static_cast<long>(request.total_time.count()));
  curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  curl_easy_setopt(h, CURLOPT_POSTFIELDS, request.body.c_str());
  curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(h, CURLOPT_WRITEDATA, &t);
  curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(h, CURLOPT_HEADERDATA, &t);

  const CURLcode code = curl_easy_perform(h);
  long status = 0;
  curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
  t.reply.status = static_cast<int>(status);
  if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && status >= 200)) return std::move(t.reply);
  const std::string why = error[0] != '\0' ? error : curl_easy_strerror(code);
  if (t.closed) {
    return Error(Code::kPermissionDenied,
                 "the name leads to no public address; an administrator of the server can allow it (webhooks: allow)");
  }
  if (code == CURLE_OPERATION_TIMEDOUT) return Error(Code::kDeadlineExceeded, why);
  return Error(Code::kUnavailable, why);
}

}  // namespace cml::net
