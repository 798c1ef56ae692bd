#include "codec/quota_json.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "codec/document.h"
#include "codec/json_writer.h"

namespace cml::codec {
namespace {

constexpr std::size_t kMostText = 1000;

void WriteLimits(JsonWriter& w, const Quota& quota) {
  for (const QuotaField& f : AllQuotaFields())
    w.Field(NameOf(f), FormatQuotaValue(f, LimitIn(quota, f)));
}

void WriteStanding(JsonWriter& w, const QuotaStanding& s) {
  w.Open('{');
  w.Field("org_id", s.org.id.str());
  w.Field("org_name", s.org.name);
  w.Field("org_mail", s.org.mail);
  w.Field("project", s.org.project);
  for (const QuotaField& f : AllQuotaFields()) {
    w.Field(NameOf(f), FormatQuotaValue(f, LimitIn(s.quota, f)));
    if (const std::string used = NameOfUsed(f); !used.empty()) {
      w.Field(used, FormatQuotaValue(f, UsedIn(s.used, f)));
    }
  }
  w.Close('}');
}

void WriteAmounts(JsonWriter& w, const QuotaAmounts& a) {
  w.Field("cpu_limit", a.cpu_limit);
  w.Field("memory_limit", a.memory_limit);
  w.Field("gpu_limit", a.gpu_limit);
  w.Field("count_limit", a.count_limit);
}

std::string TimeText(SysTime t) { return t == SysTime{} ? "" : FormatContractTime(t); }

void WriteApplication(JsonWriter& w, const QuotaApplication& a) {
  w.Field("id", a.id);
  w.Field("org_id", a.org.str());
  w.Field("org_name", a.org_name);
  w.Field("org_mail", a.org_mail);
  w.Field("region", a.region);
  w.Field("service", a.service);
  WriteAmounts(w, a.asked);
  w.Name("granted").Open('{');
  WriteAmounts(w, a.granted);
  w.Close('}');
  w.Field("comment", a.comment);
  w.Field("applicant", a.applicant);
  w.Field("state", ToString(a.state));
  w.Field("message", a.message);
}

void WriteWithTimes(JsonWriter& w, const QuotaApplication& a) {
  WriteApplication(w, a);
  w.Field("create_time", TimeText(a.created));
  w.Field("decide_time", TimeText(a.decided));
}

Result<Document> ParseBody(std::string_view body) {
  auto d = Document::Parse(body);
  if (!d.ok()) return Error(Code::kInvalidArgument, "body: " + d.error().message());
  if (!d.value().IsObject())
    return Error(Code::kInvalidArgument, "body: a JSON object is expected");
  return d;
}

// A scalar as text; absent and null leave `into` alone.
Status ReadText(const Document& object, std::string_view name, std::string& into) {
  const Document value = object.Get(name);
  switch (value.kind()) {
    case Document::Kind::kNull:
      return Ok{};
    case Document::Kind::kString:
    case Document::Kind::kNumber:
      break;
    case Document::Kind::kBool:
    case Document::Kind::kArray:
    case Document::Kind::kObject:
      return Error(Code::kInvalidArgument, fmt::format("{}: a text is expected", name));
  }
  into = value.Text();
  if (into.size() > kMostText) {
    return Error(Code::kInvalidArgument, fmt::format("{}: at most {} bytes", name, kMostText));
  }
  return Ok{};
}

Status ReadText(const Document& object, std::string_view name, std::optional<std::string>& into) {
  if (object.Get(name).IsNull()) return Ok{};
  return ReadText(object, name, into.emplace());
}

Status ReadAmounts(const Document& object, QuotaAmounts& into) {
  CML_RETURN_IF_ERROR(ReadText(object, "cpu_limit", into.cpu_limit));
  CML_RETURN_IF_ERROR(ReadText(object, "memory_limit", into.memory_limit));
  CML_RETURN_IF_ERROR(ReadText(object, "gpu_limit", into.gpu_limit));
  return ReadText(object, "count_limit", into.count_limit);
}

Status ReadRequest(const Document& object, QuotaApplication& into) {
  CML_RETURN_IF_ERROR(ReadText(object, "org_name", into.org_name));
  CML_RETURN_IF_ERROR(ReadText(object, "org_mail", into.org_mail));
  CML_RETURN_IF_ERROR(ReadText(object, "region", into.region));
  CML_RETURN_IF_ERROR(ReadText(object, "service", into.service));
  CML_RETURN_IF_ERROR(ReadText(object, "comment", into.comment));
  return ReadAmounts(object, into.asked);
}

SysTime TimeOf(std::int64_t millis) { return SysTime{std::chrono::milliseconds{millis}}; }

}  // namespace

std::string EncodeQuota(const QuotaStanding& standing) {
  JsonWriter w(2048);
  WriteStanding(w, standing);
  return w.Take();
}

std::string EncodeQuotas(const std::vector<QuotaStanding>& standings) {
  JsonWriter w(2048 * (standings.size() + 1));
  w.Open('{').Name("data").Open('[');
  for (const QuotaStanding& s : standings) WriteStanding(w, s);
  w.Close(']').Close('}');
  return w.Take();
}

std::string EncodeQuotaLimits(const Quota& quota) {
  JsonWriter w(1024);
  w.Open('{');
  WriteLimits(w, quota);
  w.Close('}');
  return w.Take();
}

std::string EncodeQuotaHolders(const std::vector<QuotaHolder>& holders) {
  JsonWriter w(256 * (holders.size() + 1));
  w.Open('{').Name("data").Open('[');
  for (const QuotaHolder& h : holders) {
    const QuotaField memory{h.reserved.group, QuotaMeasure::kMemory},
        cpu{h.reserved.group, QuotaMeasure::kCpu};
    const Amounts& a = h.reserved.amounts;
    w.Open('{');
    w.Field("org_id", h.org.str());
    w.Field("kind", h.kind);
    w.Field("name", h.name);
    w.Field("state", h.state);
    w.Field("group", ToString(h.reserved.group));
    w.Field("memory", FormatQuotaValue(memory, a.memory_bytes));
    w.Field("cpu", FormatQuotaValue(cpu, a.millicores));
    w.Field("gpu", a.gpus);
    w.Field("count", a.count);
    w.Field("priority", a.priority);
    w.Close('}');
  }
  w.Close(']').Close('}');
  return w.Take();
}

Result<QuotaRequest> DecodeQuotaChange(std::string_view body) {
  CML_ASSIGN_OR_RETURN(const Document object, ParseBody(body));
  QuotaRequest request;
  CML_RETURN_IF_ERROR(ReadText(object, "org_id", request.org_id));
  CML_RETURN_IF_ERROR(ReadText(object, "org_name", request.change.org_name));
  CML_RETURN_IF_ERROR(ReadText(object, "org_mail", request.change.org_mail));
  CML_RETURN_IF_ERROR(ReadText(object, "project", request.change.project));
  for (const QuotaField& f : AllQuotaFields()) {
    const std::string name = NameOf(f);
    if (!object.Has(name)) continue;
    std::string text = object.Get(name).IsNull() ? "-1" : "";
    CML_RETURN_IF_ERROR(ReadText(object, name, text));
    CML_ASSIGN_OR_RETURN(const auto limit, ParseQuotaValue(f, text));
    request.change.settings.push_back({f, limit});
  }
  return request;
}

std::string DecodeOrgMail(std::string_view body) {
  const auto parsed = Document::Parse(body);
  return parsed.ok() && parsed.value().IsObject() ? parsed.value().Get("org_mail").Str() : "";
}

Result<QuotaApplication> DecodeApplicationRequest(std::string_view body) {
  CML_ASSIGN_OR_RETURN(const Document object, ParseBody(body));
  QuotaApplication application;
  CML_RETURN_IF_ERROR(ReadRequest(object, application));
  return application;
}

Result<ApplicationDecision> DecodeDecision(std::string_view body) {
  ApplicationDecision decision;
  if (Trim(body).empty()) return decision;
  CML_ASSIGN_OR_RETURN(const Document object, ParseBody(body));
  CML_RETURN_IF_ERROR(ReadText(object, "message", decision.message));
  CML_RETURN_IF_ERROR(ReadAmounts(object, decision.amounts));
  return decision;
}

std::string EncodeApplication(const QuotaApplication& application) {
  JsonWriter w(1024);
  w.Open('{').Field("error", false);
  WriteWithTimes(w, application);
  w.Close('}');
  return w.Take();
}

std::string EncodeApplications(const std::vector<QuotaApplication>& applications,
                               std::string_view next_page) {
  JsonWriter w(1024 * (applications.size() + 1));
  w.Open('{').Name("data").Open('[');
  for (const QuotaApplication& a : applications) {
    w.Open('{');
    WriteWithTimes(w, a);
    w.Close('}');
  }
  w.Close(']');
  if (!next_page.empty()) w.Field("next_page", next_page);
  w.Close('}');
  return w.Take();
}

std::string EncodeApplicationDocument(const QuotaApplication& a) {
  JsonWriter w(1024);
  w.Open('{');
  WriteApplication(w, a);
  w.Field("created", a.created.time_since_epoch().count());
  w.Field("decided", a.decided.time_since_epoch().count());
  w.Close('}');
  return w.Take();
}

Result<QuotaApplication> DecodeApplicationDocument(std::string_view body) {
  const auto parsed = ParseBody(body);
  QuotaApplication a;
  std::string org;
  if (parsed.ok()) {
    const Document& object = parsed.value();
    const auto state = ParseApplicationState(object.Get("state").Str());
    if (state && ReadRequest(object, a).ok() &&
        ReadAmounts(object.Get("granted"), a.granted).ok()) {
      a.id = object.Get("id").Str();
      a.org = OrgId{object.Get("org_id").Str()};
      a.applicant = object.Get("applicant").Str();
      a.message = object.Get("message").Str();
      a.state = *state;
      a.created = TimeOf(object.Get("created").Int());
      a.decided = TimeOf(object.Get("decided").Int());
      return a;
    }
  }
  return Error(Code::kDataLoss, "a quota application cannot be read back");
}

}  // namespace cml::codec
