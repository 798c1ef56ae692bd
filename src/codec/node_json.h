// codec/node_json.h — nodes and the table of what is free (cloud_ml v1, 11.3) as JSON, and a
// cordon's document in the store. Pure, thread-safe.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/node_state.h"

namespace cml::codec {

std::string EncodeNode(const NodeState& node);
std::string EncodeNodes(const std::vector<NodeState>& nodes);  // {"data": […]}
// One row per node with what it still has to give; nobody's name is in it.
std::string EncodeResources(const std::vector<NodeState>& nodes);

// The field `reason` of a body that may be empty. kInvalidArgument.
Result<std::string> DecodeReason(std::string_view body);

// kDataLoss: not what EncodeCordonDocument wrote.
std::string EncodeCordonDocument(const Cordon& cordon);
Result<Cordon> DecodeCordonDocument(std::string_view body);

}  // namespace cml::codec
