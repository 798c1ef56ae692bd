#include "logs/line_merger.h"

namespace cml::logs {
namespace {

constexpr std::size_t kMostLine = 16 * 1024;

}  // namespace

void LineMerger::Add(std::string_view bytes) {
  line_ += bytes;
  std::string out;
  std::size_t from = 0;
  while (from < line_.size()) {
    const auto end = line_.find('\n', from);
    if (end != std::string::npos) {
      out += prefix_ + line_.substr(from, end + 1 - from);
      from = end + 1;
    } else if (line_.size() - from >= kMostLine) {
      out += prefix_ + line_.substr(from, kMostLine) + "\n";
      from += kMostLine;
    } else {
      break;
    }
  }
  line_.erase(0, from);
  // One write, so that lines of several writers do not mix.
  if (!out.empty()) (void)log_.Append(out);
}

void LineMerger::EndLine() {
  if (!line_.empty()) Add("\n");
}

}  // namespace cml::logs
