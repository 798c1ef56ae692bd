#include "backends/local/sandbox_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "backends/local/weak_limits.h"
#include "base/strings.h"

namespace cml::backends::local {
namespace {

struct Pipe {
  Fd read, write;
};

Result<Pipe> MakePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "make", "a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// One descriptor that reads and writes the pipe: whoever holds it never sees its end, so a sandbox
// whose shim died does not take that for the signal to start.
Result<Fd> BothWays(const Pipe& pipe) {
  return OpenFile("/proc/self/fd/" + std::to_string(pipe.read.get()), O_RDWR);
}

// bubblewrap reads its arguments from here, so that neither paths nor variables can be seen in the
// list of processes.
Result<Fd> ArgumentFile(const std::vector<std::string>& words) {
  Fd memory(::memfd_create("arguments", MFD_CLOEXEC));
  if (!memory.valid()) return ErrnoError(errno, "make", "the argument file");
  std::string text;
  for (const auto& word : words) {
    text += word;
    text += '\0';
  }
  CML_RETURN_IF_ERROR(WriteAll(memory.get(), text, "the argument file"));
  if (::lseek(memory.get(), 0, SEEK_SET) != 0) return ErrnoError(errno, "rewind", "the arguments");
  return memory;
}

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const auto& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Everything the child needs, made before it exists: between vfork and exec it shares our memory.
struct Child {
  const char* program;
  char* const* argv;
  char* const* envp;
  int input, output;
  const int* keep;  // descriptors that bubblewrap shall have, ends with -1
  const int* doors;
  pid_t shim;
  int user, net;  // namespaces to enter; negative: none
  rlim_t most_file_bytes, most_processes;  // 0: no limit
};

[[noreturn]] void BecomeSandbox(const Child& child) {
  // bubblewrap asks for the same, but a shim may die before it does.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != child.shim) ::_exit(126);
  for (const int* door = child.doors; *door >= 0; ++door) {
    if (::write(*door, "0", 1) != 1) ::_exit(126);  // better not at all than without its limits
  }
  if (!EnterNetwork(child.user, child.net)) ::_exit(126);
  for (const int ignored : {SIGPIPE, SIGHUP}) ::signal(ignored, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::dup2(child.input, 0) < 0 || ::dup2(child.output, 1) < 0 || ::dup2(child.output, 2) < 0) {
    ::_exit(126);
  }
  for (const int* fd = child.keep; *fd >= 0; ++fd) ::fcntl(*fd, F_SETFD, 0);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (child.most_file_bytes > 0) {
    const rlimit file{child.most_file_bytes, child.most_file_bytes};
    ::setrlimit(RLIMIT_FSIZE, &file);
  }
  if (child.most_processes > 0) {
    const rlimit processes{child.most_processes, child.most_processes};
    ::setrlimit(RLIMIT_NPROC, &processes);
  }
  ::execve(child.program, child.argv, child.envp);
  ::_exit(126);
}

// A function of its own: nothing of the caller lives in registers over vfork. Our signals stay
// blocked meanwhile; the child opens its mask when its handlers are the default ones.
[[gnu::noinline]] pid_t Spawn(const Child& child) {
  const pid_t pid = ::vfork();
  if (pid == 0) BecomeSandbox(child);
  return pid;
}

}  // namespace

Result<SandboxProcess> SandboxProcess::Start(const ShimPlan& plan, const Cgroup& group,
                                             const NetworkEntry& network) {
  SandboxProcess process;
  CML_ASSIGN_OR_RETURN(Pipe output, MakePipe());
  CML_ASSIGN_OR_RETURN(Pipe report, MakePipe());
  CML_ASSIGN_OR_RETURN(Pipe gate, MakePipe());
  CML_ASSIGN_OR_RETURN(const Fd hold, BothWays(gate));
  CML_ASSIGN_OR_RETURN(const Fd nothing, OpenFile("/dev/null", O_RDONLY));
  CML_ASSIGN_OR_RETURN(const std::vector<Fd> doors, group.Doors());
  Fd filter;
  if (!plan.filter.empty()) {
    CML_ASSIGN_OR_RETURN(filter, OpenFile(plan.filter, O_RDONLY));
  }

  std::vector<std::string> inner = {"--block-fd", std::to_string(hold.get()), "--json-status-fd",
                                    std::to_string(report.write.get())};
  std::vector<int> keep = {hold.get(), report.write.get()};
  if (filter.valid()) {
    inner.insert(inner.end(), {"--seccomp", std::to_string(filter.get())});
    keep.push_back(filter.get());
  }
  // The command stands behind the last "--" of the sandbox; bubblewrap takes options from the file
  // and the command from its own argument list.
  const auto end = std::find(plan.sandbox.begin(), plan.sandbox.end(), "--");
  inner.insert(inner.end(), plan.sandbox.begin(), end);
  CML_ASSIGN_OR_RETURN(const Fd arguments, ArgumentFile(inner));
  keep.push_back(arguments.get());
  std::vector<std::string> outer = {"bwrap", "--args", std::to_string(arguments.get())};
  outer.insert(outer.end(), end, plan.sandbox.end());
  outer.insert(outer.end(), plan.command.begin(), plan.command.end());

  keep.push_back(-1);
  std::vector<int> door_numbers;
  for (const auto& door : doors) door_numbers.push_back(door.get());
  door_numbers.push_back(-1);
  const std::vector<char*> argv = Pointers(outer);
  const std::vector<char*> envp = Pointers(plan.env);
  rlim_t most_processes = 0;
  if (plan.limits.processes > 0 && !group.limits_processes()) {
    most_processes = static_cast<rlim_t>(ProcessLimitFor(plan.uid, plan.limits.processes));
  }
  const Child child{
      plan.bwrap.c_str(),  argv.data(),        envp.data(),
      nothing.get(),       output.write.get(), keep.data(),
      door_numbers.data(), ::getpid(),         network.user.get(),
      network.net.get(),   static_cast<rlim_t>(plan.limits.disk_bytes),
      most_processes};
  process.pid_ = Spawn(child);
  if (process.pid_ < 0) return ErrnoError(errno, "start", plan.bwrap);
  ::fcntl(output.read.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(report.read.get(), F_SETFL, O_NONBLOCK);
  process.output_ = std::move(output.read);
  process.report_ = std::move(report.read);
  process.gate_ = std::move(gate.write);
  return process;
}

Status SandboxProcess::Release() {
  CML_RETURN_IF_ERROR(WriteAll(gate_.get(), "1", "the sandbox's gate"));
  gate_.Close();
  return Ok{};
}

// Two JSON objects, {"child-pid": N, …} when the sandbox exists and {"exit-code": N} when the
// command, once started, has ended (bwrap(1)). Written by bubblewrap, not by the job.
void SandboxProcess::ReadReport() {
  char buffer[1024];
  while (true) {
    const ssize_t n = ::read(report_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    report_text_.append(buffer, static_cast<std::size_t>(n));
  }
  const auto number = [this](std::string_view key) -> std::optional<int> {
    const auto at = report_text_.find(key);
    if (at == std::string::npos) return std::nullopt;
    std::string_view rest = std::string_view(report_text_).substr(at + key.size());
    rest = Trim(rest.substr(0, rest.find_first_of(",}")));
    const auto value = ParseInt(rest);
    return value ? std::optional<int>(static_cast<int>(*value)) : std::nullopt;
  };
  if (const auto pid = number("\"child-pid\":"); pid && !init_known_) {
    init_ = *pid;
    init_known_ = true;
  }
  if (const auto code = number("\"exit-code\":")) exit_code_ = *code;
}

void SandboxProcess::KillChildren() {
  if (init_ > 0) ::kill(init_, SIGKILL);
  const std::string self = std::to_string(::getpid());
  auto children = ReadFile("/proc/self/task/" + self + "/children", 1 << 16);
  if (!children.ok()) return;
  for (const std::string_view word : Split(children.value(), ' ')) {
    if (const auto pid = ParseInt(word); pid && *pid > 1) {
      ::kill(static_cast<pid_t>(*pid), SIGKILL);
    }
  }
}

void SandboxProcess::Terminate() {
  ReadReport();
  if (init_ > 0) ::kill(-init_, SIGTERM);
}

void SandboxProcess::Kill() {
  ReadReport();
  if (pid_ > 0) ::kill(pid_, SIGKILL);
  if (init_ > 0) ::kill(init_, SIGKILL);
}

bool SandboxProcess::Reap() {
  while (true) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid < 0 && errno == EINTR) continue;
    if (pid == 0) break;
    if (pid < 0) {  // no child: process 1 was ours to reap, so its whole namespace is gone
      init_ = -1;
      return pid_ < 0;
    }
    if (pid == init_) init_ = -1;
    if (pid != pid_) continue;
    ReadReport();
    pid_ = -1;
  }
  // What is left lives in the namespace of process 1, which is our child now. One that is still
  // getting ready does not notice that bubblewrap has gone.
  if (pid_ < 0) KillChildren();
  return false;
}

}  // namespace cml::backends::local
