# Sourced by the tools: installs the Debian or Ubuntu packages that are missing, and builds.

missing=()

# need_program NAME [PACKAGE]
need_program() {
	command -v "$1" >/dev/null || missing+=("${2:-$1}")
}

need_package() {
	local status
	status=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) || true
	[ "$status" = installed ] || missing+=("$1")
}

need_for_build() {
	need_package build-essential
	need_program meson
	need_program ninja ninja-build
	need_program pkg-config
	local package
	for package in libuv1-dev libhiredis-dev liblmdb-dev libxxhash-dev libcmocka-dev \
		liblua5.4-dev libcurl4-openssl-dev zlib1g-dev libjansson-dev libssl-dev; do
		need_package "$package"
	done
}

need_for_tests() {
	need_program /usr/bin/python3 python3
	need_package python3-redis
	need_program redis-server
	need_program redis-cli redis-tools
	need_program node nodejs
	need_program npm
	need_program php php-cli
	need_package php-redis
	need_program ruby
	need_package ruby-redis
	need_program go golang-go
	need_package golang-github-gomodule-redigo-dev
	need_program clang-format-14
}

# Installs what need_* found missing. Servers among it are not started.
install_missing() {
	[ ${#missing[@]} -gt 0 ] || return 0
	if ! command -v apt-get >/dev/null; then
		echo "These Debian packages, or what they are called here, are missing: ${missing[*]}" >&2
		return 1
	fi
	local as_root=(env DEBIAN_FRONTEND=noninteractive) policy=/usr/sbin/policy-rc.d result=0
	[ "$(id -u)" -eq 0 ] || as_root=(sudo "${as_root[@]}")
	echo "Installing ${missing[*]}" >&2
	if [ -e "$policy" ]; then
		policy=
	else
		printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
		"${as_root[@]}" chmod +x "$policy"
	fi
	{
		"${as_root[@]}" apt-get -qq update &&
			"${as_root[@]}" apt-get -qq install --yes --no-install-recommends "${missing[@]}"
	} </dev/null >&2 || result=$?
	[ -z "$policy" ] || "${as_root[@]}" rm -f "$policy"
	return $result
}

# build_server: build/holdfast-server, release.
build_server() {
	[ -f build/build.ninja ] || meson setup build >&2
	ninja -C build holdfast-server >&2
}
