# SPDX-License-Identifier: Apache-2.0
"""Datasets read what is on disk, and say what is missing."""

from __future__ import annotations

import json
import sys

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from depthlab_core.labels import CITYSCAPES
from training.config import DatasetConfig
from training.datasets.build import build_dataset
from training.datasets.camvid import CAMVID_OF_CATEGORY, CAMVID_OF_TARGET, CLASS_NAMES, CamVid
from training.datasets.cityscapes_layout import CityscapesLayout
from training.datasets.drawn_streets import DrawnStreets
from training.datasets.lidar_frames import LidarFrames
from training.datasets.memory import InMemory
from training.datasets.sample import DatasetError
from training.label_groups import CAR_OR_LARGER
from training.streets.render import main as render


def test_cityscapes_layout_gives_back_what_was_written(cityscapes_root, street_samples):
    dataset = CityscapesLayout(cityscapes_root, "train")
    assert len(dataset) == 2
    for sample, truth in zip((dataset[0], dataset[1]), street_samples, strict=True):
        np.testing.assert_array_equal(sample.image, truth.image)
        np.testing.assert_array_equal(sample.panoptic // 1000, truth.panoptic // 1000)
        for value in np.unique(truth.panoptic):
            assert len(np.unique(sample.panoptic[truth.panoptic == value])) == 1
        assert len(np.unique(sample.panoptic)) == len(np.unique(truth.panoptic))
        assert sample.focal_length == truth.focal_length
        near = (truth.depth > 0) & (truth.depth < 20)
        np.testing.assert_allclose(sample.depth[near], truth.depth[near], rtol=0.02)
        assert (sample.depth[truth.depth == 0] == 0).all()


def write_depth(root) -> None:
    """Write depth of 3 m everywhere."""
    folder = root / "depth" / "train" / "town"
    folder.mkdir(parents=True)
    for number in range(2):
        path = folder / f"town_{number:06d}_000019_depth.png"
        cv2.imwrite(str(path), np.full((64, 96), 3 * 256, np.uint16))


def test_depth_files_are_preferred_to_disparity(cityscapes_root):
    write_depth(cityscapes_root)
    assert (CityscapesLayout(cityscapes_root, "train")[0].depth == 3).all()


def test_only_disparity_needs_a_baseline(cityscapes_root):
    for path in cityscapes_root.rglob("*_camera.json"):
        path.write_text(json.dumps({"intrinsic": {"fx": 77.0}}))
    with pytest.raises(DatasetError, match=r"_camera\.json is damaged .*'extrinsic'"):
        CityscapesLayout(cityscapes_root, "train")[0]
    write_depth(cityscapes_root)
    sample = CityscapesLayout(cityscapes_root, "train")[0]
    assert (sample.depth == 3).all()
    assert sample.focal_length == 77.0


def test_zero_disparity_is_no_depth(cityscapes_root):
    path = next((cityscapes_root / "disparity").rglob("*000000_000019_disparity.png"))
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    raw[0, :3] = (0, 1, 257)
    cv2.imwrite(str(path), raw)
    sample = CityscapesLayout(cityscapes_root, "train")[0]
    assert sample.depth[0, 0] == 0
    assert sample.depth[0, 1] == 0
    assert sample.depth[0, 2] == pytest.approx(0.22 * sample.focal_length)


def test_crowds_and_unknown_classes(cityscapes_root):
    path = cityscapes_root / "gtFine" / "cityscapes_panoptic_train.json"
    index = json.loads(path.read_text())
    cars = 0
    for annotation in index["annotations"]:
        for segment in annotation["segments_info"]:
            is_car = segment["category_id"] == 7 + 13
            cars += is_car
            segment["iscrowd"] = int(is_car)
    index["categories"] = [c for c in index["categories"] if c["name"] != "road"]
    path.write_text(json.dumps(index))
    assert cars
    dataset = CityscapesLayout(cityscapes_root, "train")
    for sample in (dataset[0], dataset[1]):
        is_car = sample.panoptic // 1000 == 13
        assert (sample.panoptic[is_car] == 13000).all()
        assert (sample.panoptic == -1).any()
        assert not (sample.panoptic == 0).any()


def test_images_that_the_index_lacks_are_left_out_with_a_warning(cityscapes_root, caplog):
    path = cityscapes_root / "gtFine" / "cityscapes_panoptic_train.json"
    index = json.loads(path.read_text())
    whole = CityscapesLayout(cityscapes_root, "train")
    assert (len(whole), caplog.text) == (2, "")

    # A drawing that was interrupted: the image is there, its labels may be.
    del index["annotations"][0]
    path.write_text(json.dumps(index))
    cut = CityscapesLayout(cityscapes_root, "train")
    assert [cut[number].name for number in range(len(cut))] == ["town_000001_000019"]
    assert cut.classes(0) == whole.classes(1)
    folder = cityscapes_root / "leftImg8bit" / "train"
    message = f"1 of 2 images in {folder} are not in its index and are left out"
    assert caplog.messages == [message]
    assert len(CityscapesLayout(cityscapes_root, "train", load_panoptic=False)) == 2

    del index["annotations"][0]
    path.write_text(json.dumps(index))
    with pytest.raises(DatasetError, match=r"2 of 2 images in .*render, whose --resume"):
        CityscapesLayout(cityscapes_root, "train")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("*_leftImg8bit.png", r"leftImg8bit/train/\*/\*_leftImg8bit\.png"),
        ("cityscapes_panoptic_train.json", r"cityscapes_panoptic_train\.json does not exist"),
        ("*_disparity.png", r"_disparity\.png does not exist.*render, whose --resume completes"),
        ("*_camera.json", r"_camera\.json does not exist"),
        ("*_gtFine_panoptic.png", r"_panoptic\.png does not exist.*render, whose --resume"),
    ],
)
def test_a_missing_file_is_named(cityscapes_root, pattern, message):
    for path in cityscapes_root.rglob(pattern):
        path.unlink()
    with pytest.raises(DatasetError, match=message):
        CityscapesLayout(cityscapes_root, "train")[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"categories": [{"id": 1, "name": "cat"}]},
            "got the classes cat, expected some of those",
        ),
        ({"categories": []}, "got the classes none, expected some of those of cityscapes"),
        ({"annotations": [{"file_name": "a", "segments_info": [{"id": 1}]}]}, "is damaged"),
        ({"annotations": 5}, "is damaged"),
    ],
)
def test_an_index_of_other_classes_or_without_them_is_named(cityscapes_root, change, message):
    path = cityscapes_root / "gtFine" / "cityscapes_panoptic_train.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DatasetError, match=rf"cityscapes_panoptic_train\.json.*{message}"):
        CityscapesLayout(cityscapes_root, "train")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_half_a_download_is_named(camvid_root, share):
    path = camvid_root / "train" / "frame.jpg"
    content = path.read_bytes()
    CamVid(camvid_root, "train")[0]
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DatasetError, match=r"frame\.jpg cannot be read as an image; fetch it"):
        CamVid(camvid_root, "train")[0]
    # Some cameras write a little after the picture's end.
    path.write_bytes(content + bytes(100))
    CamVid(camvid_root, "train")[0]


@pytest.mark.parametrize(
    "pattern", ["*_leftImg8bit.png", "*_disparity.png", "*_camera.json", "*_train.json"]
)
def test_a_damaged_file_is_named(cityscapes_root, pattern):
    for path in cityscapes_root.rglob(pattern):
        path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DatasetError, match=pattern.removeprefix("*").replace(".", r"\.")):
        CityscapesLayout(cityscapes_root, "train")[0]


def test_a_missing_folder_is_named_with_a_remedy(tmp_path):
    with pytest.raises(DatasetError, match=r"nowhere does not exist.*registration"):
        CityscapesLayout(tmp_path / "nowhere", "train")
    with pytest.raises(DatasetError, match=r"nowhere/train does not exist.*DEPTHLAB_DATA"):
        CamVid(tmp_path / "nowhere", "train")


def test_camvid_labels_become_categories_and_groups(camvid_root):
    sample = CamVid(camvid_root, "train")[0]
    assert sample.panoptic is None
    assert sample.depth is None
    assert sample.semantic[10, 0] == 10
    assert sample.semantic[50, 0] == 0
    assert sample.semantic[35, 20] == CAR_OR_LARGER.id
    assert sample.semantic[0, 0] == 255


def test_camvid_pseudo_instances(camvid_root):
    sample = CamVid(camvid_root, "train", pseudo_instance_weight=0.3)[0]
    assert sample.instance_weight == 0.3
    assert sample.panoptic[35, 20] // 1000 == 13
    assert sample.panoptic[35, 20] % 1000 > 0
    assert sample.panoptic[35, 52] // 1000 == 11
    assert sample.panoptic[50, 0] == 0
    assert sample.panoptic[0, 0] == -1


def test_camvid_classes_round_trip():
    for label in range(len(CLASS_NAMES)):
        (target,) = np.nonzero(np.equal(CAMVID_OF_TARGET, label))
        assert len(target) == 1
    assert len(CAMVID_OF_CATEGORY) == len(CITYSCAPES)
    for category, label in ((0, 3), (5, 2), (6, 6), (12, 10), (14, 8), (18, 10)):
        assert CAMVID_OF_CATEGORY[category] == label


def test_camvid_with_a_wrong_label_is_refused(camvid_root):
    path = camvid_root / "train" / "frame_label.png"
    cv2.imwrite(str(path), np.full((60, 80), 12, np.uint8))
    with pytest.raises(DatasetError, match="label 12"):
        CamVid(camvid_root, "train")[0]


def test_lidar_frames(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 6, 3), np.uint8))
    np.savez(tmp_path / "a.npz", depth=np.full((4, 6), 2, np.float16))
    frame = {"image": "a.png", "depth": "a.npz", "K": [50.0, 51.0, 3, 2]}
    (tmp_path / "index.json").write_text(json.dumps([frame]))
    sample = LidarFrames(tmp_path)[0]
    assert sample.focal_length == 50
    assert sample.depth.dtype == np.float32
    assert (sample.depth == 2).all()
    assert sample.has_sparse_depth


def test_lidar_without_frames_is_named(tmp_path):
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"index\.json lists no frame\. Expected a folder"):
        LidarFrames(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 half of one"])
def test_damaged_lidar_depth_is_named(tmp_path, content):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 6, 3), np.uint8))
    frame = {"image": "a.png", "depth": "a.npz", "K": [50.0, 51.0, 3, 2]}
    (tmp_path / "index.json").write_text(json.dumps([frame]))
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DatasetError, match=r"a\.npz is damaged"):
        LidarFrames(tmp_path)[0]
    # In the middle of what is compressed, behind the names.
    np.savez_compressed(tmp_path / "a.npz", depth=np.random.default_rng(0).random((40, 60)))
    packed = bytearray((tmp_path / "a.npz").read_bytes())
    for start in range(100, len(packed) - 300, 500):
        spoilt = packed.copy()
        spoilt[start : start + 8] = bytes(8)
        (tmp_path / "a.npz").write_bytes(spoilt)
        with pytest.raises(DatasetError, match=r"a\.npz is damaged"):
            LidarFrames(tmp_path)[0]
    np.savez(tmp_path / "a.npz", distance=np.ones((4, 6)))
    with pytest.raises(DatasetError, match=r"a\.npz is damaged \(KeyError"):
        LidarFrames(tmp_path)[0]


def test_drawn_streets_are_those_that_the_renderer_writes(tmp_path):
    render(["--out", str(tmp_path), "--frames", "2", "--size", "96x64", "--seed", "3"])
    drawn, written = DrawnStreets("train", 2, (64, 96), 3), CityscapesLayout(tmp_path, "train")
    for index in range(2):
        first, second = drawn[index], written[index]
        assert first.name == second.name
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.panoptic // 1000, second.panoptic // 1000)
        is_crowd_or_stuff = first.panoptic % 1000 == 0
        np.testing.assert_array_equal(is_crowd_or_stuff, second.panoptic % 1000 == 0)
        assert first.focal_length == pytest.approx(second.focal_length)
        near = first.depth < 255
        np.testing.assert_allclose(first.depth[near], second.depth[near], atol=1 / 256)


def test_drawn_streets_depend_on_split_seed_and_number_alone(street_samples):
    again = DrawnStreets("train", 2, (64, 96), 3)[1]
    np.testing.assert_array_equal(again.image, street_samples[1].image)
    for other in (DrawnStreets("val", 2, (64, 96), 3), DrawnStreets("train", 2, (64, 96), 4)):
        assert (other[1].image != again.image).any()
    with pytest.raises(IndexError, match="got 2, expected 0 to 1"):
        DrawnStreets("train", 2)[2]


def test_drawn_streets_have_two_splits():
    with pytest.raises(DatasetError, match="got 'test', expected train or val"):
        build_dataset("streets", DatasetConfig(kind="streets", split="test"))


def test_loader_processes_draw_the_same_streets():
    # This process has a renderer of its own, which the forked ones must not use.
    dataset = DrawnStreets("train", 4, (64, 96), 3)
    here = [dataset[index].image for index in range(4)]
    loader = DataLoader(dataset, batch_size=None, num_workers=2, collate_fn=lambda sample: sample)
    there = [sample.image for sample in loader]
    np.testing.assert_array_equal(here, there)


def test_a_machine_that_cannot_draw_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "moderngl", None)
    for name in [name for name in sys.modules if name.startswith("training.streets")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(DatasetError, match=r"moderngl.*make setup-rendering"):
        DrawnStreets("train", 2)[0]


def test_reduced_samples_keep_labels_and_follow_with_the_focal_length(street_samples):
    reduced = InMemory(street_samples, max_width=48)[0]
    assert reduced.image.shape == (32, 48, 3)
    assert reduced.focal_length == street_samples[0].focal_length / 2
    assert set(np.unique(reduced.panoptic)) <= set(np.unique(street_samples[0].panoptic))
    np.testing.assert_array_equal(reduced.depth, street_samples[0].depth[1::2, 1::2])


def test_hidden_labels_are_hidden(cityscapes_root):
    config = DatasetConfig(
        kind="cityscapes", root=str(cityscapes_root), semantic=False, depth=False
    )
    sample = build_dataset("streets", config)[0]
    assert (sample.semantic == 255).all()
    assert sample.panoptic is not None
    assert sample.depth is None


def test_some_frames_alone(street_samples):
    config = DatasetConfig(kind="streets", frames=2, size=(64, 96), seed=3, only=(1,))
    dataset = build_dataset("streets", config)
    assert len(dataset) == 1
    np.testing.assert_array_equal(dataset[0].image, street_samples[1].image)
    with pytest.raises(DatasetError, match=r"streets.only: got \[2, -1\], expected .* 0 to 1"):
        build_dataset("streets", DatasetConfig(kind="streets", frames=2, only=(0, 2, -1)))
