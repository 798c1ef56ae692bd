// cli/fs_copy.h — `fs cp`, and what all `fs` commands need to walk through folders of objects.
//
// Blocks on network and disk. Codes: those of cli/transfer.h; kInvalidArgument also for object
// names that would leave the folder they are copied to.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/command.h"
#include "cli/s3.h"

namespace cml::cli {

// Every object whose name begins with the key of `below`, page by page.
Status EachObject(S3& store, const ObjectUri& below,
                  const std::function<Status(const ObjectEntry&)>& each);
// "a/b" is the folder "a/b/", not the beginning of "a/bc".
ObjectUri AsFolder(ObjectUri uri);
std::string LastName(std::string_view path);
Error NeedsRecursive(const std::string& what, const char* command);

Outcome CopyFiles(Context& context, const Typed& typed);

}  // namespace cml::cli
