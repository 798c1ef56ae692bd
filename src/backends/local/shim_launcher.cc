#include "backends/local/shim_launcher.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "backends/local/network.h"
#include "backends/local/shim.h"

namespace cml::backends::local {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMostPath = 4096;
constexpr char kShim = 's', kKeeper = 'n';  // the first byte of a message to the helper

void UseNullDevice() {
  const int null = ::open("/dev/null", O_RDWR);
  if (null < 0) return;
  for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
  if (null > 2) ::close(null);
}

[[noreturn]] void Become(char what, const fs::path& folder) {
  ::signal(SIGCHLD, SIG_DFL);
  ::setsid();
  ::prctl(PR_SET_NAME, what == kShim ? "cloudml-shim" : "cloudml-network", 0, 0, 0);
  ::close_range(3, ~0U, 0);
  ::_exit(what == kShim ? RunShim(folder) : RunNetworkKeeper(folder));
}

// One message, one process. Ends when the server does.
[[noreturn]] void BeHelper(int socket) {
  ::prctl(PR_SET_NAME, "cloudml-helper", 0, 0, 0);
  // Signals for the server's group (Ctrl-C) are not for us: we end when the socket does.
  ::setsid();
  ::signal(SIGCHLD, SIG_IGN);  // shims are nobody's zombies
  if (::chdir("/") != 0) ::_exit(1);
  UseNullDevice();
  if (socket != 3 && ::dup2(socket, 3) != 3) ::_exit(1);
  socket = 3;
  ::close_range(4, ~0U, 0);
  std::array<char, kMostPath> buffer;
  while (true) {
    const ssize_t n = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) ::_exit(0);
    const pid_t pid = ::fork();
    if (pid == 0) Become(buffer[0], std::string(buffer.data() + 1, static_cast<std::size_t>(n - 1)));
    const char answer = pid > 0 ? 'y' : 'n';
    if (::send(socket, &answer, 1, MSG_NOSIGNAL) != 1) ::_exit(0);
  }
}

}  // namespace

ShimLauncher::ShimLauncher(Fd helper, pid_t pid, fs::path program)
    : helper_(std::move(helper)), pid_(pid), program_(std::move(program)) {}

Result<std::unique_ptr<ShimLauncher>> ShimLauncher::Fork() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoError(errno, "make", "the helper's socket");
  }
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoError(errno, "fork", "the helper");
  if (pid == 0) {
    ours.Close();
    BeHelper(theirs.get());
  }
  return std::unique_ptr<ShimLauncher>(new ShimLauncher(std::move(ours), pid, {}));
}

std::unique_ptr<ShimLauncher> ShimLauncher::Execute(fs::path program) {
  return std::unique_ptr<ShimLauncher>(new ShimLauncher(Fd(), -1, std::move(program)));
}

ShimLauncher::~ShimLauncher() {
  helper_.Close();
  if (pid_ > 0) {
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
  }
}

Status ShimLauncher::Launch(const fs::path& replica_folder) { return Start(kShim, replica_folder); }

Status ShimLauncher::LaunchKeeper(const fs::path& network_folder) { return Start(kKeeper, network_folder); }

Status ShimLauncher::Start(char what, const fs::path& folder) {
  const std::string message = what + fs::absolute(folder).string();
  if (message.size() >= kMostPath)
    return Error(Code::kInvalidArgument, "the data folder's path is too long");
  {
    const std::scoped_lock lock(mu_);
    if (helper_.valid()) {
      char answer = 0;
      if (::send(helper_.get(), message.data(), message.size(), MSG_NOSIGNAL) ==
              static_cast<ssize_t>(message.size()) &&
          ::recv(helper_.get(), &answer, 1, 0) == 1) {
        if (answer == 'y') return Ok{};
        return Error(Code::kUnavailable, "the machine can start no more processes");
      }
      helper_.Close();
    }
  }
  return Execute(what, message.substr(1));
}

// The child between is ours to reap; the process itself belongs to the system's first process.
Status ShimLauncher::Execute(char what, const fs::path& folder_path) const {
  if (program_.empty()) return Error(Code::kUnavailable, "the helper that starts jobs has died");
  const std::string program = program_.string();
  const std::string folder = folder_path.string();
  const std::string word = what == kShim ? "shim" : "network";
  const std::array<char*, 4> argv = {const_cast<char*>(program.c_str()),
                                     const_cast<char*>(word.c_str()),
                                     const_cast<char*>(folder.c_str()), nullptr};
  const pid_t pid = ::fork();  // only calls that are safe after a fork of many threads follow
  if (pid == 0) {
    ::setsid();
    const pid_t shim = ::fork();
    if (shim != 0) ::_exit(shim > 0 ? 0 : 1);
    if (::chdir("/") != 0) ::_exit(1);
    UseNullDevice();
    ::close_range(3, ~0U, 0);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execv(program.c_str(), argv.data());
    ::_exit(1);
  }
  int status = 0;
  while (pid > 0 && ::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (pid < 0 || status != 0) {
    return Error(Code::kUnavailable, "the machine can start no more processes");
  }
  return Ok{};
}

}  // namespace cml::backends::local
