# Why Kubernetes does not come up on this host: the last lines of what failed. Changes nothing.
LINES=8

# Each message once, whatever its time: a kubelet repeats itself several times a second.
unique() {
    awk '{ key = $0; sub(/^[A-Z][0-9]+ [0-9:.]+ +[0-9]+ /, "", key); gsub(/[0-9]+(\.[0-9]+)?(ms|s)?/, "N", key) }
        !(key in seen) { seen[key] = 1; print }'
}

# What a program ended with; else its errors; else whatever it said last. A Go program that gives up prints all its
# goroutines after the reason, so that the last lines alone say nothing.
telling() {
    text=$(cat)
    fatal=$(echo "$text" | grep -E '^(F[0-9]{4} |panic: |fatal error: |Error: |.*level=(fatal|panic)|.*"level":"(fatal|panic)")')
    if [ -n "$fatal" ]; then
        echo "$fatal" | unique | tail -n 3
        return
    fi
    errors=$(echo "$text" | grep -E '^E[0-9]{4} |level=error|"level":"error"|[Ff]ailed')
    echo "${errors:-$text}" | unique | tail -n $LINES
}

journal() { timeout 10 journalctl --unit "$1" --lines 600 --no-pager --output cat 2>/dev/null; }

service() {
    state=$(systemctl is-active "$1" 2>/dev/null)
    restarts=$(systemctl show "$1" --property NRestarts 2>/dev/null | cut -d= -f2)
    echo "$1: ${state:-unknown}, restarted ${restarts:-0} times"
    journal "$1" | telling | sed 's/^/  /'
}

[ "$(systemctl is-active containerd 2>/dev/null)" = active ] || service containerd
service kubelet

running=$(timeout 10 ctr -n k8s.io tasks list 2>/dev/null | awk '$3 == "RUNNING" { print $1 }')
for name in etcd kube-apiserver kube-controller-manager kube-scheduler; do
    for id in $(timeout 10 ctr -n k8s.io containers list --quiet \
        "labels.\"io.kubernetes.container.name\"==$name" 2>/dev/null); do
        case " $(echo $running) " in *" $id "*) continue 2 ;; esac
    done
    # The newest log of its last pod; a line begins with a time, the stream, and F or P.
    log=$(ls -t /var/log/pods/kube-system_"$name"-*/"$name"/*.log 2>/dev/null | head -n 1)
    [ -n "$log" ] || continue
    echo "$name: not running"
    tail -n 200 "$log" | sed -E 's/^[^ ]+ (stdout|stderr) [FP] //' | telling | tail -n 5 | sed 's/^/  /'
done
