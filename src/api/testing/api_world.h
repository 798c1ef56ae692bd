// api/testing/api_world.h — the whole API over stores in memory: real services, real signatures, no
// socket. For the tests of api/.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "api/front.h"
#include "api/nodes.h"
#include "api/platform.h"
#include "api/quotas.h"
#include "api/train_jobs.h"
#include "base/file.h"
#include "codec/document.h"
#include "codec/train_job_json.h"
#include "crypto/digest.h"
#include "net/signing.h"
#include "objectstore/testing/memory_object_store.h"
#include "service/audit.h"
#include "store/testing/memory_store.h"

namespace cml::api::testing {

class HandClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now{std::chrono::seconds{1474203860}};
};

class OpenBox final : public service::SecretBox {
 public:
  std::string Seal(std::string_view plain, std::string_view) const override { return std::string(plain); }
  Result<Secret> Open(std::string_view sealed, std::string_view) const override {
    return Secret(std::string(sealed));
  }
};

// Two organisations, vision (1) and speech (2), and keys of every role. A key is named like what it
// is, its secret is "sk".
class ApiWorld : public ::testing::Test {
 protected:
  ApiWorld() {
    vision_ = store_.CreateOrg(Org{{}, "vision", {}, 0}).value().id;
    speech_ = store_.CreateOrg(Org{{}, "speech", {}, 0}).value().id;
    PutKey("admin", vision_, KeyRole::kPlatformAdmin);
    PutKey("member", vision_, KeyRole::kMember);
    PutKey("viewer", vision_, KeyRole::kViewer);
    PutKey("speaker", speech_, KeyRole::kMember);
    for (const OrgId& org : {vision_, speech_}) EXPECT_TRUE(objects_.MakeBucket(org, "default").ok());
    RouteTable table;
    AddTrainJobRoutes(table, {jobs_, orgs_, [this](const RunKey& key, const std::string& role, std::uint32_t index) {
                                return role == "worker" && index == 0 ? LogOf(key) : LogOf(key, role, index);
                              }});
    AddPlatformRoutes(table, {orgs_, "openapi: 3.0.3\n", [this] { return ready_; },
                              [] { return std::string("cloudml_up 1\n"); },
                              [] { return Result<std::vector<codec::RuntimeLine>>({}); },
                              [](const RuntimeRef&) { return Status(Ok{}); },
                              [](const RuntimeRef&) { return Status(Ok{}); }});
    AddQuotaRoutes(table, quotas_);
    AddNodeRoutes(table, nodes_);
    front_ = std::make_unique<Front>(Front::Deps{auth_, &trail_, clock_}, std::move(table), [](const net::Request&, const Admit&) {
      net::Route route;
      route.handle = [](const net::Request&) { return TextOf("a bucket"); };
      return route;
    });
  }

  static net::Response TextOf(std::string text) {
    net::Response r;
    r.body = std::move(text);
    return r;
  }
  void PutKey(const std::string& name, const OrgId& org, KeyRole role) {
    ApiKey key;
    key.access_key = AccessKey{name};
    key.org = org;
    key.role = role;
    key.sealed_secret = "sk";
    EXPECT_TRUE(store_.PutKey(key).ok());
  }
  std::filesystem::path LogOf(const RunKey& key) const { return folder_.path() / ToString(key); }
  std::filesystem::path LogOf(const RunKey& key, const std::string& role, std::uint32_t index) const {
    return folder_.path() / (ToString(key) + "." + role + std::to_string(index));
  }
  void WriteLog(const TrainJob& job, std::uint64_t incarnation, const std::string& text) {
    EXPECT_TRUE(WriteFileAtomically(LogOf({job.meta.id, incarnation}), text).ok());
  }

  // As the server would make it of the bytes on the wire.
  static net::Request Plain(std::string method, const std::string& target, std::string body = "") {
    net::Request rq;
    rq.method = std::move(method);
    rq.target = target;
    const auto question = target.find('?');
    rq.path = net::NormalisePath(std::string_view(target).substr(0, question));
    if (question != std::string::npos) rq.query = net::ParseQuery(std::string_view(target).substr(question + 1));
    rq.body = std::move(body);
    rq.id = "request-1";
    return rq;
  }
  net::Request Signed(const std::string& key, std::string method, const std::string& target, std::string body = "") {
    net::Request rq = Plain(std::move(method), target, std::move(body));
    const std::string stamp = std::to_string(std::chrono::floor<std::chrono::seconds>(clock_.now).time_since_epoch().count());
    const std::string md5 = crypto::ToHex(crypto::Digest(crypto::Hash::kMd5, rq.body));
    rq.headers.Add("X-Xiaomi-Timestamp", stamp);
    rq.headers.Add("X-Xiaomi-Content-MD5", md5);
    rq.headers.Add("X-Xiaomi-Secret-Key-Id", key);
    rq.headers.Add("Authorization", "Galaxy V3 " + net::GalaxyV3Signature(Secret(std::string("sk")), rq.path, stamp, md5));
    return rq;
  }
  net::Response Send(const net::Request& rq) { return front_->Route(rq).handle(rq); }
  net::Response Get(const std::string& target) { return Send(Signed("member", "GET", target)); }

  static codec::Document Json(const net::Response& r) {
    auto parsed = codec::Document::Parse(r.body);
    EXPECT_TRUE(parsed.ok()) << r.body;
    return parsed.ok() ? std::move(parsed).value() : codec::Document();
  }
  static std::string Message(const net::Response& r) { return Json(r).Get("message").Str(); }

  static std::string Body(const std::string& name, const std::string& more = "") {
    return R"({"job_name": ")" + name + R"(", "docker_command": "true")" + more + "}";
  }
  TrainJob Submit(const std::string& name, const std::string& more = "", const std::string& key = "member") {
    const auto r = Send(Signed(key, "POST", "/cloud_ml/v1/train", Body(name, more)));
    EXPECT_EQ(r.status, 200) << r.body;
    clock_.now += std::chrono::seconds{1};
    return rows_.Find(key == "speaker" ? speech_ : vision_, name).value().value;
  }
  // What the controller would do.
  void Record(const TrainJob& job, const std::function<void(TrainJobRecord&)>& change) {
    auto stored = rows_.Get(job.meta.id).value();
    change(stored.value.record);
    EXPECT_TRUE(rows_.SaveRecord(stored, store::LeaderToken{1}, {}).ok());
  }
  void Move(const TrainJob& job, TrainJobState state) {
    Record(job, [state](TrainJobRecord& r) { r.state = state; });
  }
  void Erase(const TrainJob& job) {
    EXPECT_TRUE(rows_.Erase(rows_.Get(job.meta.id).value(), store::LeaderToken{1}).ok());
  }

  const TempFolder folder_;
  HandClock clock_;
  OpenBox box_;
  store::testing::MemoryStore store_;
  objectstore::MemoryObjectStore objects_{clock_};
  store::TrainJobRows rows_{store_};
  service::Orgs orgs_{store_, box_, clock_};
  OrgId vision_, speech_;
  Status ready_ = Ok{};
  std::vector<ResourceId> changed_;
  service::TrainJobs jobs_{{rows_, objects_, orgs_, clock_, {"2", "4G"},
                            [](const std::string& name, const std::string& version) -> Result<RuntimeRef> {
                              return RuntimeRef{name.empty() ? "tensorflow" : name, version.empty() ? "2.15.1" : version};
                            },
                            [](const std::string& endpoint) -> Result<std::string> { return endpoint; },
                            [this](const ResourceId& id) { changed_.push_back(id); }}};
  // As app/ does it.
  service::Quotas quotas_{{store_, clock_,
                           [this](const service::Caller& caller, const OrgId& id, const service::OrgWords& words) -> Status {
                             CML_ASSIGN_OR_RETURN(Org org, store_.GetOrg(id));
                             if (words.name) org.name = *words.name;
                             if (words.mail) org.mail = *words.mail;
                             if (words.project) org.project = *words.project;
                             store::Alongside with;
                             with.audit = service::AuditOf(caller, clock_.now, {"organisation " + id.str(), "", ""});
                             return store_.UpdateOrg(org, with);
                           },
                           {}}};
  ClusterBook book_;
  std::set<std::string> kept_free_;
  service::Nodes nodes_{{store_, clock_, [this] { return book_; },
                         [this](std::set<std::string> nodes) { kept_free_ = std::move(nodes); }}};
  service::AuditTrail trail_{store_, clock_};
  Authenticator auth_{orgs_, clock_, clock_.now};
  std::unique_ptr<Front> front_;
};

}  // namespace cml::api::testing
