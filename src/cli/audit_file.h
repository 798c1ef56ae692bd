// cli/audit_file.h — checks an exported audit without a server (docs/formats/audit.md, "Export").
// Pure; one thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace cml::cli {

// Takes the lines of the file in their order.
class AuditFileCheck {
 public:
  bool Take(std::string_view line);  // false: it is wrong, no more are needed
  // "": all is well; else one sentence on what is wrong.
  std::string Finish();

  std::uint64_t lines() const { return lines_; }
  const std::string& hash() const { return hash_; }
  const std::string& scope() const { return scope_; }  // "all", "organisation 3"; after Finish

 private:
  bool Wrong(std::string message);

  std::uint64_t lines_ = 0, number_ = 0, gaps_ = 0;
  std::string hash_ = std::string(64, '0'), scope_, wrong_;
  bool ended_ = false;
};

}  // namespace cml::cli
