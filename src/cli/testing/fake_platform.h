// cli/testing/fake_platform.h — a platform that does what a test's script says, over a real socket:
// signatures are checked, train jobs take the next step of their script each time they are looked
// at, and the object store keeps its objects in memory.
//
// Thread-safe. Owns its server; the destructor stops it.
#pragma once
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "codec/document.h"
#include "net/http_server.h"

namespace cml::cli {

inline constexpr const char* kTestAccessKey = "AKTEST0000000001";
inline constexpr const char* kTestSecretKey = "a-secret-of-the-tests";

struct Step {
  std::string state;
  std::string message;
  std::string log;  // written before the state is
  std::string reason = "";
  int exit_code = -1;  // < 0: null
  std::string since = "2026-11-24T07:57:00Z";
};

class FakePlatform {
 public:
  FakePlatform();
  ~FakePlatform();

  std::string url() const;
  void Stop();   // as if it had crashed
  void Start();  // at the same port

  void AddJob(const std::string& name, std::deque<Step> steps);
  // What POST /train makes of every job.
  void ScriptSubmits(std::deque<Step> steps);
  // An answer to every request of this method and path (without query) instead of the usual one.
  void Answer(const std::string& method_and_path, int status, const std::string& body);

  // How many of the next answers with log or object bytes are cut in their middle.
  void CutNext(int times);
  void FailPartsAfter(int parts);  // that many more parts are taken, then 503
  void ForgetOffsets();            // as published servers: no X-Log-Offset, no query `offset`

  std::vector<std::string> requests() const;  // "GET /cloud_ml/v1/train?state=running"
  codec::Document last_submit() const;
  std::string last_body() const;  // of the newest request with one
  std::map<std::string, std::string> objects() const;  // "bucket/key" → bytes
  void PutObject(const std::string& bucket, const std::string& key, const std::string& bytes);
  bool HasBucket(const std::string& bucket) const;
  std::size_t open_uploads() const;
  std::string last_range() const;  // header Range of the last GET of an object

 private:
  struct Job {
    codec::Document object;
    std::deque<Step> steps;
    std::string log;
  };
  struct Upload {
    std::string path;
    std::map<int, std::string> parts;
  };
  class Stream;

  net::Response Handle(const net::Request& request);
  net::Response HandleApi(const net::Request& request);
  net::Response HandleTrain(const net::Request& request, const std::string& rest);
  net::Response HandleStore(const net::Request& request);
  net::Response HandleUpload(const net::Request& request, const std::string& path);
  net::Response SendBytes(std::string bytes, std::uint64_t from, int status);
  void NextStep(Job& job);

  mutable std::mutex mutex_;
  std::map<std::string, Job> jobs_;
  std::deque<Step> submits_;
  std::map<std::string, std::pair<int, std::string>> answers_;
  std::vector<std::string> requests_;
  codec::Document last_submit_;
  std::string last_body_;
  std::map<std::string, std::map<std::string, std::string>> buckets_;
  std::map<std::string, Upload> uploads_;
  std::string last_range_;
  int cuts_ = 0;
  int parts_left_ = 1'000'000;
  bool offsets_ = true;
  std::uint16_t port_ = 0;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace cml::cli
