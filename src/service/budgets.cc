#include "service/budgets.h"

#include <fmt/format.h>

#include <algorithm>

#include "codec/usage_json.h"
#include "service/audit.h"

namespace cml::service {
namespace {

constexpr const char* kBudgetKey = "budget";
constexpr const char* kNoticePrefix = "notice/";

store::DocumentWrite WriteOf(const OrgId& org, std::string key, std::string body, SysTime now) {
  store::DocumentWrite write;
  write.document.kind = store::DocumentKind::kBudget;
  write.document.org = org;
  write.document.key = std::move(key);
  write.document.body = std::move(body);
  write.document.updated = now;
  return write;
}

Error NoBudget() {
  return Error(Code::kNotFound, "the organisation has no budget; set one: cloudml usage budget set AMOUNT");
}

}  // namespace

// All budgets with this month's notices; what was spent is not looked up yet.
Result<std::vector<BudgetState>> Budgets::Load() {
  const std::string month = MonthOf(d_.clock.Now()).name;
  std::map<OrgId, BudgetState> found;
  store::DocumentQuery query;
  query.kind = store::DocumentKind::kBudget;
  while (true) {
    CML_ASSIGN_OR_RETURN(const auto documents, d_.store.ListDocuments(query));
    for (const store::Document& document : documents) {
      if (document.key == kBudgetKey) {
        CML_ASSIGN_OR_RETURN(found[document.org].budget, codec::DecodeStoredBudget(document.body));
        found[document.org].org = document.org;
      } else if (document.key.starts_with(kNoticePrefix + month)) {
        CML_ASSIGN_OR_RETURN(auto notice, codec::DecodeStoredNotice(document.body));
        found[document.org].notices.push_back(std::move(notice));
      }
    }
    if (documents.size() < query.most) break;
    query.after_org = documents.back().org;
    query.after_key = documents.back().key;
  }
  std::vector<BudgetState> all;
  for (auto& [org, state] : found) {
    if (state.org.empty()) continue;  // a notice of a budget that was taken away
    std::ranges::sort(state.notices, {}, &BudgetNotice::percent);
    all.push_back(std::move(state));
  }
  return all;
}

Result<BudgetState> Budgets::Read(const OrgId& org) {
  CML_ASSIGN_OR_RETURN(auto all, Load());
  for (BudgetState& state : all) {
    if (state.org != org) continue;
    CML_ASSIGN_OR_RETURN(const auto spent, d_.usage.SpentThisMonth());
    if (const auto mine = spent.find(org); mine != spent.end()) state.spent = mine->second;
    return std::move(state);
  }
  return NoBudget();
}

Result<BudgetState> Budgets::Put(const Caller& caller, Budget budget) {
  CML_RETURN_IF_ERROR(Validate(budget));
  budget.set = d_.clock.Now();
  budget.set_by = caller.user.empty() ? caller.key.str() : caller.user;
  const auto before = d_.store.GetDocument(store::DocumentKind::kBudget, caller.org, kBudgetKey);
  if (!before.ok() && before.error().code() != Code::kNotFound) return before.error();
  store::Alongside with;
  const std::string body = codec::EncodeStoredBudget(budget);
  with.documents.push_back(WriteOf(caller.org, kBudgetKey, body, budget.set));
  with.audit = AuditOf(caller, budget.set, {"budget", before.ok() ? before.value().body : "", body});
  CML_RETURN_IF_ERROR(d_.store.Commit(with));
  Audited(caller);
  CML_ASSIGN_OR_RETURN(BudgetState state, Read(caller.org));
  CML_RETURN_IF_ERROR(Look(state));
  return state;
}

Status Budgets::Erase(const Caller& caller) {
  const auto before = d_.store.GetDocument(store::DocumentKind::kBudget, caller.org, kBudgetKey);
  if (!before.ok()) return before.error().code() == Code::kNotFound ? NoBudget() : before.error();
  store::Alongside with;
  with.documents.push_back(WriteOf(caller.org, kBudgetKey, "", d_.clock.Now()));
  with.documents.back().act = store::DocumentWrite::Act::kErase;
  with.audit = AuditOf(caller, d_.clock.Now(), {"budget", before.value().body, ""});
  CML_RETURN_IF_ERROR(d_.store.Commit(with));
  Audited(caller);
  const std::scoped_lock lock(mu_);
  known_.erase(caller.org);
  return Ok{};
}

Status Budgets::MayStart(const OrgId& org) const {
  const std::scoped_lock lock(mu_);
  const auto it = known_.find(org);
  if (it == known_.end()) return Ok{};
  const BudgetState& state = it->second;
  if (state.budget.action == BudgetAction::kNone || !state.used_up()) return Ok{};
  return Error(Code::kQuotaExceeded, BudgetSentence(state, d_.name_of(org), d_.usage.prices().currency));
}

std::vector<BudgetState> Budgets::All() const {
  const std::scoped_lock lock(mu_);
  std::vector<BudgetState> all;
  for (const auto& [org, state] : known_) all.push_back(state);
  return all;
}

Status Budgets::Tick() {
  CML_ASSIGN_OR_RETURN(auto all, Load());
  std::map<OrgId, Money> spent;
  if (!all.empty()) {
    CML_ASSIGN_OR_RETURN(spent, d_.usage.SpentThisMonth());
  }
  Status first = Ok{};
  std::vector<OrgId> orgs;
  for (BudgetState& state : all) {
    orgs.push_back(state.org);
    if (const auto mine = spent.find(state.org); mine != spent.end()) state.spent = mine->second;
    Status looked = Look(state);
    if (!looked.ok() && first.ok()) first = std::move(looked);
  }
  const std::scoped_lock lock(mu_);
  std::erase_if(known_, [&](const auto& entry) {
    return std::find(orgs.begin(), orgs.end(), entry.first) == orgs.end();
  });
  return first;
}

// Keeps what is known, warns, and stops.
Status Budgets::Look(BudgetState& state) {
  CML_RETURN_IF_ERROR(Warn(state));
  {
    const std::scoped_lock lock(mu_);
    known_[state.org] = state;
  }
  if (state.budget.action == BudgetAction::kStop && state.used_up()) return StopJobs(state);
  return Ok{};
}

Status Budgets::Warn(BudgetState& state) {
  const std::string month = MonthOf(d_.clock.Now()).name;
  std::vector<std::int64_t> steps = state.budget.warn_at;
  if (std::ranges::find(steps, kBudgetUsedUp) == steps.end()) {
    steps.insert(std::ranges::upper_bound(steps, kBudgetUsedUp), kBudgetUsedUp);
  }
  for (const std::int64_t percent : steps) {
    if (state.percent() < percent) break;
    const bool given = std::ranges::any_of(
        state.notices, [&](const BudgetNotice& n) { return n.month == month && n.percent == percent; });
    if (given) continue;
    const BudgetNotice notice{month, percent, d_.clock.Now()};
    store::Alongside with;
    with.documents.push_back(WriteOf(state.org, fmt::format("{}{}/{:04}", kNoticePrefix, month, percent),
                                     codec::EncodeStoredNotice(notice), notice.at));
    with.documents.back().act = store::DocumentWrite::Act::kInsert;
    const auto told = d_.warned ? d_.warned(state, notice, with) : std::function<void()>();
    const Status saved = d_.store.Commit(with);
    if (!saved.ok() && saved.error().code() == Code::kAlreadyExists) continue;
    CML_RETURN_IF_ERROR(saved);
    state.notices.push_back(notice);
    if (told) told();
  }
  return Ok{};
}

Status Budgets::StopJobs(const BudgetState& state) {
  CML_ASSIGN_OR_RETURN(const auto ids, d_.jobs.ListUnfinished());
  for (const ResourceId& id : ids) CML_RETURN_IF_ERROR(StopOne(id, state));
  return Ok{};
}

Status Budgets::StopOne(const ResourceId& id, const BudgetState& state) {
  while (true) {
    auto got = d_.jobs.Get(id);
    if (!got.ok()) return got.error().code() == Code::kNotFound ? Status(Ok{}) : Status(got.error());
    auto stored = std::move(got).value();
    TrainJob& job = stored.value;
    const bool runs = job.record.state == TrainJobState::kCreating || job.record.state == TrainJobState::kRunning;
    if (job.meta.org != state.org || !runs || job.wish.deleted || IsStopAsked(job)) return Ok{};
    job.wish.stop = job.record.starts;
    job.wish.stop_reason = "BudgetExceeded";
    job.wish.stop_message = BudgetSentence(state, d_.name_of(state.org), d_.usage.prices().currency);
    job.meta.updated = d_.clock.Now();
    const auto saved = d_.jobs.SaveWish(stored);
    if (!saved.ok() && saved.error().code() == Code::kConflict) continue;
    if (!saved.ok()) return saved.error();
    d_.changed(id);
    return Ok{};
  }
}

}  // namespace cml::service
