// api/objects/fds.h — the subset of the FDS interface that the published client needs before every
// submit (cloud_ml v1, 12.1), signed with Galaxy V2: HEAD of buckets and objects, uploads whole and
// in parts, downloads with ranges.
//
// Thread-safe. Handlers block on the store: worker threads only. Errors are JSON as in cloud_ml v1.
#pragma once
#include <memory>

#include "api/objects/context.h"
#include "net/http.h"

namespace cml::api::objects {

bool IsFds(const net::Request& head);  // by its Authorization

net::Response HandleFds(const Context& context, const net::Request& request);

bool IsFdsUpload(const net::Request& head);
//
std::unique_ptr<net::BodySink> MakeFdsUpload(Context context, const net::Request& head);

}  // namespace cml::api::objects
