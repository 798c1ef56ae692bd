// base/result.h — the one error type of the code base: errors are values, and their code says what
// the caller should do.
//
// Thread-safety: plain values. No exception leaves a module; functions that can fail return
// Status or Result<T>.
#pragma once
#include <cstdlib>
#include <string>
#include <utility>
#include <variant>

namespace cml {

// What the CALLER should do, not which line failed. A new code needs a row in api/http_error.h and
// in cli/exit_code.h.
enum class Code {
  kInvalidArgument,     // wrong whatever the server's state is
  kUnauthenticated,     // we do not know who you are
  kPermissionDenied,    // we know, and no
  kNotFound,
  kAlreadyExists,
  kConflict,            // lost a compare-and-swap: read again, then retry
  kFailedPrecondition,  // do not retry until the state is changed
  kQuotaExceeded,
  kThrottled,           // too many requests: this very call, after a pause
  kKeyReused,           // an idempotency key that stands for another request: take a new one
  kUnavailable,         // retry this very call, with back-off
  kDeadlineExceeded,    // outcome unknown: observe before retrying
  kDataLoss,
  kInternal,            // a bug in us
};

class [[nodiscard]] Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  Code code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }  // safe to show to a client
  const std::string& detail() const noexcept { return detail_; }    // for the log only

  // Adds what we were doing, for the log; code and message stay as they are.
  Error While(const std::string& doing) && {
    detail_ = detail_.empty() ? doing : doing + ": " + detail_;
    return std::move(*this);
  }

 private:
  Code code_;
  std::string message_;
  std::string detail_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : v_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const noexcept { return v_.index() == 0; }
  // value() of an error aborts: that is a bug, not a case. The rvalue form returns by value, so
  // that `for (auto& x : F().value())` is safe.
  const T& value() const& {
    if (!ok()) std::abort();
    return *std::get_if<0>(&v_);
  }
  T value() && {
    if (!ok()) std::abort();
    return std::move(*std::get_if<0>(&v_));
  }
  const Error& error() const& { return std::get<1>(v_); }
  Error&& error() && { return std::get<1>(std::move(v_)); }

 private:
  std::variant<T, Error> v_;
};

struct Ok {
  friend bool operator==(const Ok&, const Ok&) = default;
};
using Status = Result<Ok>;

}  // namespace cml

#define CML_CONCAT_(a, b) a##b
#define CML_CONCAT(a, b) CML_CONCAT_(a, b)
#define CML_RETURN_IF_ERROR(expr)                         \
  do {                                                    \
    if (auto s_ = (expr); !s_.ok()) return std::move(s_).error(); \
  } while (false)
#define CML_ASSIGN_OR_RETURN(decl, expr) CML_ASSIGN_(CML_CONCAT(r_, __LINE__), decl, expr)
#define CML_ASSIGN_(tmp, decl, expr)            \
  auto tmp = (expr);                            \
  if (!tmp.ok()) return std::move(tmp).error(); \
  decl = std::move(tmp).value()
