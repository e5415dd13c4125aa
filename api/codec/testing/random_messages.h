// RandomMessage: fills generated messages with random values, for differential tests of codecs.
//
// Only tests and fuzz targets use this. Thread: one at a time.
#ifndef API_CODEC_TESTING_RANDOM_MESSAGES_H_
#define API_CODEC_TESTING_RANDOM_MESSAGES_H_

#include <google/protobuf/message.h>

#include <string>

#include "base/random.h"

namespace millrace::api {

// Values that are likely to be special: 0, -1, limits, small ones.
inline int64_t RandomInt(Random& random) {
  switch (random.Next() % 6) {
    case 0:
      return 0;
    case 1:
      return -1;
    case 2:
      return static_cast<int64_t>(random.Next());
    case 3:
      return INT64_MIN;
    default:
      return static_cast<int64_t>(random.Next() % 1000);
  }
}

inline std::string RandomText(Random& random) {
  std::string text(random.Next() % 20, 'x');
  for (char& c : text) c = static_cast<char>('a' + random.Next() % 26);
  if (random.Next() % 8 == 0) text += "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\x8A";
  return text;
}

inline std::string RandomBlob(Random& random, size_t size) {
  std::string blob(size, '\0');
  for (char& c : blob) c = static_cast<char>(random.Next());
  return blob;
}

// Fills a random subset of the fields, all the way down. Fields named topic_id get 16 bytes.
inline void RandomMessage(Random& random, google::protobuf::Message* message) {
  using google::protobuf::FieldDescriptor;
  const auto* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    if (random.Next() % 4 == 0) continue;
    const int count = field->is_repeated() ? static_cast<int>(random.Next() % 4) : 1;
    for (int n = 0; n < count; ++n) {
      const auto set = [&](auto one, auto many, auto value) {
        if (field->is_repeated()) {
          (reflection->*many)(message, field, value);
        } else {
          (reflection->*one)(message, field, value);
        }
      };
      using R = google::protobuf::Reflection;
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_INT32:
          set(&R::SetInt32, &R::AddInt32, static_cast<int32_t>(RandomInt(random)));
          break;
        case FieldDescriptor::CPPTYPE_INT64:
          set(&R::SetInt64, &R::AddInt64, RandomInt(random));
          break;
        case FieldDescriptor::CPPTYPE_UINT32:
          set(&R::SetUInt32, &R::AddUInt32, static_cast<uint32_t>(RandomInt(random)));
          break;
        case FieldDescriptor::CPPTYPE_UINT64:
          set(&R::SetUInt64, &R::AddUInt64, static_cast<uint64_t>(RandomInt(random)));
          break;
        case FieldDescriptor::CPPTYPE_BOOL:
          set(&R::SetBool, &R::AddBool, random.Next() % 2 == 0);
          break;
        case FieldDescriptor::CPPTYPE_ENUM:
          set(&R::SetEnumValue, &R::AddEnumValue, static_cast<int>(random.Next() % 30));
          break;
        case FieldDescriptor::CPPTYPE_STRING: {
          std::string value = field->type() == FieldDescriptor::TYPE_STRING
                                  ? RandomText(random)
                                  : RandomBlob(random, random.Next() % 300);
          if (field->name() == "topic_id") value = RandomBlob(random, 16);
          if (field->is_repeated()) {
            reflection->AddString(message, field, value);
          } else {
            reflection->SetString(message, field, value);
          }
          break;
        }
        case FieldDescriptor::CPPTYPE_MESSAGE:
          RandomMessage(random, field->is_repeated() ? reflection->AddMessage(message, field)
                                                     : reflection->MutableMessage(message, field));
          break;
        default:
          break;
      }
    }
  }
}

}  // namespace millrace::api

#endif  // API_CODEC_TESTING_RANDOM_MESSAGES_H_
