#include "service/train_job_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/strings.h"

namespace cml::service {
namespace {

constexpr std::size_t kPage = 1000;  // rows that one read of the store brings
constexpr std::string_view kNewestFirst = "create_time";

std::int64_t Millis(SysTime t) { return t.time_since_epoch().count(); }

// How a field reads, and by which number it is sorted; by its text where there is none.
struct Field {
  std::string_view name;
  std::string (*text)(const TrainJob&);
  std::int64_t (*number)(const TrainJob&) = nullptr;
};

constexpr std::array kFields = {
    Field{"job_name", [](const TrainJob& j) { return j.meta.name; }},
    Field{"state", [](const TrainJob& j) { return codec::ResourceCodec<TrainJob>::State(j); }},
    Field{kNewestFirst, [](const TrainJob& j) { return FormatContractTime(j.meta.created); },
          [](const TrainJob& j) { return Millis(j.meta.created); }},
    Field{"update_time", [](const TrainJob& j) { return FormatContractTime(j.meta.updated); },
          [](const TrainJob& j) { return Millis(j.meta.updated); }},
    Field{"job_id", [](const TrainJob& j) { return j.meta.id.str(); }},
    Field{"module_name", [](const TrainJob& j) { return j.wish.spec.module_name; }},
    Field{"trainer_uri", [](const TrainJob& j) { return j.wish.spec.trainer_uri; }},
    Field{"framework", [](const TrainJob& j) { return j.wish.spec.framework; }},
    Field{"framework_version", [](const TrainJob& j) { return j.wish.spec.framework_version; }},
    Field{"priority_class", [](const TrainJob& j) { return std::string(ToString(j.wish.spec.priority_class)); }},
    Field{"cpu_limit", [](const TrainJob& j) { return j.wish.spec.cpu_limit; },
          [](const TrainJob& j) { return j.record.limits.millicores; }},
    Field{"memory_limit", [](const TrainJob& j) { return j.wish.spec.memory_limit; },
          [](const TrainJob& j) { return j.record.limits.memory_bytes; }},
    Field{"gpu_limit", [](const TrainJob& j) { return std::to_string(j.wish.spec.gpu_limit); },
          [](const TrainJob& j) { return j.wish.spec.gpu_limit; }},
    Field{"node_name", [](const TrainJob& j) { return j.record.placement.node; }},
    Field{"reason", [](const TrainJob& j) { return j.record.reason; }},
    Field{"exit_code", [](const TrainJob& j) { return j.record.exit_code ? std::to_string(*j.record.exit_code) : ""; },
          [](const TrainJob& j) { return static_cast<std::int64_t>(j.record.exit_code.value_or(-1)); }},
    Field{"description", [](const TrainJob& j) { return j.wish.spec.description; }},
};

constexpr auto kNames = [] {
  std::array<std::string_view, kFields.size()> names;
  std::transform(kFields.begin(), kFields.end(), names.begin(), [](const Field& f) { return f.name; });
  return names;
}();

const Field* FindField(std::string_view name) {
  const auto it = std::find_if(kFields.begin(), kFields.end(), [name](const Field& f) { return f.name == name; });
  return it == kFields.end() ? nullptr : &*it;
}

bool Passes(const TrainJob& job, const TrainJobFilter& filter) {
  for (const auto& [name, text] : filter.fields) {
    const Field* field = FindField(name);
    if (field == nullptr || field->text(job) != text) return false;
  }
  for (const auto& [key, value] : filter.labels) {
    const auto it = job.wish.spec.labels.find(key);
    if (it == job.wish.spec.labels.end() || it->second != value) return false;
  }
  return true;
}

Error WrongPage(const std::string& page) {
  return Error(Code::kInvalidArgument, fmt::format("page {}: use next_page of the answer before", Quote(page)));
}

// ---- newest first: a page is "<created ms>.<id>" of the last row that was shown

std::string PageAfter(const TrainJob& job) { return fmt::format("{}.{}", Millis(job.meta.created), job.meta.id.str()); }

Status ReadPage(const std::string& page, store::ListQuery& query) {
  const auto dot = page.find('.');
  const auto millis = ParseInt(std::string_view(page).substr(0, dot));
  if (dot == std::string::npos || !millis) return WrongPage(page);
  query.after_created = SysTime{std::chrono::milliseconds{*millis}};
  query.after_id = ResourceId{page.substr(dot + 1)};
  return Ok{};
}

// Rows from the store, newest first, that pass the filter, until `take` has enough.
template <class Take>
Status Scan(const store::TrainJobRows& jobs, const TrainJobFilter& filter, store::ListQuery query, Take take) {
  while (true) {
    CML_ASSIGN_OR_RETURN(auto rows, jobs.List(query));
    if (!rows.empty()) {  // before the values move on
      query.after_created = rows.back().value.meta.created;
      query.after_id = rows.back().value.meta.id;
    }
    const bool last = rows.size() < query.most;
    for (auto& row : rows) {
      if (Passes(row.value, filter) && !take(std::move(row.value))) return Ok{};
    }
    if (last) return Ok{};
  }
}

Result<TrainJobPage> NewestFirst(const store::TrainJobRows& jobs, const TrainJobFilter& filter, store::ListQuery query) {
  if (!filter.page.empty()) CML_RETURN_IF_ERROR(ReadPage(filter.page, query));
  const bool unfiltered = filter.fields.empty() && filter.labels.empty();
  query.most = filter.most > 0 && unfiltered ? filter.most : kPage;
  TrainJobPage page;
  CML_RETURN_IF_ERROR(Scan(jobs, filter, query, [&](TrainJob job) {
    page.jobs.push_back(std::move(job));
    if (filter.most == 0 || page.jobs.size() < filter.most) return true;
    page.next_page = PageAfter(page.jobs.back());
    return false;
  }));
  return page;
}

// ---- any other order: a page is "<place of the next row>.<id of the last one shown>"

Result<std::size_t> StartOf(const std::string& page, const std::vector<TrainJob>& jobs) {
  const auto dot = page.find('.');
  const auto place = ParseUnsigned(std::string_view(page).substr(0, dot));
  if (dot == std::string::npos || !place) return WrongPage(page);
  const std::string last = page.substr(dot + 1);
  const auto it = std::find_if(jobs.begin(), jobs.end(), [&last](const TrainJob& j) { return j.meta.id.str() == last; });
  if (it != jobs.end()) return static_cast<std::size_t>(it - jobs.begin()) + 1;
  return std::min(jobs.size(), *place == 0 ? 0 : static_cast<std::size_t>(*place - 1));  // it has gone
}

Result<TrainJobPage> Sorted(const store::TrainJobRows& jobs, const TrainJobFilter& filter, store::ListQuery query) {
  const Field* field = FindField(filter.sort);
  if (field == nullptr) return Error(Code::kInvalidArgument, "sort " + Quote(filter.sort) + ": there is no such field");
  query.most = kPage;
  std::vector<TrainJob> all;
  CML_RETURN_IF_ERROR(Scan(jobs, filter, query, [&all](TrainJob job) {
    all.push_back(std::move(job));
    return all.size() <= kMostSorted;
  }));
  if (all.size() > kMostSorted) {
    return Error(Code::kInvalidArgument,
                 fmt::format("sort {}: more than {} jobs cannot be sorted; choose fewer by a filter (state, label), "
                             "or sort by -{}", filter.sort, kMostSorted, kNewestFirst));
  }
  std::stable_sort(all.begin(), all.end(), [&](const TrainJob& x, const TrainJob& y) {
    const TrainJob& a = filter.descending ? y : x;
    const TrainJob& b = filter.descending ? x : y;
    return field->number ? field->number(a) < field->number(b) : field->text(a) < field->text(b);
  });
  std::size_t begin = 0;
  if (!filter.page.empty()) {
    CML_ASSIGN_OR_RETURN(begin, StartOf(filter.page, all));
  }
  const std::size_t left = all.size() - begin;
  const std::size_t end = begin + (filter.most > 0 ? std::min(left, filter.most) : left);
  TrainJobPage page;
  if (end < all.size()) page.next_page = fmt::format("{}.{}", end, all[end - 1].meta.id.str());
  for (std::size_t i = begin; i < end; ++i) page.jobs.push_back(std::move(all[i]));
  return page;
}

}  // namespace

std::span<const std::string_view> TrainJobListFields() { return kNames; }

Result<TrainJobPage> ListTrainJobs(const store::TrainJobRows& jobs, const Caller& caller, const TrainJobFilter& filter) {
  store::ListQuery query;
  if (!filter.all_organisations) query.org = caller.org;
  const bool as_stored = filter.sort.empty() || (filter.sort == kNewestFirst && filter.descending);
  return as_stored ? NewestFirst(jobs, filter, query) : Sorted(jobs, filter, query);
}

}  // namespace cml::service
