# Boots one host and keeps it running. Started by boot.py in a mount namespace of its own, so that nothing of what is
# mounted here outlives the host. Standard input is the cluster's lock: whoever waits for it must not go on before
# this process can be found in the host's control groups.
# Arguments: UNIT BRIDGE FILES BASE KEEPER-GROUPS HOST-GROUPS UNWANTED-MOUNTS (the last three one path a line)
set -u
unit=$1 bridge=$2 files=$3 base=$4 keeper=$5 host=$6 unwanted=$7
newline='
'
IFS=$newline
set -f
exec 3<&0 </dev/null
for group in $keeper; do echo 0 >"$group/cgroup.procs" || exit 1; done
exec 3<&-

# This namespace began as a copy of the machine's mounts: those kept here could not be released there.
for point in $unwanted; do umount -l "$point" 2>/dev/null; done
# systemd-nspawn leaves locks and directories in /run when it is killed.
mount -t tmpfs -o mode=755 tmpfs /run || exit 1
mount -t overlay overlay -o "lowerdir=$base,upperdir=$files/upper,workdir=$files/work" "$files/root" || exit 1
log=
[ ! -e /dev/kmsg ] || log=--bind=/dev/kmsg

while :; do
    (
        for group in $host; do echo 0 >"$group/cgroup.procs" || exit 1; done
        # A kubelet writes to /proc/sys and /sys. containerd cannot keep its layers on an overlay.
        SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes exec systemd-nspawn --quiet --boot --register=no --keep-unit \
            --machine="$unit" --directory="$files/root" --network-bridge="$bridge" \
            --resolv-conf=off --timezone=off --link-journal=no --capability=all \
            --system-call-filter="@keyring bpf @mount @module perf_event_open" \
            --bind="$files/containerd:/var/lib/containerd" $log
    )
    # The host wants to reboot: systemd-nspawn leaves that to whoever started it.
    [ $? -eq 133 ] || break
done
