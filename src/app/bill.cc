#include "app/bill.h"

#include "base/log.h"

namespace cml::app {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kBudgetEvery{5};
constexpr std::chrono::minutes kStorageEvery{10};
constexpr std::chrono::seconds kPatience{5};

void Say(const char* what, const Status& status) {
  if (status.ok()) return;
  LogWarning(what, {{"error", status.error().message()}, {"detail", status.error().detail()}});
}

}  // namespace

Bill::Bill(Deps deps)
    : d_(std::move(deps)),
      usage_({d_.store, d_.jobs, d_.clock, d_.prices,
              [this](const RunKey& key) { return d_.backend.Observe(key, Steady::now() + kPatience); },
              [this](const OrgId& org) { return NameOf(org); }}),
      budgets_({d_.store, d_.jobs, usage_, d_.clock, [this](const OrgId& org) { return NameOf(org); },
                d_.changed,
                [this](const BudgetState& state, const BudgetNotice& notice, store::Alongside& with) {
                  return Warned(state, notice, with);
                }}),
      meter_({d_.store, d_.objects, d_.clock}) {}

std::string Bill::NameOf(const OrgId& org) const {
  const auto name = d_.orgs.NameOf(org);
  return name.ok() ? name.value() : org.str();
}

std::function<void()> Bill::Warned(const BudgetState& state, const BudgetNotice& notice, store::Alongside& with) {
  auto told = d_.warned ? d_.warned({state, notice, NameOf(state.org), d_.prices.currency}, with) : std::function<void()>();
  return [org = state.org, percent = notice.percent, told = std::move(told)] {
    LogWarning(percent < kBudgetUsedUp ? "a budget is nearly used up" : "a budget is used up",
               {{"org", org.str()}, {"percent", std::to_string(percent)}});
    if (told) told();
  };
}

Status Bill::Start() {
  CML_RETURN_IF_ERROR(budgets_.Tick());
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
  return Ok{};
}

void Bill::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  Say("the storage could not be read", meter_.Read());
}

void Bill::Run(const std::stop_token& stop) {
  auto storage_at = Steady::now();
  while (!stop.stop_requested()) {
    if (Steady::now() >= storage_at) {
      Say("the storage could not be read", meter_.Read());
      storage_at = Steady::now() + kStorageEvery;
    }
    Say("the budgets could not be looked at", budgets_.Tick());
    std::unique_lock lock(mu_);
    wake_.wait_for(lock, stop, kBudgetEvery, [] { return false; });
  }
}

}  // namespace cml::app
