#!/bin/sh
# The host itself: kernel modules, settings of the kernel, swap; notes about firewalls.
#
#   system.sh check     refuse a host that cannot become a node; changes nothing
#   system.sh [apply]   prepare it
#   system.sh undo      as it was before
. "$(dirname "$0")/changes.sh"

PORTS="6443 2379-2380 10250 10257 10259 30000-32767 ${RegistryPort:-5000}"
FSTAB=$ROOT/etc/fstab
# What the kubelet and kube-proxy set by themselves, to be given back all the same.
SET_BY_KUBERNETES="vm.overcommit_memory kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys
    kernel.keys.root_maxbytes net.ipv4.conf.all.route_localnet"

check() {
    [ "$(id -u)" = 0 ] || fail "this must be run as root"
    [ -d /run/systemd/system ] || fail "systemd does not run on this host: a node of Kubernetes needs it"
    case ${CgroupDriver:-systemd} in
    systemd | cgroupfs) ;;
    *) fail "CgroupDriver is '$CgroupDriver': it can be systemd or cgroupfs" ;;
    esac
}

apply() {
    modules
    sysctls
    swap_off
    firewall_notes
    selinux_notes
    decide_cgroup_driver
    fact restrict-oom-score-adj "$(oom_scores)"
    settled
}

lines_of() { sed 's/#.*//; s/^[[:space:]]*//; s/[[:space:]]*$//; /^$/d' "$1"; }

modules() {
    found=
    for module in $(lines_of "$ROOTFS/etc/modules.conf"); do
        if module_works "$module"; then
            found="$found$module
"
        elif has modprobe && modprobe --dry-run --quiet "$module" 2>/dev/null; then
            remember module "$module"
            modprobe "$module" || note "the module $module cannot be loaded"
            found="$found$module
"
        else
            note "the kernel has no module $module"
        fi
    done
    printf '%s' "$found" | put_text "$ROOT/etc/modules-load.d/sealer.conf"
}

module_works() {
    [ -d "$ROOT/sys/module/$1" ] && return
    case $1 in
    overlay) grep -qw overlay "$ROOT/proc/filesystems" ;;
    br_netfilter) [ -d "$ROOT/proc/sys/net/bridge" ] ;;
    *) return 1 ;;
    esac
}

undo_module() { kernel_shared || modprobe --remove --quiet "$1" 2>/dev/null || true; }

sysctls() {
    for name in $SET_BY_KUBERNETES; do
        keep_sysctl "$name"
    done
    settings_at_boot | put_text "$SETTINGS_AT_BOOT"
    lines_of "$ROOTFS/etc/sysctl.conf" | while IFS='= ' read -r name value; do
        set_sysctl "${name#-}" "$value"
    done
}

# systemd applies them in containers, too.
settings_at_boot() {
    lines_of "$ROOTFS/etc/sysctl.conf" | while IFS='= ' read -r name value; do
        ! own_sysctl "${name#-}" || echo "$name = $(sysctl_wanted "${name#-}" "$value")"
    done
}

swap_off() {
    if in_container; then
        [ -z "$(swaps)" ] || note "swap is on, and is that of the machine around this container: it stays"
        return
    fi
    swaps | while read -r device _ _ _ priority; do
        remembered swap "$device" || remember swap "$device" "$priority"
        swapoff "$(printf '%b' "$device")" || note "swap on $device stays on"
    done
    # Also what is off at the moment would come back at the next boot.
    [ -f "$FSTAB" ] || return 0
    if grep -Eq '^[[:space:]]*[^#[:space:]]+[[:space:]]+[^[:space:]]+[[:space:]]+swap([[:space:]]|$)' "$FSTAB"; then
        remember fstab
        edit_fstab 's/^[[:space:]]*[^#[:space:]][^[:space:]]*[[:space:]]\{1,\}[^[:space:]]\{1,\}[[:space:]]\{1,\}swap\([[:space:]]\|$\)/#sealer# &/'
    fi
}

swaps() { sed 1d "$ROOT/proc/swaps"; } # device, type, size, used, priority

edit_fstab() {
    cp -a "$FSTAB" "$FSTAB.sealer-new"
    sed "$1" "$FSTAB" >"$FSTAB.sealer-new"
    mv -f "$FSTAB.sealer-new" "$FSTAB"
    systemctl daemon-reload
}

undo_fstab() { [ ! -f "$FSTAB" ] || edit_fstab 's/^#sealer# //'; }

undo_swap() {
    case $1 in
    *" "*) device=${1% *} priority=${1##* } ;;
    *) device=$1 priority= ;;
    esac
    ! swaps | cut -d' ' -f1 | grep -qxF -- "$device" || return 0
    # Those below zero are what the kernel gives by itself.
    case $priority in -*) priority= ;; esac
    swapon ${priority:+--priority "$priority"} "$(printf '%b' "$device")" || note "swap on $device cannot be turned on again"
}

firewall_notes() {
    firewall=
    if runs firewalld; then
        firewall=firewalld
    elif has ufw && ufw status 2>/dev/null | grep -q '^Status: active'; then
        firewall=ufw
    fi
    [ -z "$firewall" ] || note "$firewall is active: let the hosts of the cluster reach each other on TCP $PORTS" \
        "and forward the packets of pods, or stop it"
}

selinux_notes() {
    [ "$(cat "$ROOT/sys/fs/selinux/enforce" 2>/dev/null)" != 1 ] ||
        note "SELinux is enforcing; containers run unconfined. Where a policy of yours denies them files of the host:" \
            "setenforce 0, and SELINUX=permissive in /etc/selinux/config"
}

# Once: a node's driver must not change while it has pods.
decide_cgroup_driver() {
    decided=$(cat "$FACTS/cgroup-driver" 2>/dev/null) || decided=
    if [ -z "$decided" ]; then
        fact cgroup-driver "${CgroupDriver:-$(cgroup_driver)}"
    elif [ "${CgroupDriver:-$decided}" != "$decided" ]; then
        note "the cgroup driver stays $decided: it cannot be changed while the host is in the cluster"
    fi
}

# systemd can be the cgroup driver where it gives its units groups in the hierarchy of memory. In a container it often has
# none to give: there the groups are made without it.
cgroup_driver() {
    groups=$(systemd-run --quiet --wait --pipe --collect -p MemoryAccounting=yes -p TasksAccounting=yes \
        cat /proc/self/cgroup 2>/dev/null </dev/null) || groups=
    if [ -e "$ROOT/sys/fs/cgroup/cgroup.controllers" ]; then
        case $groups in 0::/*.service) echo systemd && return ;; esac
    else
        case $(echo "$groups" | grep -E '^[0-9]+:([a-z_,]+,)?memory(,[a-z_,]+)?:') in
        *.service) echo systemd && return ;;
        esac
    fi
    echo cgroupfs
}

# Without CAP_SYS_RESOURCE in the first user namespace nobody may lower a process's oom_score_adj.
oom_scores() { # true: they are restricted
    capabilities=$(sed -n 's/^CapEff:[[:space:]]*\([0-9a-f]\{1,\}\)$/\1/p' "$ROOT/proc/1/status")
    read -r _ _ users <"$ROOT/proc/self/uid_map"
    if [ "$users" = 4294967295 ] && [ "$((0x$capabilities >> 24 & 1))" = 1 ]; then echo false; else echo true; fi
}

undo() {
    take_back
    rm -rf "$FACTS"
}

"${1:-apply}"
