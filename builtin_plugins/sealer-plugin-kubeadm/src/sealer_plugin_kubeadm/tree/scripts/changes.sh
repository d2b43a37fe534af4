# shellcheck shell=sh
# What the scripts change on the host, remembered before it is changed, so that it can be taken back: read by the others.
#
# Each script has a directory of its own below $DATA/before: a line in `changes` for every change, in `saved/` the files
# that were there before, and `pending` while something was written that a running program does not know yet. A script
# that was killed anywhere is simply run again; so is its undo.
#
#   file PATH             written by us; the former one is in saved/, if there was one
#   directory PATH        made by us; removed again when it is empty
#   new PATH              was not there; with all that Kubernetes has put into it, it goes again
#   empty PATH            was there, and empty; is emptied again
#   mode PATH MODE        had this mode
#   sysctl NAME VALUE     had this value
#   ...                   anything else is undone by the function undo_... of the script

set -eu
umask 022

SCRIPTS=$(cd "$(dirname "$0")" && pwd -P)
ROOTFS=${SCRIPTS%/*}
# Beside the rootfs: that is replaced when the image is.
DATA=${ROOTFS%/*}
# What the runtime wants to know of this host, a file each; the README of sealer-plugin-kubeadm lists them.
FACTS=$DATA/facts
KEPT=$DATA/before/$(basename "$0" .sh)
# Before paths of the host that tests make up; empty but there.
ROOT=${SEALER_ROOT:-}

# printf: the echo of some shells makes blanks of what stands for blanks.
note() { printf 'note: %s\n' "$*"; }

fail() {
    echo "$*" >&2
    exit 1
}

fact() { # fact NAME VALUE
    mkdir -p "$FACTS"
    [ "$(cat "$FACTS/$1" 2>/dev/null)" = "$2" ] || { echo "$2" >"$FACTS/.$1" && mv "$FACTS/.$1" "$FACTS/$1"; }
}

remembered() { # remembered CHANGE...: whether a line of `changes` is this, or begins with this
    [ -e "$KEPT/changes" ] || return 1
    while read -r known; do
        case "$known " in "$* "*) return 0 ;; esac
    done <"$KEPT/changes"
    return 1
}

remember() { # remember CHANGE...
    remembered "$@" && return
    [ -d "$KEPT" ] || mkdir -p "$KEPT"
    printf '%s\n' "$*" >>"$KEPT/changes"
}

directory() { # directory PATH: there from now on
    [ -z "$1" ] || [ -d "$1" ] && return
    directory "${1%/*}"
    remember directory "$1"
    mkdir "$1"
}

ours_alone() { # ours_alone PATH...: directories that others fill, which go, or are emptied, with us
    for path in "$@"; do
        remembered new "$path" || remembered empty "$path" || remembered used "$path" || {
            if [ ! -e "$path" ]; then
                remember new "$path"
            elif [ -z "$(ls -A "$path")" ]; then
                remember mode "$path" "$(stat -c %a "$path")" # containerd changes that of its own
                remember empty "$path"
            else
                remember used "$path"
            fi
        }
    done
}

left_empty() { # left_empty PATH...: directories that others make, and leave behind
    for path in "$@"; do
        [ -e "$path" ] || remember directory "$path"
    done
}

keep() { # keep PATH: what is there before we write it
    remembered file "$1" && return
    directory "${1%/*}"
    if [ -e "$1" ] || [ -L "$1" ]; then
        mkdir -p "$KEPT/saved${1%/*}"
        cp -a "$1" "$KEPT/saved$1.part"
        mv -f "$KEPT/saved$1.part" "$KEPT/saved$1"
    fi
    remember file "$1"
}

changed() { [ -e "$KEPT/pending" ]; } # whether something was written since `settled`

settled() { rm -f "$KEPT/pending"; }

same() { # same SOURCE TARGET: content and permission
    [ -f "$2" ] && [ ! -L "$2" ] && [ "$(stat -c %a "$1")" = "$(stat -c %a "$2")" ] && cmp -s "$1" "$2"
}

put() { # put SOURCE TARGET: a copy, with the mode of the source
    same "$1" "$2" && return
    keep "$2"
    : >"$KEPT/pending"
    cp "$1" "$2.sealer-new"
    chmod "$(stat -c %a "$1")" "$2.sealer-new"
    mv -f "$2.sealer-new" "$2"
    relabel "$2"
}

put_text() { # put_text TARGET: what comes from standard input, mode 644
    mkdir -p "$KEPT"
    cat >"$KEPT/text"
    chmod 644 "$KEPT/text"
    put "$KEPT/text" "$1"
    rm -f "$KEPT/text"
}

# A program: a hard link where that can be, which takes neither time nor room. The rootfs of the next image consists of new
# files, so what runs stays what it is until this script is run again. Where SELinux is, a program needs a label that
# fits its place. Few processes for each: there are thirty programs, and many hosts may share a machine.
put_program() { # put_program SOURCE TARGET
    if [ -e "$2" ] || [ -L "$2" ]; then
        same "$1" "$2" && return
        keep "$2"
        : >"$KEPT/pending"
        rm -f "$2.sealer-new"
        link_or_copy "$1" "$2.sealer-new"
        mv -f "$2.sealer-new" "$2"
    else
        keep "$2"
        : >"$KEPT/pending"
        link_or_copy "$1" "$2"
    fi
}

link_or_copy() {
    [ -x "$1" ] || chmod 755 "$1"
    if [ -e "$ROOT/sys/fs/selinux/enforce" ] || ! ln "$1" "$2" 2>/dev/null; then
        cp "$1" "$2.sealer-copy"
        mv -f "$2.sealer-copy" "$2"
        relabel "$2"
    fi
}

relabel() {
    [ ! -e "$ROOT/sys/fs/selinux/enforce" ] || ! has restorecon || restorecon "$1"
}

has() { command -v "$1" >/dev/null 2>&1; }

in_container() { has systemd-detect-virt && systemd-detect-virt --quiet --container; }

# Containers on this host use its kernel, and the kernel of a container is that of the machine around it. The first pid
# namespace of every Linux has this number.
FIRST_PID_NAMESPACE='pid:[4026531836]'
SETTINGS_AT_BOOT=$ROOT/etc/sysctl.d/99-sealer.conf
shared=

kernel_shared() { # whether others run on this kernel; then what is set for all of it stays: they may need it by now
    [ -n "$shared" ] || {
        shared=yes
        in_container || [ "$(readlink "$ROOT"/proc/[0-9]*/ns/pid 2>/dev/null | sort -u)" != "$FIRST_PID_NAMESPACE" ] ||
            shared=no
    }
    [ $shared = yes ]
}

sysctl_shared() { # sysctl_shared NAME: every network namespace has its own of the network; only the first has this file
    case $1 in net.*) [ -e "$ROOT/proc/sys/net/core/netdev_budget" ] || return 1 ;; esac
    kernel_shared
}

sysctl_file() { echo "$ROOT/proc/sys/$(echo "$1" | tr . /)"; }

# Values of /proc/sys differ from what is written in blanks only.
sysctl_is() { # sysctl_is NAME: its value; fails where there is none
    tr -s '\t ' '  ' 2>/dev/null <"$(sysctl_file "$1")"
}

# In a container only those of the network are its own.
own_sysctl() { case $1 in net.*) ;; *) ! in_container ;; esac; }

sysctl_wanted() { # sysctl_wanted NAME VALUE: limits are raised only, whatever set them so high
    value=$2
    case $1 in
    *max* | fs.nr_open)
        now=$(sysctl_is "$1") || now=
        case $now$2 in *[!0-9]*) ;; *) [ "${now:-0}" -le "$2" ] || value=$now ;; esac
        ;;
    esac
    echo "$value"
}

keep_sysctl() { # keep_sysctl NAME: Kubernetes will set it
    own_sysctl "$1" || return 0
    remembered sysctl "$1" || ! value=$(sysctl_is "$1") || remember sysctl "$1" "$value"
}

set_sysctl() { # set_sysctl NAME VALUE
    if ! value=$(sysctl_is "$1"); then
        ! own_sysctl "$1" || note "this kernel has no $1"
        return 0
    fi
    wanted=$(sysctl_wanted "$1" "$2")
    [ "$value" != "$wanted" ] || return 0
    if ! own_sysctl "$1"; then
        note "$1 is $value, and is set by the machine around this container; run there: sysctl -w $1=$wanted"
        return 0
    fi
    keep_sysctl "$1"
    echo "$wanted" >"$(sysctl_file "$1")" || fail "$1 cannot be set to $wanted: it is $value"
}

undo_sysctl() { # undo_sysctl NAME VALUE
    name=${1%% *} before=${1#* }
    now=$(sysctl_is "$name") || return 0
    set=$(sed -n "s/^-\{0,1\}$name = //p" "$SETTINGS_AT_BOOT" 2>/dev/null) || set=
    if [ "$now" = "$before" ]; then
        return 0
    elif [ "${set:-$now}" != "$now" ]; then
        note "$name stays $now: somebody else has set it since"
    elif sysctl_shared "$name"; then
        note "$name stays $now, and was $before: others share this kernel"
    else
        echo "$before" >"$(sysctl_file "$name")" || note "$name stays $now, and was $before"
    fi
}

undo_file() {
    if [ -e "$KEPT/saved$1" ] || [ -L "$KEPT/saved$1" ]; then
        cp -a "$KEPT/saved$1" "$1.sealer-new"
        mv -f "$1.sealer-new" "$1"
    else
        rm -f "$1"
    fi
    rm -f "$1.sealer-new" "$1.sealer-copy" "$1.sealer-new.sealer-copy"
}

undo_directory() { rmdir "$1" 2>/dev/null || true; }

undo_new() {
    unmount_below "$1"
    rm -rf --one-file-system "$1" || note "$1 cannot be removed"
}

undo_empty() {
    [ -d "$1" ] || return 0
    unmount_below "$1/"
    find "$1" -xdev -mindepth 1 -delete || note "$1 cannot be emptied"
}

undo_mode() { [ ! -e "${1% *}" ] || chmod "${1##* }" "${1% *}"; }

undo_used() { :; }

unmount_below() { # unmount_below PATH: what is mounted there, the innermost first; PATH/ is not PATH itself
    cut -d' ' -f5 /proc/self/mountinfo | sort -r | while read -r point; do
        case "$point/" in "$1/"* | "${1%/}/"?*) umount -l "$(printf '%b' "$point")" || true ;; esac
    done
}

take_back() { # everything that is remembered, the last change first
    [ -e "$KEPT/changes" ] || return 0
    tac "$KEPT/changes" >"$KEPT/undo"
    while read -r kind rest; do
        "undo_$kind" "$rest" </dev/null
    done <"$KEPT/undo"
    rm -rf "$KEPT"
    rmdir "$DATA/before" 2>/dev/null || true
}

# Units that another program owns are not ours to restart.
runs() { systemctl is-active --quiet "$1"; }

enable_unit() { # enable_unit NAME
    systemctl is-enabled --quiet "$1" 2>/dev/null && return
    remember unit "$1"
    systemctl --quiet enable "$1"
}

undo_unit() {
    systemctl --quiet disable "$1" 2>/dev/null || true
    systemctl stop "$1" 2>/dev/null || true
    systemctl reset-failed "$1" 2>/dev/null || true
}
