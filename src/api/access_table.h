// api/access_table.h — who may do what on which route: the one table. The front obeys it, the
// audit takes its words from it, docs/guide/access.md is printed from it. Constant data.
//
// A role may do what is open to it or to a role below it: viewer, member, organisation
// administrator, platform administrator. Everybody acts in the organisation of his key; a platform
// administrator may name another one by the query org_id, where the route allows that.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "core/identity.h"

namespace cml::api {

enum class Least { kAnyone, kViewer, kMember, kOrgAdmin, kPlatformAdmin };  // kAnyone: unsigned
enum class OrgQuery { kNone, kOne, kAll };  // kAll: org_id=-1 means all organisations
enum class Effect { kReads, kChanges };     // what changes is audited

struct AccessRule {
  std::string_view method, pattern;
  std::string_view action;  // "train_job.create"
  Least least = Least::kPlatformAdmin;
  OrgQuery org_id = OrgQuery::kNone;
  Effect effect = Effect::kReads;
};

std::span<const AccessRule> AccessRules();

// Null: the table has no such route.
const AccessRule* FindAccessRule(std::string_view method, std::string_view pattern);

bool Allows(const AccessRule& rule, KeyRole role);

// The table as Markdown, for the guide.
std::string AccessTableText();

}  // namespace cml::api
