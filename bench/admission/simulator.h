// bench/admission/simulator.h — replays a trace of jobs on a cluster under one scheduler.
//
// A job makes progress while it runs. A job that was stopped keeps its progress, and each start but the
// first costs 30 s in which its GPUs are held and nothing is done. Time is in whole milliseconds, and the
// same trace and scheduler give the same figures. A scheduler sees a job's progress, and only the baselines
// that are told so see how long it will run.
#pragma once
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/admission/nodes.h"
#include "trace.h"

namespace cml::bench {

inline constexpr std::int64_t kRestartMs = 30'000;
inline constexpr std::int64_t kNever = INT64_MAX / 4;

struct SimJob {
  std::int64_t submit = 0, duration = 0, gpus = 0;
  int org = 0;
  std::int64_t done = 0;       // progress
  std::int64_t charge = 0;     // what is left of a restart
  std::int64_t started = 0;    // of this run
  std::int64_t stopped = -1;   // when it stopped last; -1: never
  std::int64_t held = 0;       // time for which it had its GPUs, in all earlier runs
  std::int64_t end = -1;
  int starts = 0;
  bool waiting = false, running = false;
  std::int64_t left() const { return duration - done; }
};

class Simulator;
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  virtual std::string name() const = 0;
  virtual void Arrived(int /*job*/) {}
  virtual void Ended(int /*job*/) {}
  virtual void Schedule(Simulator& sim) = 0;  // at each event; calls Start and Stop
  virtual std::int64_t Timer(const Simulator& /*sim*/) { return kNever; }  // when to call it at the latest
};

struct Result {
  std::string name;
  double mean = 0, p50 = 0, p90 = 0, p99 = 0, max = 0;  // completion times in seconds
  double utilisation = 0;  // useful GPU time until the last submit ÷ capacity
  double makespan_days = 0;
  double restart_cost = 0;  // GPU time lost to restarts ÷ GPU time held
  std::int64_t restarts = 0;
  // Of all (contended hour, organisation entitled to at least one GPU): the relative distance between the
  // GPU time held and the entitlement.
  double contended_use = 0;  // GPU time held ÷ capacity, in contended hours
  std::size_t hours = 0, pairs = 0;
  double within_5 = 0, off_p50 = 0, off_p95 = 0, off_max = 0;
  double gpu_time_within = 0;  // part of the entitled GPU time that lies in pairs within 5 %
};

class Simulator {
 public:
  Simulator(const Philly& trace, int nodes, int gpus_per_node);
  Result Run(Scheduler& scheduler);

  std::int64_t now() const { return now_; }
  const std::vector<SimJob>& jobs() const { return jobs_; }
  const std::vector<int>& running() const { return running_; }
  std::int64_t capacity() const { return capacity_; }
  const std::vector<control::admission::NodeFacts>& nodes() const { return nodes_; }
  std::size_t orgs() const { return orgs_; }
  void Start(int job);
  void Stop(int job);

  // The gang of a job: whole nodes, and what is left over on one more.
  control::admission::GangAsk GangOf(std::int64_t gpus) const;

 private:
  void Pass(std::int64_t until);
  void Measure(std::int64_t from, std::int64_t until);
  void Fairness(Result& result) const;

  std::vector<SimJob> jobs_;
  std::size_t orgs_;
  std::int64_t capacity_, per_node_;
  std::vector<control::admission::NodeFacts> nodes_;
  std::vector<int> running_;
  std::int64_t now_ = 0, last_submit_ = 0;
  double useful_ = 0, held_ = 0, lost_ = 0;  // GPU milliseconds
  std::int64_t restarts_ = 0;
  std::vector<std::int64_t> wanted_, has_;   // GPUs of each organisation now
  struct Hour {
    std::int64_t contended = 0;  // milliseconds of it
    std::vector<double> got, entitled;
  };
  std::vector<Hour> by_hour_;
};

// Places gangs for the baselines: tightest node first.
class BestFitPlaces {
 public:
  explicit BestFitPlaces(const Simulator& sim);
  bool Take(int job, const control::admission::GangAsk& gang);
  void Give(int job);
  void Suspend(int job);  // its places are free, but known
  bool Resume(int job);   // on the same places; false: they are not free

 private:
  struct Held {
    control::admission::NodeIndex::AskIx ask;
    control::admission::Spot spot;
  };
  control::admission::NodeIndex nodes_;
  std::vector<std::vector<Held>> held_;
};

// baselines.cc
std::unique_ptr<Scheduler> MakeFifo(const Simulator& sim);
std::unique_ptr<Scheduler> MakeEasy(const Simulator& sim);
std::unique_ptr<Scheduler> MakeLas(const Simulator& sim);
std::unique_ptr<Scheduler> MakeSrtf(const Simulator& sim);
// ours.cc. One organisation for all jobs, or one for each virtual cluster. `check`: every so many decisions
// the pure function is asked as well, with a snapshot, and must answer the same; 0: never.
enum class Orgs { kOne, kEach };
std::unique_ptr<Scheduler> MakeOurs(const Simulator& sim, Orgs orgs, const struct PhillyOptions& options);

struct PhillyOptions {
  int sample = 1;
  int check = 0;           // see MakeOurs
  int quantum = 0;         // minutes, instead of the policy's own; 0: its own
  bool baselines = true;
};

// Each prints its table, and the goals beside it.
void RunPhilly(const std::string& folder, const PhillyOptions& options);
void RunOpenb(const std::string& folder);
void RunSpeed();

}  // namespace cml::bench
