#!/bin/sh
# Takes away chains of iptables, and the rules that lead to them.
#
#   iptables.sh PREFIX...      those whose names begin so: KUBE- CNI-
#
# Only what is named is touched, in one transaction a table: other rules stay, and nobody sees a half of it.
set -eu

prefixes=$(printf '|%s' "$@")
prefixes=${prefixes#|}

for family in iptables ip6tables; do
    command -v $family-save >/dev/null 2>&1 || continue
    saved=$($family-save 2>/dev/null) || continue
    script=$(echo "$saved" | awk -v wanted="^($prefixes)" '
        /^\*/ { table = $0; chains = ""; leading = "" }
        /^:/ { name = substr($1, 2); if (name ~ wanted) chains = chains " " name }
        /^-A/ {
            if ($2 ~ wanted) next
            for (i = 3; i < NF; i++)
                if (($i == "-j" || $i == "-g") && $(i + 1) ~ wanted) { sub(/^-A/, "-D"); leading = leading $0 "\n"; next }
        }
        /^COMMIT/ {
            if (chains == "") next
            print table
            n = split(substr(chains, 2), name_of, " ")
            for (i = 1; i <= n; i++) print ":" name_of[i] " - [0:0]"
            printf "%s", leading
            for (i = 1; i <= n; i++) print "-X " name_of[i]
            print "COMMIT"
        }')
    [ -z "$script" ] || echo "$script" | $family-restore --noflush
done
