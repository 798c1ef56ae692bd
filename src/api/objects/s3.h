// api/objects/s3.h — the subset of the S3 REST interface (path style) that boto3, s3cmd, mc and
// curl need: buckets, objects with ranges and conditions, listings, copies, multipart uploads and
// presigned URLs, all signed with AWS Signature Version 4. What is left out is answered with
// NotImplemented, never ignored.
//
// Thread-safe. Handlers block on the store: worker threads only.
#pragma once
#include <memory>

#include "api/objects/context.h"
#include "net/http.h"

namespace cml::api::objects {

net::Response HandleS3(const Context& context, const net::Request& request);

// PutObject and UploadPart. The signature is checked with the first bytes of the body, so that
// nothing blocks the event loop.
bool IsS3Upload(const net::Request& head);
std::unique_ptr<net::BodySink> MakeS3Upload(Context context, const net::Request& head);

}  // namespace cml::api::objects
