// app/package_fetch.h — brings a job's package to a file of its run: from the platform's own object
// store, from another one that the configuration allows, or from a web server. What came is looked
// at before anybody unpacks it (base/archive.h).
//
// Thread-safe. kInvalidArgument, kNotFound, kPermissionDenied: a retry cannot help.
#pragma once
#include <filesystem>

#include "core/run.h"
#include "objectstore/object_store.h"
#include "service/orgs.h"

namespace cml::app {

class PackageFetch {
 public:
  PackageFetch(objectstore::ObjectStore& objects, service::Orgs& orgs, const Clock& clock)
      : objects_(objects), orgs_(orgs), clock_(clock) {}

  Status operator()(const OrgId& org, const Fetch& fetch, const std::filesystem::path& to) const;

 private:
  Status FromOwnStore(const OrgId& org, const std::string& uri, const std::filesystem::path& to) const;
  Status FromOtherStore(const Fetch& fetch, const std::filesystem::path& to) const;

  objectstore::ObjectStore& objects_;
  service::Orgs& orgs_;
  const Clock& clock_;
};

}  // namespace cml::app
