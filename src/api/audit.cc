#include "api/audit.h"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <memory>

#include "api/http_error.h"
#include "api/list_query.h"
#include "base/strings.h"
#include "codec/document.h"

namespace cml::api {
namespace {

using codec::Document;
using service::AuditTrail;
using namespace std::chrono_literals;

constexpr std::array<std::string_view, 5> kFields = {"user", "key", "action", "target", "status"};
constexpr std::size_t kUsualPage = 100;
constexpr std::size_t kPiece = 500;                 // lines of a stream at a time
constexpr std::chrono::milliseconds kLookAgain{500};  // for new lines, while somebody follows
constexpr const char* kLines = "application/x-ndjson";

// "2026-01-02T03:04:05Z" or "2026-01-02"; empty: the epoch, which is open.
Result<SysTime> TimeIn(const Call& call, const std::string& name) {
  const std::string text = call.Query(name);
  if (text.empty()) return SysTime{};
  for (const char* format : {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"}) {
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), format, &parts);
    if (end == text.c_str() + text.size()) return SysTime{std::chrono::seconds{::timegm(&parts)}};
  }
  return Error(Code::kInvalidArgument,
               fmt::format("{} {}: for instance 2026-01-02T03:04:05Z, or 2026-01-02", name, Quote(text)));
}

Result<AuditTrail::Filter> FilterIn(const Call& call) {
  AuditTrail::Filter filter;
  if (!call.all_organisations) filter.org = call.caller.org;
  for (const std::string_view field : kFields) {
    if (std::string text = call.Query(std::string(field)); !text.empty()) filter.fields.emplace(field, std::move(text));
  }
  CML_ASSIGN_OR_RETURN(filter.from, TimeIn(call, "from"));
  CML_ASSIGN_OR_RETURN(filter.until, TimeIn(call, "until"));
  return filter;
}

// The line's own object with its number before it.
std::string RowOf(const AuditLine& line) {
  if (line.text.size() < 2 || !line.text.starts_with('{')) {
    return Document::Object().Set("number", Document::Integer(static_cast<std::int64_t>(line.seq))).Set("altered", line.text).Dump();
  }
  return fmt::format("{{\"number\":{},{}", line.seq, std::string_view(line.text).substr(1));
}

// New lines as they come, until the client goes.
class FollowedAudit final : public net::BodySource {
 public:
  FollowedAudit(AuditTrail& trail, AuditTrail::Filter filter, std::vector<AuditLine> first, std::uint64_t after)
      : trail_(trail), filter_(std::move(filter)), after_(after) {
    for (const AuditLine& line : first) begin_ += RowOf(line) + "\n";
  }
  Result<Piece> Next() override {
    if (!begin_.empty()) return Piece{std::exchange(begin_, {}), false, 0ms};
    CML_ASSIGN_OR_RETURN(const AuditTrail::Page page, trail_.After(filter_, after_, kPiece));
    const bool moved = page.next != after_;
    after_ = page.next;
    std::string text;
    for (const AuditLine& line : page.lines) text += RowOf(line) + "\n";
    if (!text.empty()) return Piece{std::move(text), false, 0ms};
    return Piece{{}, false, moved ? 1ms : kLookAgain};
  }

 private:
  AuditTrail& trail_;
  const AuditTrail::Filter filter_;
  std::uint64_t after_;
  std::string begin_;
};

// The chain, oldest first (docs/formats/audit.md, "Export"). All lines are read, so that each can
// name the hash before it; those of other organisations are left out.
class ExportedAudit final : public net::BodySource {
 public:
  ExportedAudit(AuditTrail& trail, AuditTrail::Filter filter) : trail_(trail), filter_(std::move(filter)) {}

  Result<Piece> Next() override {
    AuditTrail::Filter all;
    CML_ASSIGN_OR_RETURN(const AuditTrail::Page page, trail_.After(all, after_, kPiece));
    if (page.lines.empty()) return Piece{End(), true, 0ms};
    after_ = page.next;
    std::string text;
    for (const AuditLine& line : page.lines) {
      if (!filter_.org || line.org == *filter_.org) text += LineOf(line) + "\n";
      hash_ = line.hash;
    }
    return Piece{std::move(text), false, text.empty() ? 1ms : 0ms};
  }

 private:
  std::string LineOf(const AuditLine& line) {
    ++lines_;
    return Document::Object()
        .Set("number", Document::Integer(static_cast<std::int64_t>(line.seq)))
        .Set("at", Document::Integer(line.at.time_since_epoch().count()))
        .Set("org", line.org.str())
        .Set("before", hash_)
        .Set("hash", line.hash)
        .Set("line", line.text)
        .Dump();
  }
  std::string End() const {
    return Document::Object()
               .Set("end", Document::Boolean(true))
               .Set("scope", filter_.org ? "organisation " + filter_.org->str() : "all")
               .Set("lines", Document::Integer(static_cast<std::int64_t>(lines_)))
               .Set("number", Document::Integer(static_cast<std::int64_t>(after_)))
               .Set("hash", hash_)
               .Dump() + "\n";
  }

  AuditTrail& trail_;
  const AuditTrail::Filter filter_;
  std::uint64_t after_ = 0, lines_ = 0;
  std::string hash_ = std::string(64, '0');
};

net::Response Streamed(std::unique_ptr<net::BodySource> source) {
  net::Response response;
  response.headers.Add("Content-Type", kLines);
  response.source = std::move(source);
  return response;
}

Result<net::Response> Read(AuditTrail& trail, const Call& call) {
  CML_ASSIGN_OR_RETURN(AuditTrail::Filter filter, FilterIn(call));
  CML_ASSIGN_OR_RETURN(const bool follow, YesIn(call, "follow"));
  CML_ASSIGN_OR_RETURN(const auto limit, NumberIn(call, "limit", kMostPage));
  const std::string page_text = call.Query("page");
  const auto before = page_text.empty() ? std::optional<std::uint64_t>(0) : ParseUnsigned(page_text);
  if (!before || *before > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return Error(Code::kInvalidArgument, fmt::format("page {}: use next_page of the answer before", Quote(page_text)));
  }
  const std::size_t most = limit.value_or(0) == 0 ? (follow && limit ? 0 : kUsualPage) : static_cast<std::size_t>(*limit);
  CML_ASSIGN_OR_RETURN(AuditTrail::Page newest, trail.Newest({}, 0, 1));
  AuditTrail::Page page;
  if (most > 0) {
    CML_ASSIGN_OR_RETURN(page, trail.Newest(filter, *before, most));
  }
  if (follow) {
    const std::uint64_t last = newest.lines.empty() ? 0 : newest.lines.front().seq;
    std::erase_if(page.lines, [last](const AuditLine& line) { return line.seq > last; });  // they come in a moment
    return Streamed(std::make_unique<FollowedAudit>(
        trail, std::move(filter), std::vector<AuditLine>(page.lines.rbegin(), page.lines.rend()), last));
  }
  std::string body = "{\"data\":[";
  for (std::size_t i = 0; i < page.lines.size(); ++i) body += (i == 0 ? "" : ",") + RowOf(page.lines[i]);
  body += "]";
  if (page.next != 0) body += fmt::format(",\"next_page\":\"{}\"", page.next);
  net::Response response = JsonResponse(200, body + "}");
  if (page.next != 0) response.headers.Add("X-Next-Page", std::to_string(page.next));
  return response;
}

Result<net::Response> Export(AuditTrail& trail, const Call& call) {
  AuditTrail::Filter filter;
  if (!call.all_organisations) filter.org = call.caller.org;
  return Streamed(std::make_unique<ExportedAudit>(trail, std::move(filter)));
}

Result<net::Response> Verify(AuditTrail& trail, const Call&) {
  CML_ASSIGN_OR_RETURN(const store::AuditVerdict verdict, trail.Verify());
  const bool whole = verdict.wrong == 0;
  Document answer = Document::Object();
  answer.Set("whole", Document::Boolean(whole));
  answer.Set("lines", Document::Integer(static_cast<std::int64_t>(verdict.lines))).Set("hash", verdict.head);
  if (!whole) answer.Set("wrong", Document::Integer(static_cast<std::int64_t>(verdict.wrong)));
  answer.Set("message", whole ? fmt::format("{} lines, none missing, none altered", verdict.lines) : verdict.message);
  return JsonResponse(200, answer.Dump());
}

}  // namespace

void AddAuditRoutes(RouteTable& table, service::AuditTrail& trail) {
  const auto add = [&](const char* method, const char* pattern, auto handle) {
    table.Add({method, pattern, net::Route::Where::kWorker,
               [&trail, handle](const Call& call) { return handle(trail, call); }, nullptr});
  };
  add("GET", "/cloud_ml/v1/audit", Read);
  add("GET", "/cloud_ml/v1/audit/export", Export);
  add("GET", "/cloud_ml/v1/audit/verify", Verify);
}

}  // namespace cml::api
