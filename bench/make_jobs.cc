// bench/make_jobs.cc — fills the database of a stopped server with finished jobs.
//
//   make_jobs DATABASE ROWS      names job-0, job-1, …; all of organisation 1
//
// Each is a whole job as the server itself would have stored it, with its event and what it used.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "codec/train_job_json.h"
#include "core/train_job_usage.h"
#include "store/sqlite/sqlite_store.h"
#include "store/train_jobs.h"

namespace {

constexpr int kThreads = 64;  // what waits for one commit makes the next one

cml::TrainJob MakeJob(std::int64_t n) {
  const auto at = [n](std::int64_t later) {
    return cml::SysTime{std::chrono::milliseconds(1'700'000'000'000 + n * 1000 + later)};
  };
  cml::TrainJob job;
  job.meta = {cml::NewResourceId(), cml::OrgId("1"), "job-" + std::to_string(n), at(0), at(61'000)};
  cml::TrainJobSpec& spec = job.wish.spec;
  spec.job_name = job.meta.name;
  spec.module_name = "trainer.task";
  spec.trainer_uri = "fds://default/packages/trainer-1.0.tar.gz";
  spec.job_args = "--epochs 10 --batch-size 128 --learning-rate 0.001";
  spec.cpu_limit = "2";
  spec.memory_limit = "4G";
  spec.framework = "tensorflow";
  spec.framework_version = "2.15.1";
  spec.labels["team"] = "team-" + std::to_string(n % 20);
  job.wish.submitted_by = cml::AccessKey("AKMADEBYTHEBENCHMARK");
  job.wish.user = "user-" + std::to_string(n % 100);
  job.wish.starts = 1;
  cml::TrainJobRecord& record = job.record;
  record.state = cml::TrainJobState::kCompleted;
  record.since = at(61'000);
  record.starts = record.incarnation = 1;
  record.reason = "Completed";
  record.exit_code = 0;
  record.placement.node = "local";
  record.started = at(1'000);
  record.ended = at(61'000);
  record.usage.cpu_millis = 58'000;
  record.usage.memory_peak = 1 << 30;
  record.limits = {2000, 4LL << 30, n % 10 == 0 ? 1 : 0, 0, 0};
  if (n % 10 == 0) record.placement.gpu_model = "v100";
  return job;
}

// What the controller would have recorded at its end.
std::vector<cml::UsageRecord> UsageOfJob(const cml::TrainJob& job) {
  cml::ReplicaStatus replica;
  replica.role = "worker";
  replica.started = job.record.started;
  replica.ended = job.record.ended;
  return cml::UsageOf(job, {replica}, job.record.ended);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_jobs DATABASE ROWS\n");
    return 2;
  }
  auto store = cml::store::SqliteStore::Open(argv[1]);
  if (!store.ok()) {
    std::fprintf(stderr, "make_jobs: %s\n", store.error().message().c_str());
    return 1;
  }
  const std::int64_t rows = std::atoll(argv[2]);
  const cml::store::TrainJobRows jobs(*store.value());
  std::atomic<std::int64_t> next{0}, failed{0};
  std::vector<std::thread> writers;
  for (int i = 0; i < kThreads; ++i) {
    writers.emplace_back([&] {
      for (std::int64_t n = next++; n < rows; n = next++) {
        const cml::TrainJob job = MakeJob(n);
        const cml::Event event{job.record.ended, job.record.ended, 1, cml::EventType::kNormal,
                               "Completed", "ended with exit status 0 after 1m00s"};
        if (!jobs.Create(job, {.events = {event}, .usage = UsageOfJob(job)}).ok()) ++failed;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  if (failed > 0) std::fprintf(stderr, "make_jobs: %lld failed\n", static_cast<long long>(failed));
  return failed > 0 ? 1 : 0;
}
