// backends/local/cgroup.h — limits and accounting of a replica, over control groups of version 1
// (one folder per controller) and version 2 (one folder).
//
// Thread-safe: no state but paths. Writes may fail where the server may not; then the replica runs
// in the weaker mode (docs/guide): no group at all, sampled memory.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "core/run.h"

namespace cml::backends::local {

enum class CgroupMode { kNone, kV1, kV2 };
constexpr std::string_view ToString(CgroupMode m) noexcept {
  switch (m) {
    case CgroupMode::kNone:
      return "none";
    case CgroupMode::kV1:
      return "v1";
    case CgroupMode::kV2:
      return "v2";
  }
  return "";
}

// The group under which the replicas' groups are made.
struct CgroupParent {
  CgroupMode mode = CgroupMode::kNone;
  // kV1: cpu, cpuacct, memory, pids in this order, empty where the controller is not to be had;
  // controllers that are mounted together share a folder. kV2: one.
  std::vector<std::filesystem::path> folders;
};

// Where to look; tests point it at a tree of their own.
struct CgroupSources {
  std::filesystem::path self = "/proc/self/cgroup";
  std::filesystem::path mounts = "/proc/self/mountinfo";
  bool root = false;  // may use the top of the hierarchy where its own group is no good
};

// Finds and makes a parent named `name`; kNone where nothing can be written. With version 2 the
// server's own group must be its alone: the server moves into a leaf so that limits can be set
// beside it.
CgroupParent MakeCgroupParent(const CgroupSources& sources, const std::string& name);
// Removes the parent when nothing is in it.
void RemoveCgroupParent(const CgroupParent& parent);

struct CgroupUsage {
  std::int64_t cpu_millis = 0;
  std::int64_t memory_bytes = 0, memory_peak = 0;
  std::int64_t oom_kills = 0;
};

class Cgroup {
 public:
  Cgroup() = default;  // of the weaker mode: holds nothing, counts nothing
  Cgroup(CgroupMode mode, std::vector<std::filesystem::path> folders)
      : mode_(mode), folders_(std::move(folders)) {}

  // Makes the group and sets its limits.
  static Result<Cgroup> Make(const CgroupParent& parent, const std::string& name,
                             const Limits& limits);
  // What an earlier Make has made, or would have.
  static Cgroup Of(const CgroupParent& parent, const std::string& name);
  // From the folders of an earlier Make.
  static Cgroup At(std::vector<std::filesystem::path> folders);

  CgroupMode mode() const { return mode_; }
  const std::vector<std::filesystem::path>& folders() const { return folders_; }

  bool limits_memory() const { return !Folder(2).empty(); }
  bool limits_processes() const { return !Folder(3).empty(); }

  // Open for writing "0": a process of one thread that does so moves in.
  Result<std::vector<Fd>> Doors() const;
  // An eventfd that wakes when the group runs out of memory; invalid where there is none.
  Fd WatchMemory() const;
  CgroupUsage Usage() const;
  bool Empty() const;
  // Ends every process in it, those that fork meanwhile included.
  Status Kill(std::chrono::milliseconds most) const;
  Status Remove(std::chrono::milliseconds most) const;  // must be empty

 private:
  std::filesystem::path Folder(std::size_t controller) const;
  std::vector<std::filesystem::path> Distinct() const;
  std::vector<pid_t> Pids() const;

  CgroupMode mode_ = CgroupMode::kNone;
  std::vector<std::filesystem::path> folders_;
};

// The least limit on the server's own groups: what of the machine is ours to give out. 0: none.
struct OwnLimits {
  std::int64_t millicores = 0;
  std::int64_t memory_bytes = 0;
};
OwnLimits ReadOwnLimits(const CgroupSources& sources);

}  // namespace cml::backends::local
