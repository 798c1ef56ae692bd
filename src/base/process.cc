#include "base/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <system_error>

#include "base/file.h"
#include "base/strings.h"

namespace cml {
namespace fs = std::filesystem;
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kMostOutput = 1 << 20;
constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

fs::path FindIn(std::string_view path_list, std::string_view name) {
  if (name.find('/') != std::string_view::npos) return fs::path(name);
  for (const std::string_view folder : Split(path_list, ':')) {
    fs::path candidate = fs::path(folder) / name;
    if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0 && !fs::is_directory(candidate)) {
      return candidate;
    }
  }
  return {};
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// Hands out whole lines of what comes in pieces.
class LineCutter {
 public:
  explicit LineCutter(const std::function<void(std::string_view)>& on_line) : on_line_(on_line) {}
  void Feed(std::string_view bytes) {
    if (!on_line_) return;
    for (const char c : bytes) {
      if (c == '\n' || c == '\r') {
        Flush();
      } else {
        line_ += c;
      }
    }
  }
  void Flush() {
    if (on_line_ && !line_.empty()) on_line_(line_);
    line_.clear();
  }

 private:
  const std::function<void(std::string_view)>& on_line_;
  std::string line_;
};

Result<pid_t> Spawn(const ProcessSpec& spec, int output) {
  std::vector<std::string> argv = spec.argv;
  std::vector<std::string> env;
  for (const auto& [name, value] : spec.env) env.push_back(name + "=" + value);
  const auto path = spec.env.find("PATH");
  const fs::path program = FindIn(path == spec.env.end() ? kDefaultPath : path->second, argv.at(0));
  if (program.empty()) return Error(Code::kNotFound, argv[0] + ": no such program in PATH");

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  if (!spec.folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, spec.folder.c_str());
  posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, static_cast<short>(POSIX_SPAWN_SETSIGMASK |
                                                           POSIX_SPAWN_SETSIGDEF |
                                                           POSIX_SPAWN_SETPGROUP));
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, program.c_str(), &actions, &attributes,
                                   Pointers(argv).data(), Pointers(env).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) return ErrnoError(failed, "start", program);
  return pid;
}

int Reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<ProcessResult> RunProcess(const ProcessSpec& spec, milliseconds most, std::stop_token stop,
                                 const std::function<void(std::string_view)>& on_line) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "make a pipe for", spec.argv.at(0));
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  CML_ASSIGN_OR_RETURN(const pid_t pid, Spawn(spec, write_end.get()));
  write_end.Close();

  const auto deadline = steady_clock::now() + most;
  ProcessResult result;
  LineCutter lines(on_line);
  std::optional<Error> cut;
  char buffer[16 * 1024];
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now());
    if (left.count() <= 0) cut = Error(Code::kDeadlineExceeded, spec.argv[0] + " took too long");
    if (stop.stop_requested()) cut = Error(Code::kUnavailable, spec.argv[0] + " was stopped");
    if (cut) break;
    pollfd wait{read_end.get(), POLLIN, 0};
    const auto slice = std::min<std::int64_t>(left.count(), stop.stop_possible() ? 100 : 60'000);
    const int ready = ::poll(&wait, 1, static_cast<int>(slice));
    if (ready <= 0) continue;
    const ssize_t n = ::read(read_end.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;  // all writers have ended
    const std::string_view piece(buffer, static_cast<std::size_t>(n));
    lines.Feed(piece);
    result.output.append(piece);
    if (result.output.size() > kMostOutput) {
      result.output.erase(0, result.output.size() - kMostOutput);
    }
  }
  if (cut) ::kill(-pid, SIGKILL);
  lines.Flush();
  result.exit_code = Reap(pid);
  if (cut) return *std::move(cut);
  return result;
}

fs::path FindProgram(std::string_view name) {
  const char* path = std::getenv("PATH");
  fs::path found = path ? FindIn(path, name) : fs::path();
  return found.empty() ? FindIn(kDefaultPath, name) : found;
}

}  // namespace cml
