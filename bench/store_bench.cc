// bench/store_bench.cc — what the store does on this disk, beside what the disk itself does.
//
//   store_bench [FOLDER [ROWS]]     default: the working folder, 1,000,000 rows
//
// 1. Durable inserts from 64 threads, interleaved with the floor: one writer that overwrites 4 KiB
//    blocks of a file that is there already and calls fdatasync after each.
// 2. With ROWS finished jobs in it: time to open, point reads, pages of 100, unfinished lists.
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

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path parent = argc > 1 ? argv[1] : ".";
  const std::int64_t rows = argc > 2 ? std::atoll(argv[2]) : 1000000;
  const std::filesystem::path folder = parent / ("store_bench-" + cml::RandomToken(6));
  if (const auto made = cml::MakeFolders(folder); !made.ok()) Die(made.error().message());
  Throughput(folder);
  if (rows > 0) Reads(folder, rows);
  return cml::RemoveTree(folder).ok() ? 0 : 1;
}
