#!/bin/sh
# The container runtime: containerd with runc and the CNI plugins, under systemd.
#
#   containerd.sh check     refuse a host that has one of its own running; changes nothing
#   containerd.sh [apply]   install and start it; containers that run go on running
#   containerd.sh end       end the kubelet and all containers
#   containerd.sh undo      the same, and leave the host as it was before
#
# Files that are there already (a containerd of the distribution that is not running) are kept aside, and come back.
. "$(dirname "$0")/changes.sh"

UNIT=/etc/systemd/system/containerd.service
CONFIG=/etc/containerd/config.toml
PROGRAMS="containerd containerd-shim-runc-v2 ctr runc crictl"

check() {
    remembered file $UNIT && return
    for service in containerd docker crio k3s k3s-agent; do
        ! runs $service || fail "$service.service runs on this host, and the image brings its own container runtime;" \
            "stop and disable it, if nothing needs it: systemctl disable --now $service"
    done
}

apply() {
    check
    ours_alone /var/lib/containerd /run/containerd /var/lib/cni /opt/containerd /opt/cni /etc/cni
    left_empty /run/netns
    for program in $PROGRAMS; do
        [ ! -f "$ROOTFS/bin/$program" ] || put_program "$ROOTFS/bin/$program" "/usr/local/bin/$program"
    done
    for plugin in "$ROOTFS"/cni/*; do
        put_program "$plugin" "/opt/cni/bin/${plugin##*/}"
    done
    directory /etc/cni/net.d
    directory /etc/containerd/certs.d # read at each pull: where the registry's settings come
    systemd_cgroup=false
    [ "$(cat "$FACTS/cgroup-driver")" != systemd ] || systemd_cgroup=true
    sed "s/@SYSTEMD_CGROUP@/$systemd_cgroup/; s/@RESTRICT_OOM_SCORE_ADJ@/$(cat "$FACTS/restrict-oom-score-adj")/" \
        "$ROOTFS/etc/containerd.toml" | put_text $CONFIG
    put "$ROOTFS/etc/containerd.service" $UNIT
    [ ! -f "$ROOTFS/bin/crictl" ] || put "$ROOTFS/etc/crictl.yaml" /etc/crictl.yaml
    ! changed || systemctl daemon-reload
    enable_unit containerd.service
    if runs containerd; then
        ! changed || systemctl restart containerd
    else
        systemctl start containerd
    fi || fail "containerd does not start: $(journalctl --unit containerd --lines 5 --no-pager --output cat 2>/dev/null)"
    settled
    fact cri-socket unix:///run/containerd/containerd.sock
}

end() {
    ! remembered file $UNIT || end_containers
}

undo() {
    end
    take_back
    systemctl daemon-reload
}

end_containers() {
    systemctl stop kubelet 2>/dev/null || true
    if runs containerd; then
        for namespace in $(ctr_ namespaces list --quiet); do
            for task in $(ctr_ --namespace "$namespace" tasks list --quiet); do
                ctr_ --namespace "$namespace" tasks kill --all --signal SIGKILL "$task" || true
            done
        done
        systemctl stop containerd
    fi
    # The shims outlive containerd, and without them the first processes of containers would.
    processes_of_containers | while read -r process; do
        kill -KILL "$process" 2>/dev/null || true
    done
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ -n "$(processes_of_containers)" ] || break
        sleep 0.1
    done
    remove_pod_networks
    unmount_below /run/containerd
    remove_groups
}

ctr_() { timeout 20 /usr/local/bin/ctr --address /run/containerd/containerd.sock "$@" 2>/dev/null </dev/null; }

# Pods have their control groups below kubepods, unless this host is itself a pod; a shim is known by its name.
processes_of_containers() {
    groups='[:/](kubepods|k8s\.io|kubepods\.slice)(/|-|$)'
    grep -Eqs "$groups" /proc/self/cgroup || grep -Els "$groups" /proc/[0-9]*/cgroup | cut -d/ -f3
    for status in /proc/[0-9]*; do
        case $(tr '\0' ' ' 2>/dev/null <"$status/cmdline") in
        *containerd-shim-runc-v2\ -namespace\ *) echo "${status##*/}" ;;
        esac
    done
}

remove_pod_networks() {
    for place in /run/netns/cni-*; do
        [ -e "$place" ] || continue
        umount -l "$place" 2>/dev/null || true
        rm -f "$place"
    done
}

remove_groups() {
    find /sys/fs/cgroup -depth -type d \( -path '*/kubepods*' -o -path '*/k8s.io*' \) -exec rmdir {} + 2>/dev/null || true
}

"${1:-apply}"
