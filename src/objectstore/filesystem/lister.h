// objectstore/filesystem/lister.h — one page of a bucket's keys in their order.
//
// The order is the order of bytes of whole keys: "a.b" < "a/b" < "a0". So a folder is sorted as its
// name with a '/', and walking folders in that order gives the keys in order. A page reads the
// folders it shows; below a common prefix it looks for one object and stops there. Memory is
// bounded by the size of the page, not of the folder. Thread-safe for different listers.
#pragma once
#include "objectstore/filesystem/objects.h"

namespace cml::objectstore::filesystem {

// kInvalidArgument: a delimiter that is not "/".
Result<ListPage> ListObjects(const Shared& shared, const Place& bucket_of, int bucket,
                             const ListRequest& request);

// Is there any file or marker below the folder `path`? Also true when one cannot look.
bool HasAny(const Shared& shared, int bucket, const std::string& path);

}  // namespace cml::objectstore::filesystem
