"""PyTorch in the subject: operators against fp64, training, and collectives."""

import json
import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from suite import SuiteCheck, limits, systems


@rfm.simple_test
class TorchOperators(SuiteCheck):
    """Elementwise operators and matrix products in every precision."""

    descr = "PyTorch operators in fp64 against 50 digits, in fp32, bf16 and fp16 against fp64"
    valid_systems = systems("TorchOperators")
    tags = {"ci", "precision"}
    program = ["{python}", "{suite}/ai/src/operators.py", json.dumps(limits("TorchOperators")["parameters"])]


@rfm.simple_test
class TorchTraining(SuiteCheck):
    """Distributed data parallel training over gloo."""

    descr = "PyTorch training on several ranks: the loss falls and the ranks agree"
    valid_systems = systems("TorchTraining")
    tags = {"ci"}
    program = ["{python}", "{suite}/ai/src/training.py", "{ranks}", "ddp", "fp32"]
    ranks, forks = 2, True


@rfm.simple_test
class TorchTrainingAmp(SuiteCheck):
    """The same with automatic mixed precision."""

    descr = "PyTorch training on several ranks with products in bf16: the loss falls and the ranks agree"
    valid_systems = systems("TorchTrainingAmp")
    tags = {"ci"}
    program = ["{python}", "{suite}/ai/src/training.py", "{ranks}", "ddp", "amp"]
    ranks, forks = 2, True


@rfm.simple_test
class TorchTrainingAlone(SuiteCheck):
    """Training without `torch.distributed`."""

    descr = "PyTorch training in one process: the loss falls, and falls alike when it is repeated"
    valid_systems = systems("TorchTrainingAlone")
    tags = {"ci"}
    program = ["{python}", "{suite}/ai/src/training.py", "1", "alone", "fp32"]


@rfm.simple_test
class TorchAllReduce(SuiteCheck):
    """Collectives over gloo."""

    descr = "torch.distributed on several ranks over gloo: exact and bounded sums"
    valid_systems = systems("TorchAllReduce")
    tags = {"ci", "precision", "gloo"}
    program = ["{python}", "{suite}/ai/src/collectives.py", "gloo", "cpu", "{ranks}"]
    ranks, forks = 2, True


@rfm.simple_test
class TorchAllReduceMpi(SuiteCheck):
    """Collectives over MPI, where PyTorch was built with it."""

    descr = "torch.distributed on several ranks over MPI: exact and bounded sums"
    valid_systems = systems("TorchAllReduceMpi")
    tags = {"ci", "precision", "mpi"}
    program = ["{python}", "{suite}/ai/src/collectives.py", "mpi", "cpu", "{ranks}"]
    ranks = 2
