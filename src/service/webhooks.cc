#include "service/webhooks.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <tuple>

#include "base/random.h"
#include "base/strings.h"
#include "service/audit.h"

namespace cml::service {
namespace {

using store::DocumentKind;
using store::DocumentWrite;

constexpr std::size_t kLeastSecret = 16, kMostSecret = 128, kMostDescription = 1000;
constexpr std::size_t kPage = 1000;

std::string SealContext(const Webhook& hook) { return "webhook " + hook.id; }

Error NoSuchHook(const std::string& id) {
  return {Code::kNotFound, "webhook " + Quote(id) + ": there is no such webhook; see which there are: cloudml webhook list"};
}

DocumentWrite RowOf(const Webhook& hook, DocumentWrite::Act act) {
  DocumentWrite write;
  write.document.kind = DocumentKind::kWebhook;
  write.document.org = hook.org;
  write.document.key = hook.id;
  write.document.body = codec::EncodeWebhookRow(hook);
  write.document.updated = hook.updated;
  write.act = act;
  return write;
}

// Keys in order of time within a webhook.
std::string NewDeliveryId(SysTime now) { return fmt::format("{:013}-{}", now.time_since_epoch().count(), RandomToken(8)); }

}  // namespace

Status Webhooks::Load() {
  store::DocumentQuery query;
  query.kind = DocumentKind::kWebhook;
  query.most = kPage;
  while (true) {
    CML_ASSIGN_OR_RETURN(const auto page, d_.store.ListDocuments(query));
    const std::unique_lock lock(mu_);
    for (const store::Document& document : page) {
      CML_ASSIGN_OR_RETURN(Webhook hook, codec::DecodeWebhookRow(document.body));
      hooks_[document.org][hook.id] = std::move(hook);
    }
    if (page.size() < kPage) return Ok{};
    query.after_org = page.back().org;
    query.after_key = page.back().key;
  }
}

Status Webhooks::Apply(const codec::WebhookRequest& request, Webhook& hook) const {
  if (request.url) {
    CML_RETURN_IF_ERROR(d_.check_url(*request.url));
    hook.url = *request.url;
  }
  if (hook.url.empty()) return Error(Code::kInvalidArgument, "url: where shall it be told? for instance https://example.com/hooks/cloudml");
  if (request.events) {
    for (const std::string& event : *request.events) {
      if (IsEventPattern(event)) continue;
      const std::vector<std::string> known(kWebhookEvents.begin(), kWebhookEvents.end());
      return Error(Code::kInvalidArgument, fmt::format("events {}: one of {}, or train_job.*, or *", Quote(event), Join(known, ", ")));
    }
    hook.events = *request.events;
  }
  if (hook.events.empty()) return Error(Code::kInvalidArgument, "events: at least one, for instance train_job.*");
  if (hook.events.size() > kWebhookEvents.size()) return Error(Code::kInvalidArgument, "events: more than there are");
  if (request.secret) {
    const bool visible = std::all_of(request.secret->begin(), request.secret->end(), [](char c) { return c > 0x20 && c < 0x7F; });
    if (!visible || request.secret->size() < kLeastSecret || request.secret->size() > kMostSecret) {
      return Error(Code::kInvalidArgument, fmt::format("secret: {} to {} visible ASCII characters; leave it out and one is made",
                                                       kLeastSecret, kMostSecret));
    }
    hook.sealed_secret = d_.box.Seal(*request.secret, SealContext(hook));
  }
  if (request.description) {
    if (request.description->size() > kMostDescription) {
      return Error(Code::kInvalidArgument, fmt::format("description: at most {} bytes", kMostDescription));
    }
    hook.description = *request.description;
  }
  if (request.active) hook.active = *request.active;
  return Ok{};
}

Status Webhooks::Commit(const Caller& caller, const Webhook& before, const Webhook& after, DocumentWrite write,
                        store::Alongside with) {
  const Webhook& hook = after.id.empty() ? before : after;
  with.documents.push_back(std::move(write));
  with.audit = AuditOf(caller, d_.clock.Now(),
                       {"webhook " + hook.id, before.id.empty() ? "" : codec::EncodeWebhookForAudit(before),
                        after.id.empty() ? "" : codec::EncodeWebhookForAudit(after)});
  CML_RETURN_IF_ERROR(d_.store.Commit(with));
  Audited(caller);
  const std::unique_lock lock(mu_);
  if (after.id.empty()) {
    hooks_[hook.org].erase(hook.id);
  } else {
    hooks_[hook.org][hook.id] = after;
  }
  return Ok{};
}

Result<Webhooks::Created> Webhooks::Create(const Caller& caller, const codec::WebhookRequest& request) {
  return Once<Created>(
      d_.store, caller, d_.clock.Now(),
      [&](const std::string& id) -> Result<Created> {
        CML_ASSIGN_OR_RETURN(Webhook hook, Get(caller.org, id));
        CML_ASSIGN_OR_RETURN(Secret secret, SecretOf(hook));
        return Created{std::move(hook), std::move(secret)};
      },
      [&](const KeepOnce& keep) { return Make(caller, request, keep); });
}

Result<Webhooks::Created> Webhooks::Make(const Caller& caller, const codec::WebhookRequest& request, const KeepOnce& keep) {
  {
    const std::shared_lock lock(mu_);
    const auto it = hooks_.find(caller.org);
    if (it != hooks_.end() && it->second.size() >= kMostHooks) {
      return Error(Code::kFailedPrecondition, fmt::format("an organisation has at most {} webhooks; delete one first", kMostHooks));
    }
  }
  Webhook hook;
  hook.id = "wh" + RandomToken(10);
  hook.org = caller.org;
  hook.created = hook.updated = d_.clock.Now();
  hook.created_by = caller.user.empty() ? caller.key.str() : caller.user;
  hook.events = {"train_job.*"};
  codec::WebhookRequest with_secret = request;
  if (!with_secret.secret) with_secret.secret = RandomToken(40);
  CML_RETURN_IF_ERROR(Apply(with_secret, hook));
  store::Alongside with;
  keep(hook.id, with);
  CML_RETURN_IF_ERROR(Commit(caller, Webhook(), hook, RowOf(hook, DocumentWrite::Act::kInsert), std::move(with)));
  return Created{std::move(hook), Secret(*with_secret.secret)};
}

Result<std::vector<Webhook>> Webhooks::List(const Caller& caller) const {
  std::vector<Webhook> all;
  {
    const std::shared_lock lock(mu_);
    const auto it = hooks_.find(caller.org);
    if (it != hooks_.end()) {
      for (const auto& [id, hook] : it->second) all.push_back(hook);
    }
  }
  std::sort(all.begin(), all.end(), [](const Webhook& a, const Webhook& b) {
    return std::tie(a.created, a.id) < std::tie(b.created, b.id);
  });
  return all;
}

Result<Webhook> Webhooks::Get(const OrgId& org, const std::string& id) const {
  const std::shared_lock lock(mu_);
  const auto of_org = hooks_.find(org);
  if (of_org == hooks_.end()) return NoSuchHook(id);
  const auto it = of_org->second.find(id);
  if (it == of_org->second.end()) return NoSuchHook(id);
  return it->second;
}

Result<Webhook> Webhooks::Find(const Caller& caller, const std::string& id) const { return Get(caller.org, id); }

Result<Webhook> Webhooks::Update(const Caller& caller, const std::string& id, const codec::WebhookRequest& request) {
  CML_ASSIGN_OR_RETURN(const auto row, d_.store.GetDocument(DocumentKind::kWebhook, caller.org, id));
  CML_ASSIGN_OR_RETURN(const Webhook before, codec::DecodeWebhookRow(row.body));
  Webhook after = before;
  CML_RETURN_IF_ERROR(Apply(request, after));
  after.updated = d_.clock.Now();
  DocumentWrite write = RowOf(after, DocumentWrite::Act::kReplace);
  write.document.revision = row.revision;
  CML_RETURN_IF_ERROR(Commit(caller, before, after, std::move(write)));
  return after;
}

Status Webhooks::Delete(const Caller& caller, const std::string& id) {
  CML_ASSIGN_OR_RETURN(const Webhook hook, Get(caller.org, id));
  return Commit(caller, hook, Webhook(), RowOf(hook, DocumentWrite::Act::kErase));
}

Result<Delivery> Webhooks::Test(const Caller& caller, const std::string& id) {
  CML_ASSIGN_OR_RETURN(const Webhook hook, Get(caller.org, id));
  Delivery delivery;
  delivery.created = delivery.next = d_.clock.Now();
  delivery.id = NewDeliveryId(delivery.created);
  delivery.webhook = hook.id;
  delivery.org = hook.org;
  delivery.event = "webhook.test";
  delivery.body = codec::EncodeTestEvent(delivery.id, delivery.created, hook);
  store::Alongside with;
  Enclose({delivery}, with);
  with.audit = AuditOf(caller, delivery.created, {"webhook " + hook.id, "", ""});
  CML_RETURN_IF_ERROR(d_.store.Commit(with));
  Audited(caller);
  Committed({delivery});
  return delivery;
}

Result<std::vector<Delivery>> Webhooks::Deliveries(const Caller& caller, const std::string& id) {
  CML_ASSIGN_OR_RETURN([[maybe_unused]] const Webhook hook, Get(caller.org, id));
  store::DocumentQuery query;
  query.kind = DocumentKind::kDelivery;
  query.org = caller.org;
  query.prefix = id + "/";
  query.most = kPage;
  std::vector<Delivery> all;
  while (true) {
    CML_ASSIGN_OR_RETURN(const auto page, d_.store.ListDocuments(query));
    for (const store::Document& document : page) {
      CML_ASSIGN_OR_RETURN(Delivery delivery, codec::DecodeDeliveryRow(document.body));
      all.push_back(std::move(delivery));
    }
    if (page.size() < kPage) break;
    query.after_org = page.back().org;
    query.after_key = page.back().key;
  }
  std::reverse(all.begin(), all.end());
  if (all.size() > kMostDeliveries) all.resize(kMostDeliveries);
  return all;
}

std::vector<Delivery> Webhooks::Letters(const TrainJob& job, std::string_view event) const {
  return Address(job.meta.org, event, [&](const std::string& id, SysTime at) {
    return codec::EncodeJobEvent(id, event, at, job);
  });
}

std::vector<Delivery> Webhooks::Letters(const codec::BudgetNews& news) const {
  return Address(news.state.org, EventOf(news.notice), [&](const std::string& id, SysTime at) {
    return codec::EncodeBudgetEvent(id, at, news);
  });
}

std::vector<Delivery> Webhooks::Address(const OrgId& org, std::string_view event, const Body& body) const {
  std::vector<Delivery> letters;
  const std::shared_lock lock(mu_);
  const auto of_org = hooks_.find(org);
  if (of_org == hooks_.end()) return letters;
  for (const auto& [id, hook] : of_org->second) {
    if (!Wants(hook, event)) continue;
    Delivery delivery;
    delivery.created = delivery.next = d_.clock.Now();
    delivery.id = NewDeliveryId(delivery.created);
    delivery.webhook = id;
    delivery.org = hook.org;
    delivery.event = event;
    delivery.body = body(delivery.id, delivery.created);
    letters.push_back(std::move(delivery));
  }
  return letters;
}

store::DocumentWrite Webhooks::Write(const Delivery& delivery, DocumentWrite::Act act) {
  DocumentWrite write;
  write.document.kind = DocumentKind::kDelivery;
  write.document.org = delivery.org;
  write.document.key = delivery.webhook + "/" + delivery.id;
  write.document.body = codec::EncodeDeliveryRow(delivery);
  write.document.updated = delivery.created;
  write.act = act;
  return write;
}

void Webhooks::Enclose(const std::vector<Delivery>& letters, store::Alongside& with) {
  for (const Delivery& letter : letters) with.documents.push_back(Write(letter, DocumentWrite::Act::kPut));
}

Result<Secret> Webhooks::SecretOf(const Webhook& hook) const { return d_.box.Open(hook.sealed_secret, SealContext(hook)); }

}  // namespace cml::service
