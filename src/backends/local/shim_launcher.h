// backends/local/shim_launcher.h — starts shims, and the keepers of networks: by a small helper process that was forked while
// the program was young, or by executing the program anew.
//
// The helper is the fast way: it has one thread and little memory, so that a shim is one fork and
// no loading of a large program. It ends with the server (the socket closes); its shims do not.
// Thread-safe. Owns the helper process.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <mutex>

#include "base/file.h"
#include "base/result.h"

namespace cml::backends::local {

class ShimLauncher {
 public:
  // Forks the helper. To be called while the process has one thread and no descriptors but its
  // standard ones: what is open then stays open in the helper.
  static Result<std::unique_ptr<ShimLauncher>> Fork();
  // Without a helper: each shim is `program shim FOLDER`, each keeper `program network FOLDER`.
  static std::unique_ptr<ShimLauncher> Execute(std::filesystem::path program);

  ~ShimLauncher();

  // Where the helper has died, Launch executes this instead.
  void SetProgram(std::filesystem::path program) { program_ = std::move(program); }

  // Returns at once; whether the shim lives is told by its lock.
  //   kUnavailable   no process could be started
  Status Launch(const std::filesystem::path& replica_folder);
  // The keeper of an organisation's network (network.h), likewise.
  Status LaunchKeeper(const std::filesystem::path& network_folder);

 private:
  ShimLauncher(Fd helper, pid_t pid, std::filesystem::path program);
  Status Start(char what, const std::filesystem::path& folder);
  Status Execute(char what, const std::filesystem::path& folder) const;

  std::mutex mu_;
  Fd helper_;  // under mu_; invalid: none, or it has died
  const pid_t pid_;
  std::filesystem::path program_;
};

}  // namespace cml::backends::local
