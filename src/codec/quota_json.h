// codec/quota_json.h — quotas and applications for more as JSON (cloud_ml v1, 11.1 and 11.2), and
// the application's document in the store. Pure, thread-safe.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/quota_change.h"

namespace cml::codec {

// The quota object: every value a text.
std::string EncodeQuota(const QuotaStanding& standing);
std::string EncodeQuotas(const std::vector<QuotaStanding>& standings);  // {"data": […]}
std::string EncodeQuotaLimits(const Quota& quota);  // the limits alone, for the audit
std::string EncodeQuotaHolders(const std::vector<QuotaHolder>& holders);  // {"data": […]}

// The body of PUT /quota/{org_id}. null, "-1", "-1.0", "-1.0K" and "INF" mean "no limit"; other
// fields are ignored. kInvalidArgument names the field.
struct QuotaRequest {
  std::string org_id;  // empty: not given
  QuotaChange change;
};
Result<QuotaRequest> DecodeQuotaChange(std::string_view body);

// The mail in the body of POST /quota; empty when there is none, or no body that says one.
std::string DecodeOrgMail(std::string_view body);

// The body of POST /application: what the organisation says; id, org, times and state are not read.
Result<QuotaApplication> DecodeApplicationRequest(std::string_view body);
// The body of grant and decline, which may be empty.
struct ApplicationDecision {
  QuotaAmounts amounts;
  std::string message;
};
Result<ApplicationDecision> DecodeDecision(std::string_view body);

std::string EncodeApplication(const QuotaApplication& application);  // with "error": false (11.2)
std::string EncodeApplications(const std::vector<QuotaApplication>& applications,
                               std::string_view next_page = "");

// The store's form. kDataLoss: not what EncodeApplicationDocument wrote.
std::string EncodeApplicationDocument(const QuotaApplication& application);
Result<QuotaApplication> DecodeApplicationDocument(std::string_view body);

}  // namespace cml::codec
