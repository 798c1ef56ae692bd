// codec/train_job_parts.h — what requests, answers and rows of train jobs have in common, and the parts
// of them that are about clusters. Private to codec/. Pure, thread-safe.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codec/fields.h"
#include "codec/json_writer.h"
#include "core/train_job.h"

namespace cml::codec {

template <class T>
void WriteList(JsonWriter& w, std::string_view name, const std::vector<T>& items) {
  w.Name(name).Open('[');
  for (const T& item : items) w.Value(item);
  w.Close(']');
}

void WriteUsage(JsonWriter& w, const Usage& u);
Usage ReadUsage(const json::object& o);
std::int64_t Millis(SysTime t);  // since 1970
void ReadTime(Fields& f, std::string_view name, SysTime& into);
void WriteTimeOrNull(JsonWriter& w, std::string_view name, SysTime t);
void ReadGpus(const json::object& object, std::vector<int>& into);

// cluster_spec of a request or row. kInvalidArgument: "cluster_spec: …".
Status ReadClusterSpec(const json::object& request, TrainJobSpec& s);
// The fields of a distributed job; none for others, whose texts stay short.
void WriteCluster(JsonWriter& w, const TrainJobSpec& s);

// The keys of a cluster in an answer (6.3), which every job has; of one process they are empty.
void WriteClusterOf(JsonWriter& w, const TrainJob& job);

// A replica as the store keeps it.
void StoreReplica(JsonWriter& w, const Replica& r);
Replica LoadReplica(const json::object& o);

}  // namespace cml::codec
