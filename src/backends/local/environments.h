// backends/local/environments.h — the framework environments of this machine, as the local backend
// needs them: asked for by name, prepared in the background, mounted read-only into every run.
//
// Thread-safe. Every call returns at once.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "base/result.h"
#include "core/run.h"

namespace cml::backends::local {

enum class Variant { kCpu, kGpu };

struct EnvironmentState {
  enum class Phase { kAbsent, kPreparing, kReady, kUnavailable, kFailed };
  Phase phase = Phase::kAbsent;
  std::string message;  // how far it is, or why there is none
  std::filesystem::path folder;
  // Paths to bind read-only at the same place: the environment, its interpreter, uv.
  std::vector<std::filesystem::path> mounts;
  std::map<std::string, std::string> env;  // PATH, VIRTUAL_ENV, … to set in the sandbox
};

class Environments {
 public:
  virtual ~Environments() = default;

  // Starts preparing what is absent.
  virtual EnvironmentState Ask(const RuntimeRef& runtime, Variant variant) = 0;
  // `progress` is called, from any thread, when an Ask of this runtime may answer anew.
  virtual void OnProgress(std::function<void(const RuntimeRef&)> progress) = 0;

  virtual std::vector<RuntimeInfo> List() = 0;
  virtual Status Prepare(const RuntimeRef& runtime) = 0;
  virtual Status Remove(const RuntimeRef& runtime) = 0;
};

}  // namespace cml::backends::local
