# The first master. Ran it to its end before, it only sees to it that the API server answers.
if [ ! -e "$SEALER_JOINED" ]; then
    begin_anew
    # shellcheck disable=SC2086  # arguments, one word each
    kubeadm init --config "$SEALER_CONFIG" --skip-token-print $SEALER_ARGUMENTS || exit 1
    : >"$SEALER_JOINED"
fi
systemctl start kubelet
until_true 120 ready $ADMIN || fail "the API server of this master does not become ready"
