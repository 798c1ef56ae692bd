#include "backends/local/weak_limits.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace {

void ForEachProcess(const std::function<void(const std::string& folder)>& see) {
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), &::closedir);
  if (!proc) return;
  while (const dirent* entry = ::readdir(proc.get())) {
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') {
      see(std::string("/proc/") + entry->d_name);
    }
  }
}

std::string NamespaceOf(const std::string& folder) {
  std::error_code ec;
  return std::filesystem::read_symlink(folder + "/ns/pid", ec).string();
}

// "Name:   123 kB" of proc(5)'s status.
std::int64_t StatusField(const std::string& status, std::string_view name) {
  const auto at = status.find(name);
  if (at == std::string::npos) return 0;
  return std::strtoll(status.c_str() + at + name.size(), nullptr, 10);
}

// utime and stime, fields 14 and 15 of proc(5)'s stat; the name in field 2 may hold anything.
std::int64_t CpuMillis(const std::string& stat) {
  const auto behind_name = stat.rfind(')');
  if (behind_name == std::string::npos) return 0;
  const auto fields = Split(std::string_view(stat).substr(behind_name + 1), ' ');
  if (fields.size() < 14) return 0;
  const std::int64_t ticks = ParseInt(fields[12]).value_or(0) + ParseInt(fields[13]).value_or(0);
  return ticks * 1'000 / std::max(1L, ::sysconf(_SC_CLK_TCK));
}

}  // namespace

void LimitProcessors(std::int64_t millicores) {
  cpu_set_t allowed;
  if (millicores <= 0 || ::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  const std::int64_t wanted = (millicores + 999) / 1'000;
  const int have = CPU_COUNT(&allowed);
  if (wanted >= have) return;
  // Neighbours start at different processors.
  int skip = static_cast<int>(::getpid()) % have;
  cpu_set_t chosen;
  CPU_ZERO(&chosen);
  for (int round = 0; round < 2; ++round) {
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&chosen) < wanted; ++cpu) {
      if (!CPU_ISSET(cpu, &allowed) || skip-- > 0) continue;
      CPU_SET(cpu, &chosen);
    }
    skip = 0;
  }
  (void)::sched_setaffinity(0, sizeof chosen, &chosen);
}

std::int64_t ProcessLimitFor(std::int64_t uid, std::int64_t processes) {
  const std::string ours = "\nUid:\t" + std::to_string(uid) + "\t";
  std::int64_t threads = 0;
  ForEachProcess([&](const std::string& folder) {
    const auto status = ReadFile(folder + "/status", 1 << 16);
    if (status.ok() && status.value().find(ours) != std::string::npos) {
      threads += StatusField(status.value(), "\nThreads:");
    }
  });
  return threads + processes;
}

std::string MarkOf(const std::filesystem::path& data, const std::string& replica) {
  return std::to_string(std::filesystem::hash_value(data)) + "." + replica;
}

void KillMarked(const std::string& mark) {
  const std::string wanted =
      std::string(1, '\0') + kMarkVariable + "=" + mark + std::string(1, '\0');
  for (int round = 0; round < 100; ++round) {
    bool found = false;
    ForEachProcess([&](const std::string& folder) {
      const auto environment = ReadFile(folder + "/environ", 4 << 20);
      if (!environment.ok()) return;
      const std::string text = std::string(1, '\0') + environment.value();
      if (text.find(wanted) == std::string::npos) return;
      const auto pid = ParseInt(std::string_view(folder).substr(folder.rfind('/') + 1));
      if (pid && ::kill(static_cast<pid_t>(*pid), SIGKILL) == 0) found = true;
    });
    if (!found) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

SampledUsage SampleNamespace(pid_t init) {
  SampledUsage usage;
  const std::string wanted = NamespaceOf("/proc/" + std::to_string(init));
  if (wanted.empty()) return usage;
  ForEachProcess([&](const std::string& folder) {
    if (NamespaceOf(folder) != wanted) return;
    const auto status = ReadFile(folder + "/status", 1 << 16);
    const auto stat = ReadFile(folder + "/stat", 1 << 16);
    if (!status.ok() || !stat.ok()) return;  // it ended meanwhile
    usage.memory_bytes += 1'024 * (StatusField(status.value(), "\nRssAnon:") +
                                   StatusField(status.value(), "\nRssShmem:"));
    usage.cpu_millis += CpuMillis(stat.value());
  });
  return usage;
}

}  // namespace cml::backends::local
