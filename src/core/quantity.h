// core/quantity.h — amounts of CPU and memory as users write them (cloud_ml v1, section 5). Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace cml {

// "4", "0.5", ".25": cores, at most two decimals → thousandths of a core. kInvalidArgument with a
// message that starts with `field`.
Result<std::int64_t> ParseCpu(std::string_view field, std::string_view text);
std::string FormatCpu(std::int64_t millicores);  // 500 → "0.5"

// "8G", "1.5M", "512K" (also Ki, Mi, Gi, T): at most two decimals, powers of 1024 → bytes.
Result<std::int64_t> ParseMemory(std::string_view field, std::string_view text);
std::string FormatMemory(std::int64_t bytes);  // 8589934592 → "8G"

}  // namespace cml
