#include "api/objects/object_routes.h"

#include <algorithm>
#include <cstdint>

#include "api/objects/fds.h"
#include "api/objects/s3.h"

namespace cml::api::objects {
namespace {

// Of a request that is no upload: the longest is the list of 10,000 parts of a multipart upload.
constexpr std::uint64_t kMostSmallBody = 4ULL << 20;

}  // namespace

ObjectPath SplitTarget(std::string_view target) {
  std::string_view path = target.substr(0, target.find('?'));
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  const std::size_t slash = path.find('/');
  ObjectPath split;
  split.bucket = net::PercentDecode(path.substr(0, slash));
  if (slash != std::string_view::npos) split.key = net::PercentDecode(path.substr(slash + 1));
  return split;
}

net::Route ObjectRoutes::Route(const net::Request& head, Admit admit) const {
  net::Route route;
  Context context = context_;
  context.admit = std::move(admit);
  const bool fds = IsFds(head);
  if (fds ? IsFdsUpload(head) : IsS3Upload(head)) {
    route.sink = fds ? MakeFdsUpload(std::move(context), head) : MakeS3Upload(std::move(context), head);
    route.most_body = UINT64_MAX;  // the sink has a limit of its own, and S3's words for it
    return route;
  }
  route.most_body = kMostSmallBody;
  if (fds) {
    route.handle = [context = std::move(context)](const net::Request& r) { return HandleFds(context, r); };
  } else {
    route.handle = [context = std::move(context)](const net::Request& r) { return HandleS3(context, r); };
  }
  return route;
}

}  // namespace cml::api::objects
