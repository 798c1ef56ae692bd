// cli/train_request.h — the body of POST /train from the flags of `jobs submit` and a job file.
// Pure but for reading the file.
//
// Flags win over the file. kInvalidArgument names the flag or the field.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command.h"
#include "codec/document.h"

namespace cml::cli {

enum class FieldType { kText, kInteger, kBoolean, kMap, kObject, kSeconds };

// A field of the request, and the option that sets it.
struct TrainField {
  Option option;  // its key is the field's name
  FieldType type = FieldType::kText;
};
const std::vector<TrainField>& TrainFields();

// Reads YAML or JSON. Keys that are no fields are left out and told in `unknown`.
Result<codec::Document> ReadJobFile(const std::string& path, std::vector<std::string>& unknown);

// Sets every field that was typed.
Status ApplyFlags(const Typed& typed, codec::Document& request);

}  // namespace cml::cli
