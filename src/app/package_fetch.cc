#include "app/package_fetch.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <optional>

#include "base/archive.h"
#include "base/file.h"
#include "core/train_job.h"
#include "net/http_client.h"
#include "net/signing.h"

namespace cml::app {
namespace {

constexpr std::uint64_t kMostPackage = 2ULL << 30;
constexpr std::size_t kPiece = 1 << 20;

Error TooLong(const std::string& uri) {
  return Error(Code::kInvalidArgument, fmt::format("{}: longer than 2 GiB; a package holds code, keep data in a bucket", uri));
}

// Sun, 06 Nov 1994 08:49:37 GMT (RFC 9110, 5.6.7)
std::string HttpDate(SysTime t) {
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(std::chrono::system_clock::to_time_t(t)));
}

Status Download(net::ClientRequest request, const std::string& uri, const std::filesystem::path& to) {
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenFile(to, O_WRONLY | O_CREAT | O_EXCL, 0644));
  std::uint64_t size = 0;
  std::optional<Error> wrong;
  request.on_body = [&](std::string_view bytes) {
    size += bytes.size();
    if (size > kMostPackage) wrong = TooLong(uri);
    if (!wrong) {
      if (Status written = WriteAll(fd.get(), bytes, to); !written.ok()) wrong = std::move(written).error();
    }
    return !wrong;
  };
  request.total_time = std::chrono::minutes{30};
  net::HttpClient client;
  const auto answer = client.Send(request);
  if (wrong) return *std::move(wrong);
  if (!answer.ok()) return answer.error();
  const int status = answer.value().status;
  if (status == 200) return Ok{};
  const Code code = status == 404 ? Code::kNotFound : status >= 500 ? Code::kUnavailable : Code::kPermissionDenied;
  return Error(code, fmt::format("{}: the server answered with status {}", uri, status));
}

}  // namespace

Status PackageFetch::operator()(const OrgId& org, const Fetch& fetch, const std::filesystem::path& to) const {
  Status fetched = Ok{};
  if (!fetch.uri.starts_with("fds://")) {
    net::ClientRequest request;
    request.url = fetch.uri;
    request.most_redirects = 5;
    fetched = Download(std::move(request), fetch.uri, to);
  } else if (fetch.endpoint.empty()) {
    fetched = FromOwnStore(org, fetch.uri, to);
  } else {
    fetched = FromOtherStore(fetch, to);
  }
  CML_RETURN_IF_ERROR(fetched);
  const auto looked_at = InspectPackage(to);
  if (looked_at.ok()) return Ok{};
  return Error(looked_at.error().code(), fmt::format("package {} is refused: {}", fetch.uri, looked_at.error().message()));
}

Status PackageFetch::FromOwnStore(const OrgId& org, const std::string& uri, const std::filesystem::path& to) const {
  const auto object = ParseObjectUri(uri);
  if (!object) return Error(Code::kInvalidArgument, uri + ": fds://bucket/object is expected");
  auto opened = objects_.Open(org, object->bucket, object->key);
  if (!opened.ok()) {
    return Error(opened.error().code(), fmt::format("package {}: {}", uri, opened.error().message()));
  }
  const auto reader = std::move(opened).value();
  if (reader->info().size > kMostPackage) return TooLong(uri);
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenFile(to, O_WRONLY | O_CREAT | O_EXCL, 0644));
  for (std::uint64_t offset = 0;;) {
    CML_ASSIGN_OR_RETURN(const std::string piece, reader->Read(offset, kPiece));
    if (piece.empty()) return Ok{};
    CML_RETURN_IF_ERROR(WriteAll(fd.get(), piece, to));
    offset += piece.size();
  }
}

Status PackageFetch::FromOtherStore(const Fetch& fetch, const std::filesystem::path& to) const {
  const auto object = ParseObjectUri(fetch.uri);
  if (!object) return Error(Code::kInvalidArgument, fetch.uri + ": fds://bucket/object is expected");
  CML_ASSIGN_OR_RETURN(const auto key, orgs_.Key(fetch.as));
  if (key->disabled) {
    return Error(Code::kPermissionDenied,
                 fetch.uri + ": the key that submitted the job has been disabled since");
  }
  const std::string target = "/" + object->bucket + "/" + net::PercentEncode(object->key, "/");
  const bool has_scheme = fetch.endpoint.find("://") != std::string::npos;
  net::ClientRequest request;
  request.url = (has_scheme ? fetch.endpoint : "https://" + fetch.endpoint) + target;
  request.headers.Add("Date", HttpDate(clock_.Now()));
  request.headers.Add("Authorization",
                      "Galaxy-V2 " + fetch.as.str() + ":" +
                          net::GalaxyV2Signature(key->secret, "GET", target, request.headers));
  return Download(std::move(request), fetch.uri, to);
}

}  // namespace cml::app
