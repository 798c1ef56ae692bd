// cli/package.h — what `jobs submit -u` names, as something that the server can fetch: folders are
// packed, files uploaded to the default bucket.
//
// Blocks on disk and network. Codes: kInvalidArgument (a scheme that nobody fetches, a folder that
// cannot be packed), kNotFound, those of cli/transfer.h.
#pragma once
#include <string>

#include "base/result.h"
#include "cli/context.h"

namespace cml::cli {

enum class Objects { kOurs, kElsewhere };  // fds:// names are of another store: not looked at

// `uris`: one or more, separated by ','. The answer has the same order.
Result<std::string> ResolvePackages(Context& context, const std::string& uris, Objects objects);

// "user_packages/ranker.cloudml_20261124_080443_k3v9.tar.gz": where a folder or file of that name
// goes (cloud_ml v1, 12.1). The salt keeps two packages of one second apart.
enum class PackageKind { kFolder, kArchive };
std::string PackageKey(const std::string& name, PackageKind kind, SysTime now,
                       const std::string& salt);

}  // namespace cml::cli
