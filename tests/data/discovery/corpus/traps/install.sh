#!/bin/bash
set -e
# image: quay.io/never/comment:v1
cat <<EOF | kubectl apply -f -
apiVersion: v1
kind: Pod
spec:
  containers: [{image: "heredoc:1"}]
EOF
