#include "trace.h"

#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace cml::bench {
namespace {

[[noreturn]] void GiveUp(const std::string& what) {
  std::fprintf(stderr, "error: %s\n", what.c_str());
  std::exit(2);
}

// Calls `take` with the fields of each line after the header.
template <class Take>
void EachLine(const std::string& path, std::size_t fields, Take take) {
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) GiveUp(path + " cannot be read; see bench/admission/README.md for the data");
  char line[4096];
  for (std::size_t n = 0; gzgets(file, line, sizeof line) != nullptr; ++n) {
    std::vector<std::string> parts{""};
    for (const char* c = line; *c != '\0' && *c != '\n' && *c != '\r'; ++c) {
      if (*c == ',') parts.emplace_back();
      else parts.back() += *c;
    }
    if (n == 0 || (parts.size() == 1 && parts[0].empty())) continue;
    if (parts.size() < fields) GiveUp(path + ": line " + std::to_string(n + 1) + " has too few fields");
    take(parts);
  }
  gzclose(file);
}

std::int64_t Number(const std::string& s) { return std::strtoll(s.c_str(), nullptr, 10); }

std::int64_t Seconds(const std::string& s) {  // 2017-10-09 07:01:55
  std::tm t{};
  if (std::sscanf(s.c_str(), "%d-%d-%d %d:%d:%d", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min,
                  &t.tm_sec) != 6) {
    GiveUp("not a time: " + s);
  }
  t.tm_year -= 1900;
  t.tm_mon -= 1;
  return timegm(&t);
}

}  // namespace

Philly ReadPhilly(const std::string& folder, int sample) {
  Philly trace;
  int line = 0;
  EachLine(folder + "/philly_jobs.csv.gz", 5, [&](const std::vector<std::string>& f) {
    if (line++ % sample != 0) return;
    auto org = std::find(trace.orgs.begin(), trace.orgs.end(), f[4]);
    if (org == trace.orgs.end()) org = trace.orgs.insert(org, f[4]);
    trace.jobs.push_back({Seconds(f[0]) * 1000, static_cast<std::int64_t>(std::strtod(f[1].c_str(), nullptr) * 1000),
                          Number(f[2]), static_cast<int>(org - trace.orgs.begin())});
  });
  if (trace.jobs.empty()) GiveUp("no jobs in the trace");
  std::stable_sort(trace.jobs.begin(), trace.jobs.end(),
                   [](const TraceJob& a, const TraceJob& b) { return a.submit_ms < b.submit_ms; });
  const std::int64_t first = trace.jobs.front().submit_ms;
  for (TraceJob& job : trace.jobs) job.submit_ms -= first;
  return trace;
}

Openb ReadOpenb(const std::string& folder, const std::string& pods) {
  using namespace control::admission;
  Openb trace;
  EachLine(folder + "/openb_node_list_gpu_node.csv.gz", 5, [&](const std::vector<std::string>& f) {
    NodeFacts n{{f[0], Number(f[1]), Number(f[2]) << 20, {}, {}}, NodeUse::kOpen};
    for (int g = 0; g < Number(f[3]); ++g) n.node.gpus.push_back({g, f[4], ""});
    trace.nodes.push_back(std::move(n));
  });
  EachLine(folder + "/openb_pod_list_" + pods + ".csv.gz", 5, [&](const std::vector<std::string>& f) {
    Ask ask{{Number(f[1]), Number(f[2]) << 20, Number(f[3]) * Number(f[4])}, "", {}};
    trace.pods.push_back(std::move(ask));
  });
  return trace;
}

}  // namespace cml::bench
