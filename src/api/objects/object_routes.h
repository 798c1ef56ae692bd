// api/objects/object_routes.h — the object store's door: every path that is no path of the API is
// "/bucket/key" of one of two interfaces, FDS for requests that are signed with Galaxy V2, S3 for
// all others.
//
// Thread-safe. Owns nothing: store and clock must outlive it, and it must outlive the server that
// uses its routes.
#pragma once
#include "api/objects/context.h"
#include "net/http.h"

namespace cml::api::objects {

class ObjectRoutes {
 public:
  ObjectRoutes(objectstore::ObjectStore& store, Authenticate authenticate, const Clock& clock)
      : context_{store, std::move(authenticate), clock, {}} {}

  // Called on the event loop: decides by the head alone. Signatures are checked on a worker.
  net::Route Route(const net::Request& head, Admit admit = {}) const;

 private:
  Context context_;
};

}  // namespace cml::api::objects
