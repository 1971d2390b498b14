"""Shared by every test: one thread, so that float sums do not depend on the machine; helpers importable by folder."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)
