// backends/local/replica_files.h — the three files of a run: its spec, the shim's plan, and the
// status of a replica. Values and their text form (record.h); thread-safe, no state.
//
// A status file says either "running" (durable before the command starts: the proof that it was
// launched) or how it ended. Together with the lock that a living shim holds:
//   no status, no lock            never started: it may be
//   running, locked               it runs
//   running, lock free            the shim was killed or the machine restarted: RunLost
//   succeeded or failed           final
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/local/cgroup.h"
#include "base/file.h"
#include "base/result.h"
#include "core/run.h"

namespace cml::backends::local {

std::string FormatSpec(const RunSpec& spec);
std::optional<RunSpec> ParseSpec(std::string_view text);

struct ReplicaRecord {
  ReplicaStatus status;
  std::string boot_id;                         // of the machine's run in which it was written
  std::vector<std::filesystem::path> cgroups;  // that hold the replica's processes
};
std::string FormatReplica(const ReplicaRecord& record);
std::optional<ReplicaRecord> ParseReplica(std::string_view text);

// Renamed into place, and only then synced: readers see it at once, and when this returns it
// survives a power loss. A loss in between may leave a damaged file; ReadReplica takes that for a
// replica that was launched and whose end nobody knows.
// `spare`, where one is named, is written and changes places with the file, so that no inode is
// made or deleted (recycling.h).
Status WriteReplica(const std::filesystem::path& file, const ReplicaRecord& record, Sync sync,
                    const std::filesystem::path& spare = {});
// nullopt: there is no such file.
std::optional<ReplicaRecord> ReadReplica(const std::filesystem::path& file);

// Everything a shim has to know.
struct ShimPlan {
  ReplicaStatus identity;  // role, index, node
  std::filesystem::path status_file, log_file;
  std::int64_t log_bytes = 0;
  std::filesystem::path bwrap;
  std::vector<std::string> sandbox;  // bwrap's arguments
  std::filesystem::path filter;      // the system call filter; empty: none
  std::filesystem::path network;     // the organisation's (network.h); empty: the machine's
  std::int64_t uid = 0;              // of the command
  std::vector<std::string> command;
  std::vector<std::string> env;  // NAME=value
  CgroupParent cgroup_parent;
  std::string cgroup_name;
  Limits limits;
  std::int64_t grace_seconds = 30;
  std::int64_t wall_seconds = 0;
  // One of several replicas of a run:
  std::filesystem::path merged_file;  // log of all of them; empty: there is none
  std::int64_t restarts = 0;          // in place, after a status other than 0
  std::int64_t start_seconds = 0;     // until its program must have begun; 0: no limit
  int port = 0;                       // kept free for it until then; 0: none
};
std::string FormatPlan(const ShimPlan& plan);
std::optional<ShimPlan> ParsePlan(std::string_view text);

// Of this run of the machine.
std::string BootId();

}  // namespace cml::backends::local
