// The body of POST /train: decoded or refused. What is decoded survives the way into a row of the
// store and back, and a row of foreign bytes is read or refused.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "codec/document.h"
#include "codec/train_job_json.h"

namespace {

void Check(bool promise) {
  if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using Codec = cml::codec::ResourceCodec<cml::TrainJob>;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  auto decoded = cml::codec::DecodeTrainJobRequest(body);
  const auto document = cml::codec::Document::Parse(body);
  if (decoded.ok()) {
    Check(document.ok() && document.value().IsObject());
    cml::TrainJob job;
    job.wish.spec = std::move(decoded).value();
    const std::string row = Codec::Wish(job);
    cml::TrainJob read;
    Check(Codec::FromWish(row, read).ok());
    Check(Codec::Wish(read) == row);
    const auto answer = cml::codec::Document::Parse(cml::codec::EncodeTrainJob(job, "org"));
    Check(answer.ok() && answer.value().Get("job_name").Str() == job.wish.spec.job_name);
  } else {
    Check(decoded.error().code() == cml::Code::kInvalidArgument);
    Check(!decoded.error().message().empty());
  }
  cml::TrainJob row;
  if (Codec::FromRecord(body, row).ok()) {
    cml::TrainJob again;
    const std::string record = Codec::Record(row);
    Check(Codec::FromRecord(record, again).ok() && Codec::Record(again) == record);
  }
  static_cast<void>(Codec::FromWish(body, row));
  return 0;
}
