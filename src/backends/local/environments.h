// backends/local/environments.h — the framework environments of this machine, as the backend that
// starts processes in them sees them.
//
// Thread-safe. Nothing blocks on a download: whoever asks for an environment that is not there
// starts its preparation and hears through OnProgress when to ask again.
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

// kAbsent → kPreparing → kReady | kFailed; kUnavailable: this machine cannot prepare it now, and
// the message says what somebody has to do about it.
struct EnvironmentState {
  enum class Phase { kAbsent, kPreparing, kReady, kUnavailable, kFailed };
  Phase phase = Phase::kAbsent;
  std::string message;           // one sentence for a person; how far it is while preparing
  std::filesystem::path folder;  // set when ready; folder/bin/python runs
  // When ready: paths to bind read-only at the same place (the environment, its interpreter's
  // prefix, uv, certificates, local package folders). /usr, /lib* and /etc are taken for granted.
  std::vector<std::filesystem::path> mounts;
  // When ready: variables to set in the sandbox: PATH, VIRTUAL_ENV, CLOUDML_UV, UV_*, ….
  std::map<std::string, std::string> env;
};

class Environments {
 public:
  virtual ~Environments() = default;

  // What is known of an environment. Absent, or failed a while ago: starts preparing it. An empty
  // version means the default one. kGpu falls back to the processor's variant where the runtime
  // has no other or the machine has no NVIDIA device. Returns at once.
  virtual EnvironmentState Ask(const RuntimeRef& runtime, Variant variant) = 0;

  // `changed` is called from any thread when Ask would say something new. Set once, at the start.
  virtual void OnProgress(std::function<void(const RuntimeRef&)> changed) = 0;

  virtual std::vector<RuntimeInfo> List() = 0;

  // Starts preparing, also after a failure. kNotFound for a runtime that nobody has heard of,
  // kFailedPrecondition when this machine cannot.
  virtual Status Prepare(const RuntimeRef& runtime) = 0;

  // Deletes what is on disk. The caller has made sure that no process uses it.
  // kFailedPrecondition while it is being prepared.
  virtual Status Remove(const RuntimeRef& runtime) = 0;
};

}  // namespace cml::backends::local
