// store/train_jobs.h — the store's rows of train jobs, with their types.
#pragma once
#include "codec/train_job_json.h"
#include "store/resources.h"

namespace cml::store {

using TrainJobRows = Resources<TrainJob>;

}  // namespace cml::store
