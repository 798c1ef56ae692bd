#include "api/object_audit.h"

#include <algorithm>

#include "base/strings.h"
#include "codec/document.h"

namespace cml::api {
namespace {

constexpr std::size_t kMostMessage = 300;
constexpr std::size_t kMostNames = 100;

// The text of the next <tag>…</tag> from `at` on; moves `at` behind it. False: there is none.
bool NextElement(std::string_view xml, std::string_view tag, std::size_t& at, std::string_view& text) {
  const std::string open = "<" + std::string(tag) + ">", close = "</" + std::string(tag) + ">";
  const std::size_t begin = xml.find(open, at);
  if (begin == std::string_view::npos) return false;
  const std::size_t end = xml.find(close, begin);
  if (end == std::string_view::npos) return false;
  text = xml.substr(begin + open.size(), end - begin - open.size());
  at = end + close.size();
  return true;
}

std::string Fit(std::string_view text) {
  return IsValidUtf8(text) ? std::string(text) : net::PercentEncode(text, "/");
}

std::string_view ActionOf(const net::Request& head, bool object) {
  const auto has = [&head](const char* name) { return head.query.contains(name); };
  if (!object) {
    if (head.method == "PUT") return "bucket.create";
    if (head.method == "DELETE") return "bucket.delete";
    return "object.delete";  // POST ?delete
  }
  if (head.method == "DELETE") return has("uploadId") ? "object.abort_upload" : "object.delete";
  if (has("uploads")) return "object.begin_upload";
  if (has("uploadId")) return has("partNumber") ? "object.write_part" : "object.complete_upload";
  return "object.write";
}

}  // namespace

ObjectDeed DeedOf(const net::Request& head) {
  ObjectDeed deed;
  deed.changes = head.method == "PUT" || head.method == "POST" || head.method == "DELETE";
  std::string_view path = std::string_view(head.target).substr(0, head.target.find('?'));
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  const std::string name = Fit(net::PercentDecode(path));
  const std::size_t slash = name.find('/');
  const bool object = slash != std::string::npos && slash + 1 < name.size();
  if (deed.changes) deed.action = ActionOf(head, object);
  deed.target = object ? "object " + name : "bucket " + name.substr(0, slash);
  return deed;
}

std::string ObjectsNamedIn(const net::Request& request) {
  if (request.method != "POST" || !request.query.contains("delete")) return "";
  codec::Document keys = codec::Document::Array();
  std::size_t at = 0, count = 0;
  std::string_view key;
  while (NextElement(request.body, "Key", at, key)) {
    if (++count <= kMostNames) keys.Append(codec::Document::String(Fit(key)));
  }
  return codec::Document::Object().Set("objects", codec::Document::Integer(static_cast<std::int64_t>(count)))
      .Set("keys", keys).Dump();
}

std::string ObjectLeftBy(const net::Response& answer) {
  const std::string_view etag = answer.headers.Get("ETag");
  if (answer.status != 200 || etag.empty()) return "";
  return codec::Document::Object().Set("etag", Fit(etag)).Dump();
}

std::string MessageIn(const net::Response& answer) {
  if (answer.status < 400) return "";
  std::string message;
  std::string_view text;
  std::size_t at = 0;
  if (NextElement(answer.body, "Message", at, text)) message = text;
  if (const auto json = codec::Document::Parse(answer.body); json.ok()) message = json.value().Get("message").Str();
  if (!IsValidUtf8(message)) return "";
  std::size_t end = std::min(message.size(), kMostMessage);
  while (end > 0 && end < message.size() && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
  return message.substr(0, end);
}

}  // namespace cml::api
