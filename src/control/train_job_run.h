// control/train_job_run.h — turns a train job into the run that a backend executes: the script that
// goes through the steps, its files and its environment. Pure.
//
// Order inside the job (training environment, section 1): prepare_command → packages →
// `python -m module args` (or docker_command) → finish_command, which also runs after a failure and
// finds the exit status in CLOUDML_EXIT_STATUS. What failed is left in /job/status for the backend.
#pragma once
#include <string_view>

#include "core/run.h"
#include "core/train_job.h"

namespace cml::control {

// `package_installer`: the Python program that installs /job/packages into a layer.
RunSpec PlanTrainJobRun(const TrainJob& job, std::string_view package_installer);

// The name of a package's file in the run: the last part of its uri. A wheel's name is its metadata
// and must stay as it is.
std::string PackageFileName(std::string_view uri);

}  // namespace cml::control
