#include "net/guarded_post.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "net/http_server.h"

namespace cml::net {
namespace {

using namespace std::chrono_literals;

// A server on loopback that answers with `status`.
class GuardedPostTest : public ::testing::Test {
 protected:
  void Start(int status, Headers headers = {}, std::string body = "fine") {
    ServerOptions options;
    auto server = HttpServer::Start(options, [this, status, headers, body](const Request&) {
      Route route;
      route.handle = [this, status, headers, body](const Request& request) {
        ++asked_;
        got_ = request.body;
        Response response;
        response.status = status;
        response.headers = headers;
        response.body = body;
        return response;
      };
      return route;
    });
    ASSERT_TRUE(server.ok()) << server.error().message();
    server_ = std::move(server).value();
  }
  std::string Url(const std::string& host) const { return "http://" + host + ":" + std::to_string(server_->port()) + "/hook"; }
  Result<GuardedReply> Post(const std::string& url) {
    GuardedRequest request;
    request.url = url;
    request.body = "news";
    return GuardedPost(request, allow_);
  }

  std::vector<AddressRange> allow_;
  std::atomic<int> asked_{0};
  std::string got_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(GuardedPostTest, LoopbackIsClosedUntilItIsAllowed) {
  Start(200);
  EXPECT_EQ(Post(Url("127.0.0.1")).error().code(), Code::kInvalidArgument) << "an address is judged at once";
  EXPECT_EQ(Post(Url("localhost")).error().code(), Code::kPermissionDenied) << "a name when it is connected to";
  EXPECT_EQ(asked_, 0);
  allow_ = {*ParseAddressRange("127.0.0.1")};
  const auto reply = Post(Url("127.0.0.1"));
  ASSERT_TRUE(reply.ok()) << reply.error().message();
  EXPECT_EQ(reply.value().status, 200);
  EXPECT_EQ(got_, "news");
}

TEST_F(GuardedPostTest, NoWayOfWritingAnAddressOpensIt) {
  Start(200);
  for (const char* host : {"127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0", "localhost."}) {
    EXPECT_FALSE(Post(Url(host)).ok()) << host;
  }
  EXPECT_EQ(asked_, 0);
}

TEST_F(GuardedPostTest, ARedirectIsAnAnswerAndNotFollowed) {
  Headers headers;
  headers.Add("Location", "/elsewhere");
  Start(302, headers);
  allow_ = {*ParseAddressRange("127.0.0.1")};
  EXPECT_EQ(Post(Url("127.0.0.1")).value().status, 302);
  EXPECT_EQ(asked_, 1);
}

TEST_F(GuardedPostTest, OfALongAnswerTheFirstBytesAreKept) {
  Start(200, {}, std::string(10'000'000, 'x'));
  allow_ = {*ParseAddressRange("127.0.0.1")};
  const auto reply = Post(Url("127.0.0.1"));
  ASSERT_TRUE(reply.ok()) << reply.error().message();
  EXPECT_EQ(reply.value().status, 200);
  EXPECT_EQ(reply.value().body.size(), kMostGuardedReply);
}

TEST(CheckGuardedUrlTest, SaysWhatIsWrong) {
  for (const char* url : {"", "x", "ftp://example.com/", "file:///etc/passwd", "http://user:pw@example.com/", "http://example.com/#x",
                          "http://exa mple.com/", "http://169.254.169.254/latest/meta-data", "http://[fe80::1%25eth0]/"}) {
    EXPECT_EQ(CheckGuardedUrl(url, {}).ok(), false) << url;
  }
  EXPECT_TRUE(CheckGuardedUrl("https://example.com:8443/hooks?x=1", {}).ok());
  EXPECT_TRUE(CheckGuardedUrl("http://8.8.8.8/", {}).ok());
}

}  // namespace
}  // namespace cml::net
