// bench/store_bench.cc — what the store does on this disk, beside what the disk itself does.
//
//   store_bench [FOLDER [ROWS [PART]]]   default: the working folder, 1,000,000 rows, all parts
//
// 1. Durable inserts from 64 threads, interleaved with the floor: one writer that overwrites 4 KiB
//    blocks of a file that is there already and calls fdatasync after each.
// 2. With ROWS finished jobs in it: time to open, point reads, pages of 100, unfinished lists.
// 3. With ROWS lines of audit and as many usage records: the audit verified, beside the same rows
//    read without hashing; reports by day, organisation, user and label.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/random.h"
#include "store/sqlite/sqlite_store.h"

namespace {

using cml::store::Row;
using cml::store::Store;
using Clock = std::chrono::steady_clock;

constexpr cml::ResourceKind kKind = cml::ResourceKind::kTrainJob;
constexpr int kThreads = 64;
constexpr std::chrono::milliseconds kRound{1000};

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "store_bench: %s\n", why.c_str());
  std::exit(1);
}

// A job as submits make it: about 900 bytes of JSON.
Row MakeRow(std::int64_t n, bool unfinished) {
  Row row;
  const cml::SysTime when{std::chrono::milliseconds(1700000000000 + n)};
  row.meta = {cml::NewResourceId(), cml::OrgId(n % 10 == 0 ? "2" : "1"), "job-" + std::to_string(n),
              when, when};
  row.wish = R"({"module_name":"trainer.task","job_args":")" + std::string(500, 'a') + "\"}";
  row.record = R"({"state":"completed","message":")" + std::string(300, 'm') + "\"}";
  row.state = unfinished ? "enqueued" : "completed";
  row.unfinished = unfinished;
  if (unfinished) row.reserved.amounts = {4000, 8LL << 30, 1, 1, 0};
  return row;
}

cml::Event MakeEvent() {
  return {{}, {}, 1, cml::EventType::kNormal, "Created", "The job was submitted."};
}

double FdatasyncRate(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "floor";
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) Die("cannot make " + file.string());
  const std::string block(4096, 'x');
  constexpr int kBlocks = 1024;
  for (int i = 0; i < kBlocks; ++i) {
    if (::pwrite(fd, block.data(), block.size(), i * 4096L) < 0) Die("cannot write");
  }
  ::fsync(fd);
  int done = 0;
  const auto start = Clock::now();
  for (; Clock::now() - start < kRound; ++done) {
    if (::pwrite(fd, block.data(), block.size(), (done % kBlocks) * 4096L) < 0) Die("cannot write");
    ::fdatasync(fd);
  }
  const double rate = done / Seconds(Clock::now() - start);
  ::close(fd);
  return rate;
}

double InsertRate(Store& store, std::atomic<std::int64_t>& next) {
  std::atomic<std::int64_t> done{0};
  std::vector<std::thread> writers;
  const auto start = Clock::now();
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&] {
      while (Clock::now() - start < kRound) {
        const auto inserted = store.Insert(MakeRow(next++, true), {{MakeEvent()}});
        if (!inserted.ok()) Die(inserted.error().message());
        ++done;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  return static_cast<double>(done) / Seconds(Clock::now() - start);
}

void Throughput(const std::filesystem::path& folder) {
  auto store = cml::store::SqliteStore::Open(folder / "inserts.db");
  if (!store.ok()) Die(store.error().message());
  std::atomic<std::int64_t> next{0};
  std::vector<double> ratios;
  for (int round = 0; round < 5; ++round) {
    const double floor = FdatasyncRate(folder);
    const double ours = InsertRate(*store.value(), next);
    ratios.push_back(ours / floor);
    std::printf("durable inserts, %d threads  %8.0f/s   floor: fdatasync %7.0f/s   ratio %5.2f\n",
                kThreads, ours, floor, ours / floor);
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("median ratio %.2f (goal: at least 2)\n", ratios[ratios.size() / 2]);
}

void Fill(Store& store, std::int64_t rows) {
  std::atomic<std::int64_t> next{0};
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&] {
      for (std::int64_t n = next++; n < rows; n = next++) {
        const auto inserted = store.Insert(MakeRow(n, false), {{MakeEvent()}});
        if (!inserted.ok()) Die(inserted.error().message());
      }
    });
  }
  for (auto& writer : writers) writer.join();
}

void Report(const char* what, int times, const std::function<bool()>& call) {
  std::vector<double> micros;
  for (int i = 0; i < times; ++i) {
    const auto start = Clock::now();
    if (!call()) Die(std::string("failed: ") + what);
    micros.push_back(Seconds(Clock::now() - start) * 1e6);
  }
  std::sort(micros.begin(), micros.end());
  const auto at = [&](double q) { return micros[static_cast<std::size_t>(q * (times - 1))]; };
  std::printf("%-34s p50 %9.1f us   p99 %9.1f us   worst %9.1f us\n", what, at(0.5), at(0.99),
              at(1.0));
}

// Proportional set size of this process, from the kernel.
long PssKib() {
  std::ifstream in("/proc/self/smaps_rollup");
  for (std::string word; in >> word;) {
    long kib = 0;
    if (word == "Pss:" && in >> kib) return kib;
  }
  return -1;
}

void Reads(const std::filesystem::path& folder, std::int64_t rows) {
  const std::filesystem::path file = folder / "million.db";
  const auto start = Clock::now();
  {
    auto store = cml::store::SqliteStore::Open(file);
    if (!store.ok()) Die(store.error().message());
    Fill(*store.value(), rows);
  }
  std::printf("filled %lld rows in %.0f s, %.0f MiB\n", static_cast<long long>(rows),
              Seconds(Clock::now() - start),
              static_cast<double>(std::filesystem::file_size(file)) / (1 << 20));
  Report("open, list and count unfinished", 20, [&] {
    auto store = cml::store::SqliteStore::Open(file);
    return store.ok() && store.value()->ListUnfinished(kKind).ok() &&
           store.value()->CountUnfinished(kKind).ok();
  });
  auto opened = cml::store::SqliteStore::Open(file);
  if (!opened.ok()) Die(opened.error().message());
  Store& store = *opened.value();
  std::mt19937_64 random(1);
  const auto any = [&] {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(rows));
  };
  Report("find one name again and again", 20000,
         [&] { return store.Find(kKind, cml::OrgId("1"), "job-1").ok(); });
  Report("find a random name", 20000, [&] {
    const std::int64_t n = any();
    return store.Find(kKind, cml::OrgId(n % 10 == 0 ? "2" : "1"), "job-" + std::to_string(n)).ok();
  });
  for (const bool one_org : {true, false}) {
    Report(one_org ? "page of 100 of an organisation" : "page of 100 of all organisations", 5000,
           [&] {
             cml::store::ListQuery query;
             if (one_org) query.org = cml::OrgId("2");
             query.after_created = cml::SysTime{std::chrono::milliseconds(1700000000000 + any())};
             query.after_id = cml::ResourceId("m");
             return store.List(kKind, query).ok();
           });
  }
  std::printf("memory (PSS) after that: %.1f MiB\n", static_cast<double>(PssKib()) / 1024);
}

// ---- audit and usage

constexpr cml::UsageDay kFirstDay{std::chrono::days(20000)};
constexpr std::int64_t kDays = 90;

cml::store::Alongside MakeAlongside(std::int64_t first, std::int64_t count) {
  cml::store::Alongside all;
  for (std::int64_t n = first; n < first + count; ++n) {
    cml::AuditEntry entry;
    entry.at = cml::SysTime{std::chrono::milliseconds(1700000000000 + n)};
    entry.org = entry.actor_org = cml::OrgId(std::to_string(n % 20));
    entry.user = "user-" + std::to_string(n % 200);
    entry.key = cml::AccessKey("AKIDEXAMPLE0000000" + std::to_string(n % 400));
    entry.peer = "10.1.2.3";
    entry.request_id = "0123456789abcdef";
    entry.action = "train_job.create";
    entry.target = "train_job job-" + std::to_string(n);
    entry.after = R"({"job_name":"job","gpu_limit":4,"cpu_limit":"4","memory_limit":"8G"})";
    all.audit.push_back(std::move(entry));

    cml::UsageRecord record;
    record.id = "job" + std::to_string(n) + ".1/worker-0";
    record.kind = "train_job";
    record.org = cml::OrgId(std::to_string(n % 20));
    record.user = "user-" + std::to_string(n % 200);
    record.resource = cml::ResourceId("job" + std::to_string(n));
    record.name = "job-" + std::to_string(n);
    record.labels = {{"team", "team-" + std::to_string(n % 50)}};
    record.millicores = 4000;
    record.memory_bytes = 8LL << 30;
    record.gpus = n % 4;
    record.gpu_model = n % 4 == 0 ? "" : n % 3 == 0 ? "v100" : "a100";
    record.from = kFirstDay + std::chrono::milliseconds(n * 7919 % (kDays * 86400000));
    record.to = record.from + std::chrono::milliseconds(n % 7200000);
    all.usage.push_back(std::move(record));
  }
  return all;
}

void VerifyAgainstReading(Store& store, std::int64_t rows) {
  std::vector<double> ratios, verified;
  for (int round = 0; round < 5; ++round) {
    auto start = Clock::now();
    cml::store::AuditQuery query;
    std::int64_t read = 0;
    for (query.most = 100000;;) {
      const auto lines = store.ReadAudit(query);
      if (!lines.ok()) Die(lines.error().message());
      if (lines.value().empty()) break;
      read += static_cast<std::int64_t>(lines.value().size());
      query.after = lines.value().back().seq;
    }
    const double reading = Seconds(Clock::now() - start);
    start = Clock::now();
    const auto verdict = store.VerifyAudit();
    const double verifying = Seconds(Clock::now() - start);
    if (!verdict.ok() || verdict.value().wrong != 0 || read != rows) Die("the audit is wrong");
    ratios.push_back(verifying / reading);
    verified.push_back(verifying);
    std::printf("audit of %lld lines   verified in %5.2f s, %8.0f lines/s   only read: %5.2f s   ratio %4.2f\n",
                static_cast<long long>(rows), verifying, static_cast<double>(rows) / verifying, reading,
                verifying / reading);
  }
  std::sort(ratios.begin(), ratios.end());
  std::sort(verified.begin(), verified.end());
  std::printf("median %.2f s, ratio %.2f (goal: a million lines in at most 2 s)\n", verified[2], ratios[2]);
}

void Accounts(const std::filesystem::path& folder, std::int64_t rows) {
  const std::filesystem::path file = folder / "accounts.db";
  auto opened = cml::store::SqliteStore::Open(file, cml::Secret(std::string(32, 'k')));
  if (!opened.ok()) Die(opened.error().message());
  Store& store = *opened.value();
  const auto start = Clock::now();
  constexpr std::int64_t kAtOnce = 500;
  for (std::int64_t n = 0; n < rows; n += kAtOnce) {
    const auto done = store.Commit(MakeAlongside(n, std::min(kAtOnce, rows - n)));
    if (!done.ok()) Die(done.error().message());
  }
  const double took = Seconds(Clock::now() - start);
  std::printf("filled %lld audit lines and usage records in %.0f s, %.0f us each\n", static_cast<long long>(rows),
              took, took / static_cast<double>(rows) * 1e6);
  VerifyAgainstReading(store, rows);
  using By = cml::store::UsageQuery::By;
  for (const auto& [by, what] : {std::pair{By::kDay, "usage report by day"}, {By::kOrg, "usage report by organisation"},
                                 {By::kUser, "usage report by user"}, {By::kLabel, "usage report by label"}}) {
    cml::store::UsageQuery query;
    query.by = by;
    query.label = "team";
    query.from = kFirstDay;
    query.until = kFirstDay + std::chrono::days(kDays + 1);
    std::size_t shown = 0;
    Report(what, 20, [&] {
      const auto report = store.ReadUsage(query);
      if (report.ok()) shown = report.value().size();
      return report.ok();
    });
    std::printf("  %zu rows\n", shown);
    query.org = cml::OrgId("7");
    Report("  of one organisation", 20, [&] { return store.ReadUsage(query).ok(); });
  }
  cml::store::UsageListQuery page;
  page.org = cml::OrgId("7");
  page.from = kFirstDay + std::chrono::days(30);
  page.until = kFirstDay + std::chrono::days(31);
  Report("1000 usage records of a day", 50, [&] { return store.ListUsage(page).ok(); });
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path parent = argc > 1 ? argv[1] : ".";
  const std::int64_t rows = argc > 2 ? std::atoll(argv[2]) : 1000000;
  const std::filesystem::path folder = parent / ("store_bench-" + cml::RandomToken(6));
  if (const auto made = cml::MakeFolders(folder); !made.ok()) Die(made.error().message());
  const int part = argc > 3 ? std::atoi(argv[3]) : 0;
  if (part == 0 || part == 1) Throughput(folder);
  if (rows > 0 && (part == 0 || part == 2)) Reads(folder, rows);
  if (rows > 0 && (part == 0 || part == 3)) Accounts(folder, rows);
  return cml::RemoveTree(folder).ok() ? 0 : 1;
}
