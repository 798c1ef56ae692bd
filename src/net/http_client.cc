#include "net/http_client.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/file.h"
#include "base/strings.h"

namespace cml::net {
namespace {

constexpr std::uint64_t kMostKept = 256ULL << 20;  // of a body kept in memory
constexpr std::size_t kMostHeaders = 256 * 1024;

struct ListDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListDeleter>;

// What libcurl's callbacks see of one transfer.
struct Transfer {
  const ClientRequest& request;
  ClientResponse response = {};
  std::size_t header_bytes = 0;
  bool stopped = false;  // by on_body
  bool too_large = false;
  // The body that is sent: text of the request, or bytes of a file.
  Fd file = {};
  std::uint64_t begin = 0, size = 0, at = 0;
  int read_error = 0;
};

std::size_t OnBody(char* data, std::size_t one, std::size_t n, void* user) {
  auto& t = *static_cast<Transfer*>(user);
  const std::string_view piece(data, one * n);
  if (t.request.on_body) {
    t.stopped = !t.request.on_body(piece);
    return t.stopped ? 0 : piece.size();
  }
  if (t.response.body.size() + piece.size() > kMostKept) {
    t.too_large = true;
    return 0;
  }
  t.response.body.append(piece);
  return piece.size();
}

std::size_t OnHeader(char* data, std::size_t one, std::size_t n, void* user) {
  auto& t = *static_cast<Transfer*>(user);
  const std::string_view line = Trim(std::string_view(data, one * n));
  t.header_bytes += one * n;
  if (t.header_bytes > kMostHeaders) {
    t.too_large = true;
    return 0;
  }
  if (line.substr(0, 5) == "HTTP/") {  // a new head: after 100 Continue, after a redirect
    t.response.headers = Headers();
    return one * n;
  }
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    t.response.headers.Add(std::string(line.substr(0, colon)),
                           std::string(Trim(line.substr(colon + 1))));
  }
  return one * n;
}

std::size_t OnRead(char* into, std::size_t one, std::size_t n, void* user) {
  auto& t = *static_cast<Transfer*>(user);
  const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(one * n, t.size - t.at));
  if (!t.file.valid()) {
    std::copy_n(t.request.body.data() + t.at, most, into);
    t.at += most;
    return most;
  }
  if (most == 0) return 0;
  const ssize_t got = ::pread(t.file.get(), into, most, static_cast<off_t>(t.begin + t.at));
  if (got <= 0) {
    t.read_error = got < 0 ? errno : EIO;  // the file has become shorter
    return CURL_READFUNC_ABORT;
  }
  t.at += static_cast<std::size_t>(got);
  return static_cast<std::size_t>(got);
}

int OnSeek(void* user, curl_off_t offset, int origin) {  // libcurl rewinds to send once more
  auto& t = *static_cast<Transfer*>(user);
  if (origin != SEEK_SET || offset < 0 || static_cast<std::uint64_t>(offset) > t.size) {
    return CURL_SEEKFUNC_FAIL;
  }
  t.at = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t now) {
  auto& t = *static_cast<Transfer*>(user);
  if (t.request.on_upload && t.size > 0) {
    t.request.on_upload(std::min<std::uint64_t>(static_cast<std::uint64_t>(now), t.size), t.size);
  }
  return 0;
}

bool IsClean(std::string_view s) {
  return std::none_of(s.begin(), s.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u < 0x20 && u != '\t') || u == 0x7f;
  });
}

Status OpenUpload(Transfer& t) {
  const ClientRequest& r = t.request;
  if (r.upload.empty()) {
    t.size = r.body.size();
    return Ok{};
  }
  CML_ASSIGN_OR_RETURN(t.file, OpenFile(r.upload, O_RDONLY | O_CLOEXEC));
  struct stat st {};
  if (::fstat(t.file.get(), &st) != 0) return ErrnoError(errno, "reading the size of", r.upload);
  const auto size = static_cast<std::uint64_t>(st.st_size);
  if (r.upload_offset > size || r.upload_length > size - r.upload_offset) {
    return Error(Code::kInvalidArgument, r.upload.string() + " has " + std::to_string(size) +
                                             " bytes, fewer than the part to be sent");
  }
  t.begin = r.upload_offset;
  t.size = r.upload_length > 0 ? r.upload_length : size - r.upload_offset;
  return Ok{};
}

Result<List> MakeHeaders(const ClientRequest& request) {
  List list;
  const auto add = [&list](const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) return false;
    static_cast<void>(list.release());
    list.reset(longer);
    return true;
  };
  // What libcurl would add by itself: we send what we are told to, no more.
  if (!request.headers.Has("Expect") && !add("Expect:"))
    return Error(Code::kUnavailable, "out of memory");
  if (!request.headers.Has("Content-Type") && !add("Content-Type:")) {
    return Error(Code::kUnavailable, "out of memory");
  }
  for (const auto& [name, value] : request.headers.all()) {
    if (name.empty() || !IsClean(name) || !IsClean(value) || name.find(':') != std::string::npos) {
      return Error(Code::kInvalidArgument, "malformed request header " + Quote(name));
    }
    if (!add(value.empty() ? name + ";" : name + ": " + value)) {  // ';': libcurl's empty value
      return Error(Code::kUnavailable, "out of memory");
    }
  }
  return list;
}

void SetTls(CURL* h, const ClientTls& tls) {
  curl_easy_setopt(h, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  // The system's folder of authorities (CURLOPT_CAPATH) stays in use beside the file.
  if (!tls.ca.empty()) curl_easy_setopt(h, CURLOPT_CAINFO, tls.ca.c_str());
  if (!tls.certificate.empty()) curl_easy_setopt(h, CURLOPT_SSLCERT, tls.certificate.c_str());
  if (!tls.key.empty()) curl_easy_setopt(h, CURLOPT_SSLKEY, tls.key.c_str());
}

// Where the request went, for a message: never with user, password or query.
std::string Place(const std::string& url) {
  std::string place = url.substr(0, url.find_first_of("?#"));
  const std::size_t scheme = place.find("://");
  const std::size_t host = scheme == std::string::npos ? 0 : scheme + 3;
  const std::size_t end = std::min(place.find('/', host), place.size());
  const std::size_t at = place.rfind('@', end);
  if (at != std::string::npos && at >= host) place.erase(host, at + 1 - host);
  return place;
}

}  // namespace

struct HttpClient::Impl {
  CURL* handle = nullptr;
  char error[CURL_ERROR_SIZE] = {};

  Error ErrorOf(CURLcode code, const Transfer& t) const {
    const std::string place = Place(t.request.url);
    const std::string why = error[0] != '\0' ? error : curl_easy_strerror(code);
    if (t.too_large) return Error(Code::kUnavailable, place + ": the answer is too large");
    // What TLS says when it fails on the way: "certificate required" (RFC 8446, section 6).
    if (why.find("certificate required") != std::string::npos) {
      return Error(Code::kFailedPrecondition,
                   place + ": the server wants a client certificate (" + why + ")");
    }
    switch (static_cast<int>(code)) {
      case CURLE_PEER_FAILED_VERIFICATION:
        return Error(Code::kFailedPrecondition,
                     place + ": the server's certificate is not trusted (" + why + ")");
      case CURLE_SSL_CACERT_BADFILE:
        return Error(Code::kInvalidArgument, "cannot use the certificate authority " +
                                                 Quote(t.request.tls.ca.string()) + ": " + why);
      case CURLE_SSL_CERTPROBLEM:
        return Error(Code::kInvalidArgument, "cannot use the client certificate " +
                                                 Quote(t.request.tls.certificate.string()) + ": " +
                                                 why);
      case CURLE_SSL_CONNECT_ERROR:
        if (why.find("wrong version number") != std::string::npos) {
          return Error(Code::kInvalidArgument,
                       place + ": no TLS is spoken there; use http:// instead of https://");
        }
        return Error(Code::kUnavailable, place + ": " + why);
      case CURLE_URL_MALFORMAT:
      case CURLE_UNSUPPORTED_PROTOCOL:
        return Error(Code::kInvalidArgument, "not an http or https URL: " + Quote(place));
      case CURLE_OPERATION_TIMEDOUT:
        return Error(Code::kDeadlineExceeded, place + ": " + why);
      case CURLE_ABORTED_BY_CALLBACK:
        if (t.read_error != 0) return ErrnoError(t.read_error, "reading", t.request.upload);
        return Error(Code::kUnavailable, place + ": " + why);
      case CURLE_TOO_MANY_REDIRECTS:
      default:
        return Error(Code::kUnavailable, place + ": " + why);
    }
  }
};

HttpClient::HttpClient() : impl_(std::make_unique<Impl>()) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  impl_->handle = curl_easy_init();
}

HttpClient::~HttpClient() { curl_easy_cleanup(impl_->handle); }

Result<ClientResponse> HttpClient::Send(const ClientRequest& request) {
  CURL* const h = impl_->handle;
  if (h == nullptr) return Error(Code::kUnavailable, "libcurl cannot be set up");
  const bool method_ok = !request.method.empty() &&
                         std::all_of(request.method.begin(), request.method.end(),
                                     [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; });
  if (!method_ok) return Error(Code::kInvalidArgument, "malformed method " + Quote(request.method));
  if (!IsClean(request.url) || request.url.find(' ') != std::string::npos) {
    return Error(Code::kInvalidArgument, "malformed URL " + Quote(request.url));
  }
  Transfer t{.request = request};
  CML_RETURN_IF_ERROR(OpenUpload(t));
  CML_ASSIGN_OR_RETURN(const List headers, MakeHeaders(request));

  curl_easy_reset(h);  // options only: connections stay
  impl_->error[0] = '\0';
  curl_easy_setopt(h, CURLOPT_ERRORBUFFER, impl_->error);
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(h, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(h, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);  // signatures cover the path as written
  curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connect_time.count()));
  curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, static_cast<long>(request.total_time.count()));
  curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, request.most_redirects > 0 ? 1L : 0L);
  curl_easy_setopt(h, CURLOPT_MAXREDIRS, static_cast<long>(request.most_redirects));
  curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(h, CURLOPT_WRITEDATA, &t);
  curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, &OnHeader);
  curl_easy_setopt(h, CURLOPT_HEADERDATA, &t);
  SetTls(h, request.tls);
  if (request.on_upload) {
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, &OnProgress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, &t);
  }
  // The verb is ours in every case; these options only say whether there is a body.
  const bool sends = t.size > 0 || request.method == "POST" || request.method == "PUT" ||
                     request.method == "PATCH";
  if (request.method == "HEAD") {
    curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
  } else if (sends) {
    curl_easy_setopt(h, CURLOPT_POST, 1L);
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(t.size));
    curl_easy_setopt(h, CURLOPT_READFUNCTION, &OnRead);
    curl_easy_setopt(h, CURLOPT_READDATA, &t);
    curl_easy_setopt(h, CURLOPT_SEEKFUNCTION, &OnSeek);
    curl_easy_setopt(h, CURLOPT_SEEKDATA, &t);
    curl_easy_setopt(h, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
  }
  if (request.method != "HEAD") curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, request.method.c_str());

  const CURLcode code = curl_easy_perform(h);
  if (code != CURLE_OK && !t.stopped) return impl_->ErrorOf(code, t);
  long status = 0;
  curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
  t.response.status = static_cast<int>(status);
  return std::move(t.response);
}

}  // namespace cml::net
