// api/objects/s3_call.h — one S3 request whose signature has been checked, and the operations on
// it. Private to the S3 interface; every function runs on a worker thread and may block.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/objects/context.h"
#include "api/objects/fault.h"
#include "api/objects/upload.h"
#include "api/objects/xml.h"
#include "net/http.h"
#include "net/signing.h"

namespace cml::api::objects {

struct S3Call {
  const Context& context;
  const net::Request& request;
  ObjectPath path;
  Caller caller;
  net::SigV4Claim claim;
  std::string payload_hash;  // the literal of x-amz-content-sha256, or what stands for it

  objectstore::ObjectStore& store() const { return context.store; }
  const OrgId& org() const { return caller.org; }
  std::string_view Query(const std::string& name) const;  // empty: none
  bool Has(const std::string& name) const { return request.query.contains(name); }
};

// An answer, or what is wrong.
using S3Outcome = std::variant<net::Response, Fault>;

// Who signed it, and whether it is right and recent.
std::variant<S3Call, Fault> Authorise(const Context& context, const net::Request& request);

// The body of a request that is no upload has the digests that it announces.
MaybeFault CheckSmallBody(const S3Call& call);

net::Response XmlAnswer(XmlWriter& xml);
std::string XmlTime(SysTime t);
// kNotFound of an object's operation: which of the two is missing.
Fault ObjectFault(const S3Call& call, const std::string& bucket, const Error& error);

// ---- buckets (s3_bucket.cc)
S3Outcome ListBuckets(const S3Call& call);
S3Outcome MakeBucket(const S3Call& call);
S3Outcome HeadBucket(const S3Call& call);
S3Outcome RemoveBucket(const S3Call& call);
S3Outcome BucketLocation(const S3Call& call);
S3Outcome ListObjects(const S3Call& call);  // version 2, and 1 where list-type is absent
S3Outcome RemoveObjects(const S3Call& call);

// ---- objects (s3_object.cc)
S3Outcome GetObject(const S3Call& call);
S3Outcome HeadObject(const S3Call& call);
S3Outcome CopyObject(const S3Call& call);
S3Outcome RemoveObject(const S3Call& call);
MaybeFault CheckPutHeaders(const net::Request& request);
// What x-amz-copy-source names, its conditions checked.
std::variant<std::unique_ptr<objectstore::ObjectReader>, Fault> OpenCopySource(const S3Call& call);
// Writes `source`, or its range ("bytes=0-9"; empty: all), and commits.
std::variant<objectstore::ObjectInfo, Fault> CopyInto(objectstore::ObjectReader& source,
                                                      std::string_view range_header,
                                                      objectstore::ObjectWriter& writer);

// ---- multipart uploads (s3_multipart.cc)
S3Outcome BeginUpload(const S3Call& call);
S3Outcome CopyPart(const S3Call& call);
S3Outcome ListParts(const S3Call& call);
S3Outcome CompleteUpload(const S3Call& call);
S3Outcome AbortUpload(const S3Call& call);
std::variant<int, Fault> PartNumber(const S3Call& call);

}  // namespace cml::api::objects
