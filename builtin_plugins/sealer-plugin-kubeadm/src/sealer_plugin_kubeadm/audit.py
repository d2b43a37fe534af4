"""Which requests the audit log of an API server has, and how much of each."""

from __future__ import annotations

# The first rule that fits a request decides. Bodies are logged of changes to RBAC alone: any other may have a secret.
# What components ask all the time is left out; what they change is not.
POLICY = b"""\
# Made by sealer. Who did what, and when: metadata of every change and of what people read.
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  # Never more than metadata of what may be, or have in it, a secret.
  - level: Metadata
    resources:
      - group: ""
        resources: [secrets, configmaps, serviceaccounts/token]
      - group: authentication.k8s.io
        resources: [tokenreviews, tokenrequests]
  # Whether an API server and its parts are alive.
  - level: None
    nonResourceURLs: [/healthz*, /livez*, /readyz*, /metrics*, /version*]
    verbs: [get]
  # What components do all the time.
  - level: None
    users: [system:apiserver]
  - level: None
    resources:
      - group: ""
        resources: [events]
      - group: events.k8s.io
        resources: [events]
      - group: coordination.k8s.io
        resources: [leases]
  - level: None
    userGroups: [system:nodes, system:serviceaccounts:kube-system]
    verbs: [get, list, watch]
  - level: None
    users: [system:kube-controller-manager, system:kube-scheduler, system:kube-proxy]
    verbs: [get, list, watch]
  - level: None
    userGroups: [system:nodes]
    verbs: [update, patch]
    resources:
      - group: ""
        resources: [nodes/status, pods/status]
  - level: None
    users: [system:kube-controller-manager, system:kube-scheduler]
    verbs: [update]
    resources:
      - group: ""
        resources: [endpoints]
  - level: None
    resources:
      - group: authorization.k8s.io
        resources: [subjectaccessreviews]
  # Who may do what: with what was asked for and what came of it.
  - level: RequestResponse
    verbs: [create, update, patch, delete, deletecollection]
    resources:
      - group: rbac.authorization.k8s.io
  - level: Metadata
"""
