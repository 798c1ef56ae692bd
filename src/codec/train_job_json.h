// codec/train_job_json.h — train jobs as JSON: the request and the answers of cloud_ml v1 (sections
// 6 and 7), and the rows of the store. Pure, thread-safe.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "codec/resource_codec.h"
#include "core/train_job.h"

namespace cml::codec {

// The body of POST /train. Unknown fields are ignored, null reads as absent; numbers may come as
// text and amounts as numbers. kInvalidArgument names the field.
Result<TrainJobSpec> DecodeTrainJobRequest(std::string_view body);

// One train object with the union of the keys that both published clients read, and our own.
// What the audit keeps of it: what it is told to do, without the values of its environment
// variables, which may be secrets.
std::string EncodeTrainJobForAudit(const TrainJob& job);

std::string EncodeTrainJob(const TrainJob& job, std::string_view org_name);
struct NamedTrainJob {
  const TrainJob* job;
  std::string_view org_name;
};
// {"data": […]}, and "next_page" when `next_page` is not empty.
std::string EncodeTrainJobs(const std::vector<NamedTrainJob>& jobs, std::string_view next_page = "");

std::string EncodeEvents(std::string_view object_name, const std::vector<Event>& events);
enum class Alive { kNo, kYes };
std::string EncodeMetrics(const Usage& usage, Alive alive);  // of a job or of one replica

template <>
struct ResourceCodec<TrainJob> {
  static std::string Wish(const TrainJob& job);
  static std::string Record(const TrainJob& job);
  static Status FromWish(std::string_view json, TrainJob& job);
  static Status FromRecord(std::string_view json, TrainJob& job);
  static std::string State(const TrainJob& job);
};

}  // namespace cml::codec
