// objectstore/filesystem/uploads.h — multipart uploads: a folder each, with one file per part.
//
// FOLDER/.uploads/ORG/BUCKET/ID/ holds `info` (key, content type, metadata) and the parts as
// NUMBER.SEQUENCE.MD5; of two with one number the later sequence counts. Jobs never see them.
// Thread-safe.
#pragma once
#include "objectstore/filesystem/objects.h"

namespace cml::objectstore::filesystem {

struct UploadId {
  OrgId org;
  std::string bucket;
  std::string id;
};

Result<std::string> BeginUpload(const Shared& shared, const Place& place,
                                const PutOptions& options);
Result<std::unique_ptr<ObjectWriter>> MakePartWriter(const SharedPtr& shared, const UploadId& id,
                                                     int number);
Result<std::vector<PartInfo>> ListParts(const Shared& shared, const UploadId& id);
Result<ObjectInfo> CompleteUpload(const SharedPtr& shared, const UploadId& id,
                                  const std::vector<PartInfo>& parts);
Status AbortUpload(const Shared& shared, const UploadId& id);

// Uploads that nobody has touched for a week, and all of a bucket that goes.
void RemoveOldUploads(const std::filesystem::path& folder);
void RemoveUploadsOf(const Shared& shared, const OrgId& org, const std::string& bucket);

}  // namespace cml::objectstore::filesystem
