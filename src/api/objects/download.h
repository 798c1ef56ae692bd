// api/objects/download.h — answers that carry an object: ranges and conditions of RFC 9110 (13 and
// 14), shared by both interfaces. Pure but for the source, which reads the store.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "api/objects/fault.h"
#include "net/http.h"
#include "objectstore/object_store.h"

namespace cml::api::objects {

enum class Precondition { kPassed, kFailed, kNotModified };
// If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since, in the order of RFC
// 9110, 13.2.2.
Precondition CheckPreconditions(const net::Headers& headers, const objectstore::ObjectInfo& info);

struct ByteRange {
  std::uint64_t first = 0, length = 0;
};
enum class RangeKind { kWhole, kPart, kUnsatisfiable };
// One range of bytes; several, other units and bad syntax mean the whole.
RangeKind ParseRange(std::string_view header, std::uint64_t size, ByteRange& range);

// The whole answer to a GET or HEAD: 200, 206, 304, 412 or 416 (a fault). `reader` is null for
// HEAD.
struct Download {
  const net::Request& request;
  const objectstore::ObjectInfo& info;
  std::string_view metadata_prefix;  // "x-amz-meta-"
};
std::optional<Fault> Answer(const Download& download,
                            std::unique_ptr<objectstore::ObjectReader> reader,
                            net::Response& response);

}  // namespace cml::api::objects
