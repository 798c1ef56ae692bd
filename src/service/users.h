// service/users.h — the people and programs of an organisation. What they may do, their keys say
// (keys.h); when a user goes, his keys go with him.
//
// Thread-safe; blocks as long as the store does. Every call acts in the caller's organisation.
// kInvalidArgument (a field), kNotFound, kAlreadyExists, kFailedPrecondition.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "service/idempotency.h"
#include "service/keys.h"
#include "service/orgs.h"

namespace cml::service {

class Users {
 public:
  struct Deps {
    store::Store& store;
    Orgs& orgs;
    Keys& keys;
    const Clock& clock;
  };
  explicit Users(Deps deps) : d_(std::move(deps)) {}

  Result<codec::NamedUser> Create(const Caller& caller, const codec::UserFields& fields);
  Result<std::vector<codec::NamedUser>> List(const Caller& caller, Keys::Scope scope);
  Result<codec::NamedUser> Describe(const Caller& caller, const std::string& name);
  Result<codec::NamedUser> Update(const Caller& caller, const std::string& name, const codec::UserFields& fields);
  Status Delete(const Caller& caller, const std::string& name);

 private:
  Result<codec::NamedUser> Make(const Caller& caller, const codec::UserFields& fields, const KeepOnce& keep);
  struct Stored {
    User user;
    store::Document document;
  };
  Result<Stored> Find(const OrgId& org, const std::string& name);
  Result<codec::NamedUser> Named(const OrgId& org, User user);

  Deps d_;
};

}  // namespace cml::service
