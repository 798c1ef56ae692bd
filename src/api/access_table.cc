#include "api/access_table.h"

#include <fmt/format.h>

#include <array>

namespace cml::api {
namespace {

using enum Effect;

// One line per route. A route that is not here cannot be served (RouteTable::Add).
constexpr std::array kRules = {
    // ---- the server itself
    AccessRule{"GET", "/healthz", "server.health", Least::kAnyone},
    AccessRule{"GET", "/readyz", "server.ready", Least::kAnyone},
    AccessRule{"GET", "/metrics", "server.metrics", Least::kAnyone},
    AccessRule{"GET", "/openapi.yaml", "server.describe", Least::kAnyone},
    // ---- who am I
    AccessRule{"GET", "/cloud_ml/v1/org_ids", "org.whoami", Least::kViewer, OrgQuery::kOne},
    AccessRule{"GET", "/cloud_ml/v1/authentication", "key.check", Least::kViewer, OrgQuery::kOne},
    // ---- organisations
    AccessRule{"POST", "/cloud_ml/v1/org", "org.create", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"GET", "/cloud_ml/v1/org", "org.list", Least::kViewer},
    AccessRule{"GET", "/cloud_ml/v1/org/{org}", "org.read", Least::kViewer},
    AccessRule{"PATCH", "/cloud_ml/v1/org/{org}", "org.update", Least::kOrgAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"DELETE", "/cloud_ml/v1/org/{org}", "org.delete", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"POST", "/cloud_ml/v1/org/{org}/suspend", "org.suspend", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"POST", "/cloud_ml/v1/org/{org}/resume", "org.resume", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    // ---- users
    AccessRule{"POST", "/cloud_ml/v1/user", "user.create", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    AccessRule{"GET", "/cloud_ml/v1/user", "user.list", Least::kViewer, OrgQuery::kAll},
    AccessRule{"GET", "/cloud_ml/v1/user/{user}", "user.read", Least::kViewer, OrgQuery::kOne},
    AccessRule{"PATCH", "/cloud_ml/v1/user/{user}", "user.update", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    AccessRule{"DELETE", "/cloud_ml/v1/user/{user}", "user.delete", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    // ---- keys; members and viewers see their own
    AccessRule{"POST", "/cloud_ml/v1/key", "key.create", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    AccessRule{"GET", "/cloud_ml/v1/key", "key.list", Least::kViewer, OrgQuery::kAll},
    AccessRule{"GET", "/cloud_ml/v1/key/{key}", "key.read", Least::kViewer, OrgQuery::kOne},
    AccessRule{"PATCH", "/cloud_ml/v1/key/{key}", "key.update", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    AccessRule{"DELETE", "/cloud_ml/v1/key/{key}", "key.delete", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    AccessRule{"POST", "/cloud_ml/v1/key/{key}/rotate", "key.rotate", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    // ---- namespaces: organisations, as the published administrator's program knows them (11.8)
    AccessRule{"POST", "/cloud_ml/v1/namespace", "org.create", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"PATCH", "/cloud_ml/v1/namespace", "org.update", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"GET", "/cloud_ml/v1/namespace", "org.list", Least::kPlatformAdmin},
    AccessRule{"GET", "/cloud_ml/v1/namespace/{namespace}", "org.read", Least::kPlatformAdmin},
    AccessRule{"DELETE", "/cloud_ml/v1/namespace/{namespace}", "org.delete", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"POST", "/cloud_ml/v1/namespace_quota", "quota.update", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"PATCH", "/cloud_ml/v1/namespace_quota", "quota.update", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"GET", "/cloud_ml/v1/namespace_quota", "quota.read", Least::kPlatformAdmin},
    AccessRule{"GET", "/cloud_ml/v1/namespace_quota/{namespace}", "quota.read", Least::kPlatformAdmin},
    AccessRule{"POST", "/cloud_ml/v1/namespace_user", "user.create", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"DELETE", "/cloud_ml/v1/namespace_user", "user.delete", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"GET", "/cloud_ml/v1/namespace_user", "user.list", Least::kPlatformAdmin},
    // ---- frameworks
    AccessRule{"GET", "/cloud_ml/v1/framework", "runtime.list", Least::kAnyone},
    AccessRule{"GET", "/cloud_ml/v1/runtimes", "runtime.list", Least::kViewer},
    AccessRule{"POST", "/cloud_ml/v1/runtimes/{name}/{version}/prepare", "runtime.prepare", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"DELETE", "/cloud_ml/v1/runtimes/{name}/{version}", "runtime.delete", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    // ---- quota
    AccessRule{"GET", "/cloud_ml/v1/quota", "quota.read", Least::kViewer, OrgQuery::kAll},
    AccessRule{"POST", "/cloud_ml/v1/quota", "quota.read", Least::kViewer, OrgQuery::kOne},  // reads, too (section 4)
    AccessRule{"GET", "/cloud_ml/v1/quota_holders", "quota.read", Least::kViewer, OrgQuery::kAll},
    AccessRule{"PUT", "/cloud_ml/v1/quota/{org_id}", "quota.update", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"POST", "/cloud_ml/v1/application", "application.create", Least::kMember, OrgQuery::kOne, kChanges},
    AccessRule{"GET", "/cloud_ml/v1/application", "application.list", Least::kViewer, OrgQuery::kAll},
    AccessRule{"POST", "/cloud_ml/v1/application/{application}/grant", "application.grant", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"POST", "/cloud_ml/v1/application/{application}/decline", "application.decline", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    // ---- nodes
    AccessRule{"GET", "/cloud_ml/v1/resources", "node.free", Least::kViewer},
    AccessRule{"GET", "/cloud_ml/v1/nodes", "node.list", Least::kPlatformAdmin},
    AccessRule{"GET", "/cloud_ml/v1/nodes/{node}", "node.read", Least::kPlatformAdmin},
    AccessRule{"POST", "/cloud_ml/v1/nodes/{node}/cordon", "node.cordon", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    AccessRule{"POST", "/cloud_ml/v1/nodes/{node}/uncordon", "node.uncordon", Least::kPlatformAdmin, OrgQuery::kNone, kChanges},
    // ---- webhooks
    AccessRule{"POST", "/cloud_ml/v1/webhook", "webhook.create", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    AccessRule{"GET", "/cloud_ml/v1/webhook", "webhook.list", Least::kOrgAdmin, OrgQuery::kOne},
    AccessRule{"GET", "/cloud_ml/v1/webhook/{webhook}", "webhook.read", Least::kOrgAdmin, OrgQuery::kOne},
    AccessRule{"PATCH", "/cloud_ml/v1/webhook/{webhook}", "webhook.update", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    AccessRule{"DELETE", "/cloud_ml/v1/webhook/{webhook}", "webhook.delete", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    AccessRule{"POST", "/cloud_ml/v1/webhook/{webhook}/test", "webhook.test", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    AccessRule{"GET", "/cloud_ml/v1/webhook/{webhook}/deliveries", "webhook.deliveries", Least::kOrgAdmin, OrgQuery::kOne},
    // ---- the audit
    AccessRule{"GET", "/cloud_ml/v1/audit", "audit.read", Least::kOrgAdmin, OrgQuery::kAll},
    AccessRule{"GET", "/cloud_ml/v1/audit/export", "audit.export", Least::kOrgAdmin, OrgQuery::kAll},
    AccessRule{"GET", "/cloud_ml/v1/audit/verify", "audit.verify", Least::kPlatformAdmin},
    // ---- the bill
    AccessRule{"GET", "/cloud_ml/v1/usage", "usage.read", Least::kViewer, OrgQuery::kAll},
    AccessRule{"GET", "/cloud_ml/v1/price", "price.read", Least::kViewer, OrgQuery::kOne},
    AccessRule{"GET", "/cloud_ml/v1/budget", "budget.read", Least::kViewer, OrgQuery::kOne},
    AccessRule{"PUT", "/cloud_ml/v1/budget", "budget.set", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    AccessRule{"DELETE", "/cloud_ml/v1/budget", "budget.delete", Least::kOrgAdmin, OrgQuery::kOne, kChanges},
    // ---- train jobs
    AccessRule{"POST", "/cloud_ml/v1/train", "train_job.create", Least::kMember, OrgQuery::kOne, kChanges},
    AccessRule{"GET", "/cloud_ml/v1/train", "train_job.list", Least::kViewer, OrgQuery::kAll},
    AccessRule{"GET", "/cloud_ml/v1/train/{job}", "train_job.read", Least::kViewer, OrgQuery::kOne},
    AccessRule{"DELETE", "/cloud_ml/v1/train/{job}", "train_job.delete", Least::kMember, OrgQuery::kOne, kChanges},
    AccessRule{"GET", "/cloud_ml/v1/train/{job}/logs", "train_job.logs", Least::kViewer, OrgQuery::kOne},
    AccessRule{"GET", "/cloud_ml/v1/train/{job}/metrics", "train_job.metrics", Least::kViewer, OrgQuery::kOne},
    AccessRule{"GET", "/cloud_ml/v1/train/{job}/events", "train_job.events", Least::kViewer, OrgQuery::kOne},
    AccessRule{"GET", "/cloud_ml/v1/train/{job}/hyperparameters", "train_job.hyperparameters", Least::kViewer, OrgQuery::kOne},
    AccessRule{"GET", "/cloud_ml/v1/train/{job}/start", "train_job.start", Least::kMember, OrgQuery::kOne, kChanges},
};

std::string_view Word(Least least) {
  switch (least) {
    case Least::kAnyone: return "anyone";
    case Least::kViewer: return "viewer";
    case Least::kMember: return "member";
    case Least::kOrgAdmin: return "org_admin";
    case Least::kPlatformAdmin: return "platform_admin";
  }
  return "";
}

std::string_view Word(OrgQuery query) {
  switch (query) {
    case OrgQuery::kNone: return "–";
    case OrgQuery::kOne: return "one";
    case OrgQuery::kAll: return "one, or -1";
  }
  return "";
}

}  // namespace

std::span<const AccessRule> AccessRules() { return kRules; }

const AccessRule* FindAccessRule(std::string_view method, std::string_view pattern) {
  for (const AccessRule& rule : kRules) {
    if (rule.method == method && rule.pattern == pattern) return &rule;
  }
  return nullptr;
}

bool Allows(const AccessRule& rule, KeyRole role) {
  switch (rule.least) {
    case Least::kAnyone: return true;
    case Least::kViewer: return role >= KeyRole::kViewer;
    case Least::kMember: return role >= KeyRole::kMember;
    case Least::kOrgAdmin: return role >= KeyRole::kOrgAdmin;
    case Least::kPlatformAdmin: return role >= KeyRole::kPlatformAdmin;
  }
  return false;
}

std::string AccessTableText() {
  std::string text =
      "| Route | Action | Least role | org_id (platform administrator) | Audited |\n|---|---|---|---|---|\n";
  for (const AccessRule& rule : kRules) {
    text += fmt::format("| `{} {}` | {} | {} | {} | {} |\n", rule.method, rule.pattern, rule.action,
                        Word(rule.least), Word(rule.org_id), rule.effect == kChanges ? "yes" : "–");
  }
  return text;
}

}  // namespace cml::api
