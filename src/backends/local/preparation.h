// backends/local/preparation.h — the way of a run from its spec to living shims, each step of which
// finds on the disk how far it came, so that it can be taken again after any crash.
//
// Thread-safe; at most one Advance per run at a time (the caller sees to it).
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/local/cgroup.h"
#include "backends/local/layout.h"
#include "backends/local/local_options.h"
#include "backends/local/network.h"
#include "base/result.h"
#include "core/run.h"

namespace cml::backends::local {

struct Progress {
  enum class What {
    kStarted,   // every replica has been started, now or before
    kLaunched,  // a shim was launched that has not said so yet
    kWaits,     // for its environment: OnProgress will tell
    kSlow,      // something is to be fetched and the caller had no time for it
    kTryAgain,  // later, by itself
    kFailed,    // for good
    kGone,      // removed meanwhile
  };
  What what = What::kStarted;
  std::string reason;
  std::string message;
};

enum class Effort { kQuick, kWhatever };  // may it block on a fetch?

struct PreparationContext {
  LocalOptions options;
  Layout layout;
  CgroupParent cgroups;
  SandboxMode sandbox = SandboxMode::kRoot;
  std::string node;
  std::vector<Gpu> gpus;
  std::filesystem::path bwrap;
  std::filesystem::path filter;
  std::shared_ptr<OrgNetworks> networks;  // null: jobs are in the machine's
};

// kInvalidArgument: can never be executed here; the message says why.
Status ValidateSpec(const RunSpec& spec, const PreparationContext& context);

class Preparation {
 public:
  explicit Preparation(PreparationContext context) : c_(std::move(context)) {}

  // Makes the run's folder, whole or not at all. kAlreadyExists: it is there.
  Status Stage(const RunKey& key, const RunSpec& spec) const;
  // `say` gets one sentence whenever something slow begins.
  Progress Advance(const RunKey& key, const RunSpec& spec, Effort effort,
                   const std::function<void(const std::string&)>& say) const;
  // Moves the folder of a run of which nothing lives, and whose replicas are locked, to where it
  // can be used again; OfferUsedFolder follows when they are unlocked. Empty: it cannot be.
  std::filesystem::path Recycle(const RunKey& key, const RunSpec& spec) const;
  Variant VariantOf(const RunSpec& spec) const;

 private:
  Progress FetchAll(const RunKey& key, const RunSpec& spec,
                    const std::function<void(const std::string&)>& say) const;
  // All of a replica that does not differ between replicas of a run.
  struct Shared {
    std::filesystem::path etc, checkpoint;
    std::filesystem::path buckets;  // empty: none
    std::filesystem::path network;  // empty: the machine's
    EnvironmentState environment;
    uid_t uid = 0;
  };
  Result<Shared> Share(const RunSpec& spec, EnvironmentState environment) const;
  struct Member {  // one replica
    const Role& role;
    std::uint32_t index;
    std::size_t number;  // over all roles
  };
  Status Launch(const RunKey& key, const RunSpec& spec, const Shared& shared,
                const Member& member) const;
  std::vector<Gpu> GpusOf(const RunSpec& spec, std::size_t number) const;
  uid_t UidOf(const OrgId& org) const;
  Status OwnedFolder(const std::filesystem::path& path, uid_t uid, mode_t mode) const;

  const PreparationContext c_;
};

}  // namespace cml::backends::local
