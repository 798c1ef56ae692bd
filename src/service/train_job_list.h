// service/train_job_list.h — lists of train jobs: filtered, sorted, page by page. Without a sort, or
// by the time of creation downwards, the store gives the pages and no more rows are read than a page
// and its filters need. Every other order reads all rows that pass the filters, at most kMostSorted.
//
// Thread-safe; blocks as long as the store does. kInvalidArgument: the page, or too many to sort.
#pragma once
#include <span>
#include <string_view>

#include "service/train_jobs.h"

namespace cml::service {

inline constexpr std::size_t kMostSorted = 20'000;

// What one can filter and sort by; the names are those of the answer.
std::span<const std::string_view> TrainJobListFields();

Result<TrainJobPage> ListTrainJobs(const store::TrainJobRows& jobs, const Caller& caller, const TrainJobFilter& filter);

}  // namespace cml::service
