#include "api/route_table.h"

#include <gtest/gtest.h>

namespace cml::api {
namespace {

RouteTable Table() {
  RouteTable t;
  for (const auto& [method, pattern] : {std::pair{"GET", "/cloud_ml/v1/train"}, {"POST", "/cloud_ml/v1/train"},
                                        {"GET", "/cloud_ml/v1/train/{job}"}, {"GET", "/cloud_ml/v1/train/{job}/logs"}}) {
    static constexpr AccessRule kAny{"", "", "test", Least::kViewer};
    t.Add({method, pattern, net::Route::Where::kWorker, {}, &kAny});
  }
  return t;
}

TEST(RouteTableTest, FindsByMethodAndPath) {
  const RouteTable t = Table();
  EXPECT_EQ(t.Find("GET", "/cloud_ml/v1/train").route->pattern, "/cloud_ml/v1/train");
  const auto m = t.Find("GET", "/cloud_ml/v1/train/a%20b/logs");
  EXPECT_EQ(m.route->pattern, "/cloud_ml/v1/train/{job}/logs");
  EXPECT_EQ(m.params, std::vector<std::string>{"a b"});
}

TEST(RouteTableTest, TellsWhichMethodsAPathHas) {
  const auto m = Table().Find("PATCH", "/cloud_ml/v1/train");
  EXPECT_EQ(m.route, nullptr);
  EXPECT_EQ(m.allowed, "GET, POST");
  EXPECT_EQ(Table().Find("GET", "/cloud_ml/v1/trains").allowed, "");
  EXPECT_EQ(Table().Find("GET", "/cloud_ml/v1/train/a/b").route, nullptr);
}

}  // namespace
}  // namespace cml::api
