# Shared by the scripts here: a Python that fits, an environment of its own made from the lock.
# Sourced, not run; bash 3.2 (macOS) is enough. PYTHON names the interpreter, VENV the environment's folder.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${VENV:-$ROOT/.venv}"
case "$VENV" in /*) ;; *) VENV="$PWD/$VENV" ;; esac
# What another environment left behind would be found before what the lock installs.
unset PYTHONHOME PYTHONPATH

say() { printf '%s\n' "$*" >&2; }
die() { say "$@"; exit 1; }

fits() { # fits PYTHON: prints the interpreter's real path if it runs and is one we support
    "$1" -c '
import sys
if (3, 11) <= sys.version_info[:2] < (3, 14) and sys.implementation.name == "cpython" and sys.maxsize > 2**32:
    print(sys.executable)
else:
    sys.exit(1)' 2>/dev/null
}

find_python() { # prints the interpreter to use; wheels for everything exist on 3.12 and 3.11, so those first
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" || die "PYTHON=$PYTHON does not run or is not a 64-bit CPython 3.11, 3.12 or 3.13"
        return
    fi
    # A version manager's shim may stand on the PATH and not run: each candidate is tried, not looked for.
    for candidate in python3.12 python3.11 python3.13 python3 python; do
        if fits "$candidate"; then return; fi
    done
    if command -v uv >/dev/null; then
        candidate="$(uv python find --no-project '>=3.11,<3.14' 2>/dev/null)" && fits "$candidate" && return
        die "Python 3.11, 3.12 or 3.13 is needed. This gets one: uv python install 3.12"
    fi
    die "Python 3.11, 3.12 or 3.13 is needed. This gets one without root, then run this again:" \
        "curl -LsSf https://astral.sh/uv/install.sh | sh && ~/.local/bin/uv python install 3.12 --default"
}

system_packages() { # system_packages REASON PACKAGE...: installs them as root or after a yes, else says how
    local reason="$1" command answer
    shift
    [ $# -gt 0 ] || return 0
    if command -v apt-get >/dev/null; then command="apt-get install -qq -y $*"
    elif command -v dnf >/dev/null; then command="dnf install -y $*"
    elif command -v brew >/dev/null; then command="brew install $*"
    else die "$reason Missing here: $*. Install them, then run this again."
    fi
    case "$command" in
        brew*) ;;
        *) [ "$(id -u)" = 0 ] || command="sudo $command" ;;
    esac
    say "$reason"
    if [ "$(id -u)" != 0 ]; then
        [ -t 0 ] || die "This installs what is missing, then run this again: $command"
        printf 'Run now: %s ? [y/N] ' "$command" >&2
        read -r answer
        case "$answer" in y | Y | yes) ;; *) die "Nothing was installed." ;; esac
    else
        say "Running: $command"
        if command -v apt-get >/dev/null; then export DEBIAN_FRONTEND=noninteractive; apt-get update -qq >&2; fi
    fi
    $command >&2 || die "That did not work; the output above says why."
}

make_venv() { # make_venv PYTHON DIR
    if ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        if command -v uv >/dev/null; then
            uv venv --quiet --seed --python "$1" "$2" >&2
            return
        fi
        # Debian and its children take ensurepip out of their Python; the package bears the version's name.
        system_packages "This Python ($1) cannot make environments." \
            "python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    fi
    "$1" -m venv "$2" >&2
}

build_needs() { # on 3.13 the database driver is built here: a compiler, Python's headers, LevelDB's
    "$1" -c 'import sys; sys.exit(sys.version_info[:2] < (3, 13))' || return 0
    if "$1" -c 'import plyvel' 2>/dev/null; then return 0; fi
    local missing="" compiler=g++ headers=python3-dev leveldb=libleveldb-dev
    if command -v brew >/dev/null; then
        compiler=gcc headers=python@3.13 leveldb=leveldb
        export CPLUS_INCLUDE_PATH="$(brew --prefix)/include${CPLUS_INCLUDE_PATH:+:$CPLUS_INCLUDE_PATH}"
        export LIBRARY_PATH="$(brew --prefix)/lib${LIBRARY_PATH:+:$LIBRARY_PATH}"
    elif command -v dnf >/dev/null && ! command -v apt-get >/dev/null; then
        compiler=gcc-c++ headers=python3-devel leveldb=leveldb-devel
    fi
    c++ --version >/dev/null 2>&1 || missing="$missing $compiler"
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || missing="$missing $headers"
    if c++ --version >/dev/null 2>&1; then
        echo '#include <leveldb/db.h>' | c++ -E -x c++ - >/dev/null 2>&1 || missing="$missing $leveldb"
    else
        [ -e /usr/include/leveldb/db.h ] || missing="$missing $leveldb"
    fi
    # shellcheck disable=SC2086  # a list of names
    system_packages "On Python 3.13 the database driver has no ready build yet and is compiled (with 3.12 it is not)." \
        $missing
}

pip_locked() { # pip_locked PYTHON LOCK...: exactly what the locks name, each file checked against its hash
    local python="$1" lock
    shift
    for lock in "$@"; do
        # Without build isolation, so that the little that comes as source is built by locked tools too.
        "$python" -m pip install -qq --disable-pip-version-check --no-input --no-deps --require-hashes \
            --no-build-isolation -r "$ROOT/requirements/$lock.txt" >&2 ||
            die "The packages could not be installed; the lines above say why. Running this again goes on from here."
    done
}

stamp() { # stamp FILE...: one word that changes with the files' content, the checkout's place and the interpreter
    (cd "$ROOT" && { cat "$@"; printf '%s\n' "$ROOT" "$VENV"; "$VENV/bin/python" -V; } | cksum | tr ' ' '-')
}

step() { # step NAME FILES WORDS COMMAND...: runs the command unless it ran for just these files
    local name="$1" now mark="$VENV/.mailio-$1"
    # shellcheck disable=SC2086  # a list of paths without spaces, under ROOT
    now="$(stamp $2)"
    [ "$(cat "$mark" 2>/dev/null)" != "$now" ] || return 0
    say "$3"
    shift 3
    "$@"
    printf '%s\n' "$now" >"$mark"
}

install_run() {
    build_needs "$VENV/bin/python"
    pip_locked "$VENV/bin/python" build run
}

install_dev() {
    pip_locked "$VENV/bin/python" dev
    # libp2p brings trio-typing, whose stubs of an old trio hide trio's own types from mypy.
    rm -rf "$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/trio-stubs"
}

install_project() {
    (cd "$ROOT" && "$VENV/bin/python" -m pip install -qq --disable-pip-version-check --no-input --no-deps \
        --no-build-isolation --no-index --editable . >&2) || die "The project itself could not be installed."
}

environment() { # environment run|dev: makes or mends $VENV; quick when nothing changed
    local python
    # An environment without pip is one whose making was interrupted.
    if [ -n "${PYTHON:-}" ] || [ ! -x "$VENV/bin/pip" ] || ! fits "$VENV/bin/python" >/dev/null; then
        python="$(find_python)" || exit 1
        if [ ! -x "$VENV/bin/pip" ] || [ "$("$python" -V)" != "$("$VENV/bin/python" -V 2>/dev/null)" ]; then
            [ ! -e "$VENV" ] || [ -e "$VENV/pyvenv.cfg" ] || die "$VENV is there and is no Python environment: VENV=dir names another place."
            say "Making an environment for $("$python" -V) in $VENV"
            rm -rf "$VENV"
            make_venv "$python" "$VENV"
        fi
    fi
    step run "requirements/build.txt requirements/run.txt" "Installing the packages a node needs (a minute or two)" \
        install_run
    if [ "$1" = dev ]; then
        step dev "requirements/dev.txt" "Installing the packages the tests need" install_dev
    fi
    step project "setup.cfg pyproject.toml node/__init__.py" "Installing the project" install_project
}
