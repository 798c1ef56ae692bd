// api/objects/http_date.h — dates as HTTP headers carry them (RFC 9110, 5.6.7) and as SigV4 writes
// them. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace cml::api::objects {

std::string FormatHttpDate(SysTime t);  // Tue, 20 Feb 2018 06:16:39 GMT
// The form above only; nullopt: anything else.
std::optional<SysTime> ParseHttpDate(std::string_view text);
std::optional<SysTime> ParseBasicIso(std::string_view text);  // 20180220T061639Z

}  // namespace cml::api::objects
