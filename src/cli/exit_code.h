// cli/exit_code.h — what the command line tells the shell: one table from codes to exit codes, one
// from HTTP statuses to codes. Pure. Documented for users in docs/guide/command_line.md.
#pragma once
#include "base/result.h"

namespace cml::cli {

enum class ExitCode : int {
  kOk = 0,
  kOther = 1,    // none of the rest: an error in the server or in us, a local file
  kUsage = 2,    // what was typed is wrong, as we or the server see it
  kRefused = 3,  // who you are, quota, a name in use, the wrong state
  kNotFound = 4,
  kUnreachable = 5,  // no server, or one that cannot answer now: try again later
  kJobFailed = 6,    // the command did its work, the job it waited for did not
  kBroken = 6,       // … and what it checked (the audit) is not whole
};

constexpr ExitCode ExitCodeOf(Code code) noexcept {
  switch (code) {
    case Code::kInvalidArgument:
      return ExitCode::kUsage;
    case Code::kUnauthenticated:
    case Code::kPermissionDenied:
    case Code::kAlreadyExists:
    case Code::kConflict:
    case Code::kFailedPrecondition:
    case Code::kQuotaExceeded:
    case Code::kThrottled:
    case Code::kKeyReused:
      return ExitCode::kRefused;
    case Code::kNotFound:
      return ExitCode::kNotFound;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
      return ExitCode::kUnreachable;
    case Code::kDataLoss:
    case Code::kInternal:
      return ExitCode::kOther;
  }
  return ExitCode::kOther;
}

// Of a status of 400 and above (cloud_ml v1, 1.1).
constexpr Code CodeOfStatus(int status) noexcept {
  if (status == 401) return Code::kUnauthenticated;
  if (status == 403) return Code::kPermissionDenied;
  if (status == 404) return Code::kNotFound;
  if (status == 409) return Code::kAlreadyExists;
  if (status == 412 || status == 423) return Code::kFailedPrecondition;
  if (status == 422) return Code::kKeyReused;
  if (status == 429) return Code::kThrottled;
  if (status == 502 || status == 503 || status == 504) return Code::kUnavailable;
  if (status >= 500) return Code::kInternal;
  return Code::kInvalidArgument;
}

}  // namespace cml::cli
