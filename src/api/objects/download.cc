#include "api/objects/download.h"

#include <algorithm>

#include "api/objects/http_date.h"
#include "api/objects/upload.h"
#include "base/strings.h"

namespace cml::api::objects {
namespace {

constexpr std::uint64_t kPiece = 256 * 1024;

// One of the listed tags, or "*". Weak tags compare as strong ones: ours are always strong.
bool ListsTag(std::string_view header, std::string_view etag) {
  if (Trim(header) == "*") return true;
  for (std::string_view tag : Split(header, ',')) {
    tag = Trim(tag);
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag.size() >= 2 && tag.starts_with('"') && tag.ends_with('"')) {
      tag = tag.substr(1, tag.size() - 2);
    }
    if (tag == etag) return true;
  }
  return false;
}

class ObjectSource final : public net::BodySource {
 public:
  ObjectSource(std::unique_ptr<objectstore::ObjectReader> reader, ByteRange range)
      : reader_(std::move(reader)), range_(range) {}

  Result<Piece> Next() override {
    Piece piece;
    if (range_.length > 0) {
      const auto ask = static_cast<std::size_t>(std::min(range_.length, kPiece));
      CML_ASSIGN_OR_RETURN(piece.bytes, reader_->Read(range_.first, ask));
      if (piece.bytes.empty() || piece.bytes.size() > ask) {
        return Error(Code::kDataLoss, "the object is shorter than it was");
      }
      range_.first += piece.bytes.size();
      range_.length -= piece.bytes.size();
    }
    piece.last = range_.length == 0;
    return piece;
  }

 private:
  std::unique_ptr<objectstore::ObjectReader> reader_;
  ByteRange range_;
};

// Jobs can change what is kept beside their files: nothing of it may add a line to the answer.
bool IsFieldValue(std::string_view value) {
  return std::none_of(value.begin(), value.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}
bool IsToken(std::string_view name) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&kMarks](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

void AddObjectHeaders(const Download& d, net::Headers& headers) {
  headers.Add("ETag", "\"" + d.info.etag + "\"");
  headers.Add("Last-Modified", FormatHttpDate(d.info.modified));
  headers.Add("Accept-Ranges", "bytes");
  const bool typed = !d.info.content_type.empty() && IsFieldValue(d.info.content_type);
  headers.Add("Content-Type", typed ? d.info.content_type : "binary/octet-stream");
  for (const auto& [name, value] : d.info.metadata) {
    if (!IsFieldValue(value)) continue;
    if (IsToken(name)) {
      headers.Add(std::string(d.metadata_prefix) + name, value);
    } else if (name.starts_with('/') && IsKeptHeader(name.substr(1))) {  // see upload.h
      headers.Add(name.substr(1), value);
    }
  }
}

}  // namespace

Precondition CheckPreconditions(const net::Headers& headers, const objectstore::ObjectInfo& info) {
  // Header dates have whole seconds.
  const auto modified = std::chrono::floor<std::chrono::seconds>(info.modified);
  if (headers.Has("If-Match")) {
    if (!ListsTag(headers.Get("If-Match"), info.etag)) return Precondition::kFailed;
  } else if (const auto since = ParseHttpDate(headers.Get("If-Unmodified-Since"))) {
    if (modified > *since) return Precondition::kFailed;
  }
  if (headers.Has("If-None-Match")) {
    if (ListsTag(headers.Get("If-None-Match"), info.etag)) return Precondition::kNotModified;
  } else if (const auto since = ParseHttpDate(headers.Get("If-Modified-Since"))) {
    if (modified <= *since) return Precondition::kNotModified;
  }
  return Precondition::kPassed;
}

RangeKind ParseRange(std::string_view header, std::uint64_t size, ByteRange& range) {
  constexpr std::string_view kUnit = "bytes=";
  range = {0, size};
  if (!header.starts_with(kUnit)) return RangeKind::kWhole;
  const std::string_view spec = Trim(header.substr(kUnit.size()));
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos || spec.find(',') != std::string_view::npos) {
    return RangeKind::kWhole;
  }
  const std::string_view from = spec.substr(0, dash), to = spec.substr(dash + 1);
  if (from.empty()) {  // the last bytes
    const auto last = ParseUnsigned(to);
    if (!last) return RangeKind::kWhole;
    if (*last == 0 || size == 0) return RangeKind::kUnsatisfiable;
    range.length = std::min(*last, size);
    range.first = size - range.length;
    return RangeKind::kPart;
  }
  const auto first = ParseUnsigned(from);
  const auto last = to.empty() ? std::optional<std::uint64_t>(UINT64_MAX) : ParseUnsigned(to);
  if (!first || !last || *last < *first) return RangeKind::kWhole;
  if (*first >= size) return RangeKind::kUnsatisfiable;
  range.first = *first;
  range.length = std::min(*last, size - 1) - *first + 1;
  return RangeKind::kPart;
}

std::optional<Fault> Answer(const Download& d, std::unique_ptr<objectstore::ObjectReader> reader,
                            net::Response& response) {
  const net::Headers& asked = d.request.headers;
  const std::uint64_t size = d.info.size;
  switch (CheckPreconditions(asked, d.info)) {
    case Precondition::kPassed:
      break;
    case Precondition::kFailed:
      return Fault{FaultCode::kPreconditionFailed, "the object does not meet the condition"};
    case Precondition::kNotModified:
      response.status = 304;
      response.headers.Add("ETag", "\"" + d.info.etag + "\"");
      response.headers.Add("Last-Modified", FormatHttpDate(d.info.modified));
      return std::nullopt;
  }
  ByteRange range{0, size};
  const bool stale = asked.Has("If-Range") && !ListsTag(asked.Get("If-Range"), d.info.etag);
  const RangeKind kind = stale ? RangeKind::kWhole : ParseRange(asked.Get("Range"), size, range);
  if (kind == RangeKind::kUnsatisfiable) {
    response.headers.Add("Content-Range", "bytes */" + std::to_string(size));
    return Fault{FaultCode::kInvalidRange, "range " + Quote(asked.Get("Range")) +
                                               " is not within the object's " +
                                               std::to_string(size) + " bytes"};
  }
  AddObjectHeaders(d, response.headers);
  if (kind == RangeKind::kPart) {
    response.status = 206;
    response.headers.Add("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                              std::to_string(range.first + range.length - 1) + "/" +
                                              std::to_string(size));
  }
  response.length = range.length;
  if (reader) response.source = std::make_unique<ObjectSource>(std::move(reader), range);
  return std::nullopt;
}

}  // namespace cml::api::objects
