#include "api/front.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/front_visit.h"
#include "api/http_error.h"
#include "base/strings.h"
#include "crypto/digest.h"
#include "service/audit.h"

namespace cml::api {
namespace {

constexpr std::uint64_t kMostBody = 1 << 20;

// The first path segments that are the API's; all others are buckets of the object store.
constexpr std::array kOurs = {std::string_view("/cloud_ml/"), std::string_view("/dev_server/"),
                              std::string_view("/healthz"),   std::string_view("/readyz"),
                              std::string_view("/metrics"),   std::string_view("/openapi.yaml")};

// Resources of the contract that come with later versions of the server.
struct Later {
  std::string_view prefix, what;
};
constexpr std::array kLater = {
    Later{"/cloud_ml/v1/hp", "hyperparameter jobs"},
    Later{"/cloud_ml/v1/model", "model services"},
    Later{"/cloud_ml/v1/dev", "dev environments"},
    Later{"/dev_server/", "dev servers"},
    Later{"/cloud_ml/v1/tensorboard", "TensorBoard services"},
    Later{"/cloud_ml/v1/pipeline", "pipelines"},
    Later{"/cloud_ml/v1/schedule", "schedules"},
    Later{"/cloud_ml/v1/ceph", "ceph volumes"},
    Later{"/cloud_ml/v1/secret", "secrets"},
};

bool IsOurs(std::string_view path) {
  return std::any_of(kOurs.begin(), kOurs.end(), [path](std::string_view p) {
    return p.ends_with('/') ? path.starts_with(p) : path == p;
  });
}

Error NoSuchRoute(const net::Request& request) {
  for (const auto& [prefix, what] : kLater) {
    if (request.path.starts_with(prefix)) {
      return Error(Code::kNotFound, fmt::format("{}: not available yet on this server", what));
    }
  }
  return Error(Code::kNotFound, fmt::format("{} {}: there is no such resource; GET /openapi.yaml lists them",
                                            request.method, Quote(request.path)));
}

// What names the things that a route acts on: "train_job ranker" of train_job.delete and its path.
std::string TargetOf(const AccessRule& rule, const std::vector<std::string>& params) {
  std::string target(rule.action.substr(0, rule.action.find('.')));
  for (const std::string& param : params) target += (target.find(' ') == std::string::npos ? " " : "/") + param;
  return IsValidUtf8(target) ? target : net::PercentEncode(target, " /._");
}

constexpr std::size_t kMostIdempotencyKey = 255;

// The header, and what tells two requests with the same one apart.
Status ReadIdempotencyKey(const net::Request& request, service::RequestContext& context) {
  const std::string_view key = request.headers.Get("Idempotency-Key");
  if (!request.headers.Has("Idempotency-Key")) return Ok{};
  const bool visible = std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (key.empty() || key.size() > kMostIdempotencyKey || !visible) {
    return Error(Code::kInvalidArgument, fmt::format("Idempotency-Key {}: 1 to {} visible ASCII characters without blanks, "
                                                     "for instance a UUID", Quote(key), kMostIdempotencyKey));
  }
  context.idempotency_key = key;
  crypto::Digester digest(crypto::Hash::kSha256);
  digest.Update(request.method + "\n" + request.path + "\n");
  digest.Update(request.body);
  context.fingerprint = crypto::ToHex(digest.Finish());
  return Ok{};
}

Status CheckRole(const AccessRule& rule, const service::Caller& caller) {
  if (Allows(rule, caller.role)) return Ok{};
  if (caller.role == KeyRole::kViewer && Allows(rule, KeyRole::kMember)) {
    return Error(Code::kPermissionDenied, "this key may only read; ask your administrator for a member's key");
  }
  return Error(Code::kPermissionDenied,
               fmt::format("{}: a key of the role {} may not; only {} may", rule.action, ToString(caller.role),
                           Allows(rule, KeyRole::kOrgAdmin) ? "an administrator of the organisation"
                                                            : "a platform administrator"));
}

// org_id is an administrator's way to act for another organisation (cloud_ml v1, section 4).
Status ApplyOrgId(const net::Request& request, const AccessRule& rule, service::Caller& caller, bool& all) {
  const auto it = request.query.find("org_id");
  if (it == request.query.end() || it->second == caller.org.str()) return Ok{};
  if (!service::IsPlatformAdmin(caller)) {
    return Error(Code::kPermissionDenied, "org_id: only a platform administrator may act for another organisation");
  }
  if (rule.org_id == OrgQuery::kNone) return Ok{};  // the same for all organisations
  if (it->second == "-1") {
    if (rule.org_id != OrgQuery::kAll) {
      return Error(Code::kInvalidArgument, "org_id -1: this acts on one organisation; give its number");
    }
    all = true;
    return Ok{};
  }
  if (!ParseUnsigned(it->second)) {
    return Error(Code::kInvalidArgument, "org_id " + Quote(it->second) + ": the number of an organisation, or -1 for all");
  }
  caller.org = OrgId{it->second};
  return Ok{};
}

}  // namespace

Front::Front(Deps deps, RouteTable table, OtherRouter other)
    : d_(std::move(deps)), table_(std::move(table)), other_(std::move(other)), per_key_(d_.options.per_key),
      refused_(d_.options.refused) {}

net::Route Front::Route(const net::Request& head) {
  if (!IsOurs(head.path) && other_) return RouteOther(head);
  auto match = std::make_shared<RouteTable::Match>(table_.Find(head.method, head.path));
  net::Route route;
  route.most_body = kMostBody;
  route.where = match->route ? match->route->where : net::Route::Where::kEventLoop;
  // Its line in the audit waits for a disk.
  if (match->route && match->route->rule->effect == Effect::kChanges) route.where = net::Route::Where::kWorker;
  route.handle = [this, match](const net::Request& request) {
    Visit visit;
    return Handle(request, *match, visit);
  };
  return route;
}

net::Response Front::Handle(const net::Request& request, const RouteTable::Match& match, Visit& visit) {
  Result<net::Response> answer = Run(request, match, visit);
  // 9. What changed something, or should have, leaves its line in the audit.
  if (visit.changes && !visit.throttled) {
    const int status = answer.ok() ? answer.value().status : HttpStatus(answer.error().code());
    const Status audited = Audit(visit, status, answer.ok() ? "" : answer.error().message());
    if (!audited.ok() && answer.ok()) {
      answer = Error(Code::kUnavailable, "it is done, but not in the audit yet: " + audited.error().message());
    }
  }
  // 10. Errors become answers in one place.
  net::Response response = answer.ok() ? std::move(answer).value() : ErrorResponse(answer.error(), request);
  if (visit.context.replayed) response.headers.Add("Idempotency-Replayed", "true");
  // 11. The log.
  Log(request, visit, response);
  return response;
}

Result<net::Response> Front::Run(const net::Request& request, const RouteTable::Match& match, Visit& visit) {
  // 1. Is there such a route?
  if (!match.route && match.allowed.empty()) return NoSuchRoute(request);
  if (!match.route) {
    auto refused = ErrorResponse(Error(Code::kInvalidArgument, fmt::format("{}: this resource knows {}",
                                                                           request.method, match.allowed)), request);
    refused.status = 405;
    refused.headers.Add("Allow", match.allowed);
    return refused;
  }
  const AccessRule& rule = *match.route->rule;
  visit.address = request.peer;
  service::Caller& caller = visit.caller;
  bool all_organisations = false;
  if (rule.least != Least::kAnyone) {
    visit.changes = rule.effect == Effect::kChanges;
    if (visit.changes) {  // only then somebody asks
      visit.context = {request.id, PeerOf(request), std::string(rule.action), {}, {}};
      visit.target = TargetOf(rule, match.params);
    }
    // 2. Who is it?
    auto who = d_.auth.Authenticate(request);
    if (!who.ok()) return Refuse(visit, std::move(who).error());
    caller = std::move(who).value();
    caller.request = &visit.context;
    visit.known = true;
    // 3. Not too often?
    CML_RETURN_IF_ERROR(Throttle(visit));
    // 4. May he?
    CML_RETURN_IF_ERROR(CheckRole(rule, caller));
    // 5. For which organisation?
    CML_RETURN_IF_ERROR(ApplyOrgId(request, rule, caller, all_organisations));
    CML_RETURN_IF_ERROR(d_.auth.CheckOrg(caller, rule.effect));
  }
  // 6. Can we read it?
  if (request.headers.Has("Content-Encoding") && request.headers.Get("Content-Encoding") != "identity") {
    return Error(Code::kInvalidArgument, "Content-Encoding " + Quote(request.headers.Get("Content-Encoding")) +
                                             ": send the body as it is, not compressed");
  }
  if (visit.changes) {
    CML_RETURN_IF_ERROR(ReadIdempotencyKey(request, visit.context));
    // 7. Nothing is changed that would leave no line.
    if (d_.audit != nullptr) CML_RETURN_IF_ERROR(d_.audit->Writable());
  }
  // 8. The resource itself.
  return match.route->handle(Call{request, caller, match.params, all_organisations});
}

Status Front::Throttle(Visit& visit) {
  const auto wait = per_key_.Take(visit.caller.key.str());
  if (wait.count() == 0) return Ok{};
  visit.throttled = true;
  if (visit.changes && d_.audit != nullptr) {
    AuditEntry entry = EntryOf(visit);
    entry.status = HttpStatus(Code::kThrottled);
    entry.message = "too many requests";
    d_.audit->Refused("key " + visit.caller.key.str(), std::move(entry));
  }
  return Error(Code::kThrottled, fmt::format("too many requests with this key: {} a second are allowed; try again in {} s",
                                             d_.options.per_key.per_second, wait.count()));
}

// A request whose signature is wrong. Who sends many of them is slowed down; good signatures from
// the same address are not.
Error Front::Refuse(Visit& visit, Error error) {
  if (error.code() != Code::kUnauthenticated) return error;
  if (visit.changes && d_.audit != nullptr) {
    AuditEntry entry = EntryOf(visit);
    entry.status = HttpStatus(error.code());
    entry.message = error.message();
    d_.audit->Refused("address " + NetworkOf(visit.address), std::move(entry));
  }
  visit.changes = false;
  const auto wait = refused_.Take(NetworkOf(visit.address));
  if (wait.count() == 0) return error;
  visit.throttled = true;
  return {Code::kThrottled, fmt::format("too many wrong signatures from {}; try again in {} s", visit.address, wait.count())};
}

AuditEntry Front::EntryOf(const Visit& visit) const {
  service::Caller caller = visit.caller;
  service::RequestContext context = visit.context;
  caller.request = &context;
  return service::AuditOf(caller, d_.clock.Now(), {visit.target, visit.before, visit.after}).front();
}

Status Front::Audit(Visit& visit, int status, std::string message) {
  if (d_.audit == nullptr || visit.context.audited || !visit.known) return Ok{};
  if (visit.context.dry_run) return Ok{};
  AuditEntry entry = EntryOf(visit);
  entry.status = status;
  entry.message = visit.context.replayed ? "an earlier request with this Idempotency-Key had done it" : std::move(message);
  Status written = d_.audit->Write(std::move(entry));
  // Where nothing was changed, the answer is right without it; the line follows.
  return status < 400 && !visit.context.replayed ? written : Status(Ok{});
}

void Front::Log(const net::Request& request, const Visit& visit, const net::Response& answer) {
  if (visit.throttled && !visit.known) return;  // a flood shall not fill the log
  if (answer.status == HttpStatus(Code::kUnauthenticated) && refusals_logged_.Take("").count() != 0) return;
  const bool wanted = d_.options.log == LogRequests::kAll ||
                      (d_.options.log == LogRequests::kChanges && (visit.changes || answer.status >= 400));
  if (!wanted) return;
  LogRequest({request.id, request.method, request.path, request.peer, answer.status,
              answer.source ? answer.length.value_or(0) : answer.body.size(),
              std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - visit.begun),
              visit.known ? &visit.caller : nullptr});
}

}  // namespace cml::api
