// backends/local/disk_usage.h — how much a job has written into its folders. No state.
#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

namespace cml::backends::local {

// Blocks allocated below the folders, in bytes. Follows no link and stays on the file system;
// stops counting when `enough` is reached. Not exact while the tree changes.
std::int64_t DiskUsage(const std::vector<std::filesystem::path>& folders, std::int64_t enough);

}  // namespace cml::backends::local
