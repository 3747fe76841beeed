"""The example of a cluster on Kubernetes has only fields that KubeRay documents, and agrees with this version."""

from __future__ import annotations

import re
from typing import Any

import yaml

from tools.repository import ROOT

EXAMPLE = ROOT / "examples" / "kubernetes" / "raycluster.yaml"
# https://docs.ray.io/en/master/cluster/kubernetes/references/api.html, ray.io/v1
CLUSTER = {"autoscalerOptions", "authOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions"}
CLUSTER |= {"headGroupSpec", "headServiceAnnotations", "rayVersion", "suspend", "managedBy", "workerGroupSpecs"}
HEAD = {"template", "headService", "enableIngress", "labels", "resources", "rayStartParams", "serviceType"}
WORKERS = {"suspend", "groupName", "replicas", "minReplicas", "maxReplicas", "idleTimeoutSeconds", "resources"}
WORKERS |= {"labels", "rayStartParams", "template", "scaleStrategy", "numOfHosts"}
RAY_START = {"num-cpus", "dashboard-host", "num-gpus", "block", "memory", "object-store-memory"}


def example() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    return document


def test_all_fields_are_those_of_a_raycluster() -> None:
    document = example()
    assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", "RayCluster")
    spec = document["spec"]
    assert set(spec) <= CLUSTER
    assert set(spec["headGroupSpec"]) <= HEAD
    assert spec["workerGroupSpecs"]
    for group in spec["workerGroupSpecs"]:
        assert set(group) <= WORKERS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        assert set(group["rayStartParams"]) <= RAY_START
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        [container] = group["template"]["spec"]["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_cluster_demands_a_token_and_the_head_sends_no_load() -> None:
    spec = example()["spec"]
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_ray_has_the_locked_version() -> None:
    lock = (ROOT / "requirements" / "ray.txt").read_text(encoding="utf-8")
    [locked] = re.findall(r"^ray==(\S+)", lock, flags=re.MULTILINE)
    assert example()["spec"]["rayVersion"] == locked
