# SPDX-License-Identifier: Apache-2.0
"""Conversion of published weights: every layout in, the same bytes out, clear errors."""

import dataclasses
import hashlib
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from depthlab_core.checkpoint import load_checkpoint
from depthlab_core.model_zoo import LITE0, MODELS
from depthlab_core.network import build_network
from training.convert_checkpoint import main

State = dict[str, Tensor]


def arrays(state: State) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in state.items()}


def write_pickle(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def provenance(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["provenance"])


def assert_same_bytes(got: State, expected: State) -> None:
    assert list(got) == list(expected)
    for key, value in expected.items():
        assert got[key].dtype == value.dtype, key
        assert got[key].numpy().tobytes() == value.numpy().tobytes(), key


@pytest.fixture(scope="module")
def lite0() -> State:
    """A whole network's weights, all different from initial ones."""
    torch.manual_seed(1)
    state = build_network("lite0").state_dict()
    return {
        key: torch.randn_like(value) if value.is_floating_point() else value + index
        for index, (key, value) in enumerate(state.items())
    }


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command for lite0; returns the exit status and the error's text."""

    def command(*arguments: object) -> tuple[int, str]:
        status = main([*map(str, arguments), "--model", "lite0"])
        return status, capfd.readouterr().err

    return command


class Evil:
    """Unpickled carelessly, creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.path}",)


def test_published_weights_of_the_original(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(2)
    expected = build_network("r52").state_dict()
    published = {k: v for k, v in arrays(expected).items() if not k.startswith("depth_head.")}
    assert sum(
        v.size for k, v in published.items() if "num_b" not in k and "running" not in k
    ) == (59_770_166)
    content = {"model": published, "__author__": "Panoptic-DeepLab", "matching_heuristics": True}
    source = write_pickle(tmp_path / "model_final_bd324a.pkl", content)
    assert main([str(source), str(tmp_path / "r52.safetensors")]) == 0
    assert "depth branch initialised (semantic), not trained" in capsys.readouterr().out

    checkpoint = load_checkpoint(tmp_path / "r52.safetensors")
    assert checkpoint.config == MODELS["r52"]
    assert checkpoint.config.network.aspp_pool_window == (32, 64)
    state = checkpoint.network.state_dict()
    for key, value in state.items():
        twin = key.replace("depth_head.", "sem_seg_head.")
        if not key.startswith("depth_head.predictor."):
            assert value.numpy().tobytes() == published[twin].tobytes(), key
    facts = provenance(tmp_path / "r52.safetensors")
    assert facts["source"] == "model_final_bd324a.pkl"
    assert facts["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert facts["source_author"] == "Panoptic-DeepLab"
    assert facts["depth_branch"] == "semantic, not trained"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrapped", [True, False])
def test_depthlab_pickle(
    tmp_path: Path, run: Callable, lite0: State, wrapped: bool, protocol: int
) -> None:
    content = {"model": arrays(lite0)} if wrapped else arrays(lite0)
    source = write_pickle(tmp_path / "a.pkl", content, protocol)
    assert run(source, tmp_path / "a.safetensors")[0] == 0
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert_same_bytes(loaded.network.state_dict(), lite0)
    assert loaded.config == LITE0
    assert loaded.provenance["depth_branch"] == "from the source"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_torch_file(
    tmp_path: Path, run: Callable, lite0: State, wrapped: bool, zipped: bool
) -> None:
    content = (
        {"model": lite0, "iteration": 90_000, "optimizer": {"state": {}}} if wrapped else lite0
    )
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    assert run(tmp_path / "a.pth", tmp_path / "a.safetensors")[0] == 0
    loaded = load_checkpoint(tmp_path / "a.safetensors")
    assert_same_bytes(loaded.network.state_dict(), lite0)


@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
def test_export_and_back(tmp_path: Path, run: Callable, lite0: State, suffix: str) -> None:
    first, exported, second = (
        tmp_path / name for name in ("1.safetensors", "1" + suffix, "2.safetensors")
    )
    assert run(write_pickle(tmp_path / "0.pkl", {"model": arrays(lite0)}), first)[0] == 0
    assert run("--export", first, exported)[0] == 0
    if suffix == ".pkl":
        content = pickle.loads(exported.read_bytes())
        assert content["__author__"]
        assert all(type(value) is np.ndarray for value in content["model"].values())
        state = {key: torch.from_numpy(value) for key, value in content["model"].items()}
    else:
        state = torch.load(exported, weights_only=True)["model"]
    assert_same_bytes(state, lite0)
    assert run(exported, second)[0] == 0
    assert_same_bytes(load_checkpoint(second).network.state_dict(), lite0)
    assert not list(tmp_path.glob("*.partial"))


def test_fresh_depth_branch(tmp_path: Path, run: Callable, lite0: State) -> None:
    state = {key: value for key, value in lite0.items() if not key.startswith("depth_head.")}
    source = write_pickle(tmp_path / "a.pkl", {"model": arrays(state)})
    for seed, name in enumerate(("a", "b")):
        torch.manual_seed(seed)  # must not matter
        assert run(source, tmp_path / name, "--depth-init", "fresh")[0] == 0
    first, second = (load_checkpoint(tmp_path / name).network.state_dict() for name in "ab")
    assert_same_bytes(second, first)
    assert_same_bytes({key: first[key] for key in state}, state)
    weight = first["depth_head.decoder.res5.project_conv.project.weight"]
    assert 0 < weight.std() < 1
    assert provenance(tmp_path / "a")["depth_branch"] == "fresh, not trained"

    status, error = run(source, tmp_path / "c", "--depth-init", "semantic")
    assert status == 1
    assert "other widths than the semantic one: use --depth-init fresh" in error


def test_old_files_have_the_normalisation_among_the_weights(
    tmp_path: Path, run: Callable, lite0: State
) -> None:
    content = arrays(lite0)
    content["pixel_mean"] = np.array([123.675, 116.28, 103.53], np.float32).reshape(3, 1, 1)
    content["pixel_std"] = np.array([58.395, 57.12, 57.375], np.float32).reshape(3, 1, 1)
    assert run(write_pickle(tmp_path / "a.pkl", content), tmp_path / "a.safetensors")[0] == 0
    config = load_checkpoint(tmp_path / "a.safetensors").config
    expected = dataclasses.replace(
        LITE0.input, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
    )
    assert config.input == expected
    content["pixel_std"] *= 0
    status, error = run(write_pickle(tmp_path / "b.pkl", content), tmp_path / "b.safetensors")
    assert status == 1
    assert "std" in error


def test_other_number_types(tmp_path: Path, run: Callable, lite0: State) -> None:
    content = arrays(lite0)
    content["sem_seg_head.predictor.bias"] = np.arange(19, dtype=">f8")
    content["ins_embed_head.center_predictor.bias"] = np.array([0.5], np.float16)
    assert run(write_pickle(tmp_path / "a.pkl", content), tmp_path / "a.safetensors")[0] == 0
    state = load_checkpoint(tmp_path / "a.safetensors").network.state_dict()
    torch.testing.assert_close(state["sem_seg_head.predictor.bias"], torch.arange(19.0))
    assert state["ins_embed_head.center_predictor.bias"].item() == 0.5


def test_batch_counters_may_be_absent(tmp_path: Path, run: Callable, lite0: State) -> None:
    state = {k: v for k, v in lite0.items() if not k.endswith("num_batches_tracked")}
    source = write_pickle(tmp_path / "a.pkl", arrays(state))
    assert run(source, tmp_path / "a.safetensors")[0] == 0
    loaded = load_checkpoint(tmp_path / "a.safetensors").network.state_dict()
    assert_same_bytes({key: loaded[key] for key in state}, state)
    assert all(loaded[key] == 0 for key in loaded.keys() - state.keys())


def test_weights_that_do_not_fit_are_named(tmp_path: Path, run: Callable, lite0: State) -> None:
    content = arrays(lite0)
    del content["depth_head.predictor.bias"], content["sem_seg_head.predictor.weight"]
    content["another.weight"] = np.zeros(1, np.float32)
    content["sem_seg_head.predictor.bias"] = np.zeros(133, np.float32)
    content["ins_embed_head.center_predictor.bias"] = np.zeros(1, np.int64)
    source = write_pickle(tmp_path / "a.pkl", {"model": content})
    status, error = run(source, tmp_path / "a.safetensors")
    assert status == 1
    assert "missing: depth_head.predictor.bias, sem_seg_head.predictor.weight;" in error
    assert "unexpected: another.weight;" in error
    assert "wrong shape: sem_seg_head.predictor.bias (got (133,), expected (19,))" in error
    assert "wrong type: ins_embed_head.center_predictor.bias (torch.int64)" in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.pkl"]


def test_unexpected_weights_are_left_out_on_demand(
    tmp_path: Path, run: Callable, lite0: State
) -> None:
    content = arrays(lite0)
    content["another.weight"] = np.zeros(1, np.float32)
    source = write_pickle(tmp_path / "a.pkl", content)
    status, error = run(source, tmp_path / "a.safetensors")
    assert (status, "unexpected: another.weight" in error) == (1, True)
    assert run(source, tmp_path / "a.safetensors", "--drop-unexpected")[0] == 0
    assert provenance(tmp_path / "a.safetensors")["remarks"] == ["left out: another.weight"]


def test_refuses_code_and_runs_none(tmp_path: Path, run: Callable, lite0: State) -> None:
    victim = tmp_path / "touched"
    write_pickle(tmp_path / "a.pkl", {"model": {**arrays(lite0), "extra": Evil(victim)}})
    content = {"model": {**lite0, "extra": Evil(victim)}}
    torch.save(content, tmp_path / "a.pth")
    torch.save(content, tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    for name in ("a.pkl", "a.pth", "b.pth"):
        status, error = run(tmp_path / name, tmp_path / "a.safetensors")
        assert status == 1
        assert f"{os.system.__module__}.system" in error
        assert error.count("\n") == 1
    assert not victim.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected a regular file of 1 to"),
        (b"\x89PNG\r\n\x1a\n" * 100, "not a pickle"),
        (pickle.dumps([1, 2]), "holds a list, expected a dict"),
        (pickle.dumps({}), "got no tensors"),
        (pickle.dumps({"model": {}}), "got no tensors"),
        (pickle.dumps({"model": {"a": "text"}}), "got str at a, expected a tensor"),
        (pickle.dumps({"model": [1]}), "got list at model, expected a tensor"),
        (pickle.dumps({"model": {"a": np.zeros(3)}})[:-20], "not a whole pickle"),
    ],
)
def test_refuses_other_files(tmp_path: Path, run: Callable, content: bytes, reason: str) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    status, error = run(tmp_path / "a.pkl", tmp_path / "a.safetensors")
    assert status == 1
    assert error.startswith(f"error: {tmp_path / 'a.pkl'}: ")
    assert reason in error
    assert error.count("\n") == 1


def test_refuses_other_torch_files(tmp_path: Path, run: Callable, lite0: State) -> None:
    with zipfile.ZipFile(tmp_path / "archive.pth", "w") as file:
        file.writestr("readme.txt", "not torch")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    torch.save({"model": {"a": 1.5}}, tmp_path / "number.pth")
    torch.save({"model": lite0}, tmp_path / "whole.pth")
    torch.save(build_network("lite0").sem_seg_head, tmp_path / "module.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    for name, reason in (
        ("archive.pth", "not a whole torch file"),
        ("tensor.pth", "got Tensor, expected a dict"),
        ("number.pth", "got float at a"),
        ("cut.pth", "not a"),
        ("module.pth", "names depthlab_core.decoder.DenseHead"),
    ):
        status, error = run(tmp_path / name, tmp_path / "a.safetensors")
        assert status == 1
        assert reason in error
        assert error.count("\n") == 1


def test_refuses_paths(tmp_path: Path, run: Callable, lite0: State) -> None:
    source = write_pickle(tmp_path / "a.pkl", arrays(lite0))
    good = tmp_path / "a.safetensors"
    assert run(source, good)[0] == 0
    for arguments, reason in (
        ((tmp_path / "absent.pkl", good), "No such file"),
        ((tmp_path, good), "expected a regular file"),
        ((Path("/dev/zero"), good), "expected a regular file"),
        ((source, tmp_path / "b.pkl"), "expected a name that ends with .safetensors"),
        ((good, tmp_path / "b.safetensors"), "--export converts it back"),
        ((source, tmp_path / "absent" / "b.safetensors"), "No such file"),
        (("--export", good, tmp_path / "b.onnx"), "ends with .pkl or .pth"),
        (("--export", good, tmp_path / "absent" / "b.pkl"), "No such file"),
        (("--export", source, tmp_path / "b.pkl"), "not a readable safetensors file"),
        (("--export", tmp_path / "no", tmp_path / "b.pkl"), "expected a checkpoint file"),
    ):
        status, error = run(*arguments)
        assert status == 1, arguments
        assert reason in error
        assert error.count("\n") == 1


def test_wrong_usage() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["one"])
    assert caught.value.code == 2


def test_runs_as_a_command(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    command = [sys.executable, "-m", "training.convert_checkpoint"]
    refused = subprocess.run(
        [*command, tmp_path / "a.pkl", tmp_path / "a.safetensors"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert "os.system" in refused.stderr
    assert refused.stderr.count("\n") == 1
