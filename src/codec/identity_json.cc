#include "codec/identity_json.h"

#include <fmt/format.h>

#include <cmath>
#include <ctime>

#include "base/strings.h"
#include "codec/fields.h"
#include "codec/json_writer.h"
#include "core/quantity.h"

namespace cml::codec {
namespace {

constexpr std::int64_t kMostSeconds = 100LL * 366 * 86'400;

Result<json::object> ObjectOrNothing(std::string_view body) {
  if (Trim(body).empty()) return json::object();
  return ParseObject(body);
}

// "" where the instant stands for "never".
std::string Instant(SysTime t) { return t == SysTime{} ? std::string() : FormatRfc3339(t); }

Result<SysTime> ParseInstant(std::string_view field, const std::string& text) {
  if (text.empty()) return SysTime{};
  std::tm parts{};
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  if (end == nullptr || end != text.c_str() + text.size() || text.size() != 20) {
    return Error(Code::kInvalidArgument,
                 fmt::format("{} {}: a time such as 2027-01-31T00:00:00Z, or \"\" for never", field, Quote(text)));
  }
  return SysTime{std::chrono::seconds{::timegm(&parts)}};
}

Status ReadSeconds(Fields& f, std::string_view name, std::optional<std::int64_t>& into) {
  f.Integer(name, into);
  CML_RETURN_IF_ERROR(f.Done());
  if (into && (*into < 0 || *into > kMostSeconds)) {
    return Error(Code::kInvalidArgument, fmt::format("{} {}: seconds, from 0 to {}", name, *into, kMostSeconds));
  }
  return Ok{};
}

template <class Rows, class Write>
std::string List(const Rows& rows, Write write) {
  JsonWriter w(64 + rows.size() * 256);
  w.Open('{').Name("data").Open('[');
  for (const auto& row : rows) write(w, row);
  return w.Close(']').Close('}').Take();
}

void Write(JsonWriter& w, const Org& org) {
  w.Open('{')
      .Field("org_id", org.id.str())
      .Field("org_name", org.name)
      .Field("org_mail", org.mail)
      .Field("description", org.description)
      .Field("project", org.project)
      .Field("state", ToString(org.state))
      .Field("reason", org.reason)
      .Field("unix_uid", org.unix_uid)
      .Field("create_time", FormatContractTime(org.created))
      .Close('}');
}

void Write(JsonWriter& w, const NamedUser& u) {
  w.Open('{')
      .Field("org_id", u.org.str())
      .Field("org_name", u.org_name)
      .Field("user", u.user.name)
      .Field("mail", u.user.mail)
      .Field("created_by", u.user.created_by)
      .Field("create_time", FormatContractTime(u.user.created))
      .Field("keys", u.keys)
      .Close('}');
}

void WriteFields(JsonWriter& w, const NamedKey& named, SysTime now) {
  const ApiKey& k = named.key;
  w.Field("access_key", k.access_key.str())
      .Field("org_id", k.org.str())
      .Field("org_name", named.org_name)
      .Field("role", ToString(k.role))
      .Field("user", k.user)
      .Field("label", k.label)
      .Field("state", StateOf(k, now))
      .Field("disabled", k.disabled)
      .Field("create_time", FormatContractTime(k.created))
      .Field("expires", Instant(k.expires))
      .Field("last_used", Instant(k.last_used))
      .Field("replaces", k.replaces.str());
}

void Write(JsonWriter& w, const NamedKey& key, SysTime now) {
  w.Open('{');
  WriteFields(w, key, now);
  w.Close('}');
}

void WriteNamespace(JsonWriter& w, const Org& org) {
  w.Open('{')
      .Field("name", org.name)
      .Field("owner_email", org.mail)
      .Field("description", org.description)
      .Close('}');
}

constexpr std::int64_t kGiB = 1LL << 30;

// GiB with at most two decimals.
std::string InGiB(std::int64_t bytes) {
  return fmt::format("{:.4g}", std::round(static_cast<double>(bytes) / static_cast<double>(kGiB) * 100) / 100);
}

void Write(JsonWriter& w, const NamespaceQuota& q) {
  const auto or_none = [](const std::optional<std::int64_t>& value, auto show) {
    return value ? show(*value) : std::string("-1");
  };
  const auto plain = [](std::int64_t n) { return std::to_string(n); };
  w.Open('{')
      .Field("name", q.name)
      .Field("cpu", or_none(q.total.millicores, FormatCpu))
      .Field("cpu_used", FormatCpu(q.used.millicores))
      .Field("memory", or_none(q.total.memory_bytes, InGiB))
      .Field("memory_used", InGiB(q.used.memory_bytes))
      .Field("gpu", or_none(q.total.gpus, plain))
      .Field("gpu_used", plain(q.used.gpus))
      .Close('}');
}

void Write(JsonWriter& w, const NamespaceUser& u) {
  w.Open('{').Field("namespace", u.name).Field("user_id", u.user_id).Close('}');
}

template <class T>
std::string InData(const T& value) {
  JsonWriter w(256);
  w.Open('{').Name("data");
  Write(w, value);
  return w.Close('}').Take();
}

Status NeedsName(const std::string& name, std::string_view field) {
  if (!name.empty()) return Ok{};
  return Error(Code::kInvalidArgument, fmt::format("{}: missing; name the namespace", field));
}

}  // namespace

// ---- organisations

Result<OrgFields> DecodeOrg(std::string_view body) {
  CML_ASSIGN_OR_RETURN(const json::object object, ObjectOrNothing(body));
  Fields f(object);
  OrgFields o;
  f.Text("org_name", o.name);
  f.Text("org_mail", o.mail);
  f.Text("description", o.description);
  f.Text("project", o.project);
  f.Text("reason", o.reason);
  CML_RETURN_IF_ERROR(f.Done());
  return o;
}

std::string EncodeOrg(const Org& org) {
  JsonWriter w(256);
  Write(w, org);
  return w.Take();
}

std::string EncodeOrgs(const std::vector<Org>& orgs) {
  return List(orgs, [](JsonWriter& w, const Org& org) { Write(w, org); });
}

// ---- users

Result<UserFields> DecodeUser(std::string_view body) {
  CML_ASSIGN_OR_RETURN(const json::object object, ObjectOrNothing(body));
  Fields f(object);
  UserFields u;
  f.Text("user", u.name);
  f.Text("mail", u.mail);
  CML_RETURN_IF_ERROR(f.Done());
  return u;
}

std::string EncodeUser(const NamedUser& user) {
  JsonWriter w(256);
  Write(w, user);
  return w.Take();
}

std::string EncodeUsers(const std::vector<NamedUser>& users) {
  return List(users, [](JsonWriter& w, const NamedUser& u) { Write(w, u); });
}

std::string ToDocument(const User& user) {
  JsonWriter w(128);
  return w.Open('{')
      .Field("name", user.name)
      .Field("mail", user.mail)
      .Field("created", user.created.time_since_epoch().count())
      .Field("created_by", user.created_by)
      .Close('}')
      .Take();
}

Result<User> UserFromDocument(std::string_view text) {
  auto object = ParseObject(text);
  if (!object.ok()) return Error(Code::kDataLoss, "a user cannot be read back").While(object.error().message());
  Fields f(object.value());
  User user;
  std::int64_t created = 0;
  f.Text("name", user.name);
  f.Text("mail", user.mail);
  f.Integer("created", created);
  f.Text("created_by", user.created_by);
  if (const Status s = f.Done(); !s.ok()) {
    return Error(Code::kDataLoss, "a user cannot be read back").While(s.error().message());
  }
  user.created = SysTime{std::chrono::milliseconds{created}};
  return user;
}

// ---- keys

std::string_view StateOf(const ApiKey& key, SysTime now) {
  if (key.disabled) return "disabled";
  return key.expires != SysTime{} && key.expires <= now ? "expired" : "active";
}

Result<KeyFields> DecodeKey(std::string_view body) {
  CML_ASSIGN_OR_RETURN(const json::object object, ObjectOrNothing(body));
  Fields f(object);
  KeyFields k;
  std::optional<std::string> role, expires;
  f.Text("role", role);
  f.Text("user", k.user);
  f.Text("label", k.label);
  f.Text("expires", expires);
  if (f.Present("disabled")) f.Boolean("disabled", k.disabled.emplace());
  CML_RETURN_IF_ERROR(f.Done());
  CML_RETURN_IF_ERROR(ReadSeconds(f, "expires_in", k.expires_in));
  CML_RETURN_IF_ERROR(ReadSeconds(f, "overlap", k.overlap));
  if (role) {
    k.role = ParseKeyRole(*role);
    if (!k.role) {
      return Error(Code::kInvalidArgument,
                   fmt::format("role {}: viewer, member, org_admin or platform_admin", Quote(*role)));
    }
  }
  if (expires) {
    CML_ASSIGN_OR_RETURN(k.expires, ParseInstant("expires", *expires));
  }
  if (k.expires && k.expires_in) {
    return Error(Code::kInvalidArgument, "expires, expires_in: give one of them");
  }
  return k;
}

std::string EncodeKey(const NamedKey& key, SysTime now) {
  JsonWriter w(384);
  Write(w, key, now);
  return w.Take();
}

std::string EncodeKeys(const std::vector<NamedKey>& keys, SysTime now) {
  return List(keys, [now](JsonWriter& w, const NamedKey& key) { Write(w, key, now); });
}

std::string EncodeNewKey(const NamedKey& key, std::string_view secret, SysTime now) {
  JsonWriter w(384);
  w.Open('{');
  WriteFields(w, key, now);
  return w.Field("secret_key", secret).Close('}').Take();
}

// ---- namespaces

Result<NamespaceFields> DecodeNamespace(std::string_view body) {
  CML_ASSIGN_OR_RETURN(const json::object object, ParseObject(body));
  Fields f(object);
  NamespaceFields n;
  f.Text("name", n.name);
  f.Text("owner_email", n.owner_email);
  f.Text("description", n.description);
  CML_RETURN_IF_ERROR(f.Done());
  CML_RETURN_IF_ERROR(NeedsName(n.name, "name"));
  return n;
}

std::string EncodeNamespace(const Org& org) {
  JsonWriter w(256);
  w.Open('{').Name("data");
  WriteNamespace(w, org);
  return w.Close('}').Take();
}

std::string EncodeNamespaces(const std::vector<Org>& orgs) {
  return List(orgs, [](JsonWriter& w, const Org& org) { WriteNamespace(w, org); });
}

Result<NamespaceQuotaFields> DecodeNamespaceQuota(std::string_view body) {
  CML_ASSIGN_OR_RETURN(const json::object object, ParseObject(body));
  Fields f(object);
  NamespaceQuotaFields q;
  f.Text("name", q.name);
  f.Integer("cpu", q.cpu);
  f.Integer("memory", q.memory);
  f.Integer("gpu", q.gpu);
  CML_RETURN_IF_ERROR(f.Done());
  CML_RETURN_IF_ERROR(NeedsName(q.name, "name"));
  const std::pair<std::string_view, const std::optional<std::int64_t>&> all[] = {
      {"cpu", q.cpu}, {"memory", q.memory}, {"gpu", q.gpu}};
  for (const auto& [name, value] : all) {
    if (value && (*value < 0 || *value > 1'000'000)) {
      return Error(Code::kInvalidArgument, fmt::format("{} {}: a whole number from 0 to 1000000", name, *value));
    }
  }
  return q;
}

std::string EncodeNamespaceQuota(const NamespaceQuota& quota) { return InData(quota); }

std::string EncodeNamespaceQuotas(const std::vector<NamespaceQuota>& quotas) {
  return List(quotas, [](JsonWriter& w, const NamespaceQuota& q) { Write(w, q); });
}

Result<NamespaceUser> DecodeNamespaceUser(std::string_view body) {
  CML_ASSIGN_OR_RETURN(const json::object object, ParseObject(body));
  Fields f(object);
  NamespaceUser u;
  f.Text("namespace", u.name);
  f.Text("user_id", u.user_id);
  CML_RETURN_IF_ERROR(f.Done());
  CML_RETURN_IF_ERROR(NeedsName(u.name, "namespace"));
  return u;
}

std::string EncodeNamespaceUser(const NamespaceUser& user) { return InData(user); }

std::string EncodeNamespaceUsers(const std::vector<NamespaceUser>& users) {
  return List(users, [](JsonWriter& w, const NamespaceUser& u) { Write(w, u); });
}

}  // namespace cml::codec
