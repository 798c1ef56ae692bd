// cli/train_job_screen.h — train objects, events and metrics as people read them. Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "cli/text.h"
#include "codec/document.h"

namespace cml::cli {

struct Screen {
  Colours colours = Colours::kOff;
  TimeStyle times = TimeStyle::kExact;
  std::size_t width = 0;  // 0: no limit
  SysTime now{};
};

enum class Columns { kUsual, kWide };
std::string TrainJobTable(const std::vector<codec::Document>& jobs, Columns columns,
                          const Screen& screen);
// `events`: the answer of /events, or null when it could not be had.
std::string TrainJobDescription(const codec::Document& job, const codec::Document& events,
                                const Screen& screen);
std::string EventTable(const codec::Document& events, const Screen& screen);

// "exit 1 after 4m12s: out of memory, …": why it is as it is; empty: nothing to say.
std::string WhyOrResult(const codec::Document& job);
// What to do about a failure with this reason; empty: nothing better than its log.
std::string Remedy(const codec::Document& job);
// "ranker  enqueued   4 GPUs asked, 2 free"; without its newline.
std::string StateLine(const codec::Document& job, Colours colours);

bool IsEnded(std::string_view state);    // completed, modelserved, failed, error
bool IsSuccess(std::string_view state);  // completed, modelserved
// When the state was entered: state_since, else update_time, else create_time.
std::string SinceOf(const codec::Document& job);

}  // namespace cml::cli
