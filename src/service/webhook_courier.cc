#include "service/webhook_courier.h"

#include <fmt/format.h>

#include "base/log.h"

namespace cml::service {
namespace {

constexpr std::chrono::seconds kStoreAway{5};
constexpr std::chrono::milliseconds kLookAgain{500};
constexpr std::size_t kPage = 1000;

template <class Each>
Status ForEachDelivery(store::Store& store, Each each) {
  store::DocumentQuery query;
  query.kind = store::DocumentKind::kDelivery;
  query.most = kPage;
  while (true) {
    CML_ASSIGN_OR_RETURN(const auto page, store.ListDocuments(query));
    for (const store::Document& document : page) CML_RETURN_IF_ERROR(each(document));
    if (page.size() < kPage) return Ok{};
    query.after_org = page.back().org;
    query.after_key = page.back().key;
  }
}

}  // namespace

WebhookCourier::WebhookCourier(Deps deps) : d_(std::move(deps)) {
  for (unsigned i = 0; i < kThreads; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { Work(stop); });
  }
}

WebhookCourier::~WebhookCourier() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

Status WebhookCourier::Recover() {
  return ForEachDelivery(d_.store, [this](const store::Document& document) -> Status {
    CML_ASSIGN_OR_RETURN(const Delivery delivery, codec::DecodeDeliveryRow(document.body));
    if (delivery.state == DeliveryState::kPending) Take({delivery});
    return Ok{};
  });
}

void WebhookCourier::Take(const std::vector<Delivery>& letters) {
  {
    const std::scoped_lock lock(mu_);
    for (const Delivery& letter : letters) queue_.emplace(letter.next, Name{letter.org, letter.webhook + "/" + letter.id});
  }
  cv_.notify_one();
}

std::size_t WebhookCourier::waiting() const {
  const std::scoped_lock lock(mu_);
  std::size_t all = queue_.size();
  for (const auto& [org, count] : under_way_) all += count;
  return all;
}

std::optional<WebhookCourier::Name> WebhookCourier::NextDue() {
  const SysTime now = d_.clock.Now();
  for (auto it = queue_.begin(); it != queue_.end() && it->first <= now; ++it) {
    unsigned& count = under_way_[it->second.org];
    if (count >= kMostOfOne) continue;
    ++count;
    Name name = it->second;
    queue_.erase(it);
    return name;
  }
  return std::nullopt;
}

void WebhookCourier::Work(std::stop_token stop) {
  std::unique_lock lock(mu_);
  while (!stop.stop_requested()) {
    const auto name = NextDue();
    if (!name) {
      cv_.wait_for(lock, stop, kLookAgain, [this] {
        return !queue_.empty() && queue_.begin()->first <= d_.clock.Now() && under_way_[queue_.begin()->second.org] < kMostOfOne;
      });
      continue;
    }
    lock.unlock();
    auto again = Attempt(*name);
    if (!again.ok()) {
      LogWarning("the outbox of webhooks cannot be read or written", {{"why", again.error().message()}});
      again = std::optional<SysTime>(d_.clock.Now() + kStoreAway);
    }
    lock.lock();
    if (--under_way_[name->org] == 0) under_way_.erase(name->org);
    if (again.value()) queue_.emplace(*again.value(), *name);
    cv_.notify_one();  // one of the same organisation may have waited
  }
}

Status WebhookCourier::Keep(const Delivery& delivery) {
  store::Alongside with;
  with.documents.push_back(Webhooks::Write(delivery, store::DocumentWrite::Act::kPut));
  return d_.store.Commit(with);
}

Result<std::optional<SysTime>> WebhookCourier::Attempt(const Name& name) {
  const std::optional<SysTime> over;
  auto found = d_.store.GetDocument(store::DocumentKind::kDelivery, name.org, name.key);
  if (!found.ok() && found.error().code() == Code::kNotFound) return over;
  CML_ASSIGN_OR_RETURN(const store::Document document, std::move(found));
  CML_ASSIGN_OR_RETURN(Delivery delivery, codec::DecodeDeliveryRow(document.body));
  if (delivery.state != DeliveryState::kPending) return over;
  const auto end = [&](DeliveryState state, std::string message) -> Result<std::optional<SysTime>> {
    delivery.state = state;
    delivery.ended = d_.clock.Now();
    delivery.message = std::move(message);
    CML_RETURN_IF_ERROR(Keep(delivery));
    return over;
  };
  const auto hook = d_.hooks.Get(name.org, delivery.webhook);
  if (!hook.ok()) return end(DeliveryState::kFailed, "the webhook was deleted");
  if (!hook.value().active) return end(DeliveryState::kFailed, "the webhook is switched off");
  CML_ASSIGN_OR_RETURN(Secret secret, d_.hooks.SecretOf(hook.value()));
  const Result<int> status = d_.post({hook.value().url, delivery.event, delivery.id, delivery.body, std::move(secret), d_.clock.Now()});
  ++delivery.attempts;
  delivery.status = status.ok() ? status.value() : 0;
  if (status.ok() && status.value() >= 200 && status.value() < 300) return end(DeliveryState::kDelivered, "");
  delivery.message = status.ok() ? fmt::format("answered {}; 2xx is expected, redirects are not followed", status.value())
                                 : status.error().message();
  const SysTime now = d_.clock.Now();
  delivery.next = now + DeliveryPause(delivery.attempts);
  if (delivery.next > delivery.created + kDeliveryTried) {
    return end(DeliveryState::kFailed, fmt::format("given up after {} attempts in a day: {}", delivery.attempts, delivery.message));
  }
  CML_RETURN_IF_ERROR(Keep(delivery));
  return std::optional<SysTime>(delivery.next);
}

Status WebhookCourier::Sweep() {
  const SysTime now = d_.clock.Now();
  store::Alongside gone;
  CML_RETURN_IF_ERROR(ForEachDelivery(d_.store, [&](const store::Document& document) -> Status {
    CML_ASSIGN_OR_RETURN(const Delivery delivery, codec::DecodeDeliveryRow(document.body));
    const bool old = delivery.state != DeliveryState::kPending && now - delivery.ended > kDeliveryKept;
    const bool orphaned = delivery.state != DeliveryState::kPending && !d_.hooks.Get(delivery.org, delivery.webhook).ok();
    if (old || orphaned) gone.documents.push_back({document, store::DocumentWrite::Act::kErase});
    return Ok{};
  }));
  return gone.documents.empty() ? Status(Ok{}) : d_.store.Commit(gone);
}

}  // namespace cml::service
