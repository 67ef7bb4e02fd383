#!/bin/sh
# Usage: unchanged.sh COMMAND...
# Runs the command and fails when it changed, added or removed a file of the repository.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build

sums() { find . \( -path ./.git -o -path ./build \) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; }

sums >build/sums.before
"$@"
sums >build/sums.after
diff -U0 build/sums.before build/sums.after || {
	echo "These files changed under: $*. Run it and commit the result." >&2
	exit 1
}
