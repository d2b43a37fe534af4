#!/bin/sh
# Programs of the distribution that Kubernetes needs, and a minimal system may lack. Where the image carries packages
# that bring them, they are installed from there, without any network.
#
#   packages.sh check     refuse a host that lacks a program and cannot be given it; changes nothing
#   packages.sh [apply]   install what is missing
#   packages.sh undo      remove what was not installed before
#
# Packages lie in packages/DISTRIBUTION-VERSION, packages/DISTRIBUTION (as /etc/os-release calls them: debian-12,
# rhel-9, ubuntu-24.04), or in packages/ itself. The first of these that has some is taken.
. "$(dirname "$0")/changes.sh"

NEEDED="iptables ip mount nsenter"
WANTED="conntrack socat ethtool"

check() {
    lacks=$(lacking "$NEEDED $WANTED")
    [ -n "$lacks" ] || return 0
    look_at_packages
    # shellcheck disable=SC2046  # one word a program
    missing=$(one_line $(lacking "$NEEDED" | not_brought))
    # shellcheck disable=SC2086
    [ -z "$missing" ] || fail "this host lacks $missing: $(how_to_install $missing), or let the image bring" \
        "packages of $(release names | cut -d' ' -f1)-$(release version) (sealer kubernetes base --packages DIR)"
    # shellcheck disable=SC2046
    missing=$(one_line $(lacking "$NEEDED"))
    if [ -n "$missing" ] && ! changed; then
        said=$(dependencies_are_there) || fail "this host lacks $missing, and the image's packages do not fit it: $said"
    fi
    # shellcheck disable=SC2046
    wanting=$(one_line $(lacking "$WANTED" | not_brought))
    # shellcheck disable=SC2086
    [ -z "$wanting" ] || note "this host has no $wanting; port-forwarding and old connections to services may" \
        "misbehave without: $(how_to_install $wanting)"
}

apply() {
    lacks=$(lacking "$NEEDED $WANTED")
    if changed; then
        install # it was interrupted
    elif [ -n "$lacks" ]; then
        look_at_packages
        if [ "$(echo "$lacks" | not_brought)" = "$lacks" ]; then
            : # nothing of it can be had
        elif said=$(dependencies_are_there); then
            install
        else
            note "the image's packages do not fit this host, and are not installed: $said"
        fi
    fi
    # shellcheck disable=SC2046
    missing=$(one_line $(lacking "$NEEDED"))
    [ -z "$missing" ] || fail "this host lacks $missing"
    # shellcheck disable=SC2046
    fact missing-programs "$(one_line $(lacking "$WANTED"))"
}

look_at_packages() {
    files=$(not_installed)
    brought=$(contents)
}

install() {
    files=$(not_installed)
    if [ -n "$files" ]; then
        remember_packages
        : >"$KEPT/pending"
        said=$(install_files) || fail "the image's packages cannot be installed: $said"
    fi
    settled
}

one_line() { echo "$*"; } # one_line WORD...

lacking() { # lacking "PROGRAM...": those that are not here, a line each
    for program in $1; do
        has "$program" || echo "$program"
    done
}

not_brought() { # of programs, a line each, those that $brought has not
    while read -r program; do
        # What iptables is of several is the choice of its package, once it is installed.
        echo "$brought" | grep -Eq "/s?bin/$program(-nft|-legacy)?\$" || echo "$program"
    done
}

release() { # release names|version: of os-release
    (
        ID='' ID_LIKE='' VERSION_ID=''
        # shellcheck source=/dev/null
        . "$ROOT/etc/os-release" 2>/dev/null || true
        [ "$1" != names ] || echo "$ID $ID_LIKE"
        [ "$1" != version ] || echo "$VERSION_ID"
    )
}

family() {
    case " $(release names) " in
    *" debian "* | *" ubuntu "*) echo debian ;;
    *" rhel "* | *" fedora "* | *" centos "*) echo rhel ;;
    *" suse "* | *" opensuse "*) echo suse ;;
    *) echo other ;;
    esac
}

kind() { # deb or rpm
    case $(family) in
    debian) echo deb ;;
    rhel | suse) echo rpm ;;
    *) if has dpkg; then echo deb; else echo rpm; fi ;;
    esac
}

how_to_install() { # how_to_install PROGRAM...
    family=$(family) packages=
    for program in "$@"; do
        case $family-$program in
        rhel-ip) packages="$packages iproute" ;;
        *-ip) packages="$packages iproute2" ;;
        *-nsenter | rhel-mount | suse-mount) packages="$packages util-linux" ;;
        rhel-conntrack | suse-conntrack) packages="$packages conntrack-tools" ;;
        *) packages="$packages $program" ;;
        esac
    done
    case $family in
    debian) echo "apt-get install$packages" ;;
    rhel) echo "dnf install$packages" ;;
    suse) echo "zypper install$packages" ;;
    *) echo "install$packages" ;;
    esac
}

carried() { # the image's packages for this host, a path a line
    version=$(release version) places=
    for name in $(release names); do
        places="$places $name-$version $name-${version%%.*} $name"
    done
    for place in $places .; do
        if ls "$ROOTFS/packages/$place"/*."$(kind)" 2>/dev/null; then
            return
        fi
    done
}

not_installed() { # those of `carried` that are not here, in whatever version
    carried | while read -r file; do
        [ "$(state_of "$(identity "$file")")" = installed ] || echo "$file"
    done
}

contents() { # what $files bring, a path a line
    for file in $files; do
        case $file in
        *.deb) dpkg-deb --fsys-tarfile "$file" | tar -t ;;
        *.rpm) rpm --query --package --nosignature --list "$file" ;;
        esac
    done
}

identity() { # identity FILE: the package's name
    # shellcheck disable=SC2016  # dpkg's own variables
    case $1 in
    *.deb) dpkg-deb --show --showformat '${Package}:${Architecture}\n' "$1" | sed 's/:all$//' ;;
    *.rpm) rpm --query --package --nosignature --queryformat '%{NAME}\n' "$1" ;;
    esac
}

identities() { # of $files, a line each
    for file in $files; do
        identity "$file"
    done
}

state_of() { # state_of NAME: installed, config-files, anything else that dpkg says, or nothing
    # shellcheck disable=SC2016  # dpkg's own variables
    case $(kind) in
    deb) dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null || true ;;
    rpm) ! rpm --query "$1" >/dev/null 2>&1 || echo installed ;;
    esac
}

# Whether all that $files depend on is here, or among them; prints what is not. dpkg only looks at that when it configures
# packages: it is asked about a list of packages in which they are unpacked already.
dependencies_are_there() {
    # shellcheck disable=SC2086  # paths and names, one word each
    case $(kind) in
    deb)
        rm -rf "$DATA/dpkg"
        mkdir -p "$DATA/dpkg/updates" "$DATA/dpkg/info" "$DATA/dpkg/triggers"
        names=$(identities)
        {
            # Without those that are listed already, as settings of a package that is gone are.
            awk -v names=" $(echo "$names" | sed 's/:.*//' | tr '\n' ' ')" -v RS= -v ORS='\n\n' \
                '{ split($0, line, "\n"); if (!index(names, " " substr(line[1], 10) " ")) print }' /var/lib/dpkg/status
            for file in $files; do
                echo
                dpkg-deb --field "$file" | sed 's/^Package:.*/&\nStatus: install ok unpacked/'
            done
        } >"$DATA/dpkg/status"
        status=0
        manage dpkg --admindir="$DATA/dpkg" --no-act --configure $names || status=1
        rm -rf "$DATA/dpkg"
        return $status
        ;;
    rpm) manage rpm --upgrade --test $files ;;
    esac
}

install_files() { # $files; prints what was said, if they cannot be
    # shellcheck disable=SC2086  # paths, one word each
    case $(kind) in
    deb) manage dpkg --force-confdef --force-confold --install $files ;;
    rpm) manage rpm --upgrade $files ;;
    esac
}

# Somebody else may be at it: a system that has just booted likes to update itself.
manage() { # manage PROGRAM...: prints what it says where it fails
    for _ in $(seq 30); do
        ! said=$(DEBIAN_FRONTEND=noninteractive "$@" 2>&1 </dev/null) || return 0
        case $said in
        *" lock"*) sleep 2 ;;
        *) break ;;
        esac
    done
    echo "$said" | grep -v '^(Reading\|^Selecting\|^Preparing\|^Unpacking\|^Setting up' | head -n 10
    return 1
}

remember_packages() { # those of $files; and of which the settings were there, though the package was not
    names=$(identities)
    for name in $names; do
        [ "$(state_of "$name")" != config-files ] || remember settings "$name"
    done
    # shellcheck disable=SC2086  # names, one word each
    remember "$(kind)" $names
}

undo_settings() { :; }

undo_deb() {
    remove='' purge=''
    for name in $1; do
        case $(state_of "$name") in
        '' | not-installed) continue ;;
        config-files) ;;
        *) remove="$remove $name" ;;
        esac
        remembered settings "$name" || purge="$purge $name"
    done
    # shellcheck disable=SC2086  # names, one word each
    {
        [ -z "$remove" ] || said=$(manage dpkg --force-remove-reinstreq --remove $remove) || note "some of$remove stay installed: $said"
        [ -z "$purge" ] || said=$(manage dpkg --force-remove-reinstreq --purge $purge) || note "some of$purge stay: $said"
    }
}

undo_rpm() {
    remove=''
    for name in $1; do
        [ "$(state_of "$name")" != installed ] || remove="$remove $name"
    done
    # shellcheck disable=SC2086  # names, one word each
    [ -z "$remove" ] || said=$(manage rpm --erase $remove) || note "$remove stay installed: $said"
}

undo() { take_back; }

"${1:-apply}"
