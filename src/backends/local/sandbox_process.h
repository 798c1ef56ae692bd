// backends/local/sandbox_process.h — bubblewrap as the shim's child: started but held back at the
// last step, released, signalled, awaited to the last process of its pid namespace.
//
// For a process with one thread that is a child subreaper. Owns its descriptors, not the group.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "backends/local/cgroup.h"
#include "backends/local/network.h"
#include "backends/local/replica_files.h"
#include "base/file.h"
#include "base/result.h"

namespace cml::backends::local {

class SandboxProcess {
 public:
  // The sandbox gets itself ready meanwhile; its command waits for Release.
  static Result<SandboxProcess> Start(const ShimPlan& plan, const Cgroup& group,
                                      const NetworkEntry& network);

  Status Release();
  // Standard output and error, non-blocking; -1 when every writer has closed it.
  int output() const { return output_.get(); }
  void CloseOutput() { output_.Close(); }
  void LearnInit() { ReadReport(); }
  void Terminate();  // SIGTERM to the command's process group
  void Kill();       // everything
  // To be called on SIGCHLD: true when nothing of the sandbox is left.
  bool Reap();
  // The command's exit status (128 + signal); nullopt when it never started.
  std::optional<int> exit_code() const { return exit_code_; }
  pid_t init() const { return init_; }  // -1: not known yet, or ended

 private:
  SandboxProcess() = default;
  void ReadReport();
  void KillChildren();

  pid_t pid_ = -1;   // of bubblewrap; -1 once it has been reaped
  pid_t init_ = -1;  // of process 1 inside, which also leads the command's process group
  bool init_known_ = false;
  Fd output_, report_, gate_;
  std::string report_text_;
  std::optional<int> exit_code_;
};

}  // namespace cml::backends::local
