// cli/yaml.h — YAML 1.2 (and so JSON) text as a JSON document: job files and the configuration.
// Pure. kInvalidArgument with line and column; texts that would grow without bound (aliases) or are
// too deep are refused too.
#pragma once
#include <string_view>

#include "base/result.h"
#include "codec/document.h"

namespace cml::cli {

// Plain scalars get the type they look like (null, true, 12, 1.5); quoted ones stay text.
Result<codec::Document> ParseYaml(std::string_view text);

}  // namespace cml::cli
