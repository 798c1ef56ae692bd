#include "codec/node_json.h"

#include <algorithm>

#include "base/strings.h"
#include "codec/document.h"
#include "codec/json_writer.h"
#include "core/quantity.h"

namespace cml::codec {
namespace {

const NodeUser* UserOf(const NodeState& n, int gpu) {
  for (const NodeUser& user : n.users) {
    if (std::ranges::count(user.gpus, gpu) > 0) return &user;
  }
  return nullptr;
}

void WriteWho(JsonWriter& w, const NodeUser& user) {
  w.Field("org_id", user.org.str());
  w.Field("org_name", user.org_name);
  w.Field("kind", ToString(user.kind));
  w.Field("name", user.name);
}

void WriteUser(JsonWriter& w, const NodeUser& user) {
  w.Open('{');
  WriteWho(w, user);
  w.Field("state", user.state);
  w.Field("cpu", FormatCpu(user.limits.millicores));
  w.Field("memory", FormatMemory(user.limits.memory_bytes));
  w.Field("gpu", user.gpus.size());
  w.Name("gpus").Open('[');
  for (const int gpu : user.gpus) w.Value(gpu);
  w.Close(']').Close('}');
}

void WriteGpu(JsonWriter& w, const NodeState& n, const Gpu& gpu) {
  w.Open('{');
  w.Field("index", gpu.index);
  w.Field("model", gpu.model);
  w.Field("uuid", gpu.uuid);
  w.Name("used_by");
  if (const NodeUser* user = UserOf(n, gpu.index)) {
    w.Open('{');
    WriteWho(w, *user);
    w.Close('}');
  } else {
    w.Null();
  }
  w.Close('}');
}

void WriteNode(JsonWriter& w, const NodeState& n) {
  w.Open('{');
  w.Field("node", n.node.name);
  w.Field("state", n.cordon ? "cordoned" : "ready");
  w.Field("reason", n.cordon ? n.cordon->reason : "");
  w.Field("cordoned_by", n.cordon ? n.cordon->by : "");
  w.Field("since", n.cordon ? FormatRfc3339(n.cordon->since) : "");
  w.Field("cpu", FormatCpu(n.node.millicores));
  w.Field("cpu_used", FormatCpu(n.millicores_used));
  w.Field("memory", FormatMemory(n.node.memory_bytes));
  w.Field("memory_used", FormatMemory(n.memory_used));
  w.Field("gpu", n.node.gpus.size());
  w.Field("gpu_used", n.gpus_used);
  w.Name("gpus").Open('[');
  for (const Gpu& gpu : n.node.gpus) WriteGpu(w, n, gpu);
  w.Close(']');
  w.Name("labels").Open('{');
  for (const auto& [key, value] : n.node.labels) w.Field(key, value);
  w.Close('}');
  w.Name("jobs").Open('[');
  for (const NodeUser& user : n.users) WriteUser(w, user);
  w.Close(']').Close('}');
}

void WriteFree(JsonWriter& w, const NodeState& n) {
  const auto left = [&n](std::int64_t all, std::int64_t used) {
    return n.cordon ? std::int64_t{0} : std::max<std::int64_t>(0, all - used);
  };
  w.Open('{');
  w.Field("available_cpu", FormatCpu(left(n.node.millicores, n.millicores_used)));
  w.Field("available_mem", FormatMemory(left(n.node.memory_bytes, n.memory_used)));
  w.Field("available_gpu", left(static_cast<std::int64_t>(n.node.gpus.size()), n.gpus_used));
  w.Field("node", n.node.name);
  w.Field("state", n.cordon ? "cordoned" : "ready");
  w.Field("gpu_model", n.node.gpus.empty() ? "" : n.node.gpus.front().model);
  w.Close('}');
}

template <class Write>
std::string ListOf(const std::vector<NodeState>& nodes, Write write) {
  JsonWriter w(512 * (nodes.size() + 1));
  w.Open('{').Name("data").Open('[');
  for (const NodeState& n : nodes) write(w, n);
  w.Close(']').Close('}');
  return w.Take();
}

}  // namespace

std::string EncodeNode(const NodeState& node) {
  JsonWriter w(1024);
  WriteNode(w, node);
  return w.Take();
}

std::string EncodeNodes(const std::vector<NodeState>& nodes) { return ListOf(nodes, WriteNode); }

std::string EncodeResources(const std::vector<NodeState>& nodes) {
  return ListOf(nodes, WriteFree);
}

Result<std::string> DecodeReason(std::string_view body) {
  if (Trim(body).empty()) return std::string();
  const auto parsed = Document::Parse(body);
  if (!parsed.ok()) return Error(Code::kInvalidArgument, "body: " + parsed.error().message());
  if (!parsed.value().IsObject())
    return Error(Code::kInvalidArgument, "body: a JSON object is expected");
  const Document reason = parsed.value().Get("reason");
  if (reason.IsNull() || reason.IsString()) return reason.Str();
  return Error(Code::kInvalidArgument, "reason: a text is expected");
}

std::string EncodeCordonDocument(const Cordon& cordon) {
  return JsonWriter(256)
      .Open('{')
      .Field("reason", cordon.reason)
      .Field("by", cordon.by)
      .Field("since", cordon.since.time_since_epoch().count())
      .Close('}')
      .Take();
}

Result<Cordon> DecodeCordonDocument(std::string_view body) {
  const auto parsed = Document::Parse(body);
  if (!parsed.ok() || !parsed.value().IsObject())
    return Error(Code::kDataLoss, "a cordon cannot be read back");
  const Document& d = parsed.value();
  return Cordon{"", d.Get("reason").Str(), d.Get("by").Str(),
                SysTime{std::chrono::milliseconds{d.Get("since").Int()}}};
}

}  // namespace cml::codec
