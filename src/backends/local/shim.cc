#include "backends/local/shim.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <thread>

#include "backends/local/cgroup.h"
#include "backends/local/disk_usage.h"
#include "backends/local/layout.h"
#include "backends/local/port_hold.h"
#include "backends/local/replica_files.h"
#include "backends/local/replica_lock.h"
#include "backends/local/sandbox_process.h"
#include "backends/local/weak_limits.h"
#include "base/file.h"
#include "base/strings.h"
#include "base/time.h"
#include "logs/line_merger.h"
#include "logs/run_log.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr int kKilled = 128 + SIGKILL;
constexpr int kUsageError = 2;  // of a program that was called wrongly: it would be again
constexpr milliseconds kBeat{500};  // how exactly the end is known of a run that dies with its shim
constexpr std::size_t kMostMessage = 4 * 1024;
constexpr milliseconds kLookForStart{20};

// A short file that the job may have left: plain file, no link, no pipe that would block us.
std::string ReadFromJob(const fs::path& path) {
  auto file = OpenFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat st {};
  if (!file.ok() || ::fstat(file.value().get(), &st) != 0 || !S_ISREG(st.st_mode)) return {};
  std::array<char, kMostMessage> buffer;
  const ssize_t n = ::read(file.value().get(), buffer.data(), buffer.size());
  if (n <= 0) return {};
  std::string text(Trim(std::string_view(buffer.data(), static_cast<std::size_t>(n))));
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return IsValidUtf8(text) ? text : std::string();
}

std::string ReasonFromJob(const fs::path& path) {
  std::string word = ReadFromJob(path);
  const bool good =
      !word.empty() && word.size() <= 40 && std::all_of(word.begin(), word.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      });
  return good ? word : std::string();
}

// A repetition would not end otherwise.
bool IsForGood(std::string_view reason) {
  return reason == "PackageError" || reason == "ModuleNotFound" || reason == "EnvironmentError";
}

std::string DescribeExit(int code) {
  if (code > 128 && code < 128 + NSIG) {
    const char* name = ::sigabbrev_np(code - 128);
    if (name != nullptr) return fmt::format("killed by signal {} (SIG{})", code - 128, name);
  }
  return fmt::format("exit status {}", code);
}

sigset_t OurSignals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGCHLD}) ::sigaddset(&set, number);
  return set;
}

class Shim {
 public:
  Shim(fs::path folder, ShimPlan plan, logs::LogWriter log, std::optional<logs::LineMerger> merged)
      : folder_(std::move(folder)),
        plan_(std::move(plan)),
        log_(std::move(log)),
        merged_(std::move(merged)) {
    record_.status = plan_.identity;
    record_.boot_id = BootId();
  }

  int Run();

 private:
  Status Start();
  void AwaitProgram();
  Status HoldPort();
  bool MayRunAgain();
  Status RunAgain();
  void CheckStart();
  void Watch();
  void OnSignals();
  void OnMemoryEvent();
  void CheckMemoryKills();
  void Pump();
  void CheckTimes();
  void CheckDisk();
  bool HitTheDiskLimit(const std::optional<int>& exit_code) const;
  void CheckMemory();
  void Beat();
  SysTime RunClock() const;
  int MillisToNextCheck() const;
  void End(std::string reason, std::string message, milliseconds grace);
  void Conclude();
  void WriteFinal(RunState state, std::string reason, std::string message);

  const fs::path folder_;
  ShimPlan plan_;
  logs::LogWriter log_;
  std::optional<logs::LineMerger> merged_;  // log of all replicas of the run
  PortHold port_;
  ReplicaRecord record_;
  Cgroup group_;
  NetworkEntry network_;  // held to the end, so that it stays
  std::optional<SandboxProcess> process_;
  Fd signals_, memory_event_;
  bool gone_ = false;

  std::string reason_, message_;  // why we end it; empty: it ends by itself
  std::optional<Steady::time_point> terminate_at_, kill_at_, wall_at_, disk_at_, sample_at_,
      memory_at_, look_at_, start_by_, beat_at_;
  int memory_checks_ = 0;
  Steady::time_point released_;  // when the command might start
  Steady::time_point counted_from_;  // when it was let go the first time: `started` by this clock
  Usage sampled_;
  std::uint64_t lost_bytes_ = 0;
  std::string last_output_;  // the end of it, for the message when the sandbox does not start
};

int Shim::Run() {
  if (::access((folder_ / kStopFile).c_str(), F_OK) == 0) {
    WriteFinal(RunState::kFailed, "Stopped", "stopped before it started");
    return 0;
  }
  if (auto started = Start(); !started.ok()) {
    if (process_) {
      process_->Kill();
      while (!process_->Reap()) {
        pollfd wait{signals_.get(), POLLIN, 0};
        ::poll(&wait, 1, 1'000);
        OnSignals();
      }
    }
    if (::access(plan_.status_file.c_str(), F_OK) != 0 &&
        started.error().code() == Code::kUnavailable) {
      (void)group_.Remove(milliseconds(500));
      return 1;  // no space for the proof that it started, so it has not
    }
    const bool port = started.error().code() == Code::kAlreadyExists;
    WriteFinal(RunState::kFailed, port ? "PortLost" : "StartFailed", started.error().message());
  } else {
    while (!gone_) Watch();
    Status again = Ok{};
    while (again.ok() && MayRunAgain()) {
      again = RunAgain();
      while (again.ok() && !gone_) Watch();
    }
    if (!again.ok() && reason_.empty()) {
      reason_ = again.error().code() == Code::kAlreadyExists ? "PortLost" : "StartFailed";
      message_ = again.error().message();
    }
    Conclude();
  }
  (void)group_.Kill(milliseconds(5'000));
  (void)group_.Remove(milliseconds(2'000));
  return 0;
}

Status Shim::Start() {
  const sigset_t set = OurSignals();
  signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return ErrnoError(errno, "receive", "signals");
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);

  CML_ASSIGN_OR_RETURN(group_, Cgroup::Make(plan_.cgroup_parent, plan_.cgroup_name, plan_.limits));
  record_.cgroups = group_.folders();
  if (group_.mode() == CgroupMode::kNone) LimitProcessors(plan_.limits.millicores);
  memory_event_ = group_.WatchMemory();
  if (!plan_.network.empty()) {
    CML_ASSIGN_OR_RETURN(network_, OpenNetwork(plan_.network));
  }
  CML_RETURN_IF_ERROR(HoldPort());
  CML_ASSIGN_OR_RETURN(process_, SandboxProcess::Start(plan_, group_, network_));

  // The proof reaches the disk while the sandbox gets ready, and before its command may start.
  record_.status.state = RunState::kRunning;
  record_.status.started = SystemClock().Now();
  CML_RETURN_IF_ERROR(
      WriteReplica(plan_.status_file, record_, Sync::kDurable, folder_ / kFirstStatus));
  if (auto released = process_->Release(); !released.ok()) {
    record_.status.started = SysTime{};
    return released;
  }
  // The command's clock begins here; what the proof took to reach the disk is not its time.
  released_ = counted_from_ = Steady::now();
  record_.status.started = SystemClock().Now();
  Beat();

  const auto now = released_;
  if (plan_.wall_seconds > 0) wall_at_ = now + std::chrono::seconds(plan_.wall_seconds);
  if (plan_.limits.disk_bytes > 0) disk_at_ = now + milliseconds(250);
  if (!group_.limits_memory()) sample_at_ = now + milliseconds(100);
  AwaitProgram();
  return Ok{};
}

// Its packages come first. Until the program itself begins, nobody else gets its port.
void Shim::AwaitProgram() {
  const bool wanted = port_.valid() || plan_.start_seconds > 0;
  look_at_ = wanted ? std::optional(released_ + kLookForStart) : std::nullopt;
  start_by_.reset();
  if (plan_.start_seconds > 0) start_by_ = released_ + std::chrono::seconds(plan_.start_seconds);
}

Status Shim::HoldPort() {
  if (plan_.port == 0) return Ok{};
  auto taken = PortHold::Take(plan_.port, network_);
  if (!taken.ok()) {
    if (taken.error().code() != Code::kAlreadyExists) return std::move(taken).error();
    return Error(Code::kAlreadyExists,
                 fmt::format("its port {} was taken by a process outside of the job", plan_.port));
  }
  port_ = std::move(taken).value();
  return WriteFileAtomically(folder_ / "status" / "holds_port", "", 0644, Sync::kNotDurable);
}

void Shim::CheckStart() {
  const fs::path status = folder_ / "status";
  if (::access((status / "started").c_str(), F_OK) == 0) {
    port_.Release();
    (void)::unlink((status / "holds_port").c_str());
    look_at_.reset();
    start_by_.reset();
    return;
  }
  look_at_ = Steady::now() + kLookForStart;
  if (start_by_ && Steady::now() >= *start_by_) {
    start_by_.reset();
    End("StartTimeout",
        fmt::format("its program had not begun {} after the start",
                    FormatDuration(std::chrono::seconds(plan_.start_seconds))),
        std::chrono::seconds(plan_.grace_seconds));
  }
}

// A replica of several that ends with an error runs again where it is: same folder, same address.
bool Shim::MayRunAgain() {
  const auto code = process_->exit_code();
  if (record_.status.restarts >= plan_.restarts || !reason_.empty() || !code || *code == 0 ||
      *code == kUsageError) {
    return false;
  }
  if (IsForGood(ReasonFromJob(folder_ / "status" / "reason"))) return false;
  if (group_.Usage().oom_kills > 0 || HitTheDiskLimit(code)) return false;
  (void)group_.Kill(milliseconds(5'000));
  return plan_.port == 0 || IsPortFree(plan_.port, network_);
}

Status Shim::RunAgain() {
  Pump();
  if (merged_) merged_->EndLine();
  ReplicaStatus& status = record_.status;
  ++status.restarts;
  status.reason = "Restarted";
  status.message = fmt::format("{}; it runs again in place ({} of {})", DescribeExit(*process_->exit_code()),
                               status.restarts, plan_.restarts);
  const std::string notice = "[" + status.message + "]\n";
  (void)log_.Append(notice);
  if (merged_) merged_->Add(notice);
  for (const char* file : {"reason", "message", "started"}) (void)::unlink((folder_ / "status" / file).c_str());
  CML_RETURN_IF_ERROR(WriteReplica(plan_.status_file, record_, Sync::kNotDurable, folder_ / kFirstStatus));
  // The others notice, and end or come back too: each time they get a bit longer.
  const std::chrono::seconds pause(1 << std::min<std::int64_t>(4, status.restarts - 1));
  for (const auto until = Steady::now() + pause; reason_.empty() && Steady::now() < until;) {
    pollfd wait{signals_.get(), POLLIN, 0};
    const auto left = std::chrono::ceil<milliseconds>(until - Steady::now()).count();
    if (::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(0, left))) > 0) OnSignals();
  }
  if (!reason_.empty()) return Ok{};  // it shall end: there is nothing to run again
  CML_RETURN_IF_ERROR(HoldPort());
  gone_ = false;
  last_output_.clear();
  CML_ASSIGN_OR_RETURN(process_, SandboxProcess::Start(plan_, group_, network_));
  CML_RETURN_IF_ERROR(process_->Release());
  released_ = Steady::now();
  AwaitProgram();
  return Ok{};
}

int Shim::MillisToNextCheck() const {
  std::optional<Steady::time_point> next;
  for (const auto& at :
       {terminate_at_, kill_at_, wall_at_, disk_at_, sample_at_, memory_at_, look_at_, beat_at_}) {
    if (at && (!next || *at < *next)) next = at;
  }
  if (!next) return -1;
  const auto left = std::chrono::ceil<milliseconds>(*next - Steady::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

void Shim::Watch() {
  std::array<pollfd, 3> wait = {pollfd{signals_.get(), POLLIN, 0},
                                pollfd{process_->output(), POLLIN, 0},
                                pollfd{memory_event_.get(), POLLIN, 0}};  // negative: ignored
  if (::poll(wait.data(), wait.size(), MillisToNextCheck()) < 0 && errno != EINTR) ::_exit(1);
  if (wait[1].revents != 0) Pump();
  if (wait[2].revents != 0) OnMemoryEvent();
  if (wait[0].revents != 0) OnSignals();
  CheckTimes();
}

void Shim::OnSignals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo != SIGCHLD) {
      End("Stopped", "stopped as asked", std::chrono::seconds(plan_.grace_seconds));
    }
  }
  if (process_ && process_->Reap()) gone_ = true;
}

void Shim::OnMemoryEvent() {
  std::uint64_t count = 0;
  if (::read(memory_event_.get(), &count, sizeof count) != sizeof count) {
    return memory_event_.Close();
  }
  memory_checks_ = 50;
  CheckMemoryKills();
}

// The event comes when the group is out of memory, shortly before the kernel chooses a process and
// counts it. A job without that process is no whole job.
void Shim::CheckMemoryKills() {
  memory_at_.reset();
  if (group_.Usage().oom_kills > 0) {
    End("OutOfMemory", "", milliseconds(0));
  } else if (memory_checks_-- > 0) {
    memory_at_ = Steady::now() + milliseconds(10);
  }
}

// Bytes of the job go to its log as they come. A full disk must not stop the job: what cannot be
// written is counted, and said when there is space again.
void Shim::Pump() {
  std::array<char, 64 * 1024> buffer;
  while (process_->output() >= 0) {
    const ssize_t n = ::read(process_->output(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;
    if (n == 0) return process_->CloseOutput();  // or its end would wake us for ever
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(n));
    if (merged_) merged_->Add(bytes);
    last_output_ = bytes.substr(bytes.size() - std::min<std::size_t>(bytes.size(), 512));
    if (lost_bytes_ > 0) {
      const std::string notice =
          fmt::format("\n[{} bytes of the log were lost: no space was left]\n", lost_bytes_);
      if (log_.Append(notice).ok()) lost_bytes_ = 0;
    }
    if (lost_bytes_ > 0 || !log_.Append(bytes).ok()) lost_bytes_ += bytes.size();
    if (bytes.size() < buffer.size()) return;
  }
}

void Shim::CheckTimes() {
  const auto now = Steady::now();
  if (terminate_at_ && now >= *terminate_at_) {
    terminate_at_.reset();
    process_->Terminate();
  }
  if (kill_at_ && now >= *kill_at_) {
    kill_at_ = now + std::chrono::seconds(1);  // again, should something have forked meanwhile
    process_->Kill();
  }
  if (wall_at_ && now >= *wall_at_) {
    wall_at_.reset();
    End("WallTimeLimit",
        fmt::format("ended at its wall-time limit of {}",
                    FormatDuration(std::chrono::seconds(plan_.wall_seconds))),
        std::chrono::seconds(plan_.grace_seconds));
  }
  if (disk_at_ && now >= *disk_at_) CheckDisk();
  if (sample_at_ && now >= *sample_at_) CheckMemory();
  if (memory_at_ && now >= *memory_at_) CheckMemoryKills();
  if (look_at_ && now >= *look_at_) CheckStart();
  if (beat_at_ && now >= *beat_at_) Beat();
}

// The command's start and what has gone by since, so that no change of the machine's clock makes a
// run shorter or longer.
SysTime Shim::RunClock() const {
  if (record_.status.started == SysTime{}) return SystemClock().Now();
  return record_.status.started +
         std::chrono::duration_cast<milliseconds>(Steady::now() - counted_from_);
}

// The status file's time of change says until when we lived: who is killed writes no end.
void Shim::Beat() {
  const auto alive = RunClock().time_since_epoch().count();
  const timespec at{alive / 1'000, alive % 1'000 * 1'000'000};
  const std::array<timespec, 2> times{at, at};
  (void)::utimensat(AT_FDCWD, plan_.status_file.c_str(), times.data(), 0);
  beat_at_ = Steady::now() + kBeat;
}

// One file cannot outgrow the limit: its writer gets SIGXFSZ, or an error where it ignores that.
bool Shim::HitTheDiskLimit(const std::optional<int>& exit_code) const {
  const std::int64_t limit = plan_.limits.disk_bytes;
  if (limit <= 0) return false;
  return exit_code == 128 + SIGXFSZ ||
         DiskUsage({folder_ / "work", folder_ / "layer", folder_ / "tmp"}, limit) >= limit;
}

void Shim::CheckDisk() {
  const auto begin = Steady::now();
  const std::int64_t limit = plan_.limits.disk_bytes;
  const std::int64_t used =
      DiskUsage({folder_ / "work", folder_ / "layer", folder_ / "tmp"}, limit * 2);
  if (used > limit) {
    disk_at_.reset();
    End("DiskLimit",
        fmt::format("killed at the disk limit of {}: its working directory held {}{}",
                    FormatBytes(static_cast<std::uint64_t>(limit)),
                    used >= limit * 2 ? "over " : "",
                    FormatBytes(static_cast<std::uint64_t>(used))),
        milliseconds(0));
    return;
  }
  // A large tree is looked at less often: at most a twentieth of one processor goes into it.
  const auto least = used > limit / 2 ? milliseconds(250) : milliseconds(2'000);
  disk_at_ = Steady::now() + std::max<Steady::duration>(least, 20 * (Steady::now() - begin));
}

void Shim::CheckMemory() {
  sample_at_ = Steady::now() + milliseconds(250);
  if (process_->init() < 0) process_->LearnInit();
  if (process_->init() < 0) return;
  const SampledUsage now = SampleNamespace(process_->init());
  sampled_.memory_bytes = now.memory_bytes;
  sampled_.memory_peak = std::max(sampled_.memory_peak, now.memory_bytes);
  sampled_.cpu_millis = std::max(sampled_.cpu_millis, now.cpu_millis);
  const std::int64_t limit = plan_.limits.memory_bytes;
  if (limit > 0 && now.memory_bytes > limit) {
    End("OutOfMemory", "", milliseconds(0));
    return;
  }
  ReplicaRecord usage = record_;
  usage.status.usage = sampled_;
  (void)WriteFileAtomically(folder_ / kUsageFile, FormatReplica(usage), 0600, Sync::kNotDurable);
}

void Shim::End(std::string reason, std::string message, milliseconds grace) {
  if (!reason_.empty() && grace > milliseconds(0)) return;  // it is ending already
  if (reason_.empty() || reason_ == "Stopped") {
    reason_ = std::move(reason);
    message_ = std::move(message);
  }
  if (grace > milliseconds(0)) {
    // Process 1 alone exists at first, and it would not hear the signal.
    terminate_at_ = std::max(Steady::now(), released_ + milliseconds(150));
    kill_at_ = *terminate_at_ + grace;
  } else {
    process_->Kill();
    kill_at_ = Steady::now() + std::chrono::seconds(1);
  }
}

void Shim::Conclude() {
  record_.status.ended = RunClock();
  Pump();  // everybody who could write is gone
  if (merged_) merged_->EndLine();
  port_.Release();
  const CgroupUsage used = group_.Usage();
  record_.status.usage.cpu_millis = std::max(used.cpu_millis, sampled_.cpu_millis);
  record_.status.usage.memory_peak = std::max(used.memory_peak, sampled_.memory_peak);
  if (rusage all{}; !group_.limits_memory() && ::getrusage(RUSAGE_CHILDREN, &all) == 0) {
    // At least this: the time of all processes that were waited for, the largest one's memory.
    Usage& usage = record_.status.usage;
    const auto millis = [](const timeval& t) { return t.tv_sec * 1'000 + t.tv_usec / 1'000; };
    usage.cpu_millis =
        std::max<std::int64_t>(usage.cpu_millis, millis(all.ru_utime) + millis(all.ru_stime));
    usage.memory_peak = std::max<std::int64_t>(usage.memory_peak, all.ru_maxrss * 1'024);
  }
  const auto code = process_->exit_code();
  const bool failed = !code || *code != 0;
  if (used.oom_kills > 0 && failed && reason_.empty()) reason_ = "OutOfMemory";
  if (failed && reason_.empty() && HitTheDiskLimit(code)) {
    reason_ = "DiskLimit";
    message_ = fmt::format("a file came to the disk limit of {}",
                           FormatBytes(static_cast<std::uint64_t>(plan_.limits.disk_bytes)));
  }
  if (reason_ == "OutOfMemory") {
    message_ =
        fmt::format("out of memory: killed at the limit of {}, peak {}",
                    FormatBytes(static_cast<std::uint64_t>(plan_.limits.memory_bytes)),
                    FormatBytes(static_cast<std::uint64_t>(record_.status.usage.memory_peak)));
  }
  if (failed && reason_.empty() && plan_.port != 0 && !IsPortFree(plan_.port, network_)) {
    reason_ = "PortLost";
    message_ = fmt::format("its port {} was taken by a process outside of the job; it ended with {}",
                           plan_.port, DescribeExit(code.value_or(kKilled)));
  }
  if (!reason_.empty()) {
    record_.status.exit_code = code.value_or(kKilled);
    return WriteFinal(RunState::kFailed, reason_, message_);
  }
  if (!code) {
    const std::string said(Trim(last_output_));
    record_.status.started = SysTime{};  // the command never ran
    return WriteFinal(
        RunState::kFailed, "StartFailed",
        "the sandbox did not start" + (said.empty() ? said : ": " + Quote(said, 300)));
  }
  record_.status.exit_code = code;
  std::string message = ReadFromJob(folder_ / "status" / "message");
  if (!failed) return WriteFinal(RunState::kSucceeded, "Completed", std::move(message));
  std::string reason = ReasonFromJob(folder_ / "status" / "reason");
  if (message.empty()) message = DescribeExit(*code);
  if (record_.status.restarts > 0) {
    message += fmt::format(" (after {} restarts in place)", record_.status.restarts);
  }
  WriteFinal(RunState::kFailed, reason.empty() ? "Error" : std::move(reason), std::move(message));
}

void Shim::WriteFinal(RunState state, std::string reason, std::string message) {
  record_.status.state = state;
  record_.status.reason = std::move(reason);
  record_.status.message = std::move(message);
  if (record_.status.ended == SysTime{}) record_.status.ended = RunClock();
  while (!WriteReplica(plan_.status_file, record_, Sync::kDurable, folder_ / kLastStatus).ok()) {
    if (::access(folder_.c_str(), F_OK) != 0) return;  // removed
    std::this_thread::sleep_for(milliseconds(500));    // a full disk: somebody will make space
  }
}

}  // namespace

int RunShim(const fs::path& replica_folder) {
  // From when the lock tells our number, a signal must wait for us to read it.
  const sigset_t set = OurSignals();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  const Fd lock = TakeReplicaLock(replica_folder);
  if (!lock.valid()) return 0;
  auto text = ReadFile(replica_folder / kPlanFile);
  if (!text.ok()) return 1;
  auto plan = ParsePlan(text.value());
  if (!plan) return 1;
  if (::access(plan->status_file.c_str(), F_OK) == 0) return 0;  // it was launched
  auto log = logs::LogWriter::Open(plan->log_file, static_cast<std::uint64_t>(plan->log_bytes));
  if (!log.ok()) return 1;
  std::optional<logs::LineMerger> merged;
  if (!plan->merged_file.empty()) {
    auto opened = logs::LogWriter::Open(plan->merged_file, static_cast<std::uint64_t>(plan->log_bytes));
    if (!opened.ok()) return 1;
    merged.emplace(std::move(opened).value(), ReplicaName(plan->identity.role, plan->identity.index));
  }
  return Shim(replica_folder, std::move(*plan), std::move(log).value(), std::move(merged)).Run();
}

}  // namespace cml::backends::local
