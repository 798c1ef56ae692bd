#include "backends/local/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <thread>

#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 4> kControllers = {"cpu", "cpuacct", "memory", "pids"};
enum Controller : std::size_t { kCpu, kCpuacct, kMemory, kPids };
constexpr std::string_view kLeaf = "cloudml-server";
constexpr std::int64_t kPeriodMicros = 100'000;
constexpr std::int64_t kNoLimit = std::int64_t{1}
                                  << 60;  // version 1 writes "none" as a huge number

Status WriteValue(const fs::path& file, std::string_view value) {
  CML_ASSIGN_OR_RETURN(const Fd fd, OpenFile(file, O_WRONLY));
  return WriteAll(fd.get(), value, file);
}

std::string ReadValue(const fs::path& file) {
  auto text = ReadFile(file, 1 << 20);
  return text.ok() ? std::string(Trim(text.value())) : std::string();
}

std::int64_t ReadNumber(const fs::path& file) { return ParseInt(ReadValue(file)).value_or(0); }

// Of a file of "name value" lines.
std::int64_t ReadField(const fs::path& file, std::string_view name) {
  const std::string text = ReadValue(file);
  for (const std::string_view line : Split(text, '\n')) {
    const auto space = line.find(' ');
    if (space != std::string_view::npos && line.substr(0, space) == name) {
      return ParseInt(line.substr(space + 1)).value_or(0);
    }
  }
  return 0;
}

bool MakeGroup(const fs::path& folder) {
  return ::mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST;
}

bool Contains(const std::vector<std::string_view>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

struct Mount {
  fs::path point;
  std::string root;
  bool v2 = false;
  std::vector<std::string> controllers;
};

// proc(5): id parent device root point options… - type source super-options
std::vector<Mount> ReadMounts(const fs::path& mountinfo) {
  std::vector<Mount> mounts;
  const std::string text = ReadValue(mountinfo);
  for (const std::string_view line : Split(text, '\n')) {
    const auto fields = Split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || fields.end() - dash < 4) continue;
    if (dash[1] != "cgroup" && dash[1] != "cgroup2") continue;
    Mount mount{fs::path(fields[4]), std::string(fields[3]), dash[1] == "cgroup2", {}};
    for (const std::string_view option : Split(dash[3], ','))
      mount.controllers.emplace_back(option);
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

// cgroups(7): number:controllers:path, version 2 as "0::path". "" stands for version 2.
std::string OwnPath(const std::string& self, std::string_view controller) {
  for (const std::string_view line : Split(self, '\n')) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view names = line.substr(first + 1, second - first - 1);
    if (controller.empty() ? names.empty() : Contains(Split(names, ','), controller)) {
      return std::string(line.substr(second + 1));
    }
  }
  return "/";
}

fs::path FolderIn(const Mount& mount, std::string path) {
  if (mount.root != "/" && path.starts_with(mount.root)) path.erase(0, mount.root.size());
  if (path.find("..") != std::string::npos) path.clear();  // outside of our cgroup namespace
  while (path.starts_with('/')) path.erase(0, 1);
  return path.empty() ? mount.point : mount.point / path;
}

struct Own {
  CgroupMode mode = CgroupMode::kNone;
  std::vector<fs::path> folders;  // of the server, as in CgroupParent
  std::vector<fs::path> tops;     // the mount points of the same
};

Own FindOwn(const CgroupSources& sources) {
  const auto mounts = ReadMounts(sources.mounts);
  const std::string self = ReadValue(sources.self);
  Own v1{CgroupMode::kV1, std::vector<fs::path>(kControllers.size()),
         std::vector<fs::path>(kControllers.size())};
  Own v2;
  bool limits_in_v1 = false;
  for (const auto& mount : mounts) {
    if (mount.v2 && v2.mode == CgroupMode::kNone) {
      v2 = Own{CgroupMode::kV2, {FolderIn(mount, OwnPath(self, ""))}, {mount.point}};
    }
    for (std::size_t i = 0; !mount.v2 && i < kControllers.size(); ++i) {
      const std::string name(kControllers[i]);
      const auto& has = mount.controllers;
      if (std::find(has.begin(), has.end(), name) == has.end()) continue;
      v1.folders[i] = FolderIn(mount, OwnPath(self, name));
      v1.tops[i] = mount.point;
      limits_in_v1 = limits_in_v1 || i != kCpuacct;
    }
  }
  return limits_in_v1 ? v1 : v2;
}

bool Usable(const fs::path& group) { return ::access((group / "cgroup.procs").c_str(), W_OK) == 0; }

CgroupParent MakeV1(const Own& own, const std::string& name) {
  CgroupParent parent{CgroupMode::kV1, {}};
  bool any = false;
  for (const auto& folder : own.folders) {
    const fs::path group = folder.empty() ? folder : folder / name;
    const bool made = !folder.empty() && MakeGroup(group) && Usable(group);
    parent.folders.push_back(made ? group : fs::path());
    any = any || made;
  }
  return any ? parent : CgroupParent{};
}

// Lets the groups below `folder` have limits; what could be had is in its cgroup.subtree_control.
bool Delegate(const fs::path& folder) {
  for (const char* controller : {"+cpu", "+memory", "+pids"}) {
    (void)WriteValue(folder / "cgroup.subtree_control", controller);
  }
  const std::string text = ReadValue(folder / "cgroup.subtree_control");
  return Contains(Split(text, ' '), "memory") || Contains(Split(text, ' '), "pids");
}

// A group with processes of its own cannot limit groups below it: ours move into a leaf. False
// when strangers live there.
bool MoveIntoLeaf(const fs::path& own) {
  const std::string pids = ReadValue(own / "cgroup.procs");
  const std::string ours = std::to_string(::getpid());
  for (const std::string_view pid : Split(pids, '\n')) {
    if (pid.empty() || pid == ours) continue;
    const std::string status = ReadValue(fs::path("/proc") / pid / "status");
    if (status.find("\nPPid:\t" + ours + "\n") == std::string::npos) return false;
  }
  if (!MakeGroup(own / kLeaf)) return false;
  for (const std::string_view pid : Split(pids, '\n')) {
    if (!pid.empty() && !WriteValue(own / kLeaf / "cgroup.procs", pid).ok()) return false;
  }
  return true;
}

CgroupParent MakeV2(const Own& own, const CgroupSources& sources, const std::string& name) {
  fs::path above = own.folders[0];
  if (above.filename() == kLeaf) above = above.parent_path();
  bool good = Usable(above) && (Delegate(above) || (MoveIntoLeaf(above) && Delegate(above)));
  if (!good && sources.root) {
    above = own.tops[0];
    good = Delegate(above);
  }
  const fs::path group = above / name;
  if (!good || !MakeGroup(group) || !Delegate(group)) return {};
  return {CgroupMode::kV2, {group}};
}

void SetLeast(std::int64_t& least, std::int64_t value) {
  if (value > 0 && value < kNoLimit && (least == 0 || value < least)) least = value;
}

}  // namespace

CgroupParent MakeCgroupParent(const CgroupSources& sources, const std::string& name) {
  const Own own = FindOwn(sources);
  switch (own.mode) {
    case CgroupMode::kNone:
      return {};
    case CgroupMode::kV1:
      return MakeV1(own, name);
    case CgroupMode::kV2:
      return MakeV2(own, sources, name);
  }
  return {};
}

void RemoveCgroupParent(const CgroupParent& parent) {
  for (const auto& folder : parent.folders) {
    if (!folder.empty()) ::rmdir(folder.c_str());
  }
}

fs::path Cgroup::Folder(std::size_t controller) const {
  if (mode_ == CgroupMode::kNone || folders_.empty()) return {};
  return mode_ == CgroupMode::kV2       ? folders_.front()
         : controller < folders_.size() ? folders_[controller]
                                        : fs::path();
}

std::vector<fs::path> Cgroup::Distinct() const {
  std::set<fs::path> seen;
  for (const auto& folder : folders_) {
    if (!folder.empty()) seen.insert(folder);
  }
  return {seen.begin(), seen.end()};
}

Cgroup Cgroup::At(std::vector<fs::path> folders) {
  if (folders.empty()) return {};
  const bool v1 = folders.size() == kControllers.size();
  return {v1 ? CgroupMode::kV1 : CgroupMode::kV2, std::move(folders)};
}

Cgroup Cgroup::Of(const CgroupParent& parent, const std::string& name) {
  std::vector<fs::path> folders;
  for (const auto& above : parent.folders) folders.push_back(above.empty() ? above : above / name);
  return {parent.mode, std::move(folders)};
}

Result<Cgroup> Cgroup::Make(const CgroupParent& parent, const std::string& name,
                            const Limits& limits) {
  Cgroup group = Of(parent, name);
  for (const auto& folder : group.Distinct()) {
    if (!MakeGroup(folder)) return ErrnoError(errno, "make control group", folder);
  }
  const auto set = [&group](std::size_t controller, const char* file,
                            const std::string& value) -> Status {
    const fs::path folder = group.Folder(controller);
    return folder.empty() ? Status(Ok{}) : WriteValue(folder / file, value);
  };
  const bool v2 = parent.mode == CgroupMode::kV2;
  if (limits.millicores > 0) {
    const std::string quota =
        std::to_string(std::max<std::int64_t>(1'000, limits.millicores * 100));
    CML_RETURN_IF_ERROR(v2 ? set(kCpu, "cpu.max", quota + " " + std::to_string(kPeriodMicros))
                           : set(kCpu, "cpu.cfs_quota_us", quota));
  }
  if (limits.memory_bytes > 0) {
    const std::string bytes = std::to_string(limits.memory_bytes);
    CML_RETURN_IF_ERROR(set(kMemory, v2 ? "memory.max" : "memory.limit_in_bytes", bytes));
    // Absent where the kernel does not count swap.
    (void)(v2 ? set(kMemory, "memory.swap.max", "0")
              : set(kMemory, "memory.memsw.limit_in_bytes", bytes));
    if (v2) (void)set(kMemory, "memory.oom.group", "1");
  }
  if (limits.processes > 0) {
    constexpr std::int64_t kOfTheSandbox = 3;
    CML_RETURN_IF_ERROR(set(kPids, "pids.max", std::to_string(limits.processes + kOfTheSandbox)));
  }
  return group;
}

Result<std::vector<Fd>> Cgroup::Doors() const {
  std::vector<Fd> doors;
  for (const auto& folder : Distinct()) {
    // A thread that moves itself needs no lock over all processes of the machine (version 1).
    const char* door_name = mode_ == CgroupMode::kV1 ? "tasks" : "cgroup.procs";
    CML_ASSIGN_OR_RETURN(Fd door, OpenFile(folder / door_name, O_WRONLY));
    doors.push_back(std::move(door));
  }
  return doors;
}

Fd Cgroup::WatchMemory() const {
  const fs::path folder = Folder(kMemory);
  if (mode_ != CgroupMode::kV1 || folder.empty()) return Fd();  // v2 kills the whole group itself
  auto control = OpenFile(folder / "memory.oom_control", O_RDONLY);
  Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!control.ok() || !event.valid()) return Fd();
  const std::string line =
      std::to_string(event.get()) + " " + std::to_string(control.value().get());
  return WriteValue(folder / "cgroup.event_control", line).ok() ? std::move(event) : Fd();
}

CgroupUsage Cgroup::Usage() const {
  CgroupUsage usage;
  const fs::path memory = Folder(kMemory);
  if (mode_ == CgroupMode::kV2) {
    usage.cpu_millis = ReadField(memory / "cpu.stat", "usage_usec") / 1'000;
    usage.memory_bytes =
        ReadNumber(memory / "memory.current") - ReadField(memory / "memory.stat", "inactive_file");
    usage.memory_peak = ReadNumber(memory / "memory.peak");
    usage.oom_kills = ReadField(memory / "memory.events", "oom_kill");
  } else if (mode_ == CgroupMode::kV1) {
    usage.cpu_millis = ReadNumber(Folder(kCpuacct) / "cpuacct.usage") / 1'000'000;
    if (!memory.empty()) {
      usage.memory_bytes = ReadNumber(memory / "memory.usage_in_bytes") -
                           ReadField(memory / "memory.stat", "total_inactive_file");
      usage.memory_peak = ReadNumber(memory / "memory.max_usage_in_bytes");
      usage.oom_kills = ReadField(memory / "memory.oom_control", "oom_kill");
    }
  }
  usage.memory_bytes = std::max<std::int64_t>(0, usage.memory_bytes);
  return usage;
}

std::vector<pid_t> Cgroup::Pids() const {
  std::vector<pid_t> pids;
  for (const auto& folder : Distinct()) {
    const std::string text = ReadValue(folder / "cgroup.procs");
    for (const std::string_view line : Split(text, '\n')) {
      if (const auto pid = ParseInt(line); pid && *pid > 0)
        pids.push_back(static_cast<pid_t>(*pid));
    }
  }
  return pids;
}

bool Cgroup::Empty() const { return Pids().empty(); }

Status Cgroup::Kill(std::chrono::milliseconds most) const {
  const auto by = std::chrono::steady_clock::now() + most;
  if (Empty()) return Ok{};
  if (mode_ == CgroupMode::kV2) (void)WriteValue(folders_.front() / "cgroup.kill", "1");
  // Nothing can fork from here on, so the rounds below come to an end.
  if (const fs::path pids = Folder(kPids); !pids.empty()) (void)WriteValue(pids / "pids.max", "0");
  while (true) {
    const auto pids = Pids();
    if (pids.empty()) return Ok{};
    for (const pid_t pid : pids) ::kill(pid, SIGKILL);
    if (std::chrono::steady_clock::now() >= by) {
      return Error(Code::kDeadlineExceeded, "processes of the replica do not end");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Status Cgroup::Remove(std::chrono::milliseconds most) const {
  const auto by = std::chrono::steady_clock::now() + most;
  for (const auto& folder : Distinct()) {
    while (::rmdir(folder.c_str()) != 0 && errno != ENOENT) {
      // The kernel still counts a process that has just ended: busy for a moment.
      if (errno != EBUSY || std::chrono::steady_clock::now() >= by) {
        return ErrnoError(errno, "remove control group", folder);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return Ok{};
}

OwnLimits ReadOwnLimits(const CgroupSources& sources) {
  OwnLimits limits;
  const Own own = FindOwn(sources);
  const auto walk = [](fs::path folder, const fs::path& top, const auto& look) {
    for (int depth = 0; !folder.empty() && depth < 64; ++depth, folder = folder.parent_path()) {
      look(folder);
      if (folder == top || !folder.has_relative_path()) break;
    }
  };
  if (own.mode == CgroupMode::kV1) {
    walk(own.folders[kMemory], own.tops[kMemory], [&](const fs::path& folder) {
      SetLeast(limits.memory_bytes, ReadNumber(folder / "memory.limit_in_bytes"));
    });
    walk(own.folders[kCpu], own.tops[kCpu], [&](const fs::path& folder) {
      const std::int64_t period = ReadNumber(folder / "cpu.cfs_period_us");
      if (period > 0)
        SetLeast(limits.millicores, ReadNumber(folder / "cpu.cfs_quota_us") * 1'000 / period);
    });
  } else if (own.mode == CgroupMode::kV2) {
    walk(own.folders[0], own.tops[0], [&](const fs::path& folder) {
      SetLeast(limits.memory_bytes, ReadNumber(folder / "memory.max"));
      const std::string max = ReadValue(folder / "cpu.max");
      const auto parts = Split(max, ' ');
      if (parts.size() != 2) return;
      const auto quota = ParseInt(parts[0]);
      const auto period = ParseInt(parts[1]);
      if (quota && period && *period > 0) SetLeast(limits.millicores, *quota * 1'000 / *period);
    });
  }
  return limits;
}

}  // namespace cml::backends::local
