// cli/yaml.h — YAML 1.2 (and so JSON) text as a JSON document: job files and the configuration.
// Pure. kInvalidArgument with line and column; texts that would grow without bound (aliases) or are
// too deep are refused too.
#pragma once
#include <string_view>

#include "base/result.h"
#include "codec/document.h"

namespace cml::cli {

// Plain scalars become null, true, false or whole numbers where they look so. All else stays text:
// quoted ones, and "2.10", which is a version as often as a number.
Result<codec::Document> ParseYaml(std::string_view text);

}  // namespace cml::cli
