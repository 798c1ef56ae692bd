#include "app/metrics.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strings.h"

namespace cml::app {
namespace {

class Writer {
 public:
  void Family(std::string_view name, std::string_view type, std::string_view help) {
    out_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  }
  template <class Number>
  void Sample(std::string_view name, Number value) {
    out_ += fmt::format("{} {}\n", name, value);
  }
  template <class Number>
  void One(std::string_view name, std::string_view type, std::string_view help, Number value) {
    Family(name, type, help);
    Sample(name, value);
  }
  std::string Done() && { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace

std::string EncodeMetrics(const ServerFigures& f) {
  Writer w;
  w.Family("cloudml_jobs", "gauge", "Train jobs by what they do now.");
  w.Sample("cloudml_jobs{state=\"waiting\"}", f.jobs_waiting);
  w.Sample("cloudml_jobs{state=\"active\"}", f.jobs_holding);
  w.One("cloudml_ports_held", "gauge", "Ports that tasks of distributed jobs have.", f.ports_held);
  w.Family("cloudml_http_answers_total", "counter", "Answers by status.");
  for (const auto& [status, count] : f.http.answers_by_status) {
    w.Sample(fmt::format("cloudml_http_answers_total{{status=\"{}\"}}", status), count);
  }
  w.One("cloudml_http_requests_total", "counter", "Requests whose head was read.", f.http.requests_total);
  w.One("cloudml_http_connections", "gauge", "Open connections.", f.http.connections_open);
  w.One("cloudml_http_connections_total", "counter", "Connections that were accepted.", f.http.connections_total);
  w.One("cloudml_http_connections_refused_total", "counter", "Connections over the limit.", f.http.connections_refused);
  w.One("cloudml_tls_handshakes_failed_total", "counter", "TLS connections that did not come about.", f.http.tls_failed);
  w.Family("cloudml_budget_percent", "gauge", "Spent of the month's budget, in percent.");
  for (const auto& [org, percent] : f.budgets) {
    w.Sample(fmt::format("cloudml_budget_percent{{org_id=\"{}\"}}", org), percent);
  }
  w.One("process_resident_memory_bytes", "gauge", "Resident memory.", f.resident_bytes);
  w.One("process_cpu_seconds_total", "counter", "User and system time.", f.cpu_seconds);
  w.One("process_start_time_seconds", "gauge", "Start of the process since 1970.", f.started);
  return std::move(w).Done();
}

void ReadProcess(ServerFigures& f) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  f.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  if (const auto statm = ReadFile("/proc/self/statm", 4096); statm.ok()) {
    const auto fields = Split(Trim(statm.value()), ' ');
    if (fields.size() > 1) {
      f.resident_bytes = ParseUnsigned(fields[1]).value_or(0) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    }
  }
}

}  // namespace cml::app
