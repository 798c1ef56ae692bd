// The keeper of an organisation's network: three children, and a wait.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "backends/local/network.h"
#include "backends/local/network_files.h"
#include "backends/local/record.h"
#include "base/process.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

constexpr int kMostNats = 20;  // one that dies again and again is not started for ever
constexpr int kMostStarting = 8'000;  // milliseconds

bool WriteText(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(fd);
  return written;
}

bool RaiseLoopback() {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  bool up = ::ioctl(fd, SIOCGIFFLAGS, &request) == 0;
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  up = up && ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  ::close(fd);
  return up;
}

// The namespaces live while this process does. Returns what failed; nullptr: all is there.
const char* MakeNamespaces() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWNET | (uid != 0 ? CLONE_NEWUSER : 0)) != 0) return "no new namespace";
  if (uid != 0) {
    // user_namespaces(7): one's own ids may be mapped without privileges.
    if (!WriteText("/proc/self/setgroups", "deny") ||
        !WriteText("/proc/self/uid_map", fmt::format("{0} {0} 1", uid)) ||
        !WriteText("/proc/self/gid_map", fmt::format("{0} {0} 1", gid))) {
      return "the user namespace cannot be filled";
    }
  }
  return RaiseLoopback() ? nullptr : "its loopback cannot be raised";
}

void DieWithKeeper(pid_t keeper) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != keeper) ::_exit(1);
}

class Keeper {
 public:
  explicit Keeper(fs::path folder) : folder_(std::move(folder)) {}

  int Run() {
    auto lock = OpenFile(folder_ / kNetworkLock, O_RDWR | O_CREAT | O_CLOEXEC);
    if (!lock.ok()) return 1;
    lock_ = std::move(lock).value();
    const std::string failure = Start();
    if (!failure.empty()) {
      (void)WriteHolder(folder_, {::getpid(), 0, failure}).ok();
      return 1;
    }
    if (!WriteHolder(folder_, {holder_, StartOfProcess(holder_), ""}).ok()) return 1;
    StartWatch();
    return Wait();
  }

 private:
  std::string Start() {
    program_ = FindProgram("slirp4netns");
    if (program_.empty()) return "slirp4netns is not installed";
    if (std::string failure = StartHolder(); !failure.empty()) return failure;
    return StartNat();
  }

  std::string StartHolder() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "no pipe";
    const Fd ours(ends[0]);
    Fd theirs(ends[1]);
    const pid_t keeper = ::getpid();
    holder_ = ::fork();
    if (holder_ == 0) {
      DieWithKeeper(keeper);
      ::prctl(PR_SET_NAME, "cloudml-net", 0, 0, 0);
      lock_.Close();
      const char* failure = MakeNamespaces();
      const std::string said = failure == nullptr ? "ok" : fmt::format("{}: {}", failure, std::strerror(errno));
      if (::write(theirs.get(), said.data(), said.size()) < 0 || failure != nullptr) ::_exit(1);
      ::close_range(3, ~0U, 0);
      while (true) ::pause();
    }
    theirs.Close();
    std::array<char, 256> said{};
    const ssize_t n = holder_ < 0 ? -1 : ::read(ours.get(), said.data(), said.size());
    const std::string text(said.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    if (text == "ok") return {};
    return text.empty() ? "its process has died" : text;
  }

  // Ready when it says so; what it said otherwise is the failure.
  std::string StartNat() {
    std::array<int, 2> ready{}, output{};
    if (::pipe2(ready.data(), O_CLOEXEC) != 0 || ::pipe2(output.data(), O_CLOEXEC) != 0) return "no pipe";
    const Fd ready_read(ready[0]), output_read(output[0]);
    Fd ready_write(ready[1]), output_write(output[1]);
    std::vector<std::string> words = {program_.string(), "--configure", "--mtu=65520", "--disable-host-loopback",
                                      "--enable-seccomp", fmt::format("--ready-fd={}", ready_write.get())};
    // It changes to root's group, which our user namespace does not have.
    if (::geteuid() == 0) words.emplace_back("--enable-sandbox");
    words.push_back(std::to_string(holder_));
    words.emplace_back("tap0");
    std::vector<char*> argv;
    for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t keeper = ::getpid();
    nat_ = ::fork();
    if (nat_ == 0) {
      DieWithKeeper(keeper);
      ::dup2(output_write.get(), 1);
      ::dup2(output_write.get(), 2);
      ::fcntl(ready_write.get(), F_SETFD, 0);
      std::array<char*, 1> nothing = {nullptr};
      ::execve(words[0].c_str(), argv.data(), nothing.data());
      ::_exit(127);
    }
    ready_write.Close();
    output_write.Close();
    pollfd wait{ready_read.get(), POLLIN, 0};
    char byte = 0;
    if (nat_ > 0 && ::poll(&wait, 1, kMostStarting) == 1 && ::read(ready_read.get(), &byte, 1) == 1) return {};
    if (nat_ > 0) ::kill(nat_, SIGKILL);
    std::array<char, 512> said{};
    const ssize_t n = ::read(output_read.get(), said.data(), said.size());
    const std::string text(Trim(std::string_view(said.data(), n > 0 ? static_cast<std::size_t>(n) : 0)));
    return "slirp4netns does not start" + (text.empty() ? std::string() : ": " + Quote(text, 300));
  }

  // Ends when nobody has the lock.
  void StartWatch() {
    const pid_t keeper = ::getpid();
    watch_ = ::fork();
    if (watch_ != 0) return;
    DieWithKeeper(keeper);
    const auto own = OpenFile(folder_ / kNetworkLock, O_RDWR | O_CLOEXEC);
    ::_exit(own.ok() && ::flock(own.value().get(), LOCK_EX) == 0 ? 0 : 1);
  }

  int Wait() {
    int nats = 1;
    while (true) {
      int status = 0;
      const pid_t gone = ::waitpid(-1, &status, 0);
      if (gone < 0 && errno == EINTR) continue;
      if (gone < 0 || gone == holder_) break;
      if (gone == watch_) {
        // Whoever came in between has a shared lock, and the network stays.
        if (::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) break;
        StartWatch();
      }
      if (gone == nat_ && (++nats > kMostNats || !StartNat().empty())) break;
    }
    RemoveHolder(folder_);
    return 0;  // the children end with us
  }

  const fs::path folder_;
  fs::path program_;
  Fd lock_;
  pid_t holder_ = -1, nat_ = -1, watch_ = -1;
};

}  // namespace

std::optional<Holder> ReadHolder(const fs::path& folder) {
  const auto text = ReadFile(folder / kNetworkHolder, 4096);
  const auto record = text.ok() ? Record::Parse(text.value()) : std::nullopt;
  if (!record) return std::nullopt;
  return Holder{static_cast<pid_t>(record->Number("pid")), record->Number("started"), record->Text("failure")};
}

Status WriteHolder(const fs::path& folder, const Holder& holder) {
  Record record;
  record.Add("pid", static_cast<std::int64_t>(holder.pid));
  record.Add("started", holder.started);
  record.Add("failure", holder.failure);
  return WriteFileAtomically(folder / kNetworkHolder, record.Format(), 0600, Sync::kNotDurable);
}

void RemoveHolder(const fs::path& folder) { (void)::unlink((folder / kNetworkHolder).c_str()); }

std::int64_t StartOfProcess(pid_t pid) {
  const auto text = ReadFile(fmt::format("/proc/{}/stat", pid), 4096);
  if (!text.ok()) return 0;
  // The second field is the name in brackets, with anything in it.
  const auto end = text.value().rfind(')');
  if (end == std::string::npos) return 0;
  const auto fields = Split(Trim(std::string_view(text.value()).substr(end + 1)), ' ');
  constexpr std::size_t kStart = 22 - 3;  // fields are numbered from 1, the third is the first here
  return fields.size() > kStart ? ParseInt(fields[kStart]).value_or(0) : 0;
}

int RunNetworkKeeper(const fs::path& folder) {
  ::signal(SIGCHLD, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  for (const int number : {SIGINT, SIGHUP}) ::signal(number, SIG_IGN);
  return Keeper(folder).Run();
}

}  // namespace cml::backends::local
