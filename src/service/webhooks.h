// service/webhooks.h — the use cases of webhooks, and their outbox: what has to be told is committed
// in the transaction of the change itself (store::DocumentKind::kDelivery); service/webhook_courier.h
// takes it from there.
//
// Thread-safe. Webhooks are kept in memory, as each change of a job asks for them; every change of
// them goes through here. Blocks as long as the store does. kInvalidArgument: a field; kNotFound;
// kFailedPrecondition: too many.
#pragma once
#include <functional>
#include <map>
#include <shared_mutex>
#include <string>
#include <vector>

#include "codec/webhook_json.h"
#include "core/train_job.h"
#include "core/webhook.h"
#include "service/caller.h"
#include "service/idempotency.h"
#include "service/orgs.h"
#include "store/store.h"

namespace cml::service {

class Webhooks {
 public:
  static constexpr std::size_t kMostHooks = 20;        // of an organisation
  static constexpr std::size_t kMostDeliveries = 500;  // that a list shows, the newest

  struct Deps {
    store::Store& store;
    const SecretBox& box;
    const Clock& clock;
    std::function<Status(const std::string& url)> check_url;        // may it be connected to?
    std::function<void(const std::vector<Delivery>&)> committed;    // there is something to tell
  };
  explicit Webhooks(Deps deps) : d_(std::move(deps)) {}

  Status Load();  // once, before anything else

  struct Created {
    Webhook hook;
    Secret secret;
  };
  Result<Created> Create(const Caller& caller, const codec::WebhookRequest& request);
  Result<std::vector<Webhook>> List(const Caller& caller) const;  // oldest first
  Result<Webhook> Find(const Caller& caller, const std::string& id) const;
  Result<Webhook> Update(const Caller& caller, const std::string& id, const codec::WebhookRequest& request);
  Status Delete(const Caller& caller, const std::string& id);
  Result<Delivery> Test(const Caller& caller, const std::string& id);
  Result<std::vector<Delivery>> Deliveries(const Caller& caller, const std::string& id);  // newest first

  // ---- the outbox. Letters: what the webhooks of an organisation are told of `event`, to be
  // committed alongside the change; Committed: it was. Cheap where nobody wants to know.
  std::vector<Delivery> Letters(const TrainJob& job, std::string_view event) const;
  std::vector<Delivery> Letters(const codec::BudgetNews& news) const;
  static void Enclose(const std::vector<Delivery>& letters, store::Alongside& with);
  void Committed(const std::vector<Delivery>& letters) const {
    if (!letters.empty()) d_.committed(letters);
  }

  // For the courier: kNotFound when it is gone.
  Result<Webhook> Get(const OrgId& org, const std::string& id) const;
  Result<Secret> SecretOf(const Webhook& hook) const;
  static store::DocumentWrite Write(const Delivery& delivery, store::DocumentWrite::Act act);

 private:
  // The JSON of a delivery with this id.
  using Body = std::function<std::string(const std::string& id, SysTime at)>;
  std::vector<Delivery> Address(const OrgId& org, std::string_view event, const Body& body) const;
  Status Apply(const codec::WebhookRequest& request, Webhook& hook) const;
  Result<Created> Make(const Caller& caller, const codec::WebhookRequest& request, const KeepOnce& keep);
  Status Commit(const Caller& caller, const Webhook& before, const Webhook& after, store::DocumentWrite write,
                store::Alongside with = {});

  const Deps d_;
  mutable std::shared_mutex mu_;
  std::map<OrgId, std::map<std::string, Webhook>> hooks_;  // guarded by mu_
};

}  // namespace cml::service
