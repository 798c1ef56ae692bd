// backends/local/uv_progress.h — turns what uv prints while it installs a lock into one sentence
// for people, and its error output into one sentence as well.
//
// Not thread-safe; one object per run of uv. Knows uv's lines when its output is no terminal.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace cml::backends::local {

class UvProgress {
 public:
  // `total`: how many packages the lock has.
  explicit UvProgress(std::size_t total) : total_(total) {}

  void Line(std::string_view line);
  // "downloading tensorflow-cpu 197.6 MiB (12 of 16 downloads done)", "compiling 60 packages", …
  std::string Sentence() const;

 private:
  enum class Step { kStart, kFetch, kLink, kCompile, kDone };
  struct Download {
    std::uint64_t bytes = 0;
    std::string size;  // as uv writes it
  };

  std::size_t total_;
  Step step_ = Step::kStart;
  std::map<std::string, Download, std::less<>> downloading_;
  std::string building_;
  std::size_t announced_ = 0;
  std::size_t downloaded_ = 0;
  std::size_t prepared_ = 0;
};

// The first error in uv's output with its deepest cause; names and passwords of addresses are
// replaced by "***". Empty when there is none.
std::string UvError(std::string_view output);

// Without the "user:password@" of every address in it.
std::string WithoutCredentials(std::string_view text);

}  // namespace cml::backends::local
