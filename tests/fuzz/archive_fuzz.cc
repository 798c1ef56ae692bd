// Archives of foreign hands: unpacked or refused, never a crash, a leak or a file outside.
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/archive.h"
#include "base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const cml::Fd file(::memfd_create("archive", MFD_CLOEXEC));
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!file.valid() || !cml::WriteAll(file.get(), bytes, path).ok()) return 0;
  cml::ArchiveLimits limits;
  limits.most_entries = 64;
  limits.most_bytes = 1 << 20;
  const auto seen = cml::InspectPackage(path, limits);
  const cml::TempFolder folder;
  const std::filesystem::path to = folder.path() / "to";
  const auto unpacked = cml::ExtractSafely(path, to, limits);
  if (seen.ok() && unpacked.ok() && seen.value().bytes != unpacked.value().bytes) std::abort();
  if (unpacked.ok() && unpacked.value().bytes > limits.most_bytes) std::abort();
  // nothing may lie beside the folder
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (entry.path() != to) std::abort();
  }
  // no link may lead out of it
  for (const auto& entry : std::filesystem::recursive_directory_iterator(to)) {
    std::error_code failed;
    const auto real = std::filesystem::weakly_canonical(entry.path(), failed);
    if (!failed && !real.string().starts_with(folder.path().string())) std::abort();
  }
  return 0;
}
