#!/bin/sh
# Looks for what the tests need beside Go and installs what is missing, where it may:
# PostgreSQL >= 15 (every database test), Chromium (the browser test), a C compiler (go test -race).
# It never fails the build: without PostgreSQL the tests download one, without a compiler
# `make test` leaves out -race, without Chromium the browser test says so.
# SETUP=off makes it look only.
set -u

say() { printf 'setup: %s\n' "$*"; }

# postgres_dir prints the directory of the first PostgreSQL >= 15.
postgres_dir() {
	for initdb in "$(command -v initdb)" /usr/lib/postgresql/*/bin/initdb; do
		[ -x "$initdb" ] && [ -x "$(dirname "$(readlink -f "$initdb")")/postgres" ] || continue
		major=$("$initdb" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
		if [ "${major:-0}" -ge 15 ]; then
			dirname "$(readlink -f "$initdb")"
			return 0
		fi
	done
	return 1
}

# browser prints the first one that can be started; Ubuntu's chromium-browser may be a stub.
browser() {
	for name in headless_shell headless-shell chromium chromium-browser google-chrome google-chrome-stable \
		'/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'; do
		path=$(command -v "$name") && "$path" --version >/dev/null 2>&1 && { printf '%s\n' "$path"; return 0; }
	done
	return 1
}

compiler() { command -v "${CC:-gcc}"; }

# install runs apt-get as root; the second and later calls reuse the first one's package lists.
updated=
install() {
	[ "${SETUP:-on}" != off ] && [ -n "$as_root" ] || return 1
	if [ -z "$updated" ]; then
		quiet $as_root apt-get -o DPkg::Lock::Timeout=120 update || return 1
		updated=yes
	fi
	say "installing $*"
	quiet $as_root apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@"
}

# quiet shows a command's output only when it fails.
quiet() {
	output=$("$@" 2>&1 </dev/null) && return 0
	printf '%s\n' "$output" | tail -n 20 >&2
	return 1
}

# install_postgres keeps the package from creating and starting a cluster of its own,
# for as long as the installation takes.
install_postgres() {
	dropin=/etc/postgresql-common/createcluster.d/zz-buildify-setup.conf
	if [ "${SETUP:-on}" != off ] && [ -n "$as_root" ]; then
		$as_root sh -c "mkdir -p ${dropin%/*} && echo 'create_main_cluster = false' >$dropin"
		trap '$as_root rm -f "$dropin"' EXIT
		trap 'exit 130' INT TERM
	fi
	install postgresql postgresql-client
}

# as_root is how to run apt-get without being asked anything; empty where that cannot be.
as_root=
if command -v apt-get >/dev/null && [ -r /etc/debian_version ]; then
	if [ "$(id -u)" = 0 ]; then
		as_root='env DEBIAN_FRONTEND=noninteractive'
	elif sudo -n true 2>/dev/null; then
		as_root='sudo -n env DEBIAN_FRONTEND=noninteractive'
	fi
fi

if dir=$(postgres_dir) || { install_postgres && dir=$(postgres_dir); }; then
	say "PostgreSQL: $dir"
else
	say 'PostgreSQL >= 15 is missing, the tests will download it; to install it: apt-get install postgresql (macOS: brew install postgresql@17)'
fi

if path=$(browser) || { ! grep -q '^ID=ubuntu' /etc/os-release 2>/dev/null && install chromium && path=$(browser); }; then
	say "Chromium: $path"
else
	say 'Chromium is missing, the browser test cannot run; to install it: apt-get install chromium (Ubuntu: snap install chromium, macOS: brew install --cask google-chrome)'
fi

if path=$(compiler) || { install gcc libc6-dev && path=$(compiler); }; then
	say "C compiler: $path"
else
	say 'A C compiler is missing, the tests run without the race detector; to install it: apt-get install gcc libc6-dev'
fi
