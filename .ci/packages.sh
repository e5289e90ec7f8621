# Sourced by the set-up scripts: Debian packages, each asked for by the thing itself, so that one that came from elsewhere
# counts too; what is there already is left alone. Every line goes to standard error.

say() { echo "${0##*/}: $*" >&2; }
fail() {
    say "$@"
    exit 1
}

missing=()
need() { # PACKAGE WHY TEST...: notes the package where the test fails
    local package=$1 why=$2
    shift 2
    if ! "$@" >/dev/null 2>&1; then
        missing+=("$package")
        say "missing: $package ($why)"
    fi
}

# Without a terminal nobody can type the password.
can_be_root() { [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; }; }
as_root() { # COMMAND...: runs it as root, or ends with the line that root has to run
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        can_be_root || fail "that needs root; run this once, then the same command again: sudo $*"
        sudo=(sudo)
    fi
    "${sudo[@]}" "$@" </dev/null >&2
}
apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@"; }

install_missing() { # Installs what `need` has noted
    [ ${#missing[@]} -gt 0 ] || return 0
    local install=(install -y --no-install-recommends "${missing[@]}")
    command -v apt-get >/dev/null || fail "no apt-get here: install what provides these: ${missing[*]}"
    can_be_root ||
        fail "installing packages needs root; run this once, then the same command again: sudo apt-get ${install[*]}"
    say "apt-get ${install[*]}"
    # A new machine has no package lists, an old one stale ones: only then are they fetched.
    if ! apt-get install --simulate --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
        apt_get update || say "the package lists could not be refreshed (above): trying with those that are there"
    fi
    apt_get "${install[@]}" || { apt_get update && apt_get "${install[@]}"; } ||
        fail "the packages could not be installed (above); when that is mended: sudo apt-get ${install[*]}"
    missing=()
}
