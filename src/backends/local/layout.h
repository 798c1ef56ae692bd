// backends/local/layout.h — where the local backend keeps what. Pure; thread-safe.
//
//   runs/KEY/spec                 the run as it was ensured (record.h); KEY is
//   "resource.incarnation" runs/KEY/etc, packages        what all replicas see read-only at
//   /job/etc and /job/packages runs/KEY/ROLE-INDEX/          one replica: lock, plan, stop, work,
//   tmp, status status/KEY.ROLE-INDEX         what became of the replica; its shim renames it into
//   place, and
//                                 the server watches the folder
//   logs/RESOURCE/INC/ROLE-INDEX.log
//   logs/RESOURCE/INC/all.log     of a run of several: all of them, line by line as they came
//   logs/RESOURCE/removed         the highest incarnation that was removed
//   checkpoints/NAME              folders that are kept across incarnations
//   networks/ORG/                 the organisation's network (network.h)
//   sandbox/                      files that every sandbox gets: /etc per uid, the system call
//   filter pool/UID/                     folders of removed runs, to be used again (recycling.h)
//   trash/                        being deleted
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/run.h"

namespace cml::backends::local {

inline std::string ReplicaName(const std::string& role, std::uint32_t index) {
  return role + "-" + std::to_string(index);
}

struct Layout {
  std::filesystem::path data;

  std::filesystem::path Runs() const { return data / "runs"; }
  std::filesystem::path Status() const { return data / "status"; }
  std::filesystem::path Logs() const { return data / "logs"; }
  std::filesystem::path Checkpoints() const { return data / "checkpoints"; }
  std::filesystem::path Sandbox() const { return data / "sandbox"; }
  std::filesystem::path Networks() const { return data / "networks"; }
  std::filesystem::path Pool() const { return data / "pool"; }
  std::filesystem::path Trash() const { return data / "trash"; }

  std::filesystem::path Run(const RunKey& key) const { return Runs() / ToString(key); }
  std::filesystem::path Spec(const RunKey& key) const { return Run(key) / "spec"; }
  std::filesystem::path Replica(const RunKey& key, const std::string& replica) const {
    return Run(key) / replica;
  }
  std::filesystem::path StatusOf(const RunKey& key, const std::string& replica) const {
    return Status() / (ToString(key) + "." + replica);
  }
  std::filesystem::path LogsOf(const ResourceId& resource) const { return Logs() / resource.str(); }
  std::filesystem::path Log(const RunKey& key, const std::string& replica) const {
    return LogsOf(key.resource) / std::to_string(key.incarnation) / (replica + ".log");
  }
  std::filesystem::path MergedLog(const RunKey& key) const {
    return LogsOf(key.resource) / std::to_string(key.incarnation) / "all.log";
  }
  std::filesystem::path Removed(const ResourceId& resource) const {
    return LogsOf(resource) / "removed";
  }

  // "resource.incarnation.role-index" of the status folder; nullopt for anything else there.
  static std::optional<RunKey> KeyOfStatus(std::string_view file) {
    const auto dot = file.rfind('.');
    if (dot == std::string_view::npos) return std::nullopt;
    return ParseRunKey(file.substr(0, dot));
  }
};

// Files of a replica's folder.
inline constexpr const char* kLockFile = "lock";    // locked while the shim lives; holds its pid
inline constexpr const char* kPlanFile = "plan";    // for the shim
inline constexpr const char* kStopFile = "stop";    // it shall end
inline constexpr const char* kUsageFile = "usage";  // where no cgroup counts
// Files that become the status file when it is written the first and the second time.
inline constexpr const char* kFirstStatus = "first";
inline constexpr const char* kLastStatus = "last";

}  // namespace cml::backends::local
