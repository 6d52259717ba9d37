"""In the subject: the device that PyTorch computes on: an accelerator, or the CPU to try a program without one."""

import os
import time

import torch

# They change how numbers are computed without a word in the program.
SWITCHES = (
    "CUBLAS_EMULATE_DOUBLE_PRECISION",
    "CUBLAS_EMULATE_SINGLE_PRECISION",
    "CUBLAS_EMULATION_STRATEGY",
    "CUBLAS_EMULATION_SPECIAL_VALUES_SUPPORT_MASK",
    "CUBLAS_FIXEDPOINT_EMULATION_MANTISSA_BIT_COUNT",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "HIPBLASLT_ALLOW_TF32",
    "ROCBLAS_INTERNAL_FP16_ALT_IMPL",
)


def pick(name, local=0):
    """The device of a rank. PyTorch calls AMD's `cuda` too. Raises where there is none."""
    if name == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        why = "no device or no driver of it is seen" if built else "this build of PyTorch has no accelerator"
        raise RuntimeError(f"PyTorch {torch.__version__} cannot compute on an accelerator: {why}")
    device = torch.device("cuda", local % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def title(device):
    """The device's name, in words."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def finish(device):
    """Wait for what was given to the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(function, device, rounds=5):
    """The shortest of several runs, after one that is not counted."""
    function()
    finish(device)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        finish(device)
        times.append(time.perf_counter() - start)
    return min(times)


def switches(report, env=os.environ):
    """Record what is set of the switches, and PyTorch's own setting for fp32."""
    for name in SWITCHES:
        if name in env:
            report.switch(name, env[name])
    report.switch("torch_float32_matmul_precision", torch.get_float32_matmul_precision())
