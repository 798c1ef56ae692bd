#include "codec/audit_json.h"

#include <fmt/format.h>

#include <optional>

#include "base/strings.h"
#include "codec/document.h"
#include "codec/json_writer.h"

namespace cml::codec {
namespace {

using std::chrono::days;
using std::chrono::milliseconds;

// A JSON text that someone else has made, made fit for one line.
void WriteJson(JsonWriter& w, std::string_view name, const std::string& text) {
  w.Name(name);
  if (text.empty()) {
    w.Null();
    return;
  }
  const auto parsed = Document::Parse(text);
  w.Json(parsed.ok() ? parsed.value().Dump() : Document::String(text).Dump());
}

std::string ReadJson(const Document& line, std::string_view name) {
  const Document value = line.Get(name);
  return value.IsNull() ? "" : value.Dump();
}

std::optional<std::int64_t> Digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  std::int64_t number = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

std::optional<SysTime> ParseAuditTime(std::string_view text) {
  const auto year = Digits(text, 0, 4), month = Digits(text, 5, 2), day = Digits(text, 8, 2);
  const auto hour = Digits(text, 11, 2), minute = Digits(text, 14, 2), second = Digits(text, 17, 2);
  const auto ms = Digits(text, 20, 3);
  if (!year || !month || !day || !hour || !minute || !second || !ms) return std::nullopt;
  const std::chrono::year_month_day date{
      std::chrono::year(static_cast<int>(*year)), std::chrono::month(static_cast<unsigned>(*month)),
      std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) return std::nullopt;
  const SysTime time = std::chrono::sys_days(date) +
                       milliseconds(((*hour * 60 + *minute) * 60 + *second) * 1000 + *ms);
  if (FormatAuditTime(time) != text) return std::nullopt;
  return time;
}

}  // namespace

std::string FormatAuditTime(SysTime t) {
  const auto day = std::chrono::floor<days>(t);
  const std::chrono::year_month_day date(day);
  const std::int64_t ms = (t - day).count();
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

std::string EncodeAudit(const AuditEntry& e) {
  JsonWriter w(400 + e.before.size() + e.after.size());
  w.Open('{');
  w.Field("at", FormatAuditTime(e.at));
  w.Field("org", e.org.str());
  w.Field("actor_org", e.actor_org.str());
  w.Field("user", e.user);
  w.Field("key", e.key.str());
  w.Field("role", ToString(e.role));
  w.Field("peer", e.peer);
  w.Field("request_id", e.request_id);
  w.Field("action", e.action);
  w.Field("target", e.target);
  w.Field("status", e.status);
  w.Field("message", e.message);
  WriteJson(w, "before", e.before);
  WriteJson(w, "after", e.after);
  w.Close('}');
  return w.Take();
}

Result<AuditEntry> DecodeAudit(std::string_view line) {
  const auto parsed = Document::Parse(line);
  if (!parsed.ok() || !parsed.value().IsObject()) {
    return Error(Code::kDataLoss, "a line of the audit is not a JSON object");
  }
  const Document& d = parsed.value();
  const auto at = ParseAuditTime(d.Get("at").Str());
  const auto role = ParseKeyRole(d.Get("role").Str());
  if (!at || !role) {
    return Error(Code::kDataLoss, "a line of the audit has a wrong " + std::string(at ? "role" : "time"));
  }
  AuditEntry e;
  e.at = *at;
  e.org = OrgId(d.Get("org").Str());
  e.actor_org = OrgId(d.Get("actor_org").Str());
  e.user = d.Get("user").Str();
  e.key = AccessKey(d.Get("key").Str());
  e.role = *role;
  e.peer = d.Get("peer").Str();
  e.request_id = d.Get("request_id").Str();
  e.action = d.Get("action").Str();
  e.target = d.Get("target").Str();
  e.status = static_cast<int>(d.Get("status").Int());
  e.message = d.Get("message").Str();
  e.before = ReadJson(d, "before");
  e.after = ReadJson(d, "after");
  return e;
}

}  // namespace cml::codec
