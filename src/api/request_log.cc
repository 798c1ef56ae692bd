#include "api/request_log.h"

#include "base/log.h"

namespace cml::api {

void LogRequest(const RequestLine& line) {
  static const service::Caller nobody;
  const service::Caller& who = line.caller ? *line.caller : nobody;
  Log(line.status >= 500 ? LogLevel::kWarning : LogLevel::kInfo, "request",
      {{"request", line.id},
       {"method", line.method},
       {"path", line.path},
       {"status", line.status},
       {"bytes", line.bytes},
       {"microseconds", line.took.count()},
       {"org", who.home.str()},
       {"user", who.user},
       {"key", who.key.str()},
       {"peer", line.peer}});
}

}  // namespace cml::api
