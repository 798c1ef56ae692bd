// codec/resource_codec.h — how a resource becomes the JSON of its row, and comes back.
//
// The primary template is not defined: each resource R has its specialisation in codec/<R>_json.h
// with these static functions. All are pure and thread-safe.
//
//   static std::string Wish(const R&);                        // the wish as JSON
//   static std::string Record(const R&);                      // the record as JSON
//   static Status FromWish(std::string_view json, R& into);   // kDataLoss: not what Wish() wrote
//   static Status FromRecord(std::string_view json, R& into); // kDataLoss likewise
//   static std::string State(const R&);                       // the word that lists filter by
#pragma once

namespace cml::codec {

template <class R>
struct ResourceCodec;

}  // namespace cml::codec
