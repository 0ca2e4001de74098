#!/usr/bin/env bash
# Compares the manifests with the schemas of Kubernetes, strictly: deploy/try-manifests.sh [VERSION]. No cluster is asked.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
version=${1:-1.32}

for tool in kubectl kubernetes-validate; do
    command -v "$tool" >/dev/null || {
        echo "not tried: the manifests, which want kubectl and kubernetes-validate (pip install kubernetes-validate)"
        exit 0
    }
done
built=$(mktemp --suffix .yaml)
trap 'rm -f "$built"' EXIT
kubectl kustomize "$here/kubernetes" >"$built"
kubernetes-validate --strict --kubernetes-version "$version" "$built"
