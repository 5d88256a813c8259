#!/usr/bin/env bash
# Make .venv with every package of requirements.lock and the kit itself. `make setup` calls this.
# What the installer fetches has to have the sha256 of requirements.hashes.
#   CPU=1          install a torch without CUDA
#   PYTHON=<file>  use this Python (3.11 or 3.12) instead of the first one found
# ./setup.sh tests adds what only tests need: Chromium and TypeScript for the explorer, triton for the
# kernels. `make test` calls that.
set -euo pipefail
cd "$(dirname "$0")"

venv=.venv
# A new lock, or a moved folder, is a new set-up.
ready=$venv/.ready-$({ pwd -P && cat requirements.lock requirements.hashes; } | cksum | cut -d' ' -f1)
unfinished=$venv/.unfinished
system=$(uname -s)

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }
runs() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' &>/dev/null; }
holds() { compgen -G "$venv/lib/python3*/site-packages/$1" >/dev/null; }
asks_cpu() { [ "${CPU:-0}" = 1 ]; }

apt_install() {
    command -v apt-get >/dev/null || return 1
    local root=()
    if [ "$(id -u)" != 0 ]; then
        sudo -n true &>/dev/null || return 1
        root=(sudo -n)
    fi
    say "installing from the system's packages: $*"
    ${root[@]+"${root[@]}"} apt-get update -qq &&
        ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# The first Python that has the right version and can make a virtual environment. Names are tried by
# running them: a pyenv shim called python3.11 exists even where no Python 3.11 is switched on.
find_python() {
    local python candidates=(python3.11 python3.12 python3
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[12].*/bin/python3)
    if [ -n "${PYTHON:-}" ]; then candidates=("$PYTHON"); fi
    for python in "${candidates[@]}"; do
        if runs "$python" && "$python" -c 'import ensurepip, venv' &>/dev/null; then
            echo "$python"
            return
        fi
    done
    return 1
}

need_python() {
    find_python && return
    if [ -z "${PYTHON:-}" ] && apt_install python3-venv >&2; then find_python && return; fi
    fail "needs Python 3.11 or 3.12 with its venv module; ${PYTHON:-every python3 here} is something else." \
        "Debian 12, Ubuntu 24.04: sudo apt-get install -y python3-venv" \
        "macOS: brew install python@3.11      elsewhere: pyenv install 3.11, or install uv" \
        "Then: make setup      (or name one: make setup PYTHON=/path/to/python3.11)"
}

discard() {
    say "making $venv anew: $1"
    rm -rf $venv.old
    mv $venv $venv.old # in one step: a deletion that is interrupted leaves no half of it in place
    rm -rf $venv.old
}

make_venv() {
    local python
    if [ -e $venv ]; then
        if [ -e $unfinished ] || ! runs $venv/bin/python; then
            discard "it is half-made or its Python is gone"
        elif asks_cpu && holds nvidia; then
            discard "it holds a torch with CUDA and CPU=1 asks for one without"
        fi
    fi
    if [ ! -e $venv ]; then
        if command -v uv >/dev/null; then
            python=$(find_python || echo "${PYTHON:-3.11}") # uv fetches a Python 3.11 if there is none
            uv venv -q --python "$python" $venv
        else
            python=$(need_python)
            "$python" -m venv $venv
        fi
    fi
    touch $unfinished
    rm -f $venv/.ready-*
}

install() {
    local quiet=()
    if [ ! -t 1 ]; then quiet=(-q); fi
    if command -v uv >/dev/null; then
        uv pip install --python $venv/bin/python ${quiet[@]+"${quiet[@]}"} "$@"
    else
        $venv/bin/python -m pip --version &>/dev/null || $venv/bin/python -m ensurepip >/dev/null
        $venv/bin/python -m pip install --disable-pip-version-check ${quiet[@]+"${quiet[@]}"} "$@"
    fi
}

install_packages() {
    local index=()
    if asks_cpu && [ "$system" = Linux ]; then
        index=(--extra-index-url https://download.pytorch.org/whl/cpu)
        # uv stops at the first index that knows a name; torch's CPU builds need the best of all.
        if command -v uv >/dev/null; then index+=(--index-strategy unsafe-best-match); fi
    elif [ "$system" = Linux ] && ! command -v nvidia-smi >/dev/null && ! holds torch; then
        say "no NVIDIA driver here: make setup CPU=1 downloads 1.1 GB instead of up to 3.6 GB"
    fi
    say "installing the packages of requirements.lock into $venv (some minutes)"
    install --require-hashes --no-deps -r requirements.hashes
    # torch and torchvision, as builds for this machine, and the CUDA libraries that they pin
    install ${index[@]+"${index[@]}"} -r requirements.lock
    install --no-deps --no-build-isolation -e .
}

# What `import open3d` links to and a bare Linux lacks, as Debian packages.
missing_libraries() {
    [ "$system" = Linux ] || return 0
    local known pair
    known=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || true)
    for pair in libGL.so.1:libgl1 libEGL.so.1:libegl1 libX11.so.6:libx11-6 libudev.so.1:libudev1 \
        libusb-1.0.so.0:libusb-1.0-0 libidn2.so.0:libidn2-0; do
        case $known in *"${pair%:*}"*) ;; *) echo "${pair#*:}" ;; esac
    done
}

need_libraries() {
    local packages
    packages=$(missing_libraries)
    # shellcheck disable=SC2086  # one word per package
    if [ -n "$packages" ] && ! apt_install $packages; then
        say "Open3D needs libraries of the system that only its owner can install. Type:"
        say "    sudo apt-get install -y" $packages
    fi
}

# Nothing but a few tests needs it, so it is no reason to fail: they skip and say what is missing.
need_browser() {
    if [ -n "${KIT_CHROMIUM:-}" ]; then return; fi
    local name
    for name in chromium chromium-browser google-chrome; do
        if command -v $name >/dev/null; then return; fi
    done
    if [ "$system" != Linux ] || ! apt_install chromium; then
        say "the explorer's browser tests need Chromium and will skip: sudo apt-get install -y chromium"
    fi
}

# The types of the explorer's JavaScript are checked by TypeScript, which needs Node.
need_typescript() {
    if [ -e "$venv/typescript/node_modules/.bin/tsc" ] || ! command -v npm >/dev/null; then return; fi
    npm install --silent --no-audit --no-fund --prefix "$venv/typescript" typescript@5.9.3 >/dev/null ||
        say "TypeScript could not be installed: the test of the explorer's types skips"
}

# Without a GPU, tests run the kernels in Triton's interpreter. The version is the one that torch's
# CUDA build brings.
need_triton() {
    if [ "$system" != Linux ] || holds triton; then return; fi
    install --no-deps triton==3.7.1 || say "triton could not be installed: tests of the kernels skip"
}

# JupyterLab would ask at its first start whether it may fetch news.
quiet_lab() {
    local settings=$venv/share/jupyter/lab/settings
    mkdir -p "$settings"
    printf '%s\n' '{"@jupyterlab/apputils-extension:notification":' \
        '  {"fetchNews": "false", "checkForUpdates": false}}' >"$settings/overrides.json"
}

prove() {
    local python=$PWD/$venv/bin/python error
    if ! error=$(cd / && "$python" -c 'import kit, torch, open3d' 2>&1); then
        local packages
        packages=$(missing_libraries)
        fail "the packages are installed but do not start: ${error##*$'\n'}" \
            ${packages:+"type: sudo apt-get install -y ${packages//$'\n'/ }, then: make setup"}
    fi
}

main() {
    if [ -e "$ready" ] && [ -x $venv/bin/python ] && ! { asks_cpu && holds nvidia; }; then return; fi
    make_venv
    need_libraries
    install_packages
    quiet_lab
    rm -f $unfinished
    prove
    touch "$ready"
    say "ready: make demo, make lab, make test"
}

if [ "${1:-}" = tests ]; then need_browser && need_triton && need_typescript; else main; fi
