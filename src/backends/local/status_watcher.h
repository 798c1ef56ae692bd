// backends/local/status_watcher.h — tells when a file is renamed into a folder: how shims, which
// know no server, tell every server that something changed. Owns a thread; calls `changed` from it.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/file.h"
#include "base/result.h"

namespace cml::backends::local {

class StatusWatcher {
 public:
  // `changed` gets the file's name, and "" when events may have been missed: look at all.
  static Result<std::unique_ptr<StatusWatcher>> Start(
      const std::filesystem::path& folder, std::function<void(const std::string& file)> changed);
  ~StatusWatcher();

 private:
  StatusWatcher(Fd events, Fd stop, std::function<void(const std::string&)> changed);
  void Run();

  Fd events_, stop_;
  std::function<void(const std::string&)> changed_;
  std::thread thread_;
};

}  // namespace cml::backends::local
