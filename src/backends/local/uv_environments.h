// backends/local/uv_environments.h — framework environments built by uv from the locks of
// runtimes/, one folder per lock, shared read-only by all jobs.
//
// Thread-safe. Two environments at most are built at a time, each on a thread of this object; the
// destructor stops them. What is ready is what lies on disk under its final name; memory only holds
// what is being prepared and what failed. A failed one is tried again by the first Ask after
// `retry_after`, or by Prepare at once.
#pragma once
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backends/local/environment_build.h"
#include "backends/local/environments.h"
#include "backends/local/package_sources.h"
#include "backends/local/runtime_catalog.h"

namespace cml::backends::local {

struct UvOptions {
  Catalog catalog;
  std::filesystem::path folder;  // <data>/environments
  std::filesystem::path cache;   // empty: uv-cache beside `folder`
  std::filesystem::path tools;   // <data>/tools: uv and python/*/bin are looked for there first
  std::filesystem::path uv;      // empty: found in `tools`, $PATH and where installers put it
  Variables environment;         // of the server: PATH, HOME, UV_*, PIP_*, SSL_*, proxies
  std::vector<std::filesystem::path> interpreter_folders;  // empty: InterpreterFolders()
  std::chrono::milliseconds retry_after{60'000};
  std::function<bool()> has_nvidia;  // empty: looks for the driver's device
};

class UvEnvironments final : public Environments {
 public:
  explicit UvEnvironments(UvOptions options);
  ~UvEnvironments() override;

  EnvironmentState Ask(const RuntimeRef& runtime, Variant variant) override;
  void OnProgress(std::function<void(const RuntimeRef&)> changed) override;
  std::vector<RuntimeInfo> List() override;
  Status Prepare(const RuntimeRef& runtime) override;
  Status Remove(const RuntimeRef& runtime) override;

 private:
  using Key = std::pair<RuntimeRef, Variant>;
  using Phase = EnvironmentState::Phase;
  // What the disk cannot tell.
  struct Entry {
    Phase phase = Phase::kAbsent;  // kPreparing or kFailed; anything else is read from disk
    std::string message;
    std::chrono::steady_clock::time_point retry_at;
  };
  // What a build needs of this machine, or the sentence that says what is missing.
  struct Means {
    std::filesystem::path uv;
    Interpreter interpreter;
    std::filesystem::path folder;
  };

  const RuntimeDefinition* Find(const RuntimeRef& runtime) const;
  Variant Fitting(const RuntimeDefinition& definition, Variant wanted) const;
  Result<Means> FindMeans(const RuntimeDefinition& definition, Variant variant) const;
  EnvironmentState Look(const RuntimeDefinition& definition, Variant variant);  // holds mutex_
  void Enqueue(const Key& key);                                                 // holds mutex_
  EnvironmentState Ready(const Means& means) const;
  void Work(std::stop_token stop);
  void Build(const Key& key, std::stop_token stop);
  void Tell(const Key& key, Phase phase, const std::string& message);

  const UvOptions options_;
  const PackageSources sources_;

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::map<Key, Entry> entries_;
  std::deque<Key> queue_;
  std::vector<std::filesystem::path> leftovers_;
  std::function<void(const RuntimeRef&)> changed_;

  std::vector<std::jthread> workers_;  // last: they use everything above
};

// The variables of this process, for UvOptions::environment.
Variables ProcessVariables();

}  // namespace cml::backends::local
