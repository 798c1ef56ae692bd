// What acts by itself: admission, controllers and their runners, nodes, the bill.
#include "app/server_parts.h"

#include "app/embedded.h"
#include "base/random.h"

namespace cml::app {
namespace {

constexpr std::chrono::minutes kFlushUses{1};  // when keys were last used
const ResourceId kKeyUses{"key uses"};         // beside the numbers of organisations

// Servers of one machine do not all begin at the same one.
int SomePort() {
  const std::string bytes = RandomBytes(2);
  const int number = static_cast<unsigned char>(bytes[0]) * 256 + static_cast<unsigned char>(bytes[1]);
  return 20'000 + number % 10'000;
}

}  // namespace

Status Server::MakeControl() {
  CML_ASSIGN_OR_RETURN(const store::LeaderToken leader, store_->BecomeLeader());
  CML_RETURN_IF_ERROR(rows_->RepairReservations(leader));
  desk_ = std::make_unique<control::AdmissionDesk>([this](const ResourceId& id) { runner_->Notify(id); }, clock_);
  ports_ = std::make_unique<control::PortBook>(
      control::PortBook::Range{.start = SomePort()},
      [this](const OrgId& org, const std::string&, int port) { return backend_->IsPortFree(org, port); });
  controller_ = std::make_unique<control::TrainJobController>(control::TrainJobController::Deps{
      *rows_, *backend_, *desk_, *ports_, clock_, std::string(PackageInstaller()), leader,
      [this](const OrgId& org) { return quotas_->RankOf(org, QuotaGroup::kTrain); },
      [this](const OrgId& org) { return WhyHeldBack(org); }, Tell()});
  nodes_ = std::make_unique<service::Nodes>(service::Nodes::Deps{
      *store_, clock_, [this] { return desk_->Book(); },
      [this](std::set<std::string> names) { desk_->KeepFree(std::move(names)); }});
  CML_RETURN_IF_ERROR(nodes_->Recover());
  runner_ = std::make_unique<control::Runner>(
      [this](const ResourceId& id) { return controller_->Step(id); }, control::Runner::Options{});
  backend_->OnChange([this](const RunKey& key) { runner_->Notify(key.resource); });
  bill_ = std::make_unique<Bill>(Bill::Deps{*store_, *rows_, *backend_, *objects_, *orgs_, clock_, config_.prices,
                                            [this](const ResourceId& id) { runner_->Notify(id); }, TellOfBudgets()});
  CML_RETURN_IF_ERROR(bill_->Start());
  CML_ASSIGN_OR_RETURN(const auto unfinished, controller_->Recover());
  for (const ResourceId& id : unfinished) runner_->Notify(id);
  return MakeOrgControl();
}

// The deletion of organisations; and, as it has a thread to lend, when keys were last used.
Status Server::MakeOrgControl() {
  org_controller_ = std::make_unique<control::OrgController>(control::OrgController::Deps{
      *store_, *rows_, clock_, [this](const OrgId& org) { return objects_->RemoveAllOf(org); },
      [this](const OrgId& org) { return orgs_->Erase(org); },
      [this](const ResourceId& id) { runner_->Notify(id); }});
  control::Runner::Options options;
  options.workers = 1;
  org_runner_ = std::make_unique<control::Runner>(
      [this](const ResourceId& id) -> Result<control::Next> {
        if (id != kKeyUses) return org_controller_->Step(OrgId{id.str()});
        CML_RETURN_IF_ERROR(orgs_->FlushUses());
        return control::Next::Later(kFlushUses);
      },
      options);
  CML_ASSIGN_OR_RETURN(const auto leaving, org_controller_->Recover());
  for (const OrgId& org : leaving) org_runner_->Notify(ResourceId{org.str()});
  org_runner_->Notify(kKeyUses);
  return Ok{};
}

// Its deletion goes on; what waits of it learns that it may, or may not, start.
void Server::OrgChanged(const Org& org) {
  org_runner_->Notify(ResourceId{org.id.str()});
  const auto unfinished = rows_->ListUnfinished();
  if (!unfinished.ok()) return;  // they look again by themselves
  for (const ResourceId& id : unfinished.value()) runner_->Notify(id);
}

// Suspended, or its budget is used up.
std::string Server::WhyHeldBack(const OrgId& org) {
  std::string why = orgs_->WhyHeldBack(org);
  if (!why.empty()) return why;
  const Status may = bill_->budgets().MayStart(org);
  return may.ok() ? std::string() : may.error().message();
}

}  // namespace cml::app
