// api/objects/testing/front_fixture.h — requests to the object store's front as a server would
// carry them, without a socket.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/objects/http_date.h"
#include "api/objects/object_routes.h"
#include "crypto/digest.h"
#include "net/signing.h"
#include "objectstore/testing/memory_object_store.h"

namespace cml::api::objects {

class FixedClock final : public Clock {
 public:
  SysTime Now() const override { return now; }
  SysTime now = *ParseBasicIso("20261124T081500Z");
};

struct Answered {
  int status = 0;
  net::Headers headers;
  std::string body;
  std::uint64_t length = 0;  // as the server would announce it
};

class FrontTest : public ::testing::Test {
 protected:
  FrontTest()
      : store_(clock_),
        routes_(
            store_, [](const AccessKey& key) { return Find(key); }, clock_) {}

  static Result<Caller> Find(const AccessKey& key) {
    if (key.str() == "AK1") return Caller{OrgId("1"), Secret("secret1"), Access::kReadWrite, {}};
    if (key.str() == "AK2") return Caller{OrgId("2"), Secret("secret2"), Access::kReadWrite, {}};
    if (key.str() == "VIEW") return Caller{OrgId("1"), Secret("view"), Access::kRead, {}};
    if (key.str() == "LATER") return Error(Code::kUnavailable, "the store is away");
    return Error(Code::kUnauthenticated, "unknown");
  }

  static net::Request Make(std::string method, std::string target, net::Headers headers = {}) {
    net::Request r;
    r.method = std::move(method);
    r.target = std::move(target);
    const std::size_t question = r.target.find('?');
    r.path = net::NormalisePath(std::string_view(r.target).substr(0, question));
    if (question != std::string::npos) r.query = net::ParseQuery(r.target.substr(question + 1));
    r.headers = std::move(headers);
    r.headers.Add("Host", "store");
    r.id = "rq1";
    return r;
  }

  // Hands it over in pieces, as bytes come from a socket.
  Answered Carry(net::Request request, const std::string& body, std::size_t piece = 7) {
    if (!request.headers.Has("Content-Length")) {
      request.headers.Add("Content-Length", std::to_string(body.size()));
    }
    net::Route route = routes_.Route(request);
    EXPECT_NE(static_cast<bool>(route.handle), static_cast<bool>(route.sink));
    if (!route.sink) {
      request.body = body;
      return Read(route.handle(std::move(request)));
    }
    for (std::size_t i = 0; i < body.size(); i += piece) {
      const Status status = route.sink->Write(std::string_view(body).substr(i, piece));
      if (!status.ok()) return Read(route.sink->Failed(status.error()));
    }
    return Read(route.sink->Finish());
  }

  static Answered Read(net::Response response) {
    Answered a{response.status, std::move(response.headers), std::move(response.body), 0};
    while (response.source) {
      auto next = response.source->Next();
      EXPECT_TRUE(next.ok());
      if (!next.ok()) break;
      a.body += next.value().bytes;
      if (next.value().last) break;
    }
    a.length = response.length.value_or(a.body.size());
    return a;
  }

  std::string Now() const {
    std::string text = FormatRfc3339(clock_.now);  // 2026-11-24T08:15:00Z
    std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
    return text;
  }
  net::SigV4Scope Scope(const std::string& key = "AK1") const {
    return {key, Now().substr(0, 8), "us-east-1", "s3"};
  }

  // Signed as organisation 1 with the body's hash.
  Answered S3(const std::string& method, const std::string& target, const std::string& body = "",
              net::Headers headers = {}) {
    return S3As("AK1", "secret1", Make(method, target, std::move(headers)), body);
  }
  Answered S3As(const std::string& key, const std::string& secret, net::Request request,
                const std::string& body = "") {
    const std::string hash = crypto::ToHex(crypto::Digest(crypto::Hash::kSha256, body));
    net::SignSigV4(Secret(secret), Scope(key), Now(), hash, request);
    return Carry(std::move(request), body);
  }

  // <Code> of an error, else the status.
  static std::string CodeOf(const Answered& a) {
    const std::size_t from = a.body.find("<Code>"), to = a.body.find("</Code>");
    if (from == std::string::npos || to == std::string::npos) return std::to_string(a.status);
    return a.body.substr(from + 6, to - from - 6);
  }

  FixedClock clock_;
  objectstore::MemoryObjectStore store_;
  ObjectRoutes routes_;
};

}  // namespace cml::api::objects
