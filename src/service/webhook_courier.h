// service/webhook_courier.h — takes what is in the outbox of webhooks to where it shall go: at least
// once, each delivery under its own id, in no promised order, again after growing pauses for a day
// (core/webhook.h).
//
// Owns its threads; the destructor ends them, a call under way is finished (its time is bounded by
// `post`). Keeps in memory only which deliveries are due when: Recover finds them all in the store.
// Of one organisation no more than kMostOfOne are under way at once, so that slow receivers of one
// do not hold up the others.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "service/webhooks.h"

namespace cml::service {

class WebhookCourier {
 public:
  static constexpr unsigned kThreads = 4, kMostOfOne = 2;

  struct Letter {
    std::string url, event, id, body;
    Secret secret;
    SysTime at{};  // of this attempt: what is signed
  };
  struct Deps {
    store::Store& store;
    const Webhooks& hooks;
    const Clock& clock;
    // Signs and sends; the status of the answer. Called on several threads at once.
    std::function<Result<int>(const Letter&)> post;
  };
  explicit WebhookCourier(Deps deps);
  ~WebhookCourier();
  WebhookCourier(const WebhookCourier&) = delete;
  WebhookCourier& operator=(const WebhookCourier&) = delete;

  // Once, at the start: what an earlier process left in the outbox.
  Status Recover();
  // New deliveries, after their commit.
  void Take(const std::vector<Delivery>& letters);
  // Removes what has ended long ago, and what belongs to no webhook; every few minutes.
  Status Sweep();

  std::size_t waiting() const;  // deliveries that are not over

 private:
  struct Name {
    OrgId org;
    std::string key;
    friend auto operator<=>(const Name&, const Name&) = default;
  };
  using Due = std::pair<SysTime, Name>;
  void Work(std::stop_token stop);
  std::optional<Name> NextDue();  // requires mu_
  // One attempt. When it is to be tried again; nullopt: it is over.
  Result<std::optional<SysTime>> Attempt(const Name& name);
  Status Keep(const Delivery& delivery);

  const Deps d_;
  mutable std::mutex mu_;
  std::condition_variable_any cv_;
  std::set<Due> queue_;                   // guarded by mu_
  std::map<OrgId, unsigned> under_way_;   // guarded by mu_
  std::vector<std::jthread> threads_;     // last: joins before the rest goes
};

}  // namespace cml::service
