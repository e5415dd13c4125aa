#!/bin/sh
# Writes a C++ source that defines ForeignFixture() with the contents of NAME.bin files.
# Usage: embed_fixtures.sh FILE...
set -eu
echo '#include "record/testing/foreign_fixtures.h"'
echo 'namespace millrace::record {'
echo 'Slice ForeignFixture(absl::string_view name) {'
for file in "$@"; do
    name=$(basename "$file" .bin)
    printf '  if (name == "%s") {\n    return Slice(\n' "$name"
    od -An -v -tx1 "$file" | sed 's/ \(..\)/\\x\1/g; s/^/        "/; s/$/"/'
    printf '        , %d);\n  }\n' "$(wc -c < "$file")"
done
echo '  return Slice();'
echo '}'
echo '}  // namespace millrace::record'
