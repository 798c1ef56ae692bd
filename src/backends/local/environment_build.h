// backends/local/environment_build.h — makes one framework environment on disk: whole, tried out
// and read-only, or not there at all.
//
// Thread-safe for different folders; blocks for as long as the downloads take. The environment is
// built in a staging folder beside its place and renamed when its smoke program has run, so that a
// crash at any instant leaves nothing that could be taken for ready.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "backends/local/interpreters.h"
#include "backends/local/package_sources.h"
#include "backends/local/runtime_catalog.h"
#include "base/result.h"

namespace cml::backends::local {

struct BuildPlan {
  RuntimeDefinition runtime;
  Variant variant = Variant::kCpu;
  std::filesystem::path folder;  // where it will be; its parent is where it is staged
  std::filesystem::path uv;
  std::filesystem::path cache;  // uv's, on the file system of `folder`
  Interpreter interpreter;
  PackageSources sources;
  Variables environment;  // HOME, PATH … of the server
};

// `say` gets one sentence whenever there is something new to tell. kUnavailable when stopped or
// when the package index cannot be had; the message is the reason, for a person.
Status BuildEnvironment(const BuildPlan& plan, std::stop_token stop,
                        const std::function<void(const std::string&)>& say);

bool IsBuilt(const std::filesystem::path& folder);
std::uint64_t BuiltSize(const std::filesystem::path& folder);  // bytes on disk; 0: unknown

// Deletes a built environment: first out of sight by a rename, then from disk.
Status RemoveEnvironment(const std::filesystem::path& folder);

// What killed builds and removals have left in the parent folder; not what another server on the
// same folder is still building.
std::vector<std::filesystem::path> Leftovers(const std::filesystem::path& parent);
Status RemoveLeftover(const std::filesystem::path& path);

}  // namespace cml::backends::local
