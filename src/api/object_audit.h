// api/object_audit.h — what the audit says of a request to the object store, by its method, its
// target and its answer. Pure.
#pragma once
#include <string>

#include "net/http.h"

namespace cml::api {

struct ObjectDeed {
  bool changes = false;
  std::string action;  // "object.write"
  std::string target;  // "object default/a/b", "bucket default"
};
ObjectDeed DeedOf(const net::Request& head);

// JSON on what was asked to go, where one request names many objects; else empty.
std::string ObjectsNamedIn(const net::Request& request);

// JSON on what an upload left behind: {"etag": …}; empty where there is nothing to say.
std::string ObjectLeftBy(const net::Response& answer);

// The sentence of a refusal, out of S3's XML or FDS's JSON. At most 300 bytes.
std::string MessageIn(const net::Response& answer);

}  // namespace cml::api
