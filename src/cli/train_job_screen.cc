#include "cli/train_job_screen.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace cml::cli {
namespace {

using codec::Document;

std::string Runtime(const Document& job) {
  const std::string name = job.Get("framework").Text();
  if (!name.empty()) return name + " " + job.Get("framework_version").Text();
  const std::string image = job.Get("docker_image").Text();
  return image.empty() ? "–" : image;
}

std::string Gpus(const Document& job) {
  const std::string n = job.Get("gpu_limit").Text();
  return n.empty() || n == "0" ? "–" : n;
}

// How long it ran, or has been running.
std::optional<std::chrono::milliseconds> RunTime(const Document& job, SysTime now) {
  const auto started = ParseTime(job.Get("started_at").Str());
  if (!started) return std::nullopt;
  const auto ended = ParseTime(job.Get("ended_at").Str());
  const auto time = ended.value_or(now) - *started;
  return std::max(time, std::chrono::milliseconds(0));
}

struct Row {
  std::string label, value;
};

// Label and value on a line; short neighbours share one when the screen is wide enough.
std::string Rows(const std::vector<Row>& rows, const Screen& screen) {
  constexpr std::size_t kLabel = 13, kHalf = 48;
  const std::size_t width = screen.width == 0 ? 100 : screen.width;
  const auto one = [&](const Row& r) {
    return Paint(PadRight(r.label, kLabel), Tone::kDim, screen.colours) + r.value;
  };
  std::string out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out += "  ";
    const bool pair = i + 1 < rows.size() && width >= 2 * kHalf &&
                      DisplayWidth(rows[i].value) + kLabel + 2 <= kHalf &&
                      DisplayWidth(rows[i + 1].value) + kLabel + 2 <= kHalf;
    if (pair) {
      out += PadRight(one(rows[i]), kHalf) + one(rows[i + 1]);
      ++i;
    } else {
      out += one(rows[i]);
    }
    out += "\n";
  }
  return out;
}

std::string ListText(const Document& list) {
  std::vector<std::string> parts;
  for (const Document& item : list.Items()) parts.push_back(item.Text());
  return Join(parts, ",");
}

std::string MapText(const Document& map) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : map.Fields())
    parts.push_back(name + "=" + OneLine(value.Text()));
  return Join(parts, "  ");
}

std::string Limits(const Document& job) {
  std::vector<std::string> defaults;
  for (const Document& d : job.Get("defaults").Items()) defaults.push_back(d.Text());
  std::vector<std::string> parts;
  const auto add = [&](const char* field, const std::string& text) {
    if (text.empty()) return;
    const bool was_default = std::ranges::count(defaults, field) > 0;
    parts.push_back(text + (was_default ? " (default)" : ""));
  };
  const auto with = [&](const char* field, const char* unit) {
    const std::string v = job.Get(field).Text();
    return v.empty() ? v : v + unit;
  };
  const bool tasks = !job.Get("cluster_name").Text().empty();
  add("cpu_limit", with("cpu_limit", " CPU"));
  add("memory_limit", with("memory_limit", ""));
  if (Gpus(job) != "–") add("gpu_limit", Gpus(job) + " GPU");
  add("disk_limit", with("disk_limit", " disk"));
  if (const std::int64_t s = job.Get("wall_time_limit").Int(); s > 0) {
    add("wall_time_limit", "at most " + FormatDuration(std::chrono::seconds(s)));
  }
  return Join(parts, " · ") + (tasks && !parts.empty() ? " for each task" : "");
}

std::string UsageText(const Document& usage) {
  const auto bytes = [&](const char* name) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, usage.Get(name).Int()));
  };
  if (bytes("cpu_millis") == 0 && bytes("memory_peak") == 0) return "";
  std::string text = FormatDuration(std::chrono::milliseconds(bytes("cpu_millis"))) + " CPU time";
  if (bytes("memory_bytes") > 0) text += " · " + FormatBytes(bytes("memory_bytes"));
  if (bytes("memory_peak") > 0) text += " (peak " + FormatBytes(bytes("memory_peak")) + ")";
  return text;
}

std::string HeadLine(const Document& job, const Screen& screen) {
  const std::string state = job.Get("state").Text();
  std::string line = Paint(OneLine(job.Get("job_name").Text()), Tone::kBold, screen.colours) +
                     "  " + Paint(state, ToneOfState(state), screen.colours);
  const auto since = ParseTime(SinceOf(job));
  if (since && screen.times == TimeStyle::kAge && !IsEnded(state)) {
    line += " for " + FormatDuration(screen.now - *since);
  } else if (since) {
    line += " " + ShowTime(SinceOf(job), screen.now, screen.times);
  }
  const std::string node = job.Get("node_name").Text();
  if (!node.empty() && (state == "running" || state == "creating")) line += " on " + node;
  return line + "\n";
}

// The tasks of a distributed job, each with where it is and how.
std::string ReplicaLines(const Document& job, const Screen& screen) {
  const std::vector<Document> items = job.Get("replicas").Items();
  if (items.empty()) return "";
  std::string out = "\n  " + Paint("tasks", Tone::kDim, screen.colours) + "\n";
  for (const Document& r : items) {
    const std::string state = r.Get("state").Text();
    std::string line = "  " + PadRight(r.Get("name").Text(), 14) + "  " + PadRight(state, 10) + "  " +
                       PadRight(r.Get("node_name").Text(), 12) + "  " + PadRight(r.Get("address").Text(), 21);
    if (const auto times = r.Get("restarts").Int(); times > 0) {
      line += fmt::format("  {} restart{}", times, times == 1 ? "" : "s");
    }
    if (const std::string gpus = ListText(r.Get("gpus")); !gpus.empty()) line += "  GPU " + gpus;
    if (const std::string message = OneLine(r.Get("message").Text()); !message.empty()) line += "  " + message;
    while (line.ends_with(' ')) line.pop_back();
    if (screen.width > 0) line = Clip(line, screen.width);
    out += Paint(line, ToneOfState(state), screen.colours) + "\n";
  }
  return out;
}

std::string EventLines(const Document& events, const Screen& screen) {
  constexpr std::size_t kMost = 8;
  std::vector<Document> items = events.Get("events").Items();
  if (items.empty()) return "";
  std::string out = "\n  " + Paint("events", Tone::kDim, screen.colours);
  if (items.size() > kMost) {
    out += fmt::format(" (the last {} of {})", kMost, items.size());
    items.erase(items.begin(), items.end() - kMost);
  }
  out += "\n";
  for (const Document& e : items) {
    const std::string count =
        e.Get("count").Int(1) > 1 ? fmt::format(" (×{})", e.Get("count").Int()) : "";
    std::string line =
        "  " + PadRight(ShowTime(e.Get("lastTimestamp").Str(), screen.now, screen.times), 10) +
        "  " + PadRight(e.Get("reason").Text(), 16) + "  " + OneLine(e.Get("message").Text()) +
        count;
    if (screen.width > 0) line = Clip(line, screen.width);
    out += Paint(line, e.Get("type").Str() == "Warning" ? Tone::kWaiting : Tone::kPlain,
                 screen.colours) +
           "\n";
  }
  return out;
}

}  // namespace

bool IsSuccess(std::string_view state) { return state == "completed" || state == "modelserved"; }
bool IsEnded(std::string_view state) {
  return IsSuccess(state) || state == "failed" || state == "error";
}

std::string SinceOf(const Document& job) {
  for (const char* name : {"state_since", "update_time", "create_time"}) {
    if (const std::string t = job.Get(name).Str(); !t.empty()) return t;
  }
  return "";
}

std::string WhyOrResult(const Document& job) {
  const std::string state = job.Get("state").Text();
  std::string message = OneLine(job.Get("message").Text());
  if (state != "failed" && state != "error") return message;
  std::string head;
  const Document code = job.Get("exit_code");
  if (!code.IsNull() && code.Int() != 0) head = fmt::format("exit {}", code.Int());
  if (const auto time = RunTime(job, {}); time && !job.Get("ended_at").IsNull()) {
    head += (head.empty() ? "" : " ") + std::string("after ") + FormatDuration(*time);
  }
  if (message.empty()) message = job.Get("reason").Text();
  if (message == fmt::format("exit status {}", code.Int())) return head;
  // The server's sentence may well have the same number in it.
  for (const char* form : {"exit {}", "exit status {}"}) {
    const std::string said = fmt::format(fmt::runtime(form), code.Int());
    if (!code.IsNull() && message.find(said) != std::string::npos) return message;
  }
  if (head.empty()) return message;
  return message.empty() ? head : head + ": " + message;
}

std::string Remedy(const Document& job) {
  const std::string reason = job.Get("reason").Text();
  const std::string name = job.Get("job_name").Text();
  const auto limit = [&](const char* field) {
    const std::string v = job.Get(field).Text();
    return v.empty() ? std::string() : " (it had " + v + ")";
  };
  if (reason == "OutOfMemory") {
    return "give it more memory: submit it again with -M" + limit("memory_limit");
  }
  if (reason == "DiskLimit") {
    return "give it more disk: submit it again with --disk_limit" + limit("disk_limit") +
           ", or write large files to its bucket below /fds";
  }
  if (reason == "WallTimeLimit") {
    return "give it more time: submit it again with --wall_time_limit";
  }
  if (reason == "PackageError") {
    return "the package needs a setup.py or requirements.txt at its top; try it alone: pip "
           "install " +
           job.Get("trainer_uri").Text();
  }
  if (reason == "EnvironmentError") {
    return "see which environments there are: cloudml runtimes list";
  }
  if (reason == "StartTimeout") {
    return "give its start more time: submit it again with --start_timeout" + limit("start_timeout");
  }
  if (reason == "RunLost" || reason == "StartFailed" || reason == "PortLost") {
    return "not the program's fault; start it again: cloudml jobs start " + name;
  }
  return "";
}

std::string StateLine(const Document& job, Colours colours) {
  const std::string state = job.Get("state").Text();
  std::string line = OneLine(job.Get("job_name").Text()) + "  " +
                     Paint(PadRight(state, 9), ToneOfState(state), colours);
  const std::string why = WhyOrResult(job);
  if (!why.empty()) line += "  " + why;
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

std::string TrainJobTable(const std::vector<Document>& jobs, Columns columns,
                          const Screen& screen) {
  const bool wide = columns == Columns::kWide;
  std::vector<Column> titles = {{"NAME"}, {"STATE"}, {"SINCE"}, {"RUNTIME"}, {"GPU"}};
  // Names alone tell jobs apart while all are of one organisation.
  const bool several = std::ranges::any_of(jobs, [&](const Document& job) {
    return job.Get("org_name").Text() != jobs.front().Get("org_name").Text();
  });
  if (several) titles.insert(titles.begin() + 1, {"ORG"});
  if (wide) {
    for (const char* t : {"CPU", "MEMORY", "PRIORITY", "NODE", "RETRIES", "CREATED", "ID"}) {
      titles.push_back({t});
    }
  }
  titles.push_back({"WHY / RESULT"});
  Table table(std::move(titles));
  for (const Document& job : jobs) {
    const std::string state = job.Get("state").Text();
    std::vector<Table::Cell> row = {{job.Get("job_name").Text()},
                                    {state, ToneOfState(state)},
                                    {ShowTime(SinceOf(job), screen.now, screen.times)},
                                    {Runtime(job)},
                                    {Gpus(job)}};
    if (several) row.insert(row.begin() + 1, {job.Get("org_name").Text()});
    if (wide) {
      for (const char* field :
           {"cpu_limit", "memory_limit", "priority_class", "node_name", "retries"}) {
        row.push_back({job.Get(field).Text()});
      }
      row.push_back({ShowTime(job.Get("create_time").Str(), screen.now, screen.times)});
      row.push_back({job.Get("job_id").Text()});
    }
    row.push_back({WhyOrResult(job)});
    table.Add(std::move(row));
  }
  return table.Render(screen.colours, screen.width);
}

std::string TrainJobDescription(const Document& job, const Document& events, const Screen& screen) {
  std::string out = HeadLine(job, screen);
  if (const std::string why = WhyOrResult(job); !why.empty()) out += "  " + why + "\n";
  if (const std::string remedy = Remedy(job);
      job.Get("state").Str() == "failed" && !remedy.empty()) {
    out += "  → " + remedy + "\n";
  }
  std::vector<Row> rows;
  const auto add = [&](const char* label, const std::string& value) {
    if (!value.empty()) rows.push_back({label, OneLine(value)});
  };
  const auto field = [&](const char* name) { return job.Get(name).Text(); };
  add("description", field("description"));
  add("module", field("module_name") + (field("job_args").empty() ? "" : "  " + field("job_args")));
  add("command", field("docker_command"));
  add("package", field("trainer_uri"));
  std::string runtime = Runtime(job) == "–" ? "" : Runtime(job);
  for (const Document& d : job.Get("defaults").Items()) {
    if (d.Str() == "framework" && !runtime.empty()) runtime += " (default)";
  }
  add("runtime", runtime);
  add("limits", Limits(job));
  add("priority", field("priority_class"));
  add("used", UsageText(job.Get("usage")));
  if (const auto time = RunTime(job, screen.now)) {
    add("ran",
        FormatDuration(*time) + (job.Get("retries").Int() > 0
                                     ? fmt::format(" · {} retries of {}", job.Get("retries").Int(),
                                                   field("max_retries"))
                                     : ""));
  }
  add("cost so far", field("cost_so_far"));
  add("node wanted", field("node_selector"));
  add("environment", MapText(job.Get("env")));
  add("labels", MapText(job.Get("labels")));
  add("before it", field("prepare_command"));
  add("after it", field("finish_command"));
  add("output", field("job_dir"));
  add("bucket", field("fds_bucket").empty() ? "" : "fds://" + field("fds_bucket"));
  add("cluster", field("cluster_name"));
  add("created", ShowTime(field("create_time"), screen.now, screen.times));
  add("id", field("job_id") + (field("org_name").empty() ? "" : "  of " + field("org_name")));
  out += Rows(rows, screen);
  out += ReplicaLines(job, screen);
  return out + EventLines(events, screen);
}

std::string EventTable(const Document& events, const Screen& screen) {
  Table table({{"WHEN"}, {"TYPE"}, {"REASON"}, {"COUNT"}, {"MESSAGE"}});
  for (const Document& e : events.Get("events").Items()) {
    const std::string type = e.Get("type").Text();
    table.Add({{ShowTime(e.Get("lastTimestamp").Text(), screen.now, screen.times)},
               {type, type == "Warning" ? Tone::kWaiting : Tone::kPlain},
               {e.Get("reason").Text()},
               {e.Get("count").Text()},
               {e.Get("message").Text()}});
  }
  return table.Render(screen.colours, screen.width);
}

}  // namespace cml::cli
