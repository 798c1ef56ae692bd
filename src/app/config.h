// app/config.h — what a server is told: flags over the configuration file over defaults.
//
// Plain values. ReadConfig refuses a key that it does not know, so that a misspelt one is not
// silently without effect.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "api/front.h"
#include "base/log.h"
#include "base/result.h"
#include "core/billing.h"
#include "core/quota.h"
#include "core/run.h"
#include "net/address_rules.h"
#include "net/http_server.h"

namespace cml::app {

struct Config {
  std::filesystem::path data;
  std::string listen_address = "127.0.0.1";
  std::uint16_t listen_port = 8089;
  net::ServerOptions http;  // limits and TLS; address and port are those above

  // Where clients reach this server besides listen: "host:port" or a URL. A job's fds_endpoint that
  // names one of them is this server.
  std::vector<std::string> public_endpoints;
  // Other object stores whose packages jobs may use (fds_endpoint), "host:port".
  std::vector<std::string> package_hosts;

  std::string default_cpu;      // of a job that names none; empty: half the cores, at most 4
  std::string default_memory;   // empty: a quarter of the machine, at most 8G
  Quota default_quota;          // of organisations that are made; no limits
  Limits capacity;              // to give out; 0: what the machine has
  int fake_gpus = 0;            // for tests
  std::string node_name;
  std::map<std::string, std::string> node_labels;
  // Of jobs: one per organisation, the machine's, or (kBest) the first where it is possible.
  enum class Network { kBest, kOrganisation, kHost } network = Network::kBest;

  std::filesystem::path environments_folder;  // empty: DATA/environments
  std::int64_t first_uid = 200'000;           // of the first organisation, where the server is root
  LogLevel log_level = LogLevel::kInfo;
  std::vector<net::AddressRange> webhook_allow;  // besides public addresses
  LogFormat log_format = LogFormat::kText;
  // rate_limit, log_requests
  api::FrontOptions front{{1000, 2000}, {50, 200}, api::LogRequests::kChanges};
  PriceList prices;                           // empty: nothing costs anything
};

// kInvalidArgument: the file, the key and what is allowed there.
Status ReadConfig(const std::filesystem::path& file, Config& into);

// "127.0.0.1:8089", "[::1]:0", ":8089".
Status ParseListen(const std::string& text, Config& into);

// $CLOUDML_DATA, else ~/.cloudml.
std::filesystem::path DefaultDataFolder();

}  // namespace cml::app
