#include "codec/messages.h"

#include <boost/json.hpp>

#include "base/strings.h"
#include "core/quantity.h"

namespace cml::codec {
namespace {

namespace json = boost::json;

// A program's output is any bytes; JSON is UTF-8. Each byte that is not part of a well-formed
// sequence becomes U+FFFD.
std::string CleanUtf8(std::string_view text) {
  if (IsValidUtf8(text)) return std::string(text);
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = 1;
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead >= 0xC2) length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    const std::string_view piece = text.substr(i, length);
    if (piece.size() == length && IsValidUtf8(piece)) {
      out += piece;
      i += length;
    } else {
      out += "\xEF\xBF\xBD";
      ++i;
    }
  }
  return out;
}

}  // namespace

std::string EncodeMessage(IsError error, std::string_view message) {
  return json::serialize(json::object{{"error", error == IsError::kYes}, {"message", CleanUtf8(message)}});
}

std::string EncodeLogs(std::string_view text) {
  return json::serialize(json::object{{"logs", CleanUtf8(text)}});
}

std::string EncodeOrgId(std::string_view org_id) {
  return json::serialize(json::object{{"org_id", org_id}});
}

std::string EncodeFrameworks(const std::map<std::string, std::vector<std::string>>& versions) {
  json::object out;
  for (const auto& [name, all] : versions) {
    json::array list;
    for (const std::string& version : all) list.emplace_back(version);
    out[name] = std::move(list);
  }
  return json::serialize(out);
}

std::string EncodeRuntimes(const std::vector<RuntimeLine>& runtimes) {
  json::array data;
  for (const RuntimeLine& r : runtimes) {
    json::object packages;
    for (const auto& [name, version] : r.packages) packages[name] = version;
    data.emplace_back(json::object{{"name", r.name}, {"version", r.version}, {"variant", r.variant},
                                   {"python", r.python}, {"state", r.state}, {"message", r.message},
                                   {"size_bytes", r.size_bytes}, {"packages", std::move(packages)}});
  }
  return json::serialize(json::object{{"data", std::move(data)}});
}

std::string EncodeQuota(const QuotaLine& q) {
  json::object o;
  const auto set = [&o](const std::string& name, std::string_view value) { o[name] = value; };
  const std::string cpu = FormatCpu(q.millicores), gpu = std::to_string(q.gpus);
  const std::string memory = q.memory_bytes == 0 ? "0K" : FormatMemory(q.memory_bytes);
  for (const std::string group : {"train", "model", "dev"}) {
    const bool train = group == "train";
    set(group + "_memory_quota", "-1.0K");
    set(group + "_memory_used", train ? memory : "0K");
    set(group + "_cpu_quota", "-1.0");
    set(group + "_cpu_used", train ? cpu : "0");
    set(group + "_gpu_quota", "-1");
    set(group + "_gpu_used", train ? gpu : "0");
    set(group + "_count_quota", "-1");
    set(group + "_count_used", train ? std::to_string(q.jobs) : "0");
  }
  set("tensorboard_quota", "-1");
  set("tensorboard_used", "0");
  set("total_memory_quota", "-1.0K");
  set("total_memory_used", memory);
  set("total_cpu_quota", "-1.0");
  set("total_cpu_used", cpu);
  set("total_gpu_quota", "-1");
  set("total_gpu_used", gpu);
  set("org_id", q.org_id);
  set("org_name", q.org_name);
  return json::serialize(json::object{{"data", json::array{std::move(o)}}});
}

}  // namespace cml::codec
