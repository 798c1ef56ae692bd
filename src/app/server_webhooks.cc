// What organisations are told: webhooks, their outbox and their courier.
#include "app/server_parts.h"

#include <fmt/format.h>

#include "app/webhook_post.h"
#include "net/guarded_post.h"

namespace cml::app {
Status Server::OpenWebhooks() {
  hooks_ = std::make_unique<service::Webhooks>(service::Webhooks::Deps{
      *store_, *box_, clock_, [this](const std::string& url) { return net::CheckGuardedUrl(url, config_.webhook_allow); },
      [this](const std::vector<Delivery>& letters) {
        if (courier_) courier_->Take(letters);
      }});
  CML_RETURN_IF_ERROR(hooks_->Load());
  courier_ = std::make_unique<service::WebhookCourier>(service::WebhookCourier::Deps{
      *store_, *hooks_, clock_,
      [this](const service::WebhookCourier::Letter& letter) { return PostLetter(letter, config_.webhook_allow); }});
  return courier_->Recover();
}

// Webhooks: what a job's organisation is told goes into the transaction of the change.
Server::TellOfJob Server::Tell() {
  return [this](const TrainJob& job, std::string_view state, store::Alongside& with) {
    return Send(hooks_->Letters(job, fmt::format("train_job.{}", state)), with);
  };
}

Server::TellOfBudget Server::TellOfBudgets() {
  return [this](const codec::BudgetNews& news, store::Alongside& with) { return Send(hooks_->Letters(news), with); };
}

// What is to be called when `with` is committed.
std::function<void()> Server::Send(std::vector<Delivery> letters, store::Alongside& with) {
  if (letters.empty()) return {};
  service::Webhooks::Enclose(letters, with);
  return [this, letters = std::move(letters)] { hooks_->Committed(letters); };
}

}  // namespace cml::app
