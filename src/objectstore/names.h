// objectstore/names.h — which names a bucket and a key may have. Pure.
//
// Buckets follow the rules of S3 (User Guide, "Bucket naming rules") and leave out the words that
// are paths of the server itself. Keys are paths of plain files, as jobs see buckets as folders.
#pragma once
#include <string_view>

#include "base/result.h"

namespace cml::objectstore {

// kInvalidArgument: the message names the value, the rule, and what to type instead.
Status CheckBucketName(std::string_view name);
Status CheckKey(std::string_view key);
Status CheckPutOptions(std::string_view content_type, std::size_t metadata_bytes);

}  // namespace cml::objectstore
