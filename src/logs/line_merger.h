// logs/line_merger.h — writes what one of several writers prints into a log that they share: whole
// lines, each behind the writer's name, in the order in which they were complete.
//
// Not thread-safe; each writer, in whatever process, has one of its own. Owns its writer. What cannot
// be written (a full disk, the log's cap) is dropped: each writer's own log has it.
#pragma once
#include <string>
#include <string_view>

#include "logs/run_log.h"

namespace cml::logs {

class LineMerger {
 public:
  LineMerger(LogWriter log, const std::string& name) : log_(std::move(log)), prefix_(name + ": ") {}
  void Add(std::string_view bytes);  // a line above 16 KiB is broken
  void EndLine();                    // of what has come without a line end

 private:
  LogWriter log_;
  std::string prefix_;
  std::string line_;  // that has not ended yet
};

}  // namespace cml::logs
