// cli/transfer.h — files to and from the object store, with progress, and taken up again where they
// were interrupted.
//
// Downloads go to ".NAME.ETAG.part" beside the target, which appears when it is complete; the next
// try goes on at its end. Uploads of two parts and more are made part by part; which upload it was
// is remembered below ~/.cache/cloudml/uploads, and the next try sends the parts that are missing.
// A connection that breaks is tried again by itself. Codes as for cli/s3.h and base/file.h;
// kDataLoss when what arrived has another checksum.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/context.h"
#include "cli/s3.h"

namespace cml::cli {

inline constexpr std::uint64_t kPartSize = 16ULL << 20;

// One line that says what, how much, how fast, how long still. Silent for the first second; on a
// terminal it replaces itself, elsewhere it is a line every five seconds.
class Progress {
 public:
  Progress(Context& context, std::string what, std::uint64_t total);
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void At(std::uint64_t done);
  void StartedAt(std::uint64_t done) { began_with_ = done; }  // what an earlier try had done
  void Clear();                                               // takes the line away

 private:
  Context& context_;
  std::string what_;
  std::uint64_t total_, began_with_ = 0;
  SysTime began_, shown_{};
  bool on_screen_ = false;
};

Status Download(Context& context, S3& store, const ObjectUri& from,
                const std::filesystem::path& to);
// The part size is for tests.
Status Upload(Context& context, S3& store, const std::filesystem::path& from, const ObjectUri& to,
              std::uint64_t part_size = kPartSize);

// Which parts (from 1) of a file of `size` bytes are still to be sent.
std::vector<int> MissingParts(std::uint64_t size, std::uint64_t part_size,
                              const std::vector<S3::UploadedPart>& done);

}  // namespace cml::cli
