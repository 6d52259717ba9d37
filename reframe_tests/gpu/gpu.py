"""Accelerators through PyTorch: products, memory, collectives and messages between devices, training."""

import json
import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import SuiteCheck, limits, systems

SIZE, TIMED = "2048", "8192"  # of products that are compared, and of those that are timed
CALIBRATED = json.dumps(limits("GpuGemm").get("parameters", {}))


@rfm.simple_test
class GpuGemm(SuiteCheck):
    """Matrix products in every precision."""

    descr = "Matrix products on the accelerator: exact integers, componentwise bounds, TF32, GFLOP/s"
    valid_systems = systems("GpuGemm")
    tags = {"ci", "precision", "perf", "accelerator"}
    program = ["{python}", "{suite}/gpu/src/gemm.py", "cuda", SIZE, TIMED, CALIBRATED]


@rfm.simple_test
class GpuMemory(SuiteCheck):
    """The device's memory, and copies to it."""

    descr = "Memory of the accelerator: STREAM with exact results, copies from and to the host"
    valid_systems = systems("GpuMemory")
    tags = {"ci", "perf", "accelerator"}
    program = ["{python}", "{suite}/gpu/src/memory.py", "cuda", "0"]


@rfm.simple_test
class GpuCollectives(SuiteCheck):
    """NCCL or RCCL on all devices of the node."""

    descr = "Collectives between all accelerators of a node: exact and bounded sums, bus bandwidth"
    valid_systems = systems("GpuCollectives")
    tags = {"ci", "precision", "perf", "accelerator", "nccl"}
    program = ["{python}", "{suite}/ai/src/collectives.py", "nccl", "cuda", "0"]


@rfm.simple_test
class GpuMpi(SuiteCheck):
    """Device buffers through MPI."""

    descr = "MPI between buffers in the accelerators' memory"
    valid_systems = systems("GpuMpi")
    tags = {"ci", "perf", "accelerator", "mpi"}
    program = ["{python}", "{suite}/gpu/src/mpi.py", "cuda", "{ranks}", "{units}"]
    ranks = least = 2  # one alone has nobody to send to; two may share a device
    unit = "device"


@rfm.simple_test
class GpuTraining(SuiteCheck):
    """Distributed data parallel training with mixed precision on all devices of the node."""

    descr = "PyTorch training on all accelerators of a node with products in bf16"
    valid_systems = systems("GpuTraining")
    tags = {"ci", "accelerator", "nccl"}
    program = ["{python}", "{suite}/ai/src/training.py", "0", "ddp", "amp", "nccl", "cuda"]
