#!/bin/sh
# Writes a C++ source that defines PythonKafkaFixture() with the contents of python_kafka_NAME.bin files.
# Usage: embed_fixtures.sh FILE...
set -eu
echo '#include "record/testing/python_kafka_fixtures.h"'
echo 'namespace millrace::record {'
echo 'Slice PythonKafkaFixture(absl::string_view name) {'
for file in "$@"; do
    name=$(basename "$file" .bin)
    printf '  if (name == "%s") {\n    return Slice(\n' "${name#python_kafka_}"
    od -An -v -tx1 "$file" | sed 's/ \(..\)/\\x\1/g; s/^/        "/; s/$/"/'
    printf '        , %d);\n  }\n' "$(wc -c < "$file")"
done
echo '  return Slice();'
echo '}'
echo '}  // namespace millrace::record'
