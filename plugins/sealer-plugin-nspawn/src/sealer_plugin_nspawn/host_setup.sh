# Runs in every host as its first service: what systemd-nspawn leaves to the host.
. /etc/sealer-host
ip link set lo up
ip link set host0 down
ip link set host0 name eth0
ip link set eth0 up
ip address replace "$ADDRESS" dev eth0
ip route replace default via "$GATEWAY"

# Beside a private network systemd-nspawn mounts parts of sysfs only; container runtimes read the others too.
mkdir -p /run/sysfs
mount -t sysfs sysfs /run/sysfs
for part in /run/sysfs/* /run/sysfs/fs/*; do
    place=/sys/${part#/run/sysfs/}
    [ ! -d "$part" ] || [ -e "$place" ] || { mkdir "$place" && mount --bind "$part" "$place"; }
done
umount /run/sysfs
rmdir /run/sysfs

# A kubelet makes control groups of its own and mounts what containers must see.
while read -r _ point _; do
    case $point in
    /sys/fs/cgroup | /sys/fs/cgroup/*) mount -o remount,bind,rw "$point" ;;
    esac
done </proc/self/mounts
mount --make-rshared /
