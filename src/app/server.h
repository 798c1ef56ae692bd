// app/server.h — `cloudml server`: makes every part, plugs them together, runs until a signal says
// stop. With app/main.cc the only place that names implementations.
#pragma once
#include "app/config.h"
#include "base/result.h"

namespace cml::app {

// Returns after SIGTERM or SIGINT: no new connection, requests under way finished within 8 s,
// controllers stopped after their step. Jobs go on without us.
// kUnavailable: the address or the data folder is in use; kFailedPrecondition: the data are of a
// newer version.
Status RunServer(const Config& config);

// A consistent copy of the database of `data` into `file`, whether a server runs on it or not.
Status BackupServer(const std::filesystem::path& data, const std::filesystem::path& file);

}  // namespace cml::app
