#include "service/quotas.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "codec/quota_json.h"
#include "service/audit.h"

namespace cml::service {
namespace {

using store::Document;
using store::DocumentKind;
using store::DocumentWrite;

// Replaced by every write of a quota, at the revision that the writer has seen before he read the
// limits: so nobody writes over limits that he has not seen.
constexpr const char* kSeal = "quota";
constexpr std::size_t kMostPending = 20;  // applications of one organisation
constexpr std::size_t kMostMail = 254;
constexpr int kMostTries = 1000;

// The organisation as the one that is acted on, for the audit.
Caller For(const Caller& caller, const OrgId& org) {
  Caller c = caller;
  c.org = org;
  return c;
}

std::string Who(const Caller& caller) {
  return caller.user.empty() ? caller.key.str() : caller.user;
}

bool LooksLikeMail(std::string_view s) {
  const auto at = s.find('@');
  return at != std::string_view::npos && at > 0 && at + 1 < s.size() && s.size() <= kMostMail &&
         std::all_of(s.begin(), s.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

Result<QuotaStanding> Quotas::Read(const OrgId& id) {
  auto org = d_.store.GetOrg(id);
  if (!org.ok()) {
    if (org.error().code() != Code::kNotFound) return std::move(org).error();
    return Error(Code::kNotFound, "there is no organisation " + Quote(id.str()));
  }
  CML_ASSIGN_OR_RETURN(const Quota quota, d_.store.GetQuota(id));
  CML_ASSIGN_OR_RETURN(const QuotaUse used, d_.store.GetQuotaUse(id));
  return QuotaStanding{std::move(org).value(), quota, used};
}

Result<std::vector<QuotaStanding>> Quotas::ReadAll() {
  CML_ASSIGN_OR_RETURN(const std::vector<Org> orgs, d_.store.ListOrgs());
  std::vector<QuotaStanding> all;
  for (const Org& org : orgs) {
    auto standing = Read(org.id);
    if (!standing.ok() && standing.error().code() == Code::kNotFound) continue;  // gone meanwhile
    if (!standing.ok()) return std::move(standing).error();
    all.push_back(std::move(standing).value());
  }
  return all;
}

Result<std::vector<QuotaHolder>> Quotas::Holders(const std::optional<OrgId>& org) {
  constexpr ResourceKind kKinds[] = {ResourceKind::kTrainJob};
  std::vector<QuotaHolder> holders;
  for (const ResourceKind kind : kKinds) {
    CML_ASSIGN_OR_RETURN(const auto ids, d_.store.ListUnfinished(kind));
    for (const ResourceId& id : ids) {
      auto row = d_.store.Get(kind, id);
      if (!row.ok() && row.error().code() == Code::kNotFound) continue;
      CML_ASSIGN_OR_RETURN(store::Row r, std::move(row));
      if ((org && r.meta.org != *org) || r.reserved.amounts == Amounts{}) continue;
      holders.push_back(
          {r.meta.org, std::string(ToString(kind)), r.meta.name, r.state, r.reserved});
    }
  }
  std::ranges::stable_sort(holders, [](const QuotaHolder& a, const QuotaHolder& b) {
    const Amounts &x = a.reserved.amounts, &y = b.reserved.amounts;
    return std::tie(x.gpus, x.millicores, x.memory_bytes) >
           std::tie(y.gpus, y.millicores, y.memory_bytes);
  });
  return holders;
}

Status Quotas::Room(const OrgId& org, const Reservation& reservation) {
  CML_ASSIGN_OR_RETURN(const Quota quota, d_.store.GetQuota(org));
  CML_ASSIGN_OR_RETURN(const QuotaUse used, d_.store.GetQuotaUse(org));
  return CheckQuota(quota, used, {reservation.group, {}}, reservation);
}

std::int64_t Quotas::RankOf(const OrgId& org, QuotaGroup group) {
  const auto quota = d_.store.GetQuota(org);
  return quota.ok() ? quota.value().of(group).priority_rank : 1;
}

Status Quotas::Write(const Caller& caller, const QuotaWrite& write) {
  for (int i = 0; i < kMostTries; ++i) {
    DocumentWrite seal;
    seal.document = {DocumentKind::kSetting, write.org, kSeal, "{}", d_.clock.Now(), {}};
    seal.act = DocumentWrite::Act::kInsert;
    const auto seen = d_.store.GetDocument(DocumentKind::kSetting, write.org, kSeal);
    if (seen.ok()) {
      seal.document.revision = seen.value().revision;
      seal.act = DocumentWrite::Act::kReplace;
    } else if (seen.error().code() != Code::kNotFound) {
      return seen.error();
    }
    CML_ASSIGN_OR_RETURN(const Quota before, d_.store.GetQuota(write.org));
    const Quota after = Changed(before, write.settings);
    store::Alongside with;
    with.documents = write.with;
    with.documents.push_back(std::move(seal));
    with.audit =
        AuditOf(For(caller, write.org), d_.clock.Now(),
                {write.target, codec::EncodeQuotaLimits(before), codec::EncodeQuotaLimits(after)});
    const Status put = d_.store.PutQuota(write.org, after, with);
    if (put.ok()) {
      Audited(caller);
      return Ok{};
    }
    const Code code = put.error().code();
    if (code != Code::kConflict && code != Code::kAlreadyExists) return put;
    // Somebody wrote in between. Was it the limits, or what else is in this write?
    if (!write.with.empty()) {
      const Document& other = write.with.front().document;
      const auto now = d_.store.GetDocument(other.kind, other.org, other.key);
      if (!now.ok()) return now.error();
      if (now.value().revision != other.revision)
        return Error(Code::kConflict, "somebody else decided it just now; look again");
    }
  }
  return Error(Code::kUnavailable, "the quota is changed by many at once; try again");
}

Result<QuotaStanding> Quotas::Update(const Caller& caller, const OrgId& org,
                                     const QuotaChange& change) {
  if (change.empty()) {
    return Error(Code::kInvalidArgument,
                 "nothing to change: give at least one field, for instance train_gpu_quota");
  }
  CML_RETURN_IF_ERROR(Read(org));
  const OrgWords words{change.org_name, change.org_mail, change.project};
  if (!words.empty()) CML_RETURN_IF_ERROR(d_.change_org(For(caller, org), org, words));
  if (!change.settings.empty()) {
    CML_RETURN_IF_ERROR(
        Write(caller, {org, change.settings, {}, "quota of organisation " + org.str()}));
  }
  return Read(org);
}

Status Quotas::GiveDefault(const OrgId& org) {
  if (d_.for_new == Quota{}) return Ok{};
  store::Alongside with;
  with.documents.push_back({{DocumentKind::kSetting, org, kSeal, "{}", d_.clock.Now(), {}},
                            DocumentWrite::Act::kInsert});
  const Status put = d_.store.PutQuota(org, d_.for_new, with);
  if (!put.ok() && put.error().code() == Code::kAlreadyExists) return Ok{};
  return put;
}

Status Quotas::OfferMail(const Caller& caller, const std::string& mail) {
  if (!LooksLikeMail(mail) || !MayWrite(caller)) return Ok{};
  CML_ASSIGN_OR_RETURN(const QuotaStanding standing, Read(caller.org));
  if (!standing.org.mail.empty()) return Ok{};
  return d_.change_org(caller, caller.org, {std::nullopt, mail, std::nullopt});
}

Result<std::vector<Document>> Quotas::AllApplications(const std::optional<OrgId>& org) {
  store::DocumentQuery query;
  query.kind = DocumentKind::kApplication;
  query.org = org;
  std::vector<Document> all;
  while (true) {
    CML_ASSIGN_OR_RETURN(auto page, d_.store.ListDocuments(query));
    const bool more = page.size() >= query.most;
    for (Document& d : page) all.push_back(std::move(d));
    if (!more) return all;
    query.after_org = all.back().org;
    query.after_key = all.back().key;
  }
}

Result<std::vector<QuotaApplication>> Quotas::Applications(const std::optional<OrgId>& org) {
  CML_ASSIGN_OR_RETURN(const auto documents, AllApplications(org));
  std::vector<QuotaApplication> all;
  for (const Document& d : documents) {
    CML_ASSIGN_OR_RETURN(QuotaApplication a, codec::DecodeApplicationDocument(d.body));
    all.push_back(std::move(a));
  }
  std::ranges::stable_sort(all, [](const auto& a, const auto& b) {
    return std::tie(a.created, a.id) > std::tie(b.created, b.id);
  });
  return all;
}

Result<QuotaApplication> Quotas::Apply(const Caller& caller, QuotaApplication request) {
  return Once<QuotaApplication>(
      d_.store, caller, d_.clock.Now(),
      [&](const std::string& id) -> Result<QuotaApplication> {
        CML_ASSIGN_OR_RETURN(const auto kept, d_.store.GetDocument(DocumentKind::kApplication, caller.org, id));
        return codec::DecodeApplicationDocument(kept.body);
      },
      [&](const KeepOnce& keep) { return File(caller, std::move(request), keep); });
}

Result<QuotaApplication> Quotas::File(const Caller& caller, QuotaApplication a, const KeepOnce& keep) {
  const auto group = GroupOfService(a.service);
  if (!group) {
    return Error(Code::kInvalidArgument,
                 fmt::format("service {}: jobs, models, dev or tensorboard", Quote(a.service)));
  }
  if (a.asked.empty()) {
    return Error(Code::kInvalidArgument,
                 "nothing is asked for: give cpu_limit, memory_limit, gpu_limit or count_limit");
  }
  // The amounts are kept as they were sent; one that makes no sense is refused now, not when it is
  // granted. The published client sends the number of CPUs as gpu_limit, which may be a fraction.
  QuotaAmounts checked = a.asked;
  if (checked.gpu_limit == checked.cpu_limit) checked.gpu_limit.clear();
  CML_RETURN_IF_ERROR(SettingsFor(*group, checked));
  CML_ASSIGN_OR_RETURN(const QuotaStanding standing, Read(caller.org));
  CML_ASSIGN_OR_RETURN(const auto others, Applications(caller.org));
  const auto pending =
      std::ranges::count(others, ApplicationState::kPending, &QuotaApplication::state);
  if (static_cast<std::size_t>(pending) >= kMostPending) {
    return Error(
        Code::kFailedPrecondition,
        fmt::format("{} applications of this organisation wait for an answer already", pending));
  }
  a.id = NewResourceId().str();
  a.org = caller.org;
  a.org_name = standing.org.name;
  if (a.org_mail.empty()) a.org_mail = standing.org.mail;
  a.applicant = Who(caller);
  a.created = d_.clock.Now();
  store::Alongside with;
  const std::string body = codec::EncodeApplicationDocument(a);
  with.documents.push_back({{DocumentKind::kApplication, a.org, a.id, body, a.created, {}},
                            DocumentWrite::Act::kInsert});
  with.audit = AuditOf(caller, a.created, {"quota application " + a.id, "", body});
  keep(a.id, with);
  CML_RETURN_IF_ERROR(d_.store.Commit(with));
  Audited(caller);
  return a;
}

Result<Quotas::Kept> Quotas::Find(const std::string& id) {
  store::DocumentQuery query;
  query.kind = DocumentKind::kApplication;
  query.prefix = id;
  CML_ASSIGN_OR_RETURN(const auto found, d_.store.ListDocuments(query));
  if (id.empty() || found.empty())
    return Error(Code::kNotFound, "there is no quota application " + Quote(id));
  if (found.size() > 1) {
    return Error(Code::kInvalidArgument,
                 "application " + Quote(id) + ": several begin so; give more of the id");
  }
  CML_ASSIGN_OR_RETURN(QuotaApplication a, codec::DecodeApplicationDocument(found[0].body));
  return Kept{std::move(a), found[0]};
}

Result<Quotas::Kept> Quotas::FindPending(const std::string& id) {
  CML_ASSIGN_OR_RETURN(Kept kept, Find(id));
  if (kept.application.state != ApplicationState::kPending) {
    return Error(Code::kFailedPrecondition,
                 fmt::format("application {} was {} already", kept.application.id,
                             ToString(kept.application.state)));
  }
  return kept;
}

DocumentWrite Quotas::Decided(const Kept& kept) const {
  Document d = kept.document;
  d.body = codec::EncodeApplicationDocument(kept.application);
  d.updated = kept.application.decided;
  return {std::move(d), DocumentWrite::Act::kReplace};
}

Result<QuotaApplication> Quotas::Grant(const Caller& caller, const std::string& id,
                                       const Decision& decision) {
  CML_ASSIGN_OR_RETURN(Kept kept, FindPending(id));
  QuotaApplication& a = kept.application;
  const auto group = GroupOfService(a.service);
  if (!group) return Error(Code::kDataLoss, "a quota application without a service");
  a.granted = a.asked;
  const auto instead = [](std::string& granted, const std::string& given) {
    if (!given.empty()) granted = given;
  };
  instead(a.granted.cpu_limit, decision.instead.cpu_limit);
  instead(a.granted.memory_limit, decision.instead.memory_limit);
  instead(a.granted.gpu_limit, decision.instead.gpu_limit);
  instead(a.granted.count_limit, decision.instead.count_limit);
  CML_ASSIGN_OR_RETURN(const auto settings, SettingsFor(*group, a.granted));
  a.state = ApplicationState::kGranted;
  a.message = decision.message;
  a.decided = d_.clock.Now();
  CML_RETURN_IF_ERROR(
      Write(caller, {a.org, settings, {Decided(kept)}, "quota application " + a.id}));
  return a;
}

Result<QuotaApplication> Quotas::Decline(const Caller& caller, const std::string& id,
                                         const std::string& message) {
  CML_ASSIGN_OR_RETURN(Kept kept, FindPending(id));
  QuotaApplication& a = kept.application;
  a.state = ApplicationState::kDeclined;
  a.message = message;
  a.decided = d_.clock.Now();
  store::Alongside with;
  with.documents.push_back(Decided(kept));
  with.audit =
      AuditOf(For(caller, a.org), a.decided,
              {"quota application " + a.id, kept.document.body, with.documents[0].document.body});
  const Status done = d_.store.Commit(with);
  if (!done.ok() && done.error().code() == Code::kConflict) {
    return Error(Code::kConflict, "somebody else decided it just now; look again");
  }
  CML_RETURN_IF_ERROR(done);
  Audited(caller);
  return a;
}

}  // namespace cml::service
