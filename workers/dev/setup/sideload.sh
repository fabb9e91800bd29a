#!/usr/bin/env bash
# sideload.sh SUITE PREFIX PROGRAMS PACKAGE...
# Unpacks packages of a Debian suite and all they need under PREFIX, with the libc they were built for, and changes nothing
# else on the system. apt checks the signatures. PROGRAMS is a pattern below PREFIX (usr/bin/x); PREFIX is written into what
# it names, so it cannot be moved. Idempotent: a complete PREFIX is left as it is, an incomplete one is made again.
set -euo pipefail

suite=$1
root=$(realpath -m "$2")
programs=$3
shift 3
for tool in apt-get dpkg-deb tar flock; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: side-loading needs a Debian-like system" >&2; exit 3; }
done

mkdir -p "$root"
exec 9>"$root.lock"
flock 9
if [ -e "$root/.complete" ]; then exit 0; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,archives}/partial "$work/empty"

mirror=$(apt-get indextargets --format '$(REPO_URI)' | sort -u | grep -m1 '/debian/\?$' || true)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $suite main" >"$work/sources.list"

# Declared as installed so that apt leaves them out: nothing here that a server started by a test would load.
unneeded=(perl perl-base libperl5.{32,36,38,40,42} postgresql-common{,-dev} postgresql-client-common ssl-cert adduser locales
  tzdata debconf libllvm{11,14,19,20,21} ucf netbase sysvinit-utils dpkg logsave debianutils openssl sensible-utils
  init-system-helpers lsb-base iproute2 dns-root-data)
for package in "${unneeded[@]}"; do
  printf 'Package: %s\nStatus: install ok installed\nMaintainer: none\nArchitecture: amd64\nVersion: 9:999\nDescription: none\n\n' "$package"
done >"$work/status"

apt=(apt-get -qq -o "Dir::State::Lists=$work/lists" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work"
  -o "Dir::Etc::SourceList=$work/sources.list" -o "Dir::Etc::SourceParts=$work/empty" -o "Dir::Etc::PreferencesParts=$work/empty"
  -o APT::Sandbox::User= -o APT::Install-Recommends=0 -o Acquire::Retries=3)
"${apt[@]}" update
"${apt[@]}" -y --download-only install "$@" patchelf >/dev/null

rm -rf "${root:?}"/*
for deb in "$work"/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --no-same-owner --keep-directory-symlink \
    --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale' --exclude='./usr/share/info' \
    --exclude='./usr/lib/postgresql/*/lib/bitcode' --exclude='*/llvmjit*'
done

loader=$(find "$root" -name ld-linux-x86-64.so.2 -print -quit)
libraries=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu
# An rpath rather than LD_LIBRARY_PATH: shells that a server starts (archive_command) must not inherit it.
patch=("$loader" --library-path "$libraries" "$root/usr/bin/patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libraries")
for program in "$root"/$programs; do
  if [ -f "$program" ] && [ "$(head -c4 "$program" | tail -c3)" = ELF ]; then
    "${patch[@]}" "$program"
    some=$program
  fi
done
chmod -R a+rX "$root"
# Not every program has the long word.
"$some" --version 2>/dev/null || "$some" -v
touch "$root/.complete"
