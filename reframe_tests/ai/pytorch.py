"""PyTorch inside the image: operators against fp64, and training on two ranks."""

import json
import sys
from pathlib import Path

import reframe as rfm

sys.path.append(str(Path(__file__).resolve().parent.parent))
from image_check import ImageCheck, limits, systems


@rfm.simple_test
class TorchOperators(ImageCheck):
    """Elementwise operators and matrix products in every precision."""

    descr = "PyTorch operators in fp32, bf16 and fp16 against fp64"
    valid_systems = systems("TorchOperators")
    tags = {"ci", "precision"}
    program = ["python3", "{suite}/ai/src/operators.py", json.dumps(limits("TorchOperators")["parameters"])]


@rfm.simple_test
class TorchTraining(ImageCheck):
    """Distributed data parallel training over gloo on the loopback."""

    descr = "PyTorch training on two ranks: the loss falls and the ranks agree"
    valid_systems = systems("TorchTraining")
    tags = {"ci"}
    program = ["python3", "{suite}/ai/src/training.py"]
