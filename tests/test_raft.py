"""RAFT as a flow: does torchvision's own network answer, each way, and is what does not fit one line?

A torchvision lies beside CarveKit, in a folder of its own (see test_carvekit.py).
"""

from __future__ import annotations

import json

import pytest
import torch
from test_carvekit import OPERATORS, process

from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.metrics import load_raft

LOOK = """
import json, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from torchvision.models.optical_flow import raft_small
from viewfusion.errors import ViewFusionError
from viewfusion.evaluation.measures import Tools, Turn
from viewfusion.evaluation.metrics import flow_warp_error, load_raft
from viewfusion.evaluation.protocols import Protocol
from viewfusion.evaluation.scoring import make_scorer
from viewfusion.geometry import ring

folder, told = Path(sys.argv[1]), {}
torch.manual_seed(0)
network = raft_small(weights=None).eval().requires_grad_(False)
state = network.state_dict()
torch.save(state, folder / "raft.pth")
save_file({name: value.contiguous() for name, value in state.items()}, folder / "raft.safetensors")
first, second = torch.rand(2, 1, 3, 90, 132)
back, forth = load_raft(folder / "raft.pth")(first, second)
told["shape"] = [list(back.shape), list(forth.shape)]
a, b = (F.pad(2 * each - 1, (0, 4, 0, 38), mode="replicate") for each in (first, second))
told["back"] = float((network(b, a)[-1][..., :90, :132] - back).abs().max())
told["forth"] = float((network(a, b)[-1][..., :90, :132] - forth).abs().max())
told["apart"] = float((back - forth).abs().max())
error, share = flow_warp_error(load_raft(folder / "raft.safetensors"), first, second)
told["share"] = float(share)
trial = Protocol("trial", "A trial.", "", "spin", {"flow_warp_error": {"network": "raft"}})
scorer = make_scorer(trial, Tools(raft_path=folder / "raft.pth"))
pairs = scorer.entry("a", Turn(torch.cat([first, second]), ring(2, 0, 1.5).views, (1,)))["pairs"]
told["scored"] = [pairs[0]["scores"]["flow_warp_error"], float(error)]
told["described"] = scorer.described()["flow_warp_error"]["settings"]
del state[next(reversed(state))]
torch.save(state, folder / "part.pth")
try:
    load_raft(folder / "part.pth")
except ViewFusionError as error:
    told["part"] = str(error)
print("told:", json.dumps(told))
"""


def test_torchvisions_network_answers_both_ways(tmp_path):
    ended = process(OPERATORS + LOOK, tmp_path)
    assert ended.returncode == 0, ended.stderr[-2000:]
    told = json.loads(ended.stdout.rpartition("told:")[2])
    assert told["shape"] == [[1, 2, 90, 132]] * 2
    assert told["back"] == told["forth"] == 0
    assert told["apart"] > 0
    assert 0 <= told["share"] <= 1
    assert told["scored"][0] == pytest.approx(told["scored"][1], abs=1e-6), "as a protocol asks for it"
    assert told["described"] == {"network": "raft"}
    assert "these are not the weights of RAFT: " in told["part"]
    assert "is absent; fetch it again" in told["part"]


def test_without_torchvision_it_is_named(tmp_path):
    """Here, where it lies apart."""
    path = tmp_path / "raft.pth"
    torch.save({"feature_encoder.convnormrelu.0.weight": torch.zeros(64, 3, 7, 7)}, path)
    with pytest.raises(ViewFusionError, match="RAFT needs the torchvision that fits torch") as refused:
        load_raft(path)
    assert str(refused.value).endswith("or take RIFE: `viewfusion metrics fetch rife`")
    assert "\n" not in str(refused.value)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "raft.pth"
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(ViewFusionError, match="holds no RAFT of torchvision's"):
        load_raft(path)
    with pytest.raises(ViewFusionError, match="no such file; give torchvision's raft_large or raft_small"):
        load_raft(tmp_path / "gone.pth")
